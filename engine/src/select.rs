//! Which steps of a plan a person asked for: `--until`, `--only`, `--from`, `--force`.

use crate::plan::Plan;
use crate::task::Task;

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

/// Whether `name` means this task: its step's family, its step, or the task itself.
pub fn is_meant(name: &str, task: &Task) -> bool {
    let family = task.step.strip_prefix(name);
    task.label == name || family.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

impl Selection {
    /// What is to become of each task.
    ///
    /// # Errors
    /// When a step is named that the plan does not have.
    pub fn wishes(&self, plan: &Plan) -> Result<Vec<Wish>, UnknownStep> {
        let (until, only) = (meant(&self.until, plan)?, meant(&self.only, plan)?);
        let (from, force) = (meant(&self.from, plan)?, meant(&self.force, plan)?);
        let everything = self.until.is_empty() && self.only.is_empty();
        let wanted = with_needs(plan, until);
        let needed = with_needs(plan, only.clone());
        let again = with_followers(plan, from);
        let wish = |task: usize| match () {
            () if !(everything || wanted[task] || needed[task]) => Wish::Unasked,
            () if !(everything || wanted[task] || only[task]) => Wish::FromCache,
            () if again[task] || force[task] => Wish::Again,
            () => Wish::Wanted,
        };
        Ok((0..plan.tasks.len()).map(wish).collect())
    }
}

fn meant(names: &[String], plan: &Plan) -> Result<Vec<bool>, UnknownStep> {
    let mut meant = vec![false; plan.tasks.len()];
    for name in names {
        let mut found = false;
        for (_, meant) in plan.tasks.iter().zip(&mut meant).filter(|(task, _)| is_meant(name, task)) {
            (*meant, found) = (true, true);
        }
        if !found {
            let families = plan.tasks.iter().map(|task| task.step.split('[').next().unwrap_or_default());
            let near = neuroflow_stage::nearest(name, families).map(str::to_owned);
            return Err(UnknownStep { name: name.clone(), near });
        }
    }
    Ok(meant)
}

/// Tasks stand after what they need: one pass from the end finds all that is needed.
fn with_needs(plan: &Plan, mut wanted: Vec<bool>) -> Vec<bool> {
    for task in (0..plan.tasks.len()).rev() {
        if wanted[task] {
            plan.tasks[task].needs().for_each(|needed| wanted[needed] = true);
        }
    }
    wanted
}

fn with_followers(plan: &Plan, mut wanted: Vec<bool>) -> Vec<bool> {
    for task in 0..plan.tasks.len() {
        wanted[task] |= plan.tasks[task].needs().any(|needed| wanted[needed]);
    }
    wanted
}
