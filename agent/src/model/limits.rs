//! How much an endpoint may send, and how long it may take.

use std::time::Duration;

/// Bounds of one question and its answer. A hostile endpoint reaches them and no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of an answer on the wire, with everything around the words.
    pub reply_bytes: usize,
    /// The bytes of one event of a stream, or of an answer that is one document.
    pub event_bytes: usize,
    /// The bytes of an answer's text.
    pub text_bytes: usize,
    /// The bytes of one call's arguments.
    pub argument_bytes: usize,
    /// The calls of one answer.
    pub calls: usize,
    /// How deep JSON may be nested.
    pub depth: usize,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long nothing may arrive. A model that reads a long prompt is silent meanwhile.
    pub idle: Duration,
    /// How long everything may take, with second tries and the waits between them.
    pub total: Duration,
    /// How often a question is sent when the endpoint is busy or can't be reached.
    pub tries: u32,
    /// The wait before the second try; it doubles from try to try.
    pub backoff: Duration,
    /// The longest wait between tries; an endpoint that asks for more is not waited for.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reply_bytes: 16 << 20,
            event_bytes: 4 << 20,
            text_bytes: 1 << 20,
            argument_bytes: 64 << 10,
            calls: 16,
            depth: 32,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(600),
            tries: 4,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
        }
    }
}
