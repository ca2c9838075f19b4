//! What came of a task, and what does not hold of it.

use crate::task::Check;
use neuroflow_agent::{Project, Proposal};
use neuroflow_dsl::Pipeline;
use std::collections::BTreeMap;

/// What came of a task.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// The pipeline before.
    pub(crate) before: String,
    /// Its path.
    pub(crate) file: String,
    /// What was said.
    pub(crate) words: String,
    /// What was asked.
    pub(crate) questions: Vec<String>,
    /// What was proposed.
    pub(crate) proposals: Vec<Proposal>,
    /// How often scores were looked at.
    pub(crate) looks: u64,
}

/// What does not hold, in words; nothing when all does.
pub(crate) fn wrong(check: &Check, came: &Came, project: &Project) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hold = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    if let Some(count) = check.proposals {
        hold(came.proposals.len() == count, format!("{} proposals, {count} expected", came.proposals.len()));
    }
    hold(!check.asks || !came.questions.is_empty(), "it did not ask".into());
    hold(came.looks >= check.looks, format!("{} looks at scores, {} expected", came.looks, check.looks));
    for piece in &check.says {
        hold(came.words.to_lowercase().contains(&piece.to_lowercase()), format!("it does not say `{piece}`"));
    }
    if let Some(piece) = &check.note {
        let notes = came.proposals.iter().flat_map(|proposal| &proposal.files).filter(|file| file.path.starts_with("knowledge/"));
        let found = notes.filter_map(|file| file.apply("").ok()).any(|text| text.to_lowercase().contains(piece));
        hold(found, format!("no note says `{piece}`"));
    }
    let is_about_text = !check.steps.is_empty()
        || !check.has.is_empty()
        || !check.lacks.is_empty()
        || check.stage.is_some()
        || check.new_steps.is_some()
        || check.report.is_some()
        || check.expects + check.predicts > 0;
    if !is_about_text {
        return wrong;
    }
    let Some(proposal) = came.proposals.last() else {
        hold(false, "nothing was proposed".into());
        return wrong;
    };
    let change = proposal.files.iter().find(|file| file.path == came.file);
    let Some(after) = change.and_then(|file| file.apply(&came.before).ok()) else {
        hold(false, "the proposal does not change the pipeline".into());
        return wrong;
    };
    hold(proposal.predictions.len() >= check.predicts, format!("{} predictions, {} expected", proposal.predictions.len(), check.predicts));
    let parse = |text: &str| project.check(&came.file, text, &BTreeMap::new()).pipeline;
    let (old, new) = (parse(&came.before), parse(&after));
    for piece in &check.has {
        hold(bare(&after).contains(&bare(piece)), format!("the pipeline has no `{piece}`"));
    }
    for piece in &check.lacks {
        hold(!bare(&after).contains(&bare(piece)), format!("the pipeline still has `{piece}`"));
    }
    for wanted in &check.steps {
        let Some(at) = new.step(&wanted.step) else {
            hold(false, format!("there is no step `{}`", wanted.step));
            continue;
        };
        let text = bare(after.get(new.steps[at].span.clone()).unwrap_or_default());
        for piece in &wanted.has {
            hold(text.contains(&bare(piece)), format!("`{}` has no `{piece}`", wanted.step));
        }
        for piece in &wanted.lacks {
            hold(!text.contains(&bare(piece)), format!("`{}` still has `{piece}`", wanted.step));
        }
    }
    let added = added(&old, &new);
    if let Some(count) = check.new_steps {
        let more = new.steps.len() as i64 - old.steps.len() as i64;
        hold(more == count, format!("{more} more steps, {count} expected"));
    }
    if let Some(stage) = &check.stage {
        hold(added.iter().any(|at| new.steps[*at].stage == *stage), format!("no new step calls `{stage}`"));
    }
    if check.controlled {
        for step in added.iter().map(|at| &new.steps[*at]).filter(|step| !step.metrics.is_empty()) {
            hold(step.with.iter().any(|(key, _)| key.text == "control"), format!("`{}` has no control", step.name.text));
        }
    }
    if let Some(step) = &check.report {
        let shown = new.step(step).is_some_and(|at| new.reports.iter().any(|report| report.steps.contains(&at)));
        hold(shown, format!("no report shows `{step}`"));
    }
    hold(new.expects.len() >= old.expects.len() + check.expects, format!("{} more expectations are wanted", check.expects));
    wrong
}

/// Steps that are new by name.
fn added(old: &Pipeline, new: &Pipeline) -> Vec<usize> {
    (0..new.steps.len()).filter(|at| old.step(&new.steps[*at].name.text).is_none()).collect()
}

/// A text without blanks, so that layout does not count.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}
