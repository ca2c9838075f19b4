//! What of a conversation is sent: all of it while it fits into the model's window, and a shorter form of it, made without a model, when it does not.
//!
//! The conversation itself stays whole, for the record. What was left out once stays left out, so that the beginning of what is sent stays the same from
//! question to question and an endpoint's prompt cache holds.

use super::{ANSWER, request};
use crate::desk::Desk;
use crate::model::Message;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The window that is assumed when none is set, in tokens.
const USUAL: u64 = 32_000;

/// Results up to this length, in bytes, stay: a word about them would be no shorter.
const SHORT: usize = 200;

/// The most lines of a summary, and characters of each.
const LINES: (usize, usize) = (20, 160);

/// The longest overview of the project within a summary, in bytes.
const LONGEST_OVERVIEW: usize = 3000;

/// Not even the shortest form of a question fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the question was not sent: with what the model is told about its tools it takes {needed} tokens at the least, answer included, by our own count, and `window` under [agent] is {window}; raise it as far as the model's window goes"
)]
pub struct TooSmall {
    /// The window that would do.
    pub needed: u64,
    /// The one that is set.
    pub window: u64,
}

/// How the conversation is kept within a model's window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    tokens: u64,
    /// Results before this message are left out.
    short: usize,
    /// Messages before this one, but for the first, are replaced by the summary.
    gone: usize,
    summary: String,
    /// How many bytes are shown of results that are cut.
    cut: BTreeMap<usize, usize>,
}

impl Window {
    pub(super) fn of(tokens: Option<u64>) -> Window {
        Window { tokens: tokens.unwrap_or(USUAL), short: 1, gone: 1, summary: String::new(), cut: BTreeMap::new() }
    }

    pub(super) fn set(&mut self, tokens: Option<u64>) {
        self.tokens = tokens.unwrap_or(USUAL);
    }

    /// Messages from this one on were taken back.
    pub(super) fn taken_back(&mut self, to: usize) {
        self.short = self.short.min(to);
        self.gone = self.gone.min(to);
        self.cut.retain(|at, _| *at < to);
    }

    /// What is sent of the messages, of which the person's latest is number `turn`, and what is said of it where more was left out than before.
    pub(super) async fn fit(
        &mut self,
        messages: &[Message],
        turn: usize,
        desk: &mut Desk,
    ) -> Result<(Vec<Message>, Vec<String>), TooSmall> {
        let mut tried = self.clone();
        tried.shorten(messages);
        let overview = if tried.is_within(messages) { String::new() } else { overview(desk).await };
        self.fit_with(messages, turn, &overview)
    }

    fn fit_with(&mut self, messages: &[Message], turn: usize, overview: &str) -> Result<(Vec<Message>, Vec<String>), TooSmall> {
        let before = self.clone();
        // What is older goes first: results, then whole turns; what the model has not seen yet is cut last.
        self.shorten(messages);
        self.summarize(messages, turn, overview);
        self.slim(messages);
        self.cut(messages);
        let taken = self.taken(messages);
        if taken > self.limit() {
            let (window, needed) = (self.tokens, (taken * 10).div_ceil(9) + u64::from(ANSWER));
            *self = before;
            return Err(TooSmall { needed, window });
        }
        let mut notices = Vec::new();
        let why = format!("to stay within the model's window (`window = {}` under [agent])", self.tokens);
        if self.gone > before.gone {
            notices.push(format!("the first {} messages of the conversation were replaced by a summary, {why}", self.gone - 1));
        } else if self.short > before.short {
            notices.push(format!("older results were left out {why}"));
        }
        if self.cut != before.cut {
            notices.push(format!("what was looked at was cut {why}"));
        }
        Ok((self.sent(messages), notices))
    }

    /// The most tokens of a question, by our own count: there must be room for the answer, and the count is not an endpoint's.
    fn limit(&self) -> u64 {
        self.tokens.saturating_sub(u64::from(ANSWER)).saturating_mul(9) / 10
    }

