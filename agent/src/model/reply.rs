//! What a model answers.

use super::request::{Request, ToolCall, estimate};
use serde::{Deserialize, Serialize};

/// A model's answer, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The words; may be empty.
    pub text: String,
    /// The tools asked for, at most as many as the limits allow, each with an id of its own.
    pub calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
}

impl Reply {
    /// An answer in words, with our own count of what it took.
    #[must_use]
    pub fn text(request: &Request, text: impl Into<String>) -> Self {
        Self::of(request, text.into(), Vec::new(), Finish::Stop)
    }

    /// An answer that asks for tools, with our own count of what it took.
    #[must_use]
    pub fn calls(request: &Request, calls: Vec<ToolCall>) -> Self {
        Self::of(request, String::new(), calls, Finish::Calls)
    }

    fn of(request: &Request, text: String, calls: Vec<ToolCall>, finish: Finish) -> Self {
        let usage = Usage::estimated(request, &text, &calls);
        Self { text, calls, finish, usage }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// It waits for the results of tools.
    Calls,
    /// `max_tokens` was reached: text and arguments may be cut.
    Length,
    /// The endpoint held something back.
    Filtered,
    /// The endpoint gave no reason, or an empty one.
    Unsaid,
    /// Some other word of the endpoint's.
    Other(String),
}

impl Finish {
    /// From an endpoint's word; calls count more than the word, which some endpoints get wrong.
    #[must_use]
    pub fn read(word: Option<&str>, has_calls: bool) -> Self {
        match word.unwrap_or_default() {
            "length" => Self::Length,
            "content_filter" => Self::Filtered,
            _ if has_calls => Self::Calls,
            "stop" => Self::Stop,
            "" => Self::Unsaid,
            other => Self::Other(other.chars().take(40).collect()),
        }
    }
}

/// What an answer took, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Of the question.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub reply_tokens: u64,
    /// Counted by us, a third of the bytes, for the endpoint did not say.
    pub estimated: bool,
}

impl Usage {
    /// Our own count.
    #[must_use]
    pub fn estimated(request: &Request, text: &str, calls: &[ToolCall]) -> Self {
        let calls: usize = calls.iter().map(|call| call.name.len() + call.arguments.to_string().len()).sum();
        Self { prompt_tokens: request.estimated_tokens(), reply_tokens: estimate(text.len() + calls), estimated: true }
    }

    /// Both together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.reply_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_more_than_the_word_but_a_cut_is_a_cut() {
        assert_eq!(Finish::read(Some("stop"), true), Finish::Calls);
        assert_eq!(Finish::read(Some(""), false), Finish::Unsaid);
        assert_eq!(Finish::read(None, true), Finish::Calls);
        assert_eq!(Finish::read(Some("length"), true), Finish::Length);
        assert_eq!(Finish::read(Some("abort"), false), Finish::Other("abort".into()));
    }
}
