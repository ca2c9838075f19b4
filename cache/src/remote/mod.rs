//! The remote cache: the same two maps, where several machines can reach them.
//!
//! `v1/objects/ab/cdef…` holds objects, `v1/actions/ab/cdef…` records. Objects are uploaded first and the record last, so a record has its objects; where the store can,
//! nothing that is there is written again. Whatever comes back is checked before it is believed: an object against its digest, a record against its
//! checksum and its key. What is wrong is refused, told, and never stored.
//!
//! A remote only saves work. When it fails, a request is tried again a few times; after [`MOST_FAILURES`] requests in a row it is left alone for the rest of the run, with
//! one warning. Credentials come from the environment and are neither kept nor told.

mod store;
mod uploads;

use crate::error::CacheError;
use std::fmt;
use std::time::Duration;

pub(crate) use store::{Map, NotGiven, PIECE, Store};
pub(crate) use uploads::Uploads;

/// What a remote is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteMode {
    /// Results are fetched.
    Read,
    /// Results are fetched, and new ones are uploaded.
    Write,
}

/// Which remote is used, and what for: `[cache] remote` and `remote_mode` of `neuroflow.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `https://…` (which is only read), or `file:///folder`.
    pub url: String,
    /// What it is used for.
    pub mode: RemoteMode,
}

impl RemoteConfig {
    /// What `NEUROFLOW_REMOTE` (an address) and `NEUROFLOW_REMOTE_MODE` (`read`, which is the default, or `write`) say; none when no address is given.
    ///
    /// # Errors
    /// When the mode is another word.
    pub fn from_environment() -> Result<Option<RemoteConfig>, CacheError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let Some(url) = variable("NEUROFLOW_REMOTE") else { return Ok(None) };
        let mode = RemoteConfig::mode(&url, variable("NEUROFLOW_REMOTE_MODE").as_deref().unwrap_or("read"))?;
        Ok(Some(RemoteConfig { url, mode }))
    }

    /// A mode by its word.
    ///
    /// # Errors
    /// When it is neither `read` nor `write`.
    pub fn mode(url: &str, word: &str) -> Result<RemoteMode, CacheError> {
        match word {
            "read" => Ok(RemoteMode::Read),
            "write" => Ok(RemoteMode::Write),
            other => Err(CacheError::Remote { url: redacted(url), reason: format!("the mode `{other}` is neither `read` nor `write`") }),
        }
    }
}

/// A remote cache, ready to be used by a [`crate::Cache`].
pub struct Remote {
    pub(crate) store: Store,
    pub(crate) mode: RemoteMode,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({}, {:?})", self.store.url(), self.mode)
    }
}

impl Remote {
    /// Prepares a remote. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the address is not of a known kind, or the environment lacks what that kind needs.
    pub fn open(config: &RemoteConfig) -> Result<Remote, CacheError> {
        let store = Store::open(&config.url)?;
        let mode = if store.is_read_only() { RemoteMode::Read } else { config.mode };
        Ok(Remote { store, mode })
    }

    /// What it is used for: an `https://` remote is only read, whatever was asked for.
    pub fn mode(&self) -> RemoteMode {
        self.mode
    }
}

/// After so many failed requests in a row a remote is left alone.
pub(crate) const MOST_FAILURES: u32 = 3;
/// How long it is remembered that a remote does not have something.
pub(crate) const REMEMBER_MISSING: Duration = Duration::from_secs(10);

/// An address or a message of a store, without what may be secret: what follows a question mark, what stands before an at sign, and the body of an answer.
pub(crate) fn redacted(text: &str) -> String {
    let text = text.split('<').next().unwrap_or_default();
    let words = text.split(' ').map(|word| {
        let word = word.split('?').next().unwrap_or_default();
        match (word.find("://"), word.rfind('@')) {
            (Some(start), Some(at)) if at > start => format!("{}{}", &word[..start + 3], &word[at + 1..]),
            _ => word.to_owned(),
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    text.trim_end_matches([' ', ':']).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told() {
        assert_eq!(redacted("GET https://me:secret@host/a/b?sig=abc failed: <Error>key</Error>"), "GET https://host/a/b failed");
        assert_eq!(redacted("plain words"), "plain words");
    }

    #[test]
    fn a_mode_is_one_of_two_words() {
        assert_eq!(RemoteConfig::mode("s3://b", "read").unwrap(), RemoteMode::Read);
        assert!(RemoteConfig::mode("s3://b", "rw").unwrap_err().to_string().contains("neither `read` nor `write`"));
    }

    #[test]
    fn an_address_of_an_unknown_kind_is_refused_with_the_known_ones() {
        let error = Remote::open(&RemoteConfig { url: "ftp://host/x".into(), mode: RemoteMode::Write }).unwrap_err().to_string();
        assert!(error.contains("s3://") && error.contains("file:///"), "{error}");
    }
}
