//! Why there is no answer.

use crate::secret::Finding;
use std::time::Duration;

/// Why a model gave no answer. Texts of endpoints in here are excerpts, escaped, and without known keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The settings name no endpoint that can be asked.
    #[error("the endpoint `{endpoint}` can't be used: {reason}")]
    Endpoint {
        /// As set, escaped.
        endpoint: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The network is switched off, and this is not on this machine.
    #[error(
        "`{host}` was not asked: offline, only endpoints on this machine are (127.0.0.1, ::1); leave out `--offline`, or set `agent.endpoint` to a local server"
    )]
    Offline {
        /// The host.
        host: String,
    },
    /// The question held what must not leave.
    #[error("the question was not sent: {0}")]
    Leak(Finding),
    /// Nothing answered.
    #[error("`{host}` can't be reached ({tries} tries): {reason}; is the server running?")]
    Unreachable {
        /// Host and port.
        host: String,
        /// How often it was tried.
        tries: u32,
        /// What happened.
        reason: String,
    },
    /// The endpoint sends elsewhere.
    #[error("the endpoint sends on to `{to}`, which is not followed; set `agent.endpoint` to it if you trust it")]
    Redirect {
        /// Where to.
        to: String,
    },
    /// The endpoint refused, and would again.
    #[error("the endpoint refused ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The endpoint was busy or broken at every try.
    #[error("the endpoint is busy or broken ({status}, {tries} tries): {message}; try again later")]
    Busy {
        /// The last HTTP status.
        status: u16,
        /// How often it was tried.
        tries: u32,
        /// Its last words.
        message: String,
    },
    /// The endpoint took too long.
    #[error("the endpoint took too long: {what} within {} s", .after.as_secs_f64())]
    TimedOut {
        /// What did not happen.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The answer is larger than allowed.
    #[error("the answer was cut off: {what} is more than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer asks for more tools at once than allowed.
    #[error("the answer asks for more than {limit} tools at once")]
    TooManyCalls {
        /// The limit.
        limit: usize,
    },
    /// What came is no answer.
    #[error("what came from the endpoint is no answer: {what}: {excerpt}")]
    NotAReply {
        /// What is wrong with it.
        what: String,
        /// How it begins.
        excerpt: String,
    },
    /// The answer broke off.
    #[error("the connection broke in the middle of the answer, after {bytes} bytes of text")]
    Cut {
        /// How much text had come.
        bytes: usize,
    },
    /// The endpoint reported an error in the middle of its answer.
    #[error("the endpoint gave up in the middle of its answer: {message}")]
    Server {
        /// Its words.
        message: String,
    },
    /// Tools can't be described to this endpoint.
    #[error("the tools can't be offered as one object: {0}")]
    Tools(String),
    /// Nothing was recorded for this question.
    #[error("nothing is recorded for this question ({key}); {difference}")]
    NotRecorded {
        /// The question's key.
        key: String,
        /// The nearest recording, and where it first differs.
        difference: String,
    },
    /// A recording can't be read or written.
    #[error("the recording {path}: {reason}")]
    Recording {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A script has no more answers.
    #[error("the script has no answer for question {0}")]
    ScriptEnded(usize),
}

impl ModelError {
    /// Whether the endpoint may have worked on the question, so that it may have cost something.
    #[must_use]
    pub fn may_have_cost(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::TooLarge { .. }
                | Self::TooManyCalls { .. }
                | Self::NotAReply { .. }
                | Self::Cut { .. }
                | Self::Server { .. }
        )
    }
}
