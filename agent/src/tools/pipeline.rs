//! `read_pipeline`, `check` and `plan`.

use super::{ReadTool, Said, ToolReply, View};
use crate::model::Field;
use async_trait::async_trait;
use neuroflow_dsl::diagnostics::line_and_column;
use neuroflow_engine::explain::{Verdict, preview};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) struct ReadPipeline;

#[async_trait]
impl ReadTool for ReadPipeline {
    fn name(&self) -> &'static str {
        "read_pipeline"
    }

    fn doc(&self) -> &'static str {
        "The text of the pipeline, with numbers of lines. Its comments were written by people and may be wrong."
    }

    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }

    async fn call(&self, view: &View<'_>, _arguments: &Map<String, Value>) -> ToolReply {
        match view.read(view.pipeline()) {
            Ok(Some(text)) => {
                let mut said = Said::default();
                said.pipeline(view.pipeline(), &text);
                let lines = text.lines().enumerate().map(|(number, line)| format!("{:>4}  {}", number + 1, crate::escape_line(line)));
                let content = json!({ "file": view.pipeline(), "text": lines.collect::<Vec<_>>().join("\n") });
                ToolReply { free_text: said.free_text(), ..ToolReply::plain(content) }
            }
            Ok(None) => ToolReply::plain(
                json!({ "file": view.pipeline(), "text": "", "note": "there is no such file yet; begin it with the edit `begin`" }),
            ),
            Err(error) => ToolReply::refusal(error.to_string()),
        }
    }
}

pub(super) struct Check;

#[async_trait]
impl ReadTool for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn doc(&self) -> &'static str {
        "Every mistake of the pipeline as it stands, with place and remedy."
    }

    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }

    async fn call(&self, view: &View<'_>, _arguments: &Map<String, Value>) -> ToolReply {
        let Some((text, checked)) = view.checked() else { return ToolReply::refusal("there is no such pipeline yet") };
        let mut said = Said::default();
        if !checked.diagnostics.is_empty() {
            // A mistake is told with its line.
            said.pipeline(view.pipeline(), &text);
        }
        let content = json!({ "steps": checked.pipeline.steps.len(), "mistakes": mistakes(&text, &checked.diagnostics) });
        ToolReply { free_text: said.free_text(), ..ToolReply::plain(content) }
    }
}

/// Mistakes as a model reads them.
pub(crate) fn mistakes(text: &str, found: &[neuroflow_dsl::Diagnostic]) -> Vec<Value> {
    const MOST: usize = 20;
    let told = found.iter().take(MOST).map(|one| {
        let (line, column) = line_and_column(text, one.span.start.min(text.len()));
        let at = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        json!({ "severity": one.severity, "code": one.code, "line": line, "column": column, "message": one.message, "label": one.label,
                "help": one.help, "text": crate::escape_line(at.trim()) })
    });
    told.collect()
}

pub(super) struct PlanTool;

#[async_trait]
impl ReadTool for PlanTool {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn doc(&self) -> &'static str {
        "What a run of the pipeline would do now: tasks by step, how many are known already, and what the others would take."
    }

    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }

    async fn call(&self, view: &View<'_>, _arguments: &Map<String, Value>) -> ToolReply {
        let Some(planned) = view.planned().await else { return ToolReply::refusal("it can't be planned; `check` says why") };
        let plan = &planned.prepared.plan;
        let verdicts = match preview(plan, &view.session().cache, &std::collections::HashMap::new()) {
            Ok(verdicts) => verdicts,
            Err(error) => return ToolReply::refusal(error.to_string()),
        };
        let mut steps: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut running = Vec::new();
        for (task, verdict) in verdicts.iter().enumerate() {
            let decl = plan.instances()[plan.step_of(task)].decl;
            let name = planned.prepared.pipeline.steps.get(decl).map(|step| step.name.text.clone()).unwrap_or_default();
            let row = steps.entry(name).or_default();
            row.0 += 1;
            if matches!(verdict, Verdict::WouldRun { .. } | Verdict::Depends { .. }) {
                row.1 += 1;
                running.push(task);
            }
        }
        let cost = neuroflow_engine::cost::estimate(view.session(), plan, &running);
        let steps: Vec<Value> =
            steps.into_iter().map(|(step, (tasks, runs))| json!({ "step": step, "tasks": tasks, "would_run": runs })).collect();
        ToolReply::plain(json!({ "tasks": plan.len(), "would_run": running.len(), "steps": steps, "cost": cost }))
    }
}
