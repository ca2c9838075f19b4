//! `try_step`: one stage on a few trials, in a process of its own, with a result that nobody keeps. Off unless a person set `preview`.

use super::results::predicted;
use super::{Look, ReadTool, Said, ToolReply, View, number, text};
use crate::desk::said_in;
use crate::ledger::{Entry, Event, by_day};
use crate::model::{Field, FieldKind};
use crate::proposal::Exposure;
use crate::settings::Preview;
use crate::{Wrong, escape_line};
use async_trait::async_trait;
use neuroflow_data::Kind;
use neuroflow_dsl::Severity;
use neuroflow_dsl::edit::Edit;
use neuroflow_engine::label;
use neuroflow_engine::trial::{Limits, TrialError, try_step};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Trials of a session unless asked otherwise, and the most.
const TRIALS: (u64, u64) = (200, 1000);

/// Bytes of memory that a trial may hold.
const MEMORY: u64 = 2 << 30;

/// Seconds that a trial may take.
pub(crate) const SECONDS: f64 = 30.0;

/// The name of the tool.
pub(crate) const TRIES: &str = "try_step";

pub(super) struct TryStep;

#[async_trait]
impl ReadTool for TryStep {
    fn name(&self) -> &'static str {
        TRIES
    }

    fn doc(&self) -> &'static str {
        "Runs one step on a few trials (at most half of them, spread over the session), aside and without controls, to see whether a call works at all and how long \
         it takes. Nothing of it is kept, and it is no result. Each is counted as a look at the step's scores, so say first what you expect. Needs \
         `preview = \"sample\"` under [agent] of neuroflow.toml."
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            Field::new("step", FieldKind::String, "the step; one member with decoded[\"m1\"]"),
            Field::new(
                "call",
                FieldKind::String,
                "another call in its place, in the pipeline language; a new step when there is none of this name",
            )
            .or_null(),
            Field::new("trials", FieldKind::Integer, "how many trials of a session at most; 200 when null").or_null(),
            Field::new("prediction", FieldKind::String, "what you expect of the step's scores, as a condition; null when it has none")
                .or_null(),
        ]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        match tried(view, arguments).await {
            Ok(reply) => reply,
            Err(reason) => ToolReply::refusal(reason),
        }
    }
}

async fn tried(view: &View<'_>, arguments: &Map<String, Value>) -> Result<ToolReply, String> {
    if view.settings().preview != Some(Preview::Sample) {
        return Err("nothing is tried here; a person allows it with `preview = \"sample\"` under [agent] of neuroflow.toml".into());
    }
    let Some(worker) = view.worker() else { return Err("no process for trials can be started here".into()) };
    let label = text(arguments, "step").trim();
    let step = label::step_name(label);
    let call = text(arguments, "call").trim();
    let (source, checked) = view.checked().ok_or("there is no such pipeline yet")?;
    let is_known = checked.pipeline.step(step).is_some();
    if !is_known && call.is_empty() {
        return Err(format!("the pipeline has no step `{}`; give its `call`", escape_line(step)));
    }
    let edit = match (call.is_empty(), is_known) {
        (true, _) => None,
        (false, true) => Some(Edit::ReplaceCall { step: step.to_owned(), call: call.to_owned() }),
        (false, false) => Some(Edit::InsertStep { name: step.to_owned(), call: call.to_owned(), after: String::new(), outside: false }),
    };
    let mut said = Said::default();
    let planned = match view.planned_with(&source, edit.as_slice()).await {
        Ok(planned) => planned,
        Err(wrong) => return Ok(ToolReply { free_text: said_in(&wrong), ..ToolReply::refusal(told(&wrong)) }),
    };
    let scores = planned
        .prepared
        .pipeline
        .step(step)
        .is_some_and(|at| planned.prepared.pipeline.steps[at].outputs.iter().any(|(_, kind)| *kind == Kind::Scores));
    let prediction = text(arguments, "prediction").trim().to_owned();
    if scores {
        predicted(view, &planned.text, step, &prediction)?;
    }
    let limit = view.settings().budget.limits().map_err(|error| error.to_string())?.compute_per_day;
    if let Some(limit) = limit {
        let now = Entry::now(Event::Tried, None, "").at;
        let (spent, ahead) = spent_today(&view.ledger(), now.get(..10).unwrap_or_default());
        if spent + Duration::from_secs_f64(SECONDS) > limit {
            let ahead =
                ahead.map(|day| format!("; the ledger counts for {day}, and the clock says an earlier day: a person sets it right"));
            return Err(format!(
                "trials may compute {} s a day (`compute_per_day`), and this one could take {SECONDS} s more than is left; tomorrow, or a person raises it{}",
                limit.as_secs(),
                ahead.unwrap_or_default()
            ));
        }
    }
    let limits = Limits { trials: number(arguments, "trials", TRIALS.0, TRIALS.1).max(1) as usize, memory: MEMORY, seconds: SECONDS };
    let aside = tempfile::tempdir().map_err(|error| error.to_string())?;
    let session = view.session();
    let ended = try_step((&planned.prepared.plan, &session.cache, &session.registry), label, worker, aside.path(), limits).await;
    let ended = match ended {
        Ok(ended) => ended,
        Err(TrialError::Failed(message, help)) => {
            let content = json!({ "step": label, "failed": said.say("a message of a stage", &message), "help": help });
            // How it ends may depend on the trials, and it computed.
            return Ok(ToolReply { free_text: said.free_text(), tried: Some(SECONDS), ..ToolReply::plain(content) });
        }
        Err(other) => return Err(other.to_string()),
    };
    let outputs = ended.outputs.iter().map(|(name, artifact)| {
        let mut shape = super::data::described(artifact, view, &mut said);
        shape["output"] = name.as_str().into();
        shape
    });
    let outputs: Vec<Value> = outputs.collect();
    let lines: Vec<String> = ended.scores.iter().map(|score| escape_line(&score.to_string())).collect();
    let taken: Vec<String> = ended.taken.iter().map(|(few, all)| format!("{few} of {all}")).collect();
    let content = json!({ "step": said.say("the name of a member", &ended.label), "trials": taken, "seconds": (ended.seconds * 100.0).round() / 100.0,
                          "outputs": outputs, "scores": lines, "note": "on a few trials and without controls: no result, and nothing of it is kept" });
    let look = scores.then(|| Look { step: step.to_owned(), prediction });
    Ok(ToolReply {
        exposure: if scores { Exposure::Aggregate } else { Exposure::Schema },
        free_text: said.free_text(),
        look,
        tried: Some(ended.seconds),
        content,
    })
}

