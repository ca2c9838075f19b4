//! What is said when a file from afar can't be had: the address, the reason, the remedy.

use std::io;

/// Why a file from afar can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {reason}; {help}")]
pub struct RemoteError {
    /// The address, without what may be secret in it.
    pub address: String,
    /// What is wrong, in lower case.
    pub reason: String,
    /// What to do about it.
    pub help: String,
}

impl RemoteError {
    pub(crate) fn new(address: &str, reason: impl Into<String>, help: impl Into<String>) -> RemoteError {
        RemoteError { address: redacted(address), reason: reason.into(), help: help.into() }
    }
}

impl From<RemoteError> for io::Error {
    fn from(error: RemoteError) -> io::Error {
        io::Error::other(error)
    }
}

/// A request that failed: the reason, and whether it may go better next time.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub reason: String,
    pub help: &'static str,
    /// Whether it is worth another try, and how long the server wants it to be waited.
    pub again: Option<Option<std::time::Duration>>,
}

impl Failure {
    /// One that stays.
    pub(crate) fn lasting(reason: impl Into<String>, help: &'static str) -> Failure {
        Failure { reason: reason.into(), help, again: None }
    }

    /// One that may pass.
    pub(crate) fn passing(reason: impl Into<String>) -> Failure {
        Failure { reason: reason.into(), help: "see that the network is there, and try again", again: Some(None) }
    }

    pub(crate) fn at(self, address: &str) -> RemoteError {
        RemoteError::new(address, redacted(&self.reason), self.help)
    }
}

/// Words without what may be secret: what follows a question mark or `#` in an address, what stands before its at sign, and the body of an answer.
pub(crate) fn redacted(text: &str) -> String {
    let text = text.split('<').next().unwrap_or_default();
    let words = text.split(' ').map(|word| {
        let Some(start) = word.find("://") else { return word.to_owned() };
        let (scheme, rest) = word.split_at_checked(start + 3).unwrap_or((word, ""));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let host = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(host).unwrap_or((rest, ""));
        let host = host.rsplit('@').next().unwrap_or(host);
        format!("{scheme}{host}{path}")
    });
    let text: String = words.collect::<Vec<_>>().join(" ").chars().take(400).collect();
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>().trim().to_owned()
}

/// An error with its causes: the first often says only that a request failed.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told() {
        assert_eq!(redacted("https://me:secret@host/a/b@c?sig=abc failed"), "https://host/a/b@c failed");
        assert_eq!(redacted("GET s3://b/k#x <Error>key</Error>"), "GET s3://b/k");
        assert_eq!(redacted("plain words?\n"), "plain words?");
    }
}