    fn taken(&self, messages: &[Message]) -> u64 {
        request(self.sent(messages)).estimated_tokens()
    }

    fn is_within(&self, messages: &[Message]) -> bool {
        self.taken(messages) <= self.limit()
    }

    /// Leaves results out, the oldest first.
    fn shorten(&mut self, messages: &[Message]) {
        let is_long = |at: &usize| matches!(&messages[*at], Message::Tool { content, .. } if content.len() > SHORT);
        let to: Vec<usize> = (self.gone.max(self.short)..unseen(messages)).filter(is_long).map(|at| at + 1).collect();
        self.advance(messages, &to, |window, to| window.short = to);
    }

    /// Replaces whole turns by a summary, the oldest first: a result must not stand without its call.
    fn summarize(&mut self, messages: &[Message], turn: usize, overview: &str) {
        let is_next = |at: &usize| matches!(messages[*at], Message::User { .. });
        let to: Vec<usize> = (self.gone + 1..=turn.min(messages.len() - 1)).filter(is_next).collect();
        self.advance(messages, &to, |window, to| {
            window.gone = to;
            window.summary = summary(&messages[1..to], overview, LINES.0);
        });
    }

    /// A summary that leaves no room for the question gives way: first the overview, then its lines, the oldest first.
    fn slim(&mut self, messages: &[Message]) {
        let gone = self.gone.min(messages.len());
        for lines in [LINES.0, 8, 3, 0] {
            if gone <= 1 || self.is_within(messages) {
                return;
            }
            self.summary = summary(&messages[1..gone], "", lines);
        }
    }

    /// Goes on in steps, as few as make it fit with some room for what comes next, so that not every question begins in another way.
    fn advance(&mut self, messages: &[Message], to: &[usize], go: impl Fn(&mut Window, usize)) {
        if to.is_empty() || self.is_within(messages) {
            return;
        }
        let gone_to = |step: usize| {
            let mut window = self.clone();
            go(&mut window, step);
            window
        };
        let always = request(messages.iter().take(1).cloned().collect()).estimated_tokens();
        let roomy = always + self.limit().saturating_sub(always) / 4 * 3;
        let steps = to.partition_point(|step| gone_to(*step).taken(messages) > roomy);
        *self = gone_to(to[steps.min(to.len() - 1)]);
    }

    /// Cuts what the model has not seen yet, so that each piece is shown as far as there is room.
    fn cut(&mut self, messages: &[Message]) {
        if self.is_within(messages) {
            return;
        }
        let lengths: BTreeMap<usize, usize> = (unseen(messages)..messages.len())
            .filter_map(|at| match &messages[at] {
                Message::Tool { content, .. } => Some((at, content.len())),
                _ => None,
            })
            .collect();
        let cut_to = |most: usize| {
            let mut window = self.clone();
            window.cut.extend(lengths.iter().filter(|(_, length)| **length > most.max(SHORT)).map(|(at, _)| (*at, most)));
            window
        };
        let (mut fits, mut most) = (0, lengths.values().copied().max().unwrap_or_default());
        while fits + 1 < most {
            let middle = fits.midpoint(most);
            if cut_to(middle).is_within(messages) { fits = middle } else { most = middle }
        }
        *self = cut_to(fits);
    }