/// How long trials computed on the day that is counted: `now`, in UTC, or a later one that the ledger knows, which is given.
fn spent_today(ledger: &[Entry], now: &str) -> (Duration, Option<String>) {
    let latest = by_day(ledger).last().map(|(day, _)| day).unwrap_or_default();
    let today = latest.max(now);
    let tried = by_day(ledger).filter(|(day, entry)| *day == today && entry.event == Event::Tried);
    let seconds = tried.filter_map(|(_, entry)| entry.detail["seconds"].as_f64()).filter(|seconds| *seconds >= 0.0).sum::<f64>();
    (Duration::from_secs_f64(seconds.min(1e9)), (today > now).then(|| today.to_owned()))
}

fn told(wrong: &Wrong) -> String {
    match wrong {
        Wrong::Mistakes { found, .. } => {
            let errors = found.iter().filter(|one| one.severity == Severity::Error).take(5);
            let told = errors.map(|one| format!("{}{}", one.message, one.help.iter().map(|help| format!(" ({help})")).collect::<String>()));
            escape_line(&format!("the pipeline would be wrong: {}", told.collect::<Vec<_>>().join("; ")))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_gives_no_time_for_trials() {
        let line = |at: &str, event: Event, seconds: f64| Entry {
            at: at.into(),
            detail: json!({ "seconds": seconds }),
            ..Entry::now(event, None, "")
        };
        let ledger = [
            line("2026-11-29T10:00:00Z", Event::Tried, 7.0),
            line("2026-11-30T10:00:00Z", Event::Tried, 20.0),
            // The clock is set back, and right again.
            line("2026-11-28T10:00:00Z", Event::Tried, 5.0),
            line("2026-11-30T11:00:00Z", Event::Looked, 100.0),
            line("2026-11-30T12:00:00Z", Event::Tried, 1.0),
        ];
        let spent = |lines: usize, now: &str| spent_today(&ledger[..lines], now);
        assert_eq!(spent(5, "2026-11-30"), (Duration::from_secs(26), None));
        for now in ["2026-11-29", "2026-11-28", "1970-01-01"] {
            assert_eq!(spent(2, now), (Duration::from_secs(20), Some("2026-11-30".into())), "{now}");
            assert_eq!(spent(3, now), (Duration::from_secs(25), Some("2026-11-30".into())), "{now}");
        }
        assert_eq!(spent(5, "2026-12-01"), (Duration::ZERO, None));
        assert_eq!(spent(0, "2026-12-01"), (Duration::ZERO, None));
    }
}
