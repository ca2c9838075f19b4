//! A conversation: the person speaks, the model looks and proposes, and nothing happens without the person.

use crate::budget::{Budget, Exhausted};
use crate::desk::{Desk, Question};
use crate::model::{Message, Model, ModelError, Request, ToolCall, ToolChoice};
use crate::proposal::ProposalId;
use serde_json::{Value, json};
use std::time::Instant;

/// How often the model is asked in one turn of the person's.
const MOST_ROUNDS: usize = 16;

/// How many calls are answered in one turn of the person's.
const MOST_CALLS: usize = 16;

/// The most tokens of an answer.
const ANSWER: u32 = 2048;

/// The window that is assumed when none is set, in tokens.
const WINDOW: u64 = 32_000;

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
    /// With a question to the person.
    Asked(Question),
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
}

/// A conversation.
pub struct Chat<M> {
    model: M,
    desk: Desk,
    messages: Vec<Message>,
    budget: Budget,
    window: u64,
    began: Instant,
}

impl<M: Model> Chat<M> {
    /// A conversation about the desk's pipeline. `system` is what the model is told first, `window` how many tokens it can hold.
    pub fn new(model: M, desk: Desk, system: &str, budget: Budget, window: Option<u64>) -> Chat<M> {
        let messages = vec![Message::system(system)];
        Chat { model, desk, messages, budget, window: window.unwrap_or(WINDOW), began: Instant::now() }
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

    /// The conversation so far, a JSON document a line.
    pub fn transcript(&self) -> String {
        transcript(&self.messages, &self.model.name())
    }

    /// Tells the model what a person did, without asking it.
    pub fn tell(&mut self, what: &str) {
        self.messages.push(Message::user(format!("[{what}]")));
    }

    /// The person speaks; the model answers, looks, proposes or asks back.
    ///
    /// # Errors
    /// When the budget is used up or the model can't be asked. What was said so far stays in the conversation.
    pub async fn turn(&mut self, said: &str, show: &mut (dyn FnMut(Shown<'_>) + Send)) -> Result<Turn, ChatError> {
        self.desk.person_spoke();
        self.messages.push(Message::user(said));
        let (mut offered, mut calls) = (Vec::new(), 0);
        for _ in 0..MOST_ROUNDS {
            self.fit(show);
            let request = Request::new(self.messages.clone(), ANSWER).with_tools(Desk::tools(), ToolChoice::Auto);
            let elapsed = self.began.elapsed();
            let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
            let reservation = self.budget.reserve(&request, elapsed, &day)?;
            let reply = match self.model.reply(&request, &mut |text| show(Shown::Text(text))).await {
                Ok(reply) => reply,
                Err(error) => {
                    self.budget.failed(reservation, None);
                    return Err(error.into());
                }
            };
            for notice in self.budget.settle(reservation, &reply.usage, self.began.elapsed()) {
                show(Shown::Notice(notice.to_string()));
            }
            self.messages.push(Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() });
            if reply.calls.is_empty() {
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
                return Ok(Turn::Asked(question));
            }
            // Each proposal is read before anything else is done.
            if !offered.is_empty() || calls > MOST_CALLS {
                break;
            }
        }
        Ok(if offered.is_empty() { Turn::Said } else { Turn::Offered(offered) })
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

    /// Keeps the conversation within the model's window: what tools gave goes first, the oldest first, then the oldest turns. What goes is said to be gone.
    fn fit(&mut self, show: &mut (dyn FnMut(Shown<'_>) + Send)) {
        let limit = self.window.saturating_sub(u64::from(ANSWER)).saturating_mul(9) / 10;
        let taken =
            |messages: &[Message]| Request::new(messages.to_vec(), ANSWER).with_tools(Desk::tools(), ToolChoice::Auto).estimated_tokens();
        if taken(&self.messages) <= limit {
            return;
        }
        const LATEST: usize = 6;
        let old = self.messages.len().saturating_sub(LATEST);
        for at in 1..old {
            if let Message::Tool { name, content, .. } = &mut self.messages[at]
                && content.len() > 200
            {
                *content =
                    json!({ "left_out": format!("what `{name}` gave, {} bytes; ask again if it is needed", content.len()) }).to_string();
                if taken(&self.messages) <= limit {
                    show(Shown::Notice("older results were left out to stay within the model's window".into()));
                    return;
                }
            }
        }
        // Whole turns: a result must not stand without its call.
        while taken(&self.messages) > limit {
            let next =
                self.messages.iter().enumerate().skip(2).find(|(_, message)| matches!(message, Message::User { .. })).map(|(at, _)| at);
            let Some(next) = next else { break };
            self.messages.drain(1..next);
        }
        show(Shown::Notice("the beginning of the conversation was left out to stay within the model's window".into()));
    }
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
