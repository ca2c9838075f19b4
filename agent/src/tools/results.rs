//! `results`, `list_runs`, `diff_runs` and `explain`. Scores on held-out data are told to who predicted them, and each look is counted.

use super::{Look, ReadTool, Said, ToolReply, View, number, text};
use crate::model::{Field, FieldKind};
use crate::proposal::Exposure;
use async_trait::async_trait;
use neuroflow_engine::explain::{Verdict, preview};
use neuroflow_engine::label;
use neuroflow_engine::record::RunRecord;
use serde_json::{Map, Value, json};

/// The most members of a step whose scores are told.
const MOST: usize = 60;

pub(super) struct Results;

#[async_trait]
impl ReadTool for Results {
    fn name(&self) -> &'static str {
        "results"
    }

    fn doc(&self) -> &'static str {
        "The scores of a step in a run, each with chance, control and interval. Held-out scores are told once something was predicted about the step: give \
         `prediction`, a condition such as `direction.accuracy > 0.5`, before you see it. Each look is counted and printed beside the score."
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            Field::new("step", FieldKind::String, "the step"),
            Field::new(
                "prediction",
                FieldKind::String,
                "what you expect, as a condition; null when you predicted something about the step before",
            )
            .or_null(),
            Field::new("run", FieldKind::String, "the run; the latest when null").or_null(),
        ]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let step = label::step_name(text(arguments, "step").trim()).to_owned();
        let prediction = text(arguments, "prediction").trim().to_owned();
        let Some(run) = view.run(text(arguments, "run")) else { return ToolReply::refusal("there is no such run; `list_runs` names them") };
        let Some((source, checked)) = view.checked() else { return ToolReply::refusal("there is no such pipeline yet") };
        if checked.pipeline.step(&step).is_none() {
            return ToolReply::refusal(format!("the pipeline has no step `{}`", crate::escape_line(&step)));
        }
        if let Err(reason) = predicted(view, &source, &step, &prediction) {
            return ToolReply::refusal(reason);
        }
        let mut said = Said::default();
        let rows = scores(&run, &step, &mut said);
        if rows.is_empty() {
            return ToolReply::refusal(format!("`{step}` has no scores in run {}", run.id));
        }
        let content = json!({ "run": run.id, "scores": rows, "note": "intervals and controls belong to the score; say them with it" });
        let look = Some(Look { step, prediction });
        ToolReply { exposure: Exposure::Aggregate, free_text: said.free_text(), look, ..ToolReply::plain(content) }
    }
}

/// Whether something is expected of a step's scores, now or before: only then are they shown. `source` is the pipeline that the prediction is about.
pub(super) fn predicted(view: &View<'_>, source: &str, step: &str, prediction: &str) -> Result<(), String> {
    if prediction.is_empty() {
        return match view.is_predicted(step) {
            true => Ok(()),
            false => Err(format!("say first what you expect of `{step}`: `prediction` is a condition, such as `{step}.accuracy > 0.5`")),
        };
    }
    if !prediction.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).any(|word| word == step) {
        return Err(format!("the prediction says nothing about `{step}`"));
    }
    view.is_condition(source, prediction).map_err(|error| error.to_string())
}

/// The source that is named for labels of members, which come from the data.
const MEMBERS: &str = "the name of a member";

fn scores(run: &RunRecord, step: &str, said: &mut Said) -> Vec<Value> {
    let of_step = run.scores.iter().filter(|(label, _)| label::step_name(label) == step);
    let told = of_step.take(MOST).map(|(label, scores)| {
        let lines: Vec<String> = scores.iter().map(|score| crate::escape_line(&score.to_string())).collect();
        json!({ "step": said.say(MEMBERS, label), "scores": lines, "controlled": scores.iter().all(|score| !score.controls.is_empty()) })
    });
    told.collect()
}

pub(super) struct ListRuns;

#[async_trait]
impl ReadTool for ListRuns {
    fn name(&self) -> &'static str {
        "list_runs"
    }

    fn doc(&self) -> &'static str {
        "The latest runs of the pipeline: when, from which commit, how they ended, which expectations hold. No scores."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("n", FieldKind::Integer, "how many; 10 when null").or_null()]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let runs = view.runs(number(arguments, "n", 10, 50) as usize);
        let shown = runs.iter().map(|run| {
            json!({ "run": run.id, "started": run.started, "status": run.status, "commit": run.revision.as_ref().map(|revision| revision.commit.clone()),
                    "dirty": run.revision.as_ref().map(|revision| revision.dirty), "controls": run.controls, "ran": run.counts.ran,
                    "failed": run.counts.failed, "expectations_that_fail": run.expects.iter().filter(|one| one.holds == Some(false)).count() })
        });
        ToolReply::plain(json!({ "runs": shown.collect::<Vec<_>>() }))
    }
}

pub(super) struct DiffRuns;