    /// The messages as they are sent.
    fn sent(&self, messages: &[Message]) -> Vec<Message> {
        let mut sent: Vec<Message> = messages.iter().take(1).cloned().collect();
        if self.gone > 1 {
            sent.push(Message::user(&self.summary));
        }
        for (at, message) in messages.iter().enumerate().skip(self.gone) {
            sent.push(match message {
                Message::Tool { id, name, content } if at < self.short && content.len() > SHORT => {
                    let what = format!("what `{name}` gave, {} bytes; ask again if it is needed", content.len());
                    Message::Tool { id: id.clone(), name: name.clone(), content: json!({ "left_out": what }).to_string() }
                }
                Message::Tool { id, name, content } => match self.cut.get(&at).filter(|most| **most < content.len()) {
                    Some(most) => {
                        let end = (0..=*most).rev().find(|end| content.is_char_boundary(*end)).unwrap_or(0);
                        let what = format!("this is the beginning of {} bytes, as far as the window goes; ask for less", content.len());
                        let content = json!({ "cut": what, "text": &content[..end] }).to_string();
                        Message::Tool { id: id.clone(), name: name.clone(), content }
                    }
                    None => message.clone(),
                },
                other => other.clone(),
            });
        }
        sent
    }
}

/// Where the results begin that the model has not seen yet.
fn unseen(messages: &[Message]) -> usize {
    messages.iter().rposition(|message| matches!(message, Message::Assistant { .. })).map_or(messages.len(), |at| at + 1)
}

/// Where the project stands, as `summarize` says it: as deep as there is room for.
async fn overview(desk: &mut Desk) -> String {
    for depth in [2, 1] {
        let text = desk.call("summarize", &json!({ "what": "project", "depth": depth }), &String::new).await.text;
        if text.len() <= LONGEST_OVERVIEW {
            return text;
        }
    }
    String::new()
}

