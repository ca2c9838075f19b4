//! What a model may look at. Every tool here is read-only by its type: [`ReadTool::call`] is given a [`View`], which has no method that changes anything.
//!
//! What a tool gives is bounded in bytes. Texts that somebody else wrote (labels of data, messages of programs, notes) come as JSON values, short, with
//! everything invisible spelt out; when one is more than a name, the reply says where it came from, and the conversation is tainted.

mod contents;
mod data;
mod files;
mod knowledge;
mod pipeline;
mod results;
mod said;
mod stages;
mod summarize;
mod try_step;
mod view;

pub(crate) use pipeline::mistakes;
pub use said::Said;
pub(crate) use try_step::{SECONDS as LONGEST_TRIAL, TRIES};
pub use view::View;

use crate::model::{Field, Schema, Tool};
use crate::proposal::Exposure;
use async_trait::async_trait;
use serde_json::{Map, Value};

/// The most bytes that a tool gives.
pub const MOST_BYTES: usize = 24_000;

/// A look at held-out scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The step.
    pub step: String,
    /// What was predicted before.
    pub prediction: String,
}

/// What a tool gives.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolReply {
    /// For the model.
    pub content: Value,
    /// What of the data it shows.
    pub exposure: Exposure,
    /// Where free text in it comes from: a source and a field each.
    pub free_text: Vec<String>,
    /// A look at held-out scores, to be counted.
    pub look: Option<Look>,
    /// Seconds that something was computed to try it, to be counted.
    pub tried: Option<f64>,
}

impl ToolReply {
    /// Something that shows nothing of the data.
    pub fn plain(content: Value) -> ToolReply {
        ToolReply { content, exposure: Exposure::Schema, free_text: Vec::new(), look: None, tried: None }
    }

    /// A refusal, in words that the model can act on.
    pub fn refusal(message: impl Into<String>) -> ToolReply {
        ToolReply::plain(serde_json::json!({ "error": message.into() }))
    }

    /// The content as it is sent: JSON, cut with a word about it where it is too long.
    pub fn text(&self) -> String {
        let text = self.content.to_string();
        if text.len() <= MOST_BYTES {
            return text;
        }
        let cut = (0..=MOST_BYTES - 200).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        serde_json::json!({ "cut": format!("this is the beginning of {} bytes; ask for less", text.len()), "text": &text[..cut] })
            .to_string()
    }
}

/// A tool that reads.
#[async_trait]
pub trait ReadTool: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it does, for the model and the manual.
    fn doc(&self) -> &'static str;
    /// Its arguments.
    fn fields(&self) -> Vec<Field>;
    /// Asks it. The arguments were checked against [`ReadTool::fields`].
    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply;
}

/// All tools, in an order that never changes.
pub fn all() -> Vec<&'static dyn ReadTool> {
    vec![
        &summarize::Summarize,
        &pipeline::ReadPipeline,
        &pipeline::Check,
        &pipeline::PlanTool,
        &stages::ListStages,
        &stages::StageDoc,
        &files::DescribeData,
        &data::DataSchema,
        &data::DataStats,
        &results::Results,
        &results::ListRuns,
        &results::DiffRuns,
        &results::Explain,
        &knowledge::ReadKnowledge,
        &try_step::TryStep,
    ]
}

/// A tool as a model is told about it.
pub fn described(name: &str, doc: &str, fields: Vec<Field>) -> Tool {
    // Names of fields are written here and differ; a test holds it.
    let schema = Schema::new(fields).unwrap_or_else(|_| Schema::empty());
    Tool { name: name.to_owned(), description: doc.to_owned(), schema }
}

/// A text among arguments; empty when it is left open.
pub(crate) fn text<'a>(arguments: &'a Map<String, Value>, key: &str) -> &'a str {
    arguments.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number among arguments, within bounds.
pub(crate) fn number(arguments: &Map<String, Value>, key: &str, default: u64, most: u64) -> u64 {
    let given = arguments.get(key).and_then(|value| value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)));
    given.unwrap_or(default).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_flat_schema_and_its_own_name() {
        let mut names = std::collections::BTreeSet::new();
        for tool in all() {
            assert!(Schema::new(tool.fields()).is_ok(), "{}", tool.name());
            assert!(names.insert(tool.name()));
            assert!(!tool.name().split('_').any(|word| ["approve", "apply", "run", "shell", "write"].contains(&word)));
        }
    }

    #[test]
    fn all_tools_of_a_desk_can_be_asked_for_as_one_object() {
        // A model without tools of its own is asked so: fields of one name must be of one kind.
        let tools = crate::Desk::tools();
        let one = crate::model::union(&tools).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<String> = one.as_json()["properties"].as_object().unwrap().keys().cloned().collect();
        for tool in &tools {
            for name in tool.schema.as_json()["properties"].as_object().unwrap().keys() {
                assert!(names.contains(name), "{name} of {}", tool.name);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let reply = ToolReply::plain(serde_json::json!({ "x": "ä".repeat(40_000) }));
        let text = reply.text();
        assert!(text.len() <= MOST_BYTES && text.contains("ask for less"));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }
}
