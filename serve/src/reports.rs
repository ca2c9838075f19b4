//! Reports of runs, as pages of their own.
//!
//! A link that opens in a new tab can't show the token as requests of the page do. It has a key of its own instead, which is made of the token, the run and the
//! report: whoever has it reads this report and nothing else, and a new link of `neuroflow serve` ends it.

use neuroflow_engine::Digest;
use neuroflow_engine::home;
use neuroflow_engine::record::RunRecord;
use neuroflow_loopback::Token;
use serde::Serialize;

/// The largest page that is served, in bytes; it opens from its folder in any case.
const LARGEST: u64 = 512 << 20;

/// A report as the page lists it.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    name: String,
    /// Where its file lies.
    path: String,
    /// Where it is served.
    address: String,
}

/// The reports of a run with their links.
pub(crate) fn listed(record: &RunRecord, token: &Token) -> Vec<Listed> {
    let of = |(name, path): &(String, String)| Listed {
        name: name.clone(),
        path: path.clone(),
        address: format!("/report/{}/{}/{}", record.id, encoded(name), key(token, &record.id, name)),
    };
    record.reports.iter().map(of).collect()
}

/// The key of a report.
fn key(token: &Token, run: &str, name: &str) -> String {
    Digest::of(format!("report\n{}\n{run}\n{name}", token.reveal()).as_bytes()).to_string()
}

/// Whether a key is that of a report. Digests are compared, so that how long it takes tells nothing.
pub(crate) fn opens(token: &Token, run: &str, name: &str, shown: &str) -> bool {
    Digest::of(shown.as_bytes()) == Digest::of(key(token, run, name).as_bytes())
}

/// The bytes of a report, which are those that the run wrote.
///
/// # Errors
/// When they are gone, or another run's by now, in words.
pub(crate) fn page(record: &RunRecord, name: &str) -> Result<Vec<u8>, String> {
    let path = record.reports.iter().find(|(of, _)| of == name).map(|(_, path)| path);
    let page = record.pages.iter().find(|(of, _)| of == name).map(|(_, page)| *page);
    let (Some(path), Some(page)) = (path, page) else { return Err(format!("run {} wrote no such report", record.id)) };
    let again = "run the pipeline again to have it";
    let file = home::real(path);
    let size = std::fs::metadata(&file).map_err(|error| format!("{path}: {error}; {again}"))?.len();
    if size > LARGEST {
        return Err(format!("{path} has {size} bytes, which is too much for this page; open the file"));
    }
    let bytes = std::fs::read(&file).map_err(|error| format!("{path}: {error}; {again}"))?;
    if Digest::of(&bytes) != page {
        return Err(format!("{path} shows another run by now; {again}, or open the file as it is"));
    }
    Ok(bytes)
}

/// A name as a part of an address.
fn encoded(name: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_one_report_and_no_other() {
        let (token, other) = (Token::new().unwrap(), Token::new().unwrap());
        let own = key(&token, "20261130-1", "a");
        assert!(opens(&token, "20261130-1", "a", &own));
        for (token, run, name) in [(&token, "20261130-1", "b"), (&token, "20261130-2", "a"), (&other, "20261130-1", "a")] {
            assert!(!opens(token, run, name, &own));
        }
        assert!(!opens(&token, "20261130-1", "a", "") && !own.contains(token.reveal()));
        assert_eq!(encoded("a_b c/ä"), "a_b%20c%2F%C3%A4");
    }
}
