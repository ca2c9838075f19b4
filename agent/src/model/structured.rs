//! Three ways to get a structured answer out of a model.
//!
//! Some models call tools; some can only be held to a schema; some can only be asked nicely. [`Structured`] lets the rest of the agent ask with tools in all
//! three cases: it rewrites the question before it is asked, and reads the calls out of the answer afterwards. What is found is not yet checked: see
//! [`Schema::check`].

use super::error::ModelError;
use super::reply::{Finish, Reply};
use super::request::{Format, Message, Request, Tool, ToolCall, ToolChoice};
use super::schema::{Field, FieldKind, Schema};
use super::wire::{json_within, unfenced};
use super::{Model, OnText};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The field that names the tool.
const TOOL: &str = "tool";
/// The word, and the field, of an answer without a tool.
const ANSWER: &str = "answer";
/// How deep a call that is written as text may be nested.
const DEPTH: usize = 32;

/// How a structured answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The endpoint's own tools.
    Tools,
    /// `response_format`: one flat object, held to a schema.
    Object,
    /// Words: the model is asked to write one JSON object and nothing else.
    Words,
}

impl Way {
    /// All, the best first.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Object, Self::Words];
}

impl std::fmt::Display for Way {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Tools => "tools",
            Self::Object => "object",
            Self::Words => "words",
        })
    }
}

/// A model that is asked with tools, whatever it can do itself.
pub struct Structured<M> {
    model: M,
    way: Way,
}

impl<M: Model> Structured<M> {
    /// Asks this model in this way.
    pub fn new(model: M, way: Way) -> Self {
        Self { model, way }
    }
}

#[async_trait]
impl<M: Model> Model for Structured<M> {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        let lowered = lower(request, self.way)?;
        let mut held = Held::default();
        let reply = self.model.reply(&lowered, &mut |piece| held.take(piece, on_text)).await?;
        let was_held = held.is_held();
        let reply = raise(reply, request);
        if was_held && !reply.text.is_empty() {
            on_text(&reply.text);
        }
        Ok(reply)
    }

    fn name(&self) -> String {
        self.model.name()
    }
}

/// Holds text back that may turn out to be a call.
#[derive(Default)]
struct Held {
    begun: bool,
    open: bool,
    space: String,
}

impl Held {
    fn take(&mut self, piece: &str, on_text: OnText<'_>) {
        if !self.begun {
            self.space.push_str(piece);
            let Some(first) = self.space.trim_start().chars().next() else { return };
            self.begun = true;
            self.open = !matches!(first, '{' | '`');
            if self.open {
                on_text(&std::mem::take(&mut self.space));
            }
        } else if self.open {
            on_text(piece);
        }
    }

    fn is_held(&self) -> bool {
        !self.open
    }
}

/// One flat schema for a choice of tools: `tool` names one, and the fields of all of them stand beside it, to be left `null` where they do not belong.
///
/// # Errors
/// When two tools have a field of one name and different kinds, or a tool or a field takes the names `tool` or `answer`.
pub fn union(tools: &[Tool]) -> Result<Schema, ModelError> {
    joined(tools, true)
}

fn joined(tools: &[Tool], may_answer: bool) -> Result<Schema, ModelError> {
    let mut names: Vec<String> = tools.iter().map(|tool| tool.name.clone()).collect();
    if names.iter().any(|name| name == ANSWER) {
        return Err(ModelError::Tools(format!("a tool can't be called `{ANSWER}`, which means an answer in words")));
    }
    let mut fields: Vec<Field> = Vec::new();
    for tool in tools {
        for field in tool.schema.fields() {
            if field.name == TOOL || field.name == ANSWER {
                return Err(ModelError::Tools(format!(
                    "`{}` has a field `{}`, which has another meaning in one object; rename it",
                    tool.name, field.name
                )));
            }
            match fields.iter_mut().find(|known| known.name == field.name) {
                None if tools.len() == 1 && !may_answer => fields.push(field.clone()),
                None => fields.push(field.clone().or_null()),
                Some(known) => match (&mut known.kind, &field.kind) {
                    (FieldKind::Word(known), FieldKind::Word(more)) => {
                        let new: Vec<String> = more.iter().filter(|word| !known.contains(word)).cloned().collect();
                        known.extend(new);
                    }
                    (known, more) if known == more => {}
                    _ => {
                        let what = format!(
                            "`{}` of `{}` is of another kind than in an earlier tool; give it a name of its own",
                            field.name, tool.name
                        );
                        return Err(ModelError::Tools(what));
                    }
                },
            }
        }
    }
    if may_answer {
        names.push(ANSWER.into());
        fields.insert(0, Field::new(ANSWER, FieldKind::String, "what to say, when no tool is used").or_null());
    }
    fields.insert(0, Field::new(TOOL, FieldKind::Word(names), "what to do"));
    Schema::new(fields).map_err(|error| ModelError::Tools(error.to_string()))
}

