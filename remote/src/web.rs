//! Files over HTTP (RFC 9110): parts by `Range`, redirects followed here and nowhere else.

use crate::Options;
use crate::address::{is_local_name, is_private, number_of};
use crate::error::{Failure, chain};
use crate::file::{Body, Identity, Piece};
use crate::net::net;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_MATCH, LAST_MODIFIED, LOCATION, RANGE,
    RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use std::ops::Range;
use std::time::Duration;

/// The most redirects from one address.
const MOST_REDIRECTS: usize = 5;

/// A file over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    pub url: Url,
    /// Whether a person gave the address; it may then be of this network.
    pub given: bool,
}

impl Web {
    /// Whether the address that a person gave is itself one of this machine or its network, so that it may lead to others.
    pub(crate) async fn is_local(&self) -> bool {
        if !self.given {
            return false;
        }
        if let Some(number) = number_of(&self.url) {
            return is_private(number);
        }
        let Some(host) = self.url.host_str() else { return false };
        let found = tokio::net::lookup_host((host, self.url.port_or_known_default().unwrap_or(443))).await;
        is_local_name(&self.url) || found.is_ok_and(|mut found| found.all(|address| is_private(address.ip())))
    }

    /// A request, with its redirects.
    pub(crate) async fn send(&self, headers: &HeaderMap, options: &Options) -> Result<Response, Failure> {
        let net = net()?;
        let mut url = self.url.clone();
        let mut local: Option<bool> = self.given.then_some(true);
        for _ in 0..=MOST_REDIRECTS {
            let free = local == Some(true);
            let forbidden = number_of(&url).is_some_and(is_private) || is_local_name(&url);
            if !free && forbidden {
                let reason = format!("an answer leads to {url}, which is not on the public network");
                return Err(Failure::lasting(
                    reason,
                    "nothing from a public address is followed there; name that address itself if you trust it",
                ));
            }
            let client = if free { &net.any } else { &net.public };
            let request = client.get(url.clone()).headers(headers.clone()).header(ACCEPT_ENCODING, "identity").send();
            let answer = match tokio::time::timeout(options.timeout, request).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) if error.is_builder() => return Err(Failure::lasting(chain(&error), "correct the address")),
                Ok(Err(error)) => return Err(Failure::passing(chain(&error.without_url()))),
                Err(_) => return Err(Failure::passing(format!("no answer came within {} seconds", options.timeout.as_secs_f32()))),
            };
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let target = answer.headers().get(LOCATION).and_then(|target| target.to_str().ok()).and_then(|target| url.join(target).ok());
            let Some(target) = target else {
                return Err(Failure::lasting("the server redirects, but not to an address", "ask who runs it"));
            };
            let lowered = url.scheme() == "https" && target.scheme() != "https";
            if lowered || !matches!(target.scheme(), "http" | "https") {
                let reason = format!("the server redirects from {} to {}", url.scheme(), target.scheme());
                return Err(Failure::lasting(reason, "name the last address itself if you trust it"));
            }
            // Only the address that a person gave is taken as it is.
            if free && Some(true) == local && url == self.url {
                local = Some(self.is_local().await);
            }
            url = target;
        }
        Err(Failure::lasting(format!("the server redirects more than {MOST_REDIRECTS} times"), "name the last address itself"))
    }

    /// A part of the file; of a server that can't send parts, the whole.
    pub(crate) async fn piece(&self, range: Range<u64>, pin: Option<&Identity>, options: &Options) -> Result<Piece, Failure> {
        let mut headers = HeaderMap::new();
        let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        headers.insert(RANGE, text.parse().map_err(|_| Failure::lasting("the range can't be sent", "report this"))?);
        if let Some(tag) = pin.and_then(|pin| pin.tag.strip_prefix("etag ")).filter(|tag| tag.starts_with('"'))
            && let Ok(tag) = tag.parse()
        {
            headers.insert(IF_MATCH, tag);
        }
        let answer = self.send(&headers, options).await?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = answer.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && range.start == 0 {
            // An empty file has no part.
            let empty = header(CONTENT_RANGE).is_some_and(|told| told.trim() == "bytes */0");
            if empty {
                let identity = Identity { length: 0, tag: tag(answer.headers()) };
                return Ok(Piece { identity, ranged: true, body: Body::Empty });
            }
        }
        if status == StatusCode::PRECONDITION_FAILED && pin.is_some() {
            return Err(changed());
        }
        if !status.is_success() {
            return Err(refused(status, header(RETRY_AFTER)));
        }
        if header(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(Failure::lasting("the server sends another form of the file than it has", "ask who runs it to send it as it is"));
        }
        let tag = tag(answer.headers());
        if status == StatusCode::PARTIAL_CONTENT {
            let told = header(CONTENT_RANGE).unwrap_or_default();
            let (first, last, length) = content_range(&told).ok_or_else(|| {
                Failure::lasting(
                    format!("the server sends a part, but says `{}` of where it lies", told.chars().take(60).collect::<String>()),
                    "ask who runs it",
                )
            })?;
            let expected = range.end.min(length);
            if first != range.start || last.checked_add(1) != Some(expected) {
                let reason = format!(
                    "bytes {} to {expected} were asked for, the server sends `{}`",
                    range.start,
                    told.chars().take(60).collect::<String>()
                );
                return Err(Failure::lasting(reason, "the server does not keep to HTTP: download the file in another way"));
            }
            return Ok(Piece { identity: Identity { length, tag }, ranged: true, body: Body::Web(answer, expected - first) });
        }
        if status != StatusCode::OK {
            return Err(Failure::lasting(format!("the server answers {status}"), "see that the address is that of a file"));
        }
        let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > options.whole_limit) {
            let reason = format!(
                "the server can't send parts, and the file has {} bytes; at most {} are fetched at once",
                length.unwrap_or_default(),
                options.whole_limit
            );
            return Err(Failure::lasting(reason, "download the file and open it from here, or raise `whole_limit`"));
        }
        let identity = Identity { length: length.unwrap_or(u64::MAX), tag };
        Ok(Piece { identity, ranged: false, body: Body::Web(answer, length.unwrap_or(u64::MAX)) })
    }

    /// A short answer in JSON.
    pub(crate) async fn json(&self, options: &Options) -> Result<serde_json::Value, Failure> {
        const MOST: u64 = 16 << 20;
        let answer = self.send(&HeaderMap::new(), options).await?;
        if !answer.status().is_success() {
            let retry = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
            return Err(refused(answer.status(), retry));
        }
        let bytes = read(answer, u64::MAX, MOST, options).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::lasting(format!("the answer is not JSON: {error}"), "see that the address is that of the archive's API")
        })
    }
}

