//! `summarize`: the project, the data, the graph or the results, as deep as there is room for.

use super::{ReadTool, Said, ToolReply, View, number, text};
use crate::model::{Field, FieldKind};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

pub(super) struct Summarize;

/// The most steps, inputs or files of a list.
const MOST: usize = 200;

#[async_trait]
impl ReadTool for Summarize {
    fn name(&self) -> &'static str {
        "summarize"
    }

    fn doc(&self) -> &'static str {
        "An overview. `what`: the project (pipelines, notes, proposals), its data (inputs of the pipeline), the dag (steps and what they take), or results \
         (which steps have scores). `depth` 1 gives names, 2 gives calls and kinds, 3 gives everything that there is room for."
    }

    fn fields(&self) -> Vec<Field> {
        let words = ["project", "data", "dag", "results"].map(str::to_owned).to_vec();
        vec![Field::new("what", FieldKind::Word(words), "what of"), Field::new("depth", FieldKind::Integer, "from 1 to 3").or_null()]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let depth = number(arguments, "depth", 2, 3);
        let mut said = Said::default();
        let content = match text(arguments, "what") {
            "project" => project(view, depth, &mut said),
            "data" => data(view, depth, &mut said).await,
            "dag" => dag(view, depth, &mut said),
            _ => results(view, depth, &mut said),
        };
        ToolReply { free_text: said.free_text(), ..ToolReply::plain(content) }
    }
}

fn project(view: &View<'_>, depth: u64, said: &mut Said) -> Value {
    let notes: Vec<String> = view.notes().iter().take(MOST).map(|path| said.say("the name of a note", path)).collect();
    let pipelines: Vec<String> = view.pipelines().iter().take(MOST).map(|path| said.say("the name of a pipeline", path)).collect();
    let mut out = json!({ "pipeline": view.pipeline(), "pipelines": pipelines, "notes": notes });
    let proposals = view.proposals();
    let count = |word: &str| proposals.iter().filter(|(status, _)| status.state.word() == word).count();
    out["proposals"] = json!({ "waiting": count("waiting"), "applied": count("applied"), "rejected": count("rejected") });
    if depth >= 2 {
        // What was rejected, and why, is the most useful thing to know before the next proposal.
        let mut last = Vec::new();
        for (status, proposal) in proposals.iter().rev().take(10) {
            // What a model wrote after it had read free text may be that text again.
            let intent = proposal.as_ref().map(|proposal| match proposal.origin.is_human() {
                true => crate::escape_line(&proposal.intent),
                false => said.say("what an earlier proposal was for", &proposal.intent),
            });
            let reason = crate::escape_line(&status.reason);
            last.push(json!({ "id": status.id.short(), "state": status.state.word(), "intent": intent, "reason": reason }));
        }
        out["latest"] = last.into();
    }
    out
}

async fn data(view: &View<'_>, depth: u64, said: &mut Said) -> Value {
    let Some(planned) = view.planned().await else { return json!({ "error": "the pipeline can't be planned; `check` says why" }) };
    let prepared = &planned.prepared;
    let inputs = prepared.inputs.iter().zip(&prepared.pipeline.inputs).take(MOST).map(|(record, declared)| {
        let mut out = json!({ "input": record.name, "members": record.members.len(), "simulated": record.simulated });
        if depth >= 2 {
            out["kind"] = declared.kind.to_string().into();
            out["taken"] = said.say("where an input comes from", &record.taken).into();
        }
        if depth >= 3 {
            let labels = record.members.iter().filter(|(label, _)| !label.is_empty()).take(MOST);
            out["labels"] = labels.map(|(label, _)| said.say("the name of a file of an input", label)).collect();
        }
        out
    });
    let inputs: Vec<Value> = inputs.collect();
    json!({ "inputs": inputs, "more": "`data_schema` says what is in an input or in a step's result" })
}

fn dag(view: &View<'_>, depth: u64, said: &mut Said) -> Value {
    let Some((text, checked)) = view.checked() else { return json!({ "error": "there is no such pipeline yet" }) };
    let pipeline = &checked.pipeline;
    if depth >= 3 {
        said.pipeline(view.pipeline(), &text);
    }
    let steps = pipeline.steps.iter().enumerate().take(MOST).map(|(at, step)| {
        let mut out = json!({ "step": step.name.text, "stage": step.stage });
        if depth >= 2 {
            out["takes"] = pipeline.needs(at).into_iter().map(|needed| pipeline.steps[needed].name.text.clone()).collect();
            out["gives"] = step.outputs.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
            out["loops"] = pipeline.loops(at).into();
        }
        if depth >= 3 {
            out["text"] = text.get(step.span.clone()).map(crate::escape).into();
        }
        out
    });
    let steps: Vec<Value> = steps.collect();
    json!({ "pipeline": pipeline.name, "steps": steps, "mistakes": checked.diagnostics.len() })
}

fn results(view: &View<'_>, depth: u64, said: &mut Said) -> Value {
    let runs = view.runs(if depth >= 3 { 10 } else { 1 });
    let shown = runs.iter().map(|run| {
        let scored: Vec<String> = run.scores.keys().take(MOST).map(|label| said.say("the name of a member", label)).collect();
        json!({ "run": run.id, "status": run.status, "started": run.started, "with_scores": scored, "ran": run.counts.ran, "cached": run.counts.cached })
    });
    let shown: Vec<Value> = shown.collect();
    json!({ "runs": shown, "scores": "held back until something is predicted: `results` takes a prediction" })
}