/// The question as it is asked in a way.
fn lower(request: &Request, way: Way) -> Result<Request, ModelError> {
    if way == Way::Tools {
        return Ok(request.clone());
    }
    let offered: Vec<Tool> = match &request.choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::Named(name) => request.tools.iter().filter(|tool| tool.name == *name).cloned().collect(),
        ToolChoice::Auto | ToolChoice::Required => request.tools.clone(),
    };
    let mut messages: Vec<Message> = request.messages.iter().map(flat).collect();
    let mut format = request.format.clone();
    let mut rule = String::new();
    if !offered.is_empty() {
        let schema = joined(&offered, request.choice == ToolChoice::Auto)?;
        rule = rules(&offered, request.choice == ToolChoice::Auto);
        format = Format::Object { name: "action".into(), schema };
    }
    if way == Way::Words
        && let Format::Object { schema, .. } = &format
    {
        let _ = write!(rule, "\nWrite one JSON object and nothing else. Its schema:\n{}", schema.as_json());
        format = Format::Text;
    }
    if !rule.is_empty() {
        match messages.first_mut() {
            Some(Message::System { text }) => {
                let _ = write!(text, "\n\n{}", rule.trim_start());
            }
            _ => messages.insert(0, Message::system(rule.trim_start())),
        }
    }
    Ok(Request { messages, tools: Vec::new(), choice: ToolChoice::None, format, ..request.clone() })
}

fn rules(tools: &[Tool], may_answer: bool) -> String {
    let mut text = String::from("Answer with one JSON object. `tool` names what to do; fields that do not belong to it are null.\n");
    for tool in tools {
        let fields: Vec<&str> = tool.schema.fields().iter().map(|field| field.name.as_str()).collect();
        let _ = writeln!(
            text,
            "- `{}`: {} Fields: {}.",
            tool.name,
            tool.description,
            if fields.is_empty() { "none".into() } else { fields.join(", ") }
        );
    }
    if may_answer {
        let _ = writeln!(text, "- `{ANSWER}`: say something in words, in the field `{ANSWER}`.");
    }
    text
}

/// A message for an endpoint that knows no tools.
fn flat(message: &Message) -> Message {
    match message {
        Message::Assistant { text, calls } if !calls.is_empty() => {
            let mut said = text.clone();
            for call in calls {
                let mut object = Map::from_iter([(TOOL.to_owned(), json!(call.name))]);
                if let Value::Object(arguments) = &call.arguments {
                    object.extend(arguments.clone());
                }
                let _ = write!(said, "{}{}", if said.is_empty() { "" } else { "\n" }, Value::Object(object));
            }
            Message::Assistant { text: said, calls: Vec::new() }
        }
        Message::Tool { name, content, .. } => Message::user(format!("Result of `{name}`: {content}")),
        other => other.clone(),
    }
}

