//! What is asked of a model: messages, tools, the form of the answer, and how words are drawn.

use super::schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One question to a model, whole: nothing of it is kept anywhere else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// What the model may ask for. The order is kept on the wire, so that an endpoint's prompt cache holds.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub choice: ToolChoice,
    /// The form of the answer's text.
    pub format: Format,
    /// How freely words are drawn, 0 (the likeliest word each time) to 2; the endpoint's own default when absent.
    pub temperature: Option<f64>,
    /// The seed of the draws, for endpoints that have one.
    pub seed: Option<u64>,
    /// The most tokens of an answer.
    pub max_tokens: u32,
}

impl Request {
    /// A question without tools, answered in text, with the likeliest words.
    #[must_use]
    pub fn new(messages: Vec<Message>, max_tokens: u32) -> Self {
        Self { messages, tools: Vec::new(), choice: ToolChoice::Auto, format: Format::Text, temperature: Some(0.0), seed: None, max_tokens }
    }

    /// The same question with tools.
    #[must_use]
    pub fn with_tools(mut self, tools: Vec<Tool>, choice: ToolChoice) -> Self {
        self.tools = tools;
        self.choice = choice;
        self
    }

    /// The tool of a name.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The request as JSON in one fixed form: ids of tool calls, which endpoints make up anew each time, are replaced by their number in the conversation.
    #[must_use]
    pub fn canonical(&self) -> Value {
        let mut numbers = BTreeMap::new();
        let messages: Vec<Value> = self.messages.iter().map(|message| message.canonical(&mut numbers)).collect();
        json!({
            "messages": messages,
            "tools": self.tools.iter().map(|tool| json!([tool.name, tool.description, tool.schema.as_json()])).collect::<Vec<_>>(),
            "choice": self.choice,
            "format": self.format,
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
        })
    }

    /// The BLAKE3 of [`Request::canonical`], which names the question: equal questions have equal keys.
    #[must_use]
    pub fn key(&self) -> RequestKey {
        RequestKey(*blake3::hash(self.canonical().to_string().as_bytes()).as_bytes())
    }

    /// How many tokens the question takes, by our own count: a third of its bytes as JSON, rounded up. An estimate; it is high for English.
    #[must_use]
    pub fn estimated_tokens(&self) -> u64 {
        estimate(self.canonical().to_string().len())
    }
}

/// Bytes of text as tokens, by our own count: a third, rounded up.
pub(crate) fn estimate(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(3)
}

/// The name of a question: see [`Request::key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey([u8; 32]);

impl std::fmt::Display for RequestKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Message {
    /// What the model is told about its task. Never holds text from data.
    System {
        /// The words.
        text: String,
    },
    /// What the person said.
    User {
        /// The words.
        text: String,
    },
    /// What the model said and asked for.
    Assistant {
        /// The words; may be empty.
        text: String,
        /// The tools asked for.
        calls: Vec<ToolCall>,
    },
    /// What a tool gave.
    Tool {
        /// The id of the call that this answers.
        id: String,
        /// The tool's name.
        name: String,
        /// What it gave, usually JSON.
        content: String,
    },
}

impl Message {
    /// What the model is told about its task.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self::System { text: text.into() }
    }

    /// What the person said.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    fn canonical(&self, numbers: &mut BTreeMap<String, usize>) -> Value {
        let mut number = |id: &String| {
            let next = numbers.len();
            *numbers.entry(id.clone()).or_insert(next)
        };
        match self {
            Self::System { text } => json!({"role": "system", "text": text}),
            Self::User { text } => json!({"role": "user", "text": text}),
            Self::Assistant { text, calls } => {
                let calls: Vec<Value> = calls.iter().map(|call| json!([number(&call.id), call.name, sorted(&call.arguments)])).collect();
                json!({"role": "assistant", "text": text, "calls": calls})
            }
            Self::Tool { id, name, content } => json!({"role": "tool", "call": number(id), "name": name, "content": content}),
        }
    }
}

/// The same value with the fields of each object in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<&String, Value> = fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A tool that the model asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call within the conversation.
    pub id: String,
    /// The tool, as the model wrote it; it may not exist.
    pub name: String,
    /// An object as a rule. A string is what the model wrote where it could not be read as JSON; [`Schema::check`] says so.
    pub arguments: Value,
}

/// A tool, as the model is told about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does, for the model to read.
    pub description: String,
    /// Its arguments.
    pub schema: Schema,
}

/// Whether a tool must be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None may be.
    None,
    /// One must be.
    Required,
    /// This one must be.
    Named(String),
}

/// The form of the answer's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Any text.
    Text,
    /// One JSON object of this schema.
    Object {
        /// A name for it, of letters, digits, `_` and `-`.
        name: String,
        /// Its fields.
        schema: Schema,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(id: &str) -> Request {
        Request::new(
            vec![
                Message::user("what is there?"),
                Message::Assistant {
                    text: String::new(),
                    calls: vec![ToolCall { id: id.into(), name: "check".into(), arguments: json!({"a": 1, "b": 2}) }],
                },
                Message::Tool { id: id.into(), name: "check".into(), content: "{}".into() },
            ],
            100,
        )
    }

    #[test]
    fn made_up_ids_and_the_order_of_fields_do_not_change_the_key() {
        let mut other = conversation("call_9f");
        assert_eq!(conversation("0").key(), other.key());
        if let Message::Assistant { calls, .. } = &mut other.messages[1] {
            calls[0].arguments = json!({"b": 2, "a": 1});
        }
        assert_eq!(conversation("0").key(), other.key());
    }

    #[test]
    fn every_part_of_a_question_changes_the_key() {
        let base = conversation("0");
        let tool = Tool { name: "check".into(), description: "checks".into(), schema: Schema::empty() };
        let changed = [
            Request { max_tokens: 101, ..base.clone() },
            Request { seed: Some(1), ..base.clone() },
            Request { temperature: None, ..base.clone() },
            Request { format: Format::Object { name: "x".into(), schema: Schema::empty() }, ..base.clone() },
            base.clone().with_tools(vec![tool], ToolChoice::Auto),
            Request { choice: ToolChoice::Required, ..base.clone() },
            Request { messages: base.messages[..2].to_vec(), ..base.clone() },
        ];
        let keys: std::collections::BTreeSet<RequestKey> = changed.iter().chain([&base]).map(Request::key).collect();
        assert_eq!(keys.len(), changed.len() + 1);
    }

    #[test]
    fn which_call_a_result_answers_is_part_of_the_key() {
        let with_answer_to = |id: &str| {
            let call = |id: &str| ToolCall { id: id.into(), name: "check".into(), arguments: json!({}) };
            let asked = Message::Assistant { text: String::new(), calls: vec![call("a"), call("b")] };
            Request::new(vec![asked, Message::Tool { id: id.into(), name: "check".into(), content: "1".into() }], 1)
        };
        assert_ne!(with_answer_to("a").key(), with_answer_to("b").key());
    }

    #[test]
    fn a_question_survives_being_written_down() {
        let question = conversation("x");
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), question);
    }
}
