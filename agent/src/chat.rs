//! A conversation: the person speaks, the model looks and proposes, and nothing happens without the person.

mod window;

use crate::budget::{Budget, BudgetLimits, Exhausted, Price};
use crate::desk::{Desk, Question};
use crate::model::{Finish, Message, Model, ModelError, Request, ToolCall, ToolChoice};
use crate::proposal::ProposalId;
use crate::secret::Scanner;
use serde_json::{Value, json};
use std::time::Instant;
pub use window::TooSmall;
use window::Window;

/// How often the model is asked in one turn of the person's.
const MOST_ROUNDS: usize = 16;

/// How many calls are answered in one turn of the person's.
const MOST_CALLS: usize = 16;

/// The most tokens of an answer.
const ANSWER: u32 = 2048;

/// What is shown while a turn goes on.
#[derive(Debug, PartialEq)]
pub enum Shown<'a> {
    /// Words of the model, as they arrive.
    Text(&'a str),
    /// It looks at something.
    Looks(&'a str),
    /// Something about the budget or the window.
    Notice(String),
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// With words.
    Said,
    /// With proposals that wait for the person.
    Offered(Vec<ProposalId>),
    /// With a question to the person, and with proposals that were offered beside it.
    Asked(Question, Vec<ProposalId>),
    /// Without an answer, or with a part of one.
    Unfinished(Unfinished),
}

/// Why a turn has no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// Neither words nor calls came.
    #[error("the model gave no answer: no words and no calls; ask again, or in other words")]
    Nothing,
    /// Neither words nor calls came, and all of the answer's tokens were used, as by a model that thinks for long.
    #[error("the model gave no answer: it used up the {ANSWER} tokens of one without saying anything; ask for less at once")]
    Spent,
    /// The words end where the most tokens of an answer were reached.
    #[error("the answer was cut off after {ANSWER} tokens; \"go on\" asks for the rest")]
    Cut,
    /// The endpoint held something back.
    #[error("the endpoint held back some or all of the answer; ask in other words")]
    Filtered,
    /// It went on looking.
    #[error("the model looked {MOST_CALLS} times and came to no answer; \"go on\" lets it look further, a narrower question helps more")]
    Looking,
}