#[async_trait]
impl ReadTool for DiffRuns {
    fn name(&self) -> &'static str {
        "diff_runs"
    }

    fn doc(&self) -> &'static str {
        "What differs between two runs: parameters, versions, inputs, steps that came and went, and which tasks compute something else. Scores of steps about \
         which something was predicted are told side by side."
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            Field::new("before", FieldKind::String, "a run"),
            Field::new("after", FieldKind::String, "a run; the latest when null").or_null(),
        ]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let (Some(before), Some(after)) = (view.run(text(arguments, "before")), view.run(text(arguments, "after"))) else {
            return ToolReply::refusal("there is no such run; `list_runs` names them");
        };
        let steps = |run: &RunRecord| view.results(run);
        let (old, new) = (steps(&before), steps(&after));
        let name = |label: &String| label::step_name(label).to_owned();
        let mut changed: Vec<String> = new
            .iter()
            .filter(|(label, outputs)| old.get(*label).is_some_and(|was| was != *outputs))
            .map(|(label, _)| name(label))
            .collect();
        let mut came: Vec<String> = new.keys().filter(|label| !old.contains_key(*label)).map(name).collect();
        let mut went: Vec<String> = old.keys().filter(|label| !new.contains_key(*label)).map(name).collect();
        for list in [&mut changed, &mut came, &mut went] {
            list.sort();
            list.dedup();
        }
        let inputs: Vec<&String> = after
            .inputs
            .iter()
            .filter(|input| before.inputs.iter().any(|was| was.name == input.name && was.members != input.members))
            .map(|input| &input.name)
            .collect();
        let source = |run: &RunRecord| {
            view.session()
                .cache
                .get(&run.source)
                .ok()
                .flatten()
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        };
        let lines = crate::unified(&source(&before), &source(&after), 1);
        let text: Vec<String> = lines
            .iter()
            .filter(|line| matches!(line.mark, crate::Mark::Added | crate::Mark::Removed))
            .map(|line| format!("{} {}", if line.mark == crate::Mark::Added { '+' } else { '-' }, crate::escape_line(&line.text)))
            .take(200)
            .collect();
        let mut content = json!({ "before": before.id, "after": after.id, "pipeline": text, "set": [before.set, after.set], "version": [before.neuroflow, after.neuroflow],
                                  "inputs_with_other_content": inputs, "results_that_differ": changed, "steps_that_came": came, "steps_that_went": went });
        let mut said = Said::default();
        said.pipeline("the pipeline in an earlier run", &source(&before));
        said.pipeline("the pipeline in an earlier run", &source(&after));
        let mut told: Vec<Value> = Vec::new();
        for step in changed.iter().filter(|step| view.is_predicted(step)).take(20) {
            told.push(json!({ "step": step, "before": scores(&before, step, &mut said), "after": scores(&after, step, &mut said) }));
        }
        let look = told.first().and_then(|one| one["step"].as_str()).map(|step| Look { step: step.to_owned(), prediction: String::new() });
        content["scores"] = told.into();
        ToolReply {
            exposure: if look.is_some() { Exposure::Aggregate } else { Exposure::Schema },
            free_text: said.free_text(),
            look,
            ..ToolReply::plain(content)
        }
    }
}

pub(super) struct Explain;

#[async_trait]
impl ReadTool for Explain {
    fn name(&self) -> &'static str {
        "explain"
    }

    fn doc(&self) -> &'static str {
        "Why a step would run or not, why it failed in the latest run, or what the code of a mistake means."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("of", FieldKind::String, "a step, or the code of a mistake")]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let what = text(arguments, "of");
        if let Some(page) = neuroflow_dsl::explanations::explanation(what) {
            return ToolReply::plain(json!({ "code": what, "page": page }));
        }
        let Some(planned) = view.planned().await else { return ToolReply::refusal("it can't be planned; `check` says why") };
        let plan = &planned.prepared.plan;
        let last = view.runs(1).into_iter().next();
        let before = last.as_ref().map(|run| view.session().keys(run)).unwrap_or_default();
        let verdicts = match preview(plan, &view.session().cache, &before) {
            Ok(verdicts) => verdicts,
            Err(error) => return ToolReply::refusal(error.to_string()),
        };
        let mut said = Said::default();
        let mut told = Vec::new();
        for (task, verdict) in verdicts.iter().enumerate() {
            let label = plan.label(task);
            if !neuroflow_engine::select::is_meant(what, &label) || told.len() >= MOST {
                continue;
            }
            let name = said.say(MEMBERS, &label);
            told.push(match verdict {
                Verdict::Cached { run } => json!({ "task": name, "cached": run.to_string() }),
                Verdict::WouldRun { because } => {
                    // Why is told in our words, with values of the pipeline in between.
                    json!({ "task": name, "would_run": because.iter().map(|one| crate::escape_line(one)).collect::<Vec<_>>() })
                }
                Verdict::Depends { on } => {
                    let on: Vec<String> = on.iter().take(5).map(|on| said.say(MEMBERS, &plan.label(*on))).collect();
                    json!({ "task": name, "depends_on": on })
                }
                Verdict::Missing | Verdict::Unasked => json!({ "task": name, "not": "asked for" }),
            });
        }
        let failed = last
            .iter()
            .flat_map(|run| &run.ran)
            .filter(|ran| ran.state == "failed" && neuroflow_engine::select::is_meant(what, &ran.label))
            .take(5);
        let failed: Vec<Value> = failed.map(|ran| json!({ "task": said.say(MEMBERS, &ran.label), "error": said.say("the message of a failed step", ran.error.as_deref().unwrap_or_default()) })).collect();
        if told.is_empty() && failed.is_empty() {
            return ToolReply::refusal(format!("the pipeline has no step `{}`", crate::escape_line(what)));
        }
        ToolReply { free_text: said.free_text(), ..ToolReply::plain(json!({ "tasks": told, "failed_in_the_latest_run": failed })) }
    }
}