/// What was said in some messages, in a few lines: who said what, what was looked at, and what was offered.
fn summary(messages: &[Message], overview: &str, most: usize) -> String {
    let short = |text: &str| {
        let line = crate::escape_line(text.trim());
        let cut: String = line.chars().take(LINES.1).collect();
        if cut.len() < line.len() { format!("{cut}…") } else { cut }
    };
    let mut lines = Vec::new();
    for message in messages {
        match message {
            Message::System { .. } => {}
            // What the program told stands in brackets already.
            Message::User { text } if text.starts_with('[') => lines.push(short(text)),
            Message::User { text } => lines.push(format!("the person: {}", short(text))),
            Message::Assistant { text, calls } => {
                if !text.trim().is_empty() {
                    lines.push(format!("you: {}", short(text)));
                }
                let names: BTreeSet<&str> = calls.iter().map(|call| call.name.as_str()).collect();
                if !names.is_empty() {
                    lines.push(format!("you used: {}", short(&names.into_iter().collect::<Vec<_>>().join(", "))));
                }
            }
            Message::Tool { content, .. } => {
                let told: Option<Value> = serde_json::from_str(content).ok();
                if let Some(id) = told.as_ref().and_then(|told| told["proposal"].as_str()) {
                    lines.push(format!("you offered {}", short(id)));
                }
            }
        }
    }
    let left = lines.len().saturating_sub(most);
    let mut text = format!("[a summary in place of {} earlier messages, made without a model; ask for what is missing]", messages.len());
    if left > 0 {
        text.push_str(&format!("\n({left} lines before these are left out)"));
    }
    for line in &lines[left..] {
        text.push('\n');
        text.push_str(line);
    }
    if !overview.is_empty() {
        text.push_str("\nthe project now: ");
        text.push_str(overview);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolCall;

    /// Tokens of the tools and a short question.
    fn least() -> u64 {
        request(vec![Message::system("be brief"), Message::user("hello")]).estimated_tokens()
    }

    /// A window with room for so many tokens beside what is always there.
    fn window(room: u64) -> Window {
        Window::of(Some((least() + room) * 10 / 9 + u64::from(ANSWER) + 2))
    }

    /// Turns with a look each, whose result has so many bytes.
    fn talk(turns: usize, bytes: usize) -> Vec<Message> {
        let mut messages = vec![Message::system("be brief")];
        for turn in 0..turns {
            messages.extend(looked(turn, bytes));
            messages.push(Message::Assistant { text: format!("answer {turn}"), calls: Vec::new() });
        }
        messages
    }

    fn looked(turn: usize, bytes: usize) -> [Message; 3] {
        let id = format!("c{turn}");
        let call = ToolCall { id: id.clone(), name: "plan".into(), arguments: json!({}) };
        [
            Message::user(format!("question {turn}")),
            Message::Assistant { text: String::new(), calls: vec![call] },
            Message::Tool { id, name: "plan".into(), content: json!({ "text": "\"x".repeat(bytes / 2) }).to_string() },
        ]
    }

    fn said(sent: &[Message]) -> String {
        serde_json::to_string(sent).unwrap()
    }

    #[test]
    fn nothing_is_left_out_or_said_to_be_while_it_fits() {
        let messages = talk(3, 1000);
        let (sent, notices) = window(3000).fit_with(&messages, 10, "").unwrap();
        assert_eq!((sent, notices), (messages, Vec::<String>::new()));
    }

    #[test]
    fn results_go_before_turns_and_turns_leave_a_summary() {
        let mut messages = talk(8, 900);
        messages.push(Message::user("and now?"));
        let turn = messages.len() - 1;
        let mut some = window(2600);
        let (sent, notices) = some.fit_with(&messages, turn, "").unwrap();
        assert!(said(&sent).contains("left_out") && said(&sent).contains("question 0"), "{}", said(&sent));
        assert!(notices.len() == 1 && notices[0].contains("older results were left out"), "{notices:?}");
        // A second time nothing more is left out, and nothing is said.
        assert_eq!(some.fit_with(&messages, turn, "").unwrap(), (sent, Vec::new()));
        let mut few = window(500);
        let (sent, notices) = few.fit_with(&messages, turn, "{\"pipeline\":\"p.nf\"}").unwrap();
        assert!(notices.len() == 1 && notices[0].contains("replaced by a summary"), "{notices:?}");
        let said = said(&sent);
        assert!(said.contains("made without a model") && said.contains("you used: plan") && said.contains("p.nf"), "{said}");
        assert!(said.contains("and now?") && request(sent).estimated_tokens() <= few.limit());
    }

    #[test]
    fn a_summary_gives_way_to_the_question() {
        let mut messages = vec![Message::system("be brief")];
        for turn in 0..30 {
            messages.push(Message::user(format!("question {turn} {}", "word ".repeat(40))));
            messages.push(Message::Assistant { text: format!("answer {turn} {}", "word ".repeat(40)), calls: Vec::new() });
        }
        messages.push(Message::user("and now?"));
        // Room for a question, and for no summary of twenty lines with an overview.
        let mut window = window(120);
        let (sent, _) = window.fit_with(&messages, messages.len() - 1, &"overview ".repeat(300)).unwrap();
        assert!(said(&sent).contains("and now?") && said(&sent).contains("made without a model"), "{}", said(&sent));
    }

    #[test]
    fn a_result_that_is_too_long_is_cut_and_says_so() {
        let mut messages = talk(0, 0);
        messages.extend(looked(0, 20_000));
        let mut window = window(1000);
        let (sent, notices) = window.fit_with(&messages, 1, "").unwrap();
        assert!(said(&sent).contains("as far as the window goes"), "{}", said(&sent));
        assert!(notices.len() == 1 && notices[0].contains("was cut"), "{notices:?}");
        let taken = request(sent).estimated_tokens();
        assert!(taken <= window.limit() && taken + 20 > window.limit(), "{taken} of {}", window.limit());
    }

    #[test]
    fn what_fits_in_no_form_is_refused_with_the_window_that_would_do() {
        let messages = vec![Message::system("be brief"), Message::user("word ".repeat(2000))];
        let error = window(100).fit_with(&messages, 1, "").unwrap_err();
        assert!(error.to_string().contains("raise it") && error.needed > error.window, "{error}");
        assert!(Window::of(Some(error.needed)).fit_with(&messages, 1, "").is_ok());
        assert!(Window::of(Some(100)).fit_with(&messages[..1], 0, "").is_err());
    }
}