/// Why a turn ended early. The conversation stays as it is, and can go on.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The budget.
    #[error(transparent)]
    Budget(#[from] Exhausted),
    /// The model or its endpoint.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's window.
    #[error(transparent)]
    Window(#[from] TooSmall),
}

/// A conversation.
pub struct Chat<M> {
    model: M,
    desk: Desk,
    messages: Vec<Message>,
    /// How many of the messages were sent: what is behind them can be taken back.
    sent: usize,
    budget: Budget,
    window: Window,
    scanner: Scanner,
    began: Instant,
}

impl<M: Model> Chat<M> {
    /// A conversation about the desk's pipeline. `system` is what the model is told first, `window` how many tokens it can hold.
    pub fn new(model: M, desk: Desk, system: &str, budget: Budget, window: Option<u64>) -> Chat<M> {
        let messages = vec![Message::system(system)];
        let window = Window::of(window);
        Chat { model, desk, messages, sent: 1, budget, window, scanner: Scanner::new(), began: Instant::now() }
    }

    /// Looks through what comes into the conversation, as the endpoint's client does with what leaves: a question that holds such a thing does not come in,
    /// and what the program tells comes in without it.
    #[must_use]
    pub fn with_scanner(mut self, scanner: Scanner) -> Chat<M> {
        self.scanner = scanner;
        self
    }

    /// The desk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// What is spent.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The same, to be joined with what other sessions spend.
    pub fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// What is set now, which a person may have changed since the conversation began.
    pub fn set(&mut self, limits: BudgetLimits, price: Option<Price>, window: Option<u64>) {
        self.budget.set(limits, price);
        self.window.set(window);
    }

    /// The conversation so far, a JSON document a line.
    pub fn transcript(&self) -> String {
        transcript(&self.messages, &self.model.name())
    }

    /// Tells the model what a person did, without asking it. Places of this machine are left out.
    pub fn tell(&mut self, what: &str) {
        let what = self.scanner.redact(&self.desk.without_places(what));
        self.messages.push(Message::user(format!("[{what}]")));
    }

    /// The person stopped the answer. What the model had asked for is answered, for no endpoint takes a call without an answer.
    pub fn stopped(&mut self) {
        let asked = self.messages.iter().rposition(|message| matches!(message, Message::Assistant { .. }));
        if let Some(at) = asked
            && let Message::Assistant { calls, .. } = &self.messages[at]
        {
            let is_answered =
                |call: &ToolCall| self.messages[at..].iter().any(|one| matches!(one, Message::Tool { id, .. } if *id == call.id));
            let open: Vec<ToolCall> = calls.iter().filter(|call| !is_answered(call)).cloned().collect();
            let content = json!({ "error": "the person stopped this" }).to_string();
            self.messages.extend(open.into_iter().map(|call| Message::Tool { id: call.id, name: call.name, content: content.clone() }));
        }
        self.tell("the person stopped the answer");
    }

    /// The person speaks; the model answers, looks, proposes or asks back.
    ///
    /// # Errors
    /// When the budget is used up, the window is too small, or the model can't be asked. What was said so far stays in the conversation, but for what may not
    /// leave this machine and what fits in no window: that is taken back.
    pub async fn turn(&mut self, said: &str, show: &mut (dyn FnMut(Shown<'_>) + Send)) -> Result<Turn, ChatError> {
        self.desk.person_spoke();
        if let Some(finding) = self.scanner.scan(said.as_bytes()) {
            return Err(ModelError::Leak(finding).into());
        }
        let before = self.messages.len();
        self.messages.push(Message::user(said));
        let (mut offered, mut calls) = (Vec::new(), 0);
        let mut finish = None;
        for _ in 0..MOST_ROUNDS {
            let (messages, notices) = match self.window.fit(&self.messages, before, &mut self.desk).await {
                Ok(fitting) => fitting,
                Err(error) => {
                    self.take_back(before.max(self.sent));
                    return Err(error.into());
                }
            };
            notices.into_iter().for_each(|notice| show(Shown::Notice(notice)));
            let request = request(messages);
            let elapsed = self.began.elapsed();
            let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
            let reservation = self.budget.reserve(&request, elapsed, &day)?;
            let reply = match self.model.reply(&request, &mut |text| show(Shown::Text(text))).await {
                Ok(reply) => reply,
                Err(error) => {
                    self.budget.failed(reservation, None);
                    // Whatever may not leave would be refused again with every later question.
                    if matches!(error, ModelError::Leak(_)) {
                        self.take_back(self.sent);
                    }
                    return Err(error.into());
                }
            };
            self.sent = self.messages.len();
            for notice in self.budget.settle(reservation, &reply.usage, self.began.elapsed()) {
                show(Shown::Notice(notice.to_string()));
            }
            let is_empty = reply.text.trim().is_empty() && reply.calls.is_empty();
            // An answer without anything is one that some endpoints do not take back.
            if !is_empty {
                self.messages.push(Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() });
            }
            if reply.calls.is_empty() {
                finish = Some(ended(&reply.finish, is_empty));
                break;
            }
            let mut question = None;
            for call in &reply.calls {
                calls += 1;
                let content = if calls > MOST_CALLS {
                    json!({ "error": "too many calls before the person spoke again" }).to_string()
                } else {
                    show(Shown::Looks(&call.name));
                    self.answer(call, &mut offered, &mut question).await
                };
                self.messages.push(Message::Tool { id: call.id.clone(), name: call.name.clone(), content });
            }
            if let Some(question) = question {
                return Ok(Turn::Asked(question, offered));
            }
            // Each proposal is read before anything else is done.
            if !offered.is_empty() || calls > MOST_CALLS {
                break;
            }
        }
        Ok(match finish {
            _ if !offered.is_empty() => Turn::Offered(offered),
            Some(None) => Turn::Said,
            Some(Some(unfinished)) => Turn::Unfinished(unfinished),
            None => Turn::Unfinished(Unfinished::Looking),
        })
    }

    async fn answer(&mut self, call: &ToolCall, offered: &mut Vec<ProposalId>, question: &mut Option<Question>) -> String {
        let (messages, name) = (self.messages.clone(), self.model.name());
        let handled = self.desk.call(&call.name, &call.arguments, &|| transcript(&messages, &name)).await;
        offered.extend(handled.offered);
        if handled.question.is_some() {
            *question = handled.question;
        }
        handled.text
    }

    fn take_back(&mut self, to: usize) {
        self.messages.truncate(to);
        self.window.taken_back(to);
    }
}

/// What an answer in words lacks; none when it is whole.
fn ended(finish: &Finish, is_empty: bool) -> Option<Unfinished> {
    match finish {
        Finish::Filtered => Some(Unfinished::Filtered),
        Finish::Length if is_empty => Some(Unfinished::Spent),
        Finish::Length => Some(Unfinished::Cut),
        _ => is_empty.then_some(Unfinished::Nothing),
    }
}

/// The question with all tools.
fn request(messages: Vec<Message>) -> Request {
    Request::new(messages, ANSWER).with_tools(Desk::tools(), ToolChoice::Auto)
}

fn transcript(messages: &[Message], model: &str) -> String {
    let mut out = json!({ "model": model, "neuroflow": env!("CARGO_PKG_VERSION") }).to_string();
    for message in messages {
        out.push('\n');
        out.push_str(&serde_json::to_value(message).unwrap_or(Value::Null).to_string());
    }
    out.push('\n');
    out
}

/// What a model is told first: its task, its limits, and the language. The same bytes each time, so that a prompt cache holds.
pub const SYSTEM: &str = include_str!("system.md");

/// What it is told in addition when there is no pipeline yet.
pub const SYSTEM_NEW: &str = include_str!("system_new.md");