/// The answer with a call that is written as text read out of it: only when no call was made, tools were offered, and the whole text is one JSON object.
fn raise(mut reply: Reply, request: &Request) -> Reply {
    if !reply.calls.is_empty() || request.tools.is_empty() || request.choice == ToolChoice::None {
        return reply;
    }
    let Some(Value::Object(mut object)) = json_within(unfenced(&reply.text), DEPTH) else { return reply };
    let call = if let Some(Value::String(name)) = object.get(TOOL).cloned() {
        if name == ANSWER {
            if let Some(Value::String(answer)) = object.get(ANSWER) {
                reply.text = answer.clone();
            }
            return reply;
        }
        object.shift_remove(TOOL);
        (name.clone(), Value::Object(own_fields(object, request, &name)))
    } else {
        match named(&mut object) {
            Some(call) => call,
            None => return reply,
        }
    };
    reply.text.clear();
    reply.calls = vec![ToolCall { id: format!("text-{}", request.messages.len()), name: call.0, arguments: call.1 }];
    if reply.finish != Finish::Length {
        reply.finish = Finish::Calls;
    }
    reply
}

/// The fields without those that stand there only because all tools share one object. A field that no tool has stays, and the check tells of it.
fn own_fields(mut object: Map<String, Value>, request: &Request, name: &str) -> Map<String, Value> {
    let Some(tool) = request.tool(name) else { return object };
    let has = |tool: &Tool, field: &str| tool.schema.fields().iter().any(|own| own.name == field);
    object.retain(|field, _| has(tool, field) || (field != ANSWER && !request.tools.iter().any(|other| has(other, field))));
    object
}

