//! The ledger: what was offered, answered and done, one line an event. Each line holds the digest of the line before, so that a change in the middle shows.

use crate::proposal::ProposalId;
use crate::review::Level;
use crate::secret::Scanner;
use crate::store::without_links;
use neuroflow_engine::Digest;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A proposal was shown to a person.
    Offered,
    /// A person said yes, and the change is about to be made.
    Approving,
    /// The change is made.
    Applied,
    /// The change could not be made, and everything is as before.
    Failed,
    /// A person said no.
    Rejected,
    /// The proposer took it back.
    Withdrawn,
    /// What it was made for has changed.
    Stale,
    /// Its predictions were compared with a run.
    Compared,
    /// Held-out scores were looked at.
    Looked,
    /// The person was told that a client's yes applied it.
    Told,
    /// A step was tried on a few trials.
    Tried,
    /// A session's tokens and money.
    Spent,
    /// Somebody who may not start a run would like one. Nothing follows from it by itself.
    Wished,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What happened.
    pub event: Event,
    /// To which proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalId>,
    /// Who did it.
    pub actor: String,
    /// For an approval, its level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Why, in a person's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// More, by event.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
    /// The digest of the line before; that of nothing for the first.
    pub before: Digest,
}

impl Entry {
    /// An event of now; where it stands in the ledger is filled in when it is written.
    pub fn now(event: Event, proposal: Option<&ProposalId>, actor: &str) -> Entry {
        Entry {
            at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            event,
            proposal: proposal.cloned(),
            actor: actor.to_owned(),
            level: None,
            reason: String::new(),
            detail: serde_json::Value::Null,
            before: Digest::of(b""),
        }
    }
}

/// Where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the ledger {what}")]
pub struct Broken {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Why the ledger can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A line was changed or taken out.
    #[error("{0}; nothing is written behind it. `neuroflow agent verify` says more, and a copy from a backup or another clone mends it")]
    Broken(#[from] Broken),
    /// The file can't be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The ledger, held alone by this process.
pub struct Ledger {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
    head: Digest,
}

impl Ledger {
    /// Opens the ledger and waits until nobody else holds it.
    ///
    /// # Errors
    /// When it can't be opened or locked, or its chain does not hold.
    pub fn hold(path: &Path) -> Result<Ledger, LedgerError> {
        let told = |error| LedgerError::File { path: path.to_path_buf(), error };
        without_links(path).map_err(told)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(told)?;
        file.lock().map_err(told)?;
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(told)?;
        file.read_to_end(&mut text).map_err(told)?;
        // A line that a killed process began was never said to be written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(told)?;
            text.truncate(whole);
        }
        let (entries, head) = read(&text)?;
        Ok(Ledger { path: path.to_path_buf(), file, entries, head })
    }

    /// Reads the ledger without holding it.
    ///
    /// # Errors
    /// When it can't be read, or its chain does not hold.
    pub fn read(path: &Path) -> Result<Vec<Entry>, LedgerError> {
        match without_links(path).and_then(|()| std::fs::read(path)) {
            Ok(mut text) => {
                text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
                Ok(read(&text)?.0)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(LedgerError::File { path: path.to_path_buf(), error }),
        }
    }

    /// All lines.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The digest of the last line.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Writes a line, and has it on the disk when this returns.
    ///
    /// # Errors
    /// When it can't be written; then it is not there.
    pub fn append(&mut self, mut entry: Entry) -> Result<(), LedgerError> {
        entry.before = self.head;
        let said = serde_json::to_string(&entry).unwrap_or_default();
        // What somebody said as a reason, or calls themselves, may be a key.
        let mut line = Scanner::of_this_process().redact(&said);
        if line != said {
            entry = serde_json::from_str(&line).map_err(|error| LedgerError::File { path: self.path.clone(), error: error.into() })?;
        }
        let head = Digest::of(line.as_bytes());
        line.push('\n');
        let length = self.file.metadata().map(|found| found.len());
        let written = length.and_then(|length| {
            self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).inspect_err(|_| {
                // Half a line must not stay in front of the next one.
                let _ = self.file.set_len(length);
            })
        });
        written.map_err(|error| LedgerError::File { path: self.path.clone(), error })?;
        self.head = head;
        self.entries.push(entry);
        Ok(())
    }
}

/// Reads lines and checks that they hold each other.
fn read(text: &[u8]) -> Result<(Vec<Entry>, Digest), Broken> {
    let (mut entries, mut head) = (Vec::new(), Digest::of(b""));
    for (number, line) in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let broken = |what: &str| Broken { line: number + 1, what: what.to_owned() };
        let entry: Entry = serde_json::from_slice(line).map_err(|_| broken("can't be read"))?;
        if entry.before != head {
            return Err(broken("does not follow from the line before: one of the two was changed, or lines between them are missing"));
        }
        head = Digest::of(line);
        entries.push(entry);
    }
    Ok((entries, head))
}

/// Each line with the day that it counts for, in UTC, as `2026-11-30`. Lines stand as they were written, whatever the clock said: one that says an earlier
/// day than a line before it counts for that line's.
pub(crate) fn by_day(entries: &[Entry]) -> impl Iterator<Item = (&str, &Entry)> {
    entries.iter().scan("", |latest, entry| {
        *latest = entry.at.get(..10).unwrap_or_default().max(*latest);
        Some((*latest, entry))
    })
}

/// The digests of all lines, for what names one.
pub(crate) fn heads(path: &Path) -> std::collections::HashSet<Digest> {
    let text = without_links(path).and_then(|()| std::fs::read(path)).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Digest::of).collect()
}