/// What a status that is not a success means.
fn refused(status: StatusCode, retry: Option<String>) -> Failure {
    let reason = format!("the server answers {status}");
    match status.as_u16() {
        404 | 410 => Failure::lasting(format!("there is no such file ({status})"), "check the address"),
        401 | 403 => Failure::lasting(format!("the server refuses ({status})"), "check that you may read it, and the credentials"),
        408 | 425 | 429 | 500 | 502 | 503 | 504 => {
            // A date instead of seconds is taken as no wish.
            let wait = retry.and_then(|seconds| seconds.trim().parse::<u64>().ok()).map(Duration::from_secs);
            Failure { reason, help: "the server is busy: try again later", again: Some(wait) }
        }
        _ => Failure::lasting(reason, "check the address"),
    }
}

pub(crate) fn changed() -> Failure {
    Failure::lasting("the file changed while it was read", "open it again, so that all of it is of one version")
}

/// What tells one version from another: the entity tag, else the time of the last change, else nothing.
fn tag(headers: &HeaderMap) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value: &&str| value.len() <= 1024);
    match (header(ETAG), header(LAST_MODIFIED)) {
        (Some(tag), _) => format!("etag {tag}"),
        (None, Some(time)) => format!("time {time}"),
        (None, None) => String::new(),
    }
}

/// `bytes first-last/length`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, length) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, length) = (first.parse().ok()?, last.parse().ok()?, length.parse().ok()?);
    (first <= last && last < length).then_some((first, last, length))
}

/// The bytes of a body: `expected` when that is known, and never more than `most`.
pub(crate) async fn read(mut answer: Response, expected: u64, most: u64, options: &Options) -> Result<Vec<u8>, Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let part = match tokio::time::timeout(options.timeout, answer.chunk()).await {
            Ok(Ok(Some(part))) => part,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                return Err(Failure::passing(format!("the answer broke off after {} bytes: {}", bytes.len(), chain(&error.without_url()))));
            }
            Err(_) => return Err(Failure::passing(format!("no further byte came within {} seconds", options.timeout.as_secs_f32()))),
        };
        bytes.extend_from_slice(&part);
        if bytes.len() as u64 > expected.min(most) {
            let reason = format!("the server sends more than the {} bytes that it may", expected.min(most));
            return Err(Failure::lasting(reason, "download the file in another way"));
        }
    }
    if expected != u64::MAX && (bytes.len() as u64) < expected {
        return Err(Failure::passing(format!("the answer broke off after {} of {expected} bytes", bytes.len())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_names_is_not_looked_for_on_this_machine() {
        let options = Options { retries: 0, timeout: Duration::from_secs(5), ..Options::default() };
        for address in [
            "http://127.0.0.1:1/x",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost/x",
            "http://[::1]/x",
            "http://2130706433/x",
        ] {
            let web = Web { url: Url::parse(address).unwrap(), given: false };
            let asked = options.clone();
            let told = net().unwrap().ask(async move { web.piece(0..10, None, &asked).await.map(|_| ()) }).unwrap_err();
            assert!(told.reason.contains("not on the public network"), "{address}: {}", told.reason);
        }
    }

    #[test]
    fn ranges_of_answers_are_read_with_care() {
        assert_eq!(content_range("bytes 0-9/10"), Some((0, 9, 10)));
        for wrong in ["", "bytes 0-9/*", "bytes 5-4/10", "bytes 0-10/10", "bytes */10", "bytes -1-9/10", "bytes 0-99999999999999999999/10"]
        {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
