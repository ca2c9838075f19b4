//! Which steps of a plan a person asked for: `--until`, `--only`, `--from`, `--force`.

use crate::plan::Plan;
use neuroflow_dsl::Pipeline;

/// What is to become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// Its result is wanted: from the cache, or computed.
    #[default]
    Wanted,
    /// It is computed, whatever is in the cache.
    Again,
    /// Its result is needed, but must not be computed.
    FromCache,
    /// Nobody asked for it.
    Unasked,
}

/// Steps by name: `direction` is a whole family, `direction["mrcuts28"]` one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these steps and what they need.
    pub until: Vec<String>,
    /// Only these steps; what they need must be in the cache.
    pub only: Vec<String>,
    /// These steps and all that follow from them are computed again.
    pub from: Vec<String>,
    /// These steps are computed again.
    pub force: Vec<String>,
}

/// A step was asked for that the plan does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no step `{name}`")]
pub struct UnknownStep {
    /// What was asked for.
    pub name: String,
    /// The step with the nearest name.
    pub near: Option<String>,
}

/// Whether `name` means a task of this label: its step's family, its step, or the task itself.
pub fn is_meant(name: &str, label: &str) -> bool {
    let rest = label.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('[') || rest.starts_with(" · "))
}

impl Selection {
    /// Whether everything is asked for, and nothing again.
    pub fn is_everything(&self) -> bool {
        [&self.until, &self.only, &self.from, &self.force].iter().all(|names| names.is_empty())
    }

    /// Refuses names that no step has. A step of which more may be planned later is known by its name in the pipeline.
    pub(crate) fn check(&self, plan: &Plan, pipeline: &Pipeline) -> Result<(), UnknownStep> {
        for name in [&self.until, &self.only, &self.from, &self.force].into_iter().flatten() {
            let planned = (0..plan.len()).any(|task| is_meant(name, &plan.label(task)));
            if !planned && !plan.may_grow(pipeline, name.split('[').next().unwrap_or_default()) {
                let near = neuroflow_stage::nearest(name, pipeline.steps.iter().map(|step| step.name.text.as_str())).map(str::to_owned);
                return Err(UnknownStep { name: name.clone(), near });
            }
        }
        Ok(())
    }

    /// What is to become of each task.
    pub(crate) fn wishes(&self, plan: &Plan) -> Vec<Wish> {
        let labels: Vec<String> = (0..plan.len()).map(|task| plan.label(task)).collect();
        let meant = |names: &[String]| -> Vec<bool> { labels.iter().map(|label| names.iter().any(|name| is_meant(name, label))).collect() };
        let (only, force) = (meant(&self.only), meant(&self.force));
        let everything = self.until.is_empty() && self.only.is_empty();
        let mut until = meant(&self.until);
        // What is not planned yet is found by computing what it waits for.
        if !self.until.is_empty() {
            plan.waits_for().iter().flat_map(|&step| plan.tasks_of(step)).for_each(|task| until[task] = true);
        }
        let wanted = with_needs(plan, until);
        let mut needed = only.clone();
        // What is asked for alone and not planned yet shows when what it waits for is taken from the cache.
        if self.only.iter().any(|name| !labels.iter().any(|label| is_meant(name, label))) {
            plan.waits_for().iter().flat_map(|&step| plan.tasks_of(step)).for_each(|task| needed[task] = true);
        }
        let needed = with_needs(plan, needed);
        let again = with_followers(plan, meant(&self.from));
        let wish = |task: usize| match () {
            () if !(everything || wanted[task] || needed[task]) => Wish::Unasked,
            () if !(everything || wanted[task] || only[task]) => Wish::FromCache,
            () if again[task] || force[task] => Wish::Again,
            () => Wish::Wanted,
        };
        (0..plan.len()).map(wish).collect()
    }
}

/// Tasks stand after what they need: one pass from the end finds all that is needed.
fn with_needs(plan: &Plan, mut wanted: Vec<bool>) -> Vec<bool> {
    for task in (0..plan.len()).rev() {
        if wanted[task] {
            plan.needs(task, |needed| wanted[needed] = true);
        }
    }
    wanted
}

fn with_followers(plan: &Plan, mut wanted: Vec<bool>) -> Vec<bool> {
    for task in 0..plan.len() {
        let mut follows = wanted[task];
        plan.needs(task, |needed| follows |= wanted[needed]);
        wanted[task] = follows;
    }
    wanted
}
