//! The model of language: what is asked, what is answered, and who answers.
//!
//! [`Model`] is all that the rest of the agent knows. [`OpenAi`] speaks with an endpoint that understands OpenAI's Chat Completions (llama.cpp, Ollama, vLLM,
//! hosted ones), [`Scripted`] says what a test wants, and [`Replay`] says again what was recorded.
//!
//! A model is not trusted, and neither is its endpoint. What comes back is bounded in bytes, depth, calls and time; it is read leniently, for endpoints differ,
//! and checked strictly, by [`Schema::check`], for they also lie. Nothing here writes a file but [`Replay`], and nothing here runs anything.

mod error;
mod limits;
mod loopback;
mod openai;
mod probe;
mod replay;
mod reply;
mod request;
mod schema;
mod scripted;
mod sse;
mod structured;
mod transport;
mod wire;

pub use error::ModelError;
pub use limits::Limits;
pub use openai::{Endpoint, OpenAi};
pub use probe::{Probe, ProbeError, Trial, probe, probe_within};
pub use replay::{Replay, Store};
pub use reply::{Finish, Reply, Usage};
pub use request::{Format, Message, Request, RequestKey, Tool, ToolCall, ToolChoice};
pub use schema::{Field, FieldKind, NotFlat, Schema};
pub use scripted::Scripted;
pub use structured::{Structured, Way, union};

use async_trait::async_trait;

/// Told each piece of an answer's text, as it arrives. The text is the model's: whoever shows it escapes it first.
pub type OnText<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Something that answers.
#[async_trait]
pub trait Model: Send + Sync {
    /// Asks once and waits for the whole answer; its text is handed on piece by piece while it comes. Dropping the future ends the request.
    ///
    /// # Errors
    /// When there is no answer, or none within the limits.
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError>;

    /// Who answers, for the record: `qwen3-4b @ 127.0.0.1:8080`.
    fn name(&self) -> String;
}

#[async_trait]
impl<M: Model + ?Sized> Model for &M {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        (**self).reply(request, on_text).await
    }

    fn name(&self) -> String {
        (**self).name()
    }
}

#[async_trait]
impl<M: Model + ?Sized> Model for std::sync::Arc<M> {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        (**self).reply(request, on_text).await
    }

    fn name(&self) -> String {
        (**self).name()
    }
}

#[async_trait]
impl<M: Model + ?Sized> Model for Box<M> {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        (**self).reply(request, on_text).await
    }

    fn name(&self) -> String {
        (**self).name()
    }
}

/// The beginning of something foreign, for a message: on one line, at most `most` characters, without anything that a terminal obeys or an eye misses.
pub(crate) fn excerpt(bytes: &[u8], most: usize) -> String {
    // A character has at most four bytes; what lies behind is not looked at.
    let start = &bytes[..bytes.len().min(most.saturating_mul(4))];
    let text = String::from_utf8_lossy(start);
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(most) {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            // Control, format, private and unassigned characters are written as their number.
            other => shown.extend(other.escape_debug()),
        }
    }
    if characters.next().is_some() || start.len() < bytes.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line_without_commands() {
        assert_eq!(excerpt(b"plain \"text\"", 40), "plain \"text\"");
        assert_eq!(excerpt(b"a\x1b[2J\nb", 40), "a\\u{1b}[2J\\nb");
        assert_eq!(excerpt("x\u{202e}y\u{200b}z\u{e000}".as_bytes(), 40), "x\\u{202e}y\\u{200b}z\\u{e000}");
        assert_eq!(excerpt(&[b'a'; 100], 3), "aaa…");
        assert_eq!(excerpt(b"\xff\xfe", 3), "\u{fffd}\u{fffd}");
    }
}
