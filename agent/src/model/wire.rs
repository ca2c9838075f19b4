//! Chat Completions: our question as its JSON, and its answers, read leniently.
//!
//! Servers that call themselves compatible differ: arguments as text, as an object, as nothing, or in fences; fields that are missing; ids that are given twice;
//! reasons that are empty. All of it is taken here as well as it can be. Whether it makes sense is checked afterwards, by the schema.

use super::error::ModelError;
use super::limits::Limits;
use super::reply::{Finish, Reply, Usage};
use super::request::{Format, Message, Request, ToolCall, ToolChoice};
use super::{OnText, excerpt};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The question as the JSON of Chat Completions, in a fixed order.
pub(super) fn body(request: &Request, model: &str) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "max_tokens": request.max_tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if !request.tools.is_empty() {
        let tool = |tool: &super::Tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.schema.as_json(), "strict": true,
            }})
        };
        body["tools"] = request.tools.iter().map(tool).collect();
        body["tool_choice"] = match &request.choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        };
    }
    if let Format::Object { name, schema } = &request.format {
        body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema.as_json()}});
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(seed) = request.seed {
        body["seed"] = json!(seed);
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, calls } if calls.is_empty() => json!({"role": "assistant", "content": text}),
        Message::Assistant { text, calls } => {
            let call = |call: &ToolCall| {
                let arguments = call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned);
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
            };
            json!({"role": "assistant", "content": text, "tool_calls": calls.iter().map(call).collect::<Vec<_>>()})
        }
        Message::Tool { id, content, .. } => json!({"role": "tool", "tool_call_id": id, "content": content}),
    }
}