/// A call in the words that models were trained with: `{"name": …, "arguments": …}`, also under `function`, also `parameters`.
fn named(object: &mut Map<String, Value>) -> Option<(String, Value)> {
    if let Some(Value::Object(inner)) = object.get_mut("function") {
        return named(inner);
    }
    let name = object.get("name")?.as_str()?.to_owned();
    let arguments = object.shift_remove("arguments").or_else(|| object.shift_remove("parameters"))?;
    match arguments {
        Value::Object(_) => Some((name, arguments)),
        Value::String(text) => Some((name, json_within(unfenced(&text), DEPTH).unwrap_or(Value::String(text)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scripted;

    fn tools() -> Vec<Tool> {
        let words = |words: &[&str]| FieldKind::Word(words.iter().map(|word| (*word).to_owned()).collect());
        vec![
            Tool {
                name: "set".into(),
                description: "Sets an argument.".into(),
                schema: Schema::new(vec![Field::new("step", FieldKind::String, ""), Field::new("value", FieldKind::Number, "")]).unwrap(),
            },
            Tool {
                name: "show".into(),
                description: "Shows.".into(),
                schema: Schema::new(vec![Field::new("step", FieldKind::String, ""), Field::new("what", words(&["dag", "data"]), "")])
                    .unwrap(),
            },
        ]
    }

    fn question(choice: ToolChoice) -> Request {
        Request::new(vec![Message::system("be brief"), Message::user("set it")], 100).with_tools(tools(), choice)
    }

    async fn ask(way: Way, choice: ToolChoice, answer: &str) -> (Reply, String) {
        let answer = answer.to_owned();
        let model = Structured::new(Scripted::new(move |request, _| Ok(Reply::text(request, answer.clone()))), way);
        let mut shown = String::new();
        let reply = model.reply(&question(choice), &mut |piece| shown.push_str(piece)).await.unwrap();
        (reply, shown)
    }

    #[test]
    fn one_object_has_the_fields_of_all_tools_and_is_flat() {
        let schema = union(&tools()).unwrap();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["tool", "answer", "step", "value", "what"]);
        assert!(schema.fields()[1..].iter().all(|field| field.nullable));
        assert_eq!(Schema::try_from(schema.as_json()).unwrap(), schema);
    }

    #[test]
    fn fields_of_one_name_and_two_kinds_are_refused_with_the_name() {
        let mut clash = tools();
        clash[1].schema = Schema::new(vec![Field::new("value", FieldKind::String, "")]).unwrap();
        assert!(union(&clash).unwrap_err().to_string().contains("`value` of `show`"));
        clash[1].schema = Schema::new(vec![Field::new("tool", FieldKind::String, "")]).unwrap();
        assert!(union(&clash).is_err());
    }

    #[test]
    fn a_question_without_tools_on_the_wire_has_none_and_still_tells_of_them() {
        let mut request = question(ToolChoice::Auto);
        request.messages.push(Message::Assistant {
            text: String::new(),
            calls: vec![ToolCall { id: "1".into(), name: "show".into(), arguments: json!({"what": "dag"}) }],
        });
        request.messages.push(Message::Tool { id: "1".into(), name: "show".into(), content: "[]".into() });
        for way in [Way::Object, Way::Words] {
            let lowered = lower(&request, way).unwrap();
            assert!(lowered.tools.is_empty());
            assert_eq!(matches!(lowered.format, Format::Object { .. }), way == Way::Object);
            let Message::System { text } = &lowered.messages[0] else { panic!("no system message") };
            assert!(text.starts_with("be brief") && text.contains("`set`: Sets an argument. Fields: step, value."), "{text}");
            assert_eq!(lowered.messages[2], Message::Assistant { text: "{\"tool\":\"show\",\"what\":\"dag\"}".into(), calls: vec![] });
            assert_eq!(lowered.messages[3], Message::user("Result of `show`: []"));
        }
        assert_eq!(lower(&request, Way::Tools).unwrap(), request);
    }

    #[tokio::test]
    async fn a_call_is_read_from_an_object_and_loses_the_fields_of_others() {
        for text in [
            r#"{"tool": "set", "answer": null, "step": "a", "value": 3, "what": null}"#,
            "```json\n{\"tool\": \"set\", \"step\": \"a\", \"value\": 3, \"what\": \"dag\"}\n```",
            r#"{"name": "set", "arguments": {"step": "a", "value": 3}}"#,
            r#"{"type": "function", "function": {"name": "set", "parameters": "{\"step\": \"a\", \"value\": 3}"}}"#,
        ] {
            for way in Way::ALL {
                let (reply, shown) = ask(way, ToolChoice::Auto, text).await;
                assert_eq!(reply.calls.len(), 1, "{way} {text}");
                assert_eq!(reply.calls[0].arguments, json!({"step": "a", "value": 3}), "{way} {text}");
                assert!(question(ToolChoice::Auto).tools[0].schema.check(&reply.calls[0].arguments).is_ok());
                assert_eq!((reply.finish, reply.text.as_str(), shown.as_str()), (Finish::Calls, "", ""), "{way}");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_in_an_object_is_shown_as_words() {
        let (reply, shown) = ask(Way::Object, ToolChoice::Auto, r#"{"tool": "answer", "answer": "ten folds", "step": null}"#).await;
        assert_eq!((reply.text.as_str(), shown.as_str(), reply.calls.len()), ("ten folds", "ten folds", 0));
    }

    #[tokio::test]
    async fn words_and_objects_that_name_no_tool_stay_words() {
        for text in ["Just words.", " {\"a\": 1}", "{\"tool\": ", "I call {\"tool\": \"set\"}", "```\ncode\n```"] {
            let (reply, shown) = ask(Way::Words, ToolChoice::Auto, text).await;
            assert_eq!((reply.text.as_str(), shown.as_str(), reply.calls.len()), (text, text, 0));
        }
    }

    #[tokio::test]
    async fn a_tool_that_does_not_exist_and_fields_that_no_tool_has_are_left_for_the_check() {
        let (reply, _) = ask(Way::Object, ToolChoice::Auto, r#"{"tool": "shell", "command": "ls"}"#).await;
        assert_eq!((reply.calls[0].name.as_str(), &reply.calls[0].arguments), ("shell", &json!({"command": "ls"})));
        let (reply, _) = ask(Way::Object, ToolChoice::Auto, r#"{"tool": "set", "step": "a", "value": 1, "path": "/"}"#).await;
        assert!(tools()[0].schema.check(&reply.calls[0].arguments).unwrap_err()[0].contains("path"));
    }

    #[tokio::test]
    async fn without_an_offer_nothing_is_read_as_a_call() {
        let (reply, _) = ask(Way::Tools, ToolChoice::None, r#"{"tool": "set"}"#).await;
        assert!(reply.calls.is_empty());
    }
}
