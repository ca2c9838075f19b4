//! `list_stages` and `stage_doc`: the manual that people read, too.

use super::{ReadTool, ToolReply, View, text};
use crate::model::{Field, FieldKind};
use async_trait::async_trait;
use neuroflow_stage::{Control, manual, nearest};
use serde_json::{Map, Value, json};

pub(super) struct ListStages;

#[async_trait]
impl ReadTool for ListStages {
    fn name(&self) -> &'static str {
        "list_stages"
    }

    fn doc(&self) -> &'static str {
        "All stages of a topic (ingest, decode, connectome, query, similarity, train), or all controls (`controls`), or everything, a line each."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("topic", FieldKind::String, "the topic; everything when null").or_null()]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let topic = text(arguments, "topic");
        let stages = view.session().registry.iter().filter(|stage| topic.is_empty() || stage.name().split('.').next() == Some(topic));
        let mut lines: Vec<String> = stages.map(|stage| format!("{}: {}", stage.name(), stage.signature().summary)).collect();
        if topic.is_empty() || topic == "controls" {
            lines.extend(Control::variants().into_iter().map(|control| format!("control {}: {}", control.name, first_line(&control.doc))));
        }
        if lines.is_empty() {
            return ToolReply::refusal(format!("there is no topic `{}`", crate::escape_line(topic)));
        }
        ToolReply::plain(json!({ "stages": lines }))
    }
}

fn first_line(doc: &str) -> &str {
    doc.lines().next().unwrap_or_default()
}

pub(super) struct StageDoc;

#[async_trait]
impl ReadTool for StageDoc {
    fn name(&self) -> &'static str {
        "stage_doc"
    }

    fn doc(&self) -> &'static str {
        "The manual page of a stage or a control: inputs, outputs, parameters with defaults and limits, scores, controls."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("name", FieldKind::String, "the stage, such as decode.classify, or the control, such as shuffle")]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let name = text(arguments, "name");
        if let Some(stage) = view.session().registry.get(name) {
            return ToolReply::plain(json!({ "name": name, "page": manual::page(&stage.signature()) }));
        }
        if let Some(control) = Control::variants().into_iter().find(|control| control.name == name) {
            let page = format!("{name}: a control\n\n{}\n\n{}", control.doc, manual::parameters(&control.params));
            return ToolReply::plain(json!({ "name": name, "page": page }));
        }
        let controls = Control::variants();
        let names = view.session().registry.iter().map(|stage| stage.name()).chain(controls.iter().map(|control| control.name));
        let near = nearest(name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        ToolReply::refusal(format!("there is no stage or control `{}`{near}", crate::escape_line(name)))
    }
}