/// An answer that is being put together from the pieces of a stream, or from one document.
pub(super) struct Gathering<'a> {
    limits: &'a Limits,
    text: String,
    calls: Vec<Call>,
    finish: Option<String>,
    usage: Option<Usage>,
    /// Something of an answer was seen.
    begun: bool,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Given as JSON instead of as text.
    value: Option<Value>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, text: String::new(), calls: Vec::new(), finish: None, usage: None, begun: false }
    }

    /// Whether the endpoint said that it is done.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// How much text has come.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Takes one piece, or a whole answer; new text is handed on at once.
    pub(super) fn take(&mut self, chunk: &Value, on_text: OnText<'_>) -> Result<(), ModelError> {
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            let message = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
            return Err(ModelError::Server { message: excerpt(message.as_bytes(), 300) });
        }
        self.usage = chunk.get("usage").and_then(usage).or(self.usage);
        let choices = chunk.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let first = choices.iter().find(|choice| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0);
        let Some(choice) = first else { return Ok(()) };
        self.begun = true;
        if let Some(word) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(word.to_owned());
        }
        let whole = choice.get("message").filter(|message| message.is_object());
        let Some(part) = choice.get("delta").filter(|delta| delta.is_object()).or(whole) else { return Ok(()) };
        for field in ["content", "refusal"] {
            self.add_text(part.get(field), on_text)?;
        }
        let calls = match part.get("tool_calls") {
            Some(Value::Array(calls)) => calls.as_slice(),
            Some(call @ Value::Object(_)) => std::slice::from_ref(call),
            _ => &[],
        };
        for call in calls.iter().chain(part.get("function_call").filter(|call| call.is_object())) {
            self.add_call(call, whole.is_some())?;
        }
        Ok(())
    }

    fn add_text(&mut self, content: Option<&Value>, on_text: OnText<'_>) -> Result<(), ModelError> {
        match content {
            Some(Value::String(text)) if !text.is_empty() => {
                if self.text.len() + text.len() > self.limits.text_bytes {
                    return Err(ModelError::TooLarge { what: "its text", limit: self.limits.text_bytes });
                }
                self.text.push_str(text);
                on_text(text);
            }
            Some(Value::Array(parts)) => {
                for part in parts {
                    if let Some(text @ Value::String(_)) = part.get("text") {
                        self.add_text(Some(text), on_text)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_call(&mut self, piece: &Value, whole: bool) -> Result<(), ModelError> {
        let function = piece.get("function").filter(|function| function.is_object()).unwrap_or(piece);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, name) = (text(piece.get("id")), text(function.get("name")));
        let index = piece.get("index").and_then(Value::as_u64);
        let position = if whole { None } else { self.continued(index, &id, &name) };
        let position = match position {
            Some(position) => position,
            None if self.calls.len() == self.limits.calls => return Err(ModelError::TooManyCalls { limit: self.limits.calls }),
            None => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let limit = self.limits.argument_bytes;
        let call = &mut self.calls[position];
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        match function.get("arguments") {
            Some(Value::String(text)) => call.arguments.push_str(text),
            Some(Value::Null) | None => {}
            Some(value) => call.value = Some(value.clone()),
        }
        if call.arguments.len() + call.value.as_ref().map_or(0, |value| value.to_string().len()) > limit {
            return Err(ModelError::TooLarge { what: "a call's arguments", limit });
        }
        Ok(())
    }

    /// The call that a piece of a stream goes on with. Some servers give every call the number 0, or none.
    fn continued(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let position = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id && name.is_empty())?,
            None => self.calls.len().checked_sub(1)?,
        };
        let known = &self.calls[position];
        let is_another =
            !name.is_empty() && !known.name.is_empty() && (index.is_none() || (!id.is_empty() && !known.id.is_empty() && id != known.id));
        (!is_another).then_some(position)
    }

    /// The whole answer.
    pub(super) fn finish(self, request: &Request) -> Result<Reply, ModelError> {
        if !self.begun {
            return Err(ModelError::NotAReply {
                what: "it holds no answer (`choices` is missing or empty)".into(),
                excerpt: String::new(),
            });
        }
        let mut ids = BTreeSet::new();
        let mut calls = Vec::with_capacity(self.calls.len());
        for (number, call) in self.calls.into_iter().enumerate() {
            let mut id = if call.id.is_empty() { format!("call-{number}") } else { call.id };
            while !ids.insert(id.clone()) {
                id = format!("{id}-{number}");
            }
            let arguments = call.value.unwrap_or_else(|| arguments(&call.arguments, self.limits.depth));
            calls.push(ToolCall { id, name: call.name, arguments });
        }
        let finish = Finish::read(self.finish.as_deref(), !calls.is_empty());
        let usage = self.usage.unwrap_or_else(|| Usage::estimated(request, &self.text, &calls));
        Ok(Reply { text: self.text, calls, finish, usage })
    }
}

/// What an endpoint says that it took; nothing when it says nothing, or that a question took no tokens, which can't be.
fn usage(value: &Value) -> Option<Usage> {
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    let prompt_tokens = count("prompt_tokens").filter(|count| *count > 0)?;
    Some(Usage { prompt_tokens, reply_tokens: count("completion_tokens")?, estimated: false })
}

/// A call's arguments from text: JSON, also in fences, also as JSON within a JSON string; nothing at all is an empty object. What is none of these stays text.
fn arguments(text: &str, depth: usize) -> Value {
    let bare = unfenced(text);
    if bare.is_empty() {
        return json!({});
    }
    let read = |text: &str| json_within(text, depth);
    match read(bare) {
        Some(Value::String(inner)) => match read(unfenced(&inner)) {
            Some(object @ Value::Object(_)) => object,
            _ => Value::String(text.to_owned()),
        },
        Some(value) => value,
        None => Value::String(text.to_owned()),
    }
}

/// JSON that is not deeper than allowed.
pub(super) fn json_within(text: &str, depth: usize) -> Option<Value> {
    if nesting(text.as_bytes()) > depth { None } else { serde_json::from_str(text).ok() }
}

/// A text without the fences of Markdown around all of it.
pub(super) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let Some(inner) = inner else { return text };
    // The rest of the first line names the language.
    let start = inner.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(inner.len());
    if inner[start..].contains("```") { text } else { inner[start..].trim() }
}

/// How deep brackets are nested outside of strings. Right for JSON; for anything else some number.
pub(super) fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gather(chunks: &[Value]) -> Result<Reply, ModelError> {
        let limits = Limits::default();
        let mut gathering = Gathering::new(&limits);
        for chunk in chunks {
            gathering.take(chunk, &mut |_| {})?;
        }
        gathering.finish(&Request::new(vec![Message::user("hello")], 10))
    }

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    #[test]
    fn a_call_comes_in_pieces() {
        let reply = gather(&[
            delta(json!({"role": "assistant", "content": null})),
            delta(json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "plan", "arguments": ""}}]})),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"step\":"}}]})),
            delta(json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "check", "arguments": "{}"}}]})),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"x\"}"}}]})),
            json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}),
        ])
        .unwrap();
        assert_eq!(reply.calls[0], ToolCall { id: "a".into(), name: "plan".into(), arguments: json!({"step": "x"}) });
        assert_eq!(reply.calls[1].name, "check");
        assert_eq!(reply.finish, Finish::Calls);
        assert_eq!(reply.usage, Usage { prompt_tokens: 9, reply_tokens: 4, estimated: false });
    }

    #[test]
    fn calls_that_all_have_the_number_0_or_none_are_told_apart() {
        let zero = |id: &str| json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": "plan", "arguments": "{}"}}]});
        assert_eq!(gather(&[delta(zero("a")), delta(zero("b"))]).unwrap().calls.len(), 2);
        let none = |name: &str, arguments: &str| delta(json!({"tool_calls": [{"function": {"name": name, "arguments": arguments}}]}));
        let reply = gather(&[none("plan", "{\"a\""), none("", ":1}"), none("check", "")]).unwrap();
        assert_eq!(reply.calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["plan", "check"]);
        assert_eq!(reply.calls[0].arguments, json!({"a": 1}));
        assert_ne!(reply.calls[0].id, reply.calls[1].id);
    }

    #[test]
    fn an_id_that_comes_late_begins_no_new_call() {
        let piece = |id: Option<&str>, arguments: &str| {
            delta(json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": "plan", "arguments": arguments}}]}))
        };
        let reply = gather(&[piece(None, "{\"a\""), piece(Some("x"), ":1"), piece(Some("x"), "}")]).unwrap();
        assert_eq!(reply.calls, [ToolCall { id: "x".into(), name: "plan".into(), arguments: json!({"a": 1}) }]);
    }

    #[test]
    fn ids_given_twice_are_made_different() {
        let call = json!({"id": "x", "function": {"name": "plan", "arguments": "{}"}});
        let reply = gather(&[json!({"choices": [{"message": {"tool_calls": [call, call, call]}}]})]).unwrap();
        let ids: BTreeSet<&String> = reply.calls.iter().map(|call| &call.id).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn arguments_are_read_as_object_text_fenced_doubly_encoded_or_nothing() {
        for written in [
            json!({"a": 1}),
            json!("{\"a\": 1}"),
            json!("```json\n{\"a\": 1}\n```"),
            json!("```{\"a\": 1}```"),
            json!("\"{\\\"a\\\": 1}\""),
        ] {
            let message = json!({"tool_calls": [{"function": {"name": "plan", "arguments": written}}]});
            let reply = gather(&[json!({"choices": [{"message": message}]})]).unwrap();
            assert_eq!(reply.calls[0].arguments, json!({"a": 1}), "{written}");
        }
        for nothing in [json!(""), json!(null), json!("  "), json!("``````")] {
            let message = json!({"tool_calls": [{"function": {"name": "plan", "arguments": nothing}}]});
            assert_eq!(gather(&[json!({"choices": [{"message": message}]})]).unwrap().calls[0].arguments, json!({}));
        }
        assert_eq!(arguments("{\"a\": ", 9), json!("{\"a\": "));
        assert_eq!(arguments("[[[[1]]]]", 3), json!("[[[[1]]]]"));
    }

    #[test]
    fn usage_that_can_not_be_is_replaced_by_our_own_count() {
        let text = |usage: Value| json!({"choices": [{"message": {"content": "twelve bytes"}}], "usage": usage});
        for nonsense in
            [json!(null), json!({}), json!({"prompt_tokens": 0, "completion_tokens": 0}), json!({"prompt_tokens": -3}), json!("many")]
        {
            let usage = gather(&[text(nonsense)]).unwrap().usage;
            assert!(usage.estimated);
            assert_eq!(usage.reply_tokens, 4);
        }
    }

    #[test]
    fn an_error_within_a_stream_is_told() {
        let error =
            gather(&[delta(json!({"content": "so far"})), json!({"error": {"message": "out of\nmemory", "code": 500}})]).unwrap_err();
        assert_eq!(error, ModelError::Server { message: "out of\\nmemory".into() });
    }

    #[test]
    fn what_was_said_and_asked_goes_back_as_it_came() {
        let call = ToolCall { id: "a".into(), name: "plan".into(), arguments: json!({"b": 1}) };
        let broken = ToolCall { id: "b".into(), name: "plan".into(), arguments: json!("{\"b\":") };
        let request = Request::new(
            vec![
                Message::system("be brief"),
                Message::Assistant { text: "look".into(), calls: vec![call, broken] },
                Message::Tool { id: "a".into(), name: "plan".into(), content: "[]".into() },
            ],
            7,
        );
        let body = body(&request, "m");
        assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["arguments"], "{\"b\":1}");
        assert_eq!(body["messages"][1]["tool_calls"][1]["function"]["arguments"], "{\"b\":");
        assert_eq!(body["messages"][2], json!({"role": "tool", "tool_call_id": "a", "content": "[]"}));
        assert_eq!(body["max_tokens"], 7);
        assert!(body.get("tools").is_none() && body.get("tool_choice").is_none());
    }

    #[test]
    fn brackets_in_strings_are_not_depth() {
        assert_eq!(nesting(br#"{"a": "[[[[\"[[", "b": [1, {}]}"#), 3);
    }

    fn any_chunk() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from), Just(json!("{}"))];
        let name = prop::sample::select(vec![
            "choices",
            "delta",
            "message",
            "content",
            "tool_calls",
            "function",
            "arguments",
            "index",
            "id",
            "name",
            "finish_reason",
            "usage",
            "prompt_tokens",
            "error",
            "text",
        ]);
        leaf.prop_recursive(6, 64, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_chunk_makes_the_reader_panic(chunks in prop::collection::vec(any_chunk(), 0..4)) {
            let _ = gather(&chunks);
        }
    }
}
