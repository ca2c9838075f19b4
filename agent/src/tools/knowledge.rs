//! `read_knowledge`: the notes of the project, which people and the agent's approved proposals wrote.

use super::{ReadTool, Said, ToolReply, View, text};
use crate::model::{Field, FieldKind};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

pub(super) struct ReadKnowledge;

/// The most notes that are listed.
const MOST: usize = 200;

#[async_trait]
impl ReadTool for ReadKnowledge {
    fn name(&self) -> &'static str {
        "read_knowledge"
    }

    fn doc(&self) -> &'static str {
        "The notes of the project (knowledge/*.md): workflows, facts of the domain, decisions, each with its author and how much they know. With a note, its \
         text; without, their names."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("note", FieldKind::String, "the note's path; null for the list").or_null()]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let note = text(arguments, "note");
        let notes = view.notes();
        if note.is_empty() {
            let mut said = Said::default();
            let names: Vec<String> = notes.iter().take(MOST).map(|path| said.say("the name of a note", path)).collect();
            return ToolReply { free_text: said.free_text(), ..ToolReply::plain(json!({ "notes": names })) };
        }
        // Only what the list names: a path is not looked up.
        let Some(path) = notes.iter().find(|path| *path == note || path.strip_prefix("knowledge/") == Some(note)) else {
            return ToolReply::refusal(format!("there is no note `{}`", crate::escape_line(note)));
        };
        match view.read(path) {
            Ok(Some(found)) => {
                let content = json!({ "note": path, "text": crate::escape(&found) });
                ToolReply { free_text: vec![format!("the note {}", crate::escape_line(path))], ..ToolReply::plain(content) }
            }
            Ok(None) => ToolReply::refusal("the note is gone"),
            Err(error) => ToolReply::refusal(error.to_string()),
        }
    }
}
