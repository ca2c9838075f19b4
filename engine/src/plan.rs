//! From steps to tasks: controls become batches of null draws and a join, and every task knows how long the way to the end is.

use crate::select::{Selection, UnknownStep, Wish};
use crate::task::{Argument, ExecCall, Link, LinkInput, NullBatch, Source, StageCall, Task, TaskId, Work};
use neuroflow_data::Kind;
use neuroflow_dsl::check::program_signature;
use neuroflow_stage::{Control, GpuPolicy, Registry, Signature, SiteAt, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Null draws a batch: small enough to spread over cores and to lose little when a run is killed, large enough that storing a batch costs nothing beside it.
pub const DRAWS_PER_BATCH: u64 = 10;

/// One step of the pipeline after loops are unrolled and inputs are found.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name with the family index: `direction["mrcuts28"]`.
    pub label: String,
    /// The stage that it calls; `exec` for a program.
    pub stage: String,
    /// The program, for `exec`: its call, and the kind of its output.
    pub program: Option<(ExecCall, Kind)>,
    /// Every parameter, defaults filled in.
    pub params: BTreeMap<String, Value>,
    /// Its inputs.
    pub inputs: Vec<StepInput>,
    /// `with seed`.
    pub seed: u64,
    /// `with control`.
    pub controls: Vec<Control>,
    /// `with cores`.
    pub cores: usize,
    /// `with gpu`.
    pub gpu: GpuPolicy,
    /// `with cache`; false for `off`.
    pub cached: bool,
}

/// One input of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepInput {
    /// The stage's input that it fills.
    pub slot: String,
    /// The family member's label; empty for a single value.
    pub label: String,
    /// The kind of the value.
    pub kind: Kind,
    /// Where it comes from.
    pub from: From,
}

/// Where a step's input comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// Another step's output.
    Step {
        /// The step's position.
        step: usize,
        /// The output's name.
        output: String,
    },
    /// Content found before the run.
    Content(neuroflow_cache::Digest),
}

/// Tasks in an order in which each comes after what it needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// For each step, by output, where its value is: the step's own task, or the join of its controls.
    pub results: Vec<BTreeMap<String, (TaskId, String)>>,
    priorities: Vec<u64>,
    /// What is to become of each task; empty when everything is wanted.
    wishes: Vec<Wish>,
}

/// Why steps can't become tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A step names a stage that is not registered.
    #[error("step `{step}` calls the unknown stage `{stage}`")]
    UnknownStage {
        /// The step.
        step: String,
        /// The stage.
        stage: String,
    },
    /// A control is asked for on a step that gives no scores.
    #[error("step `{step}`: `{stage}` gives no scores, so a control has nothing to compare; remove `control`")]
    NothingToControl {
        /// The step.
        step: String,
        /// The stage.
        stage: String,
    },
    /// No stage on the way to the step is a place where the control takes hold.
    #[error("step `{step}`: the control `{control}` takes hold nowhere on the way to `{stage}`; possible here: {possible}")]
    NoSite {
        /// The step.
        step: String,
        /// Its stage.
        stage: String,
        /// The control.
        control: String,
        /// Controls that would work, or `none`.
        possible: String,
    },
}

impl Plan {
    /// Makes tasks of steps. `steps` must be in an order in which each comes after those that it needs; `controls` switches controls off for drafts.
    ///
    /// # Errors
    /// When a control can't take hold; see [`PlanError`].
    pub fn new(steps: &[Step], registry: &Registry, controls: bool) -> Result<Plan, PlanError> {
        let signatures = steps
            .iter()
            .map(|step| {
                if let Some((_, kind)) = &step.program {
                    return Ok(program_signature(*kind));
                }
                let stage = registry.get(&step.stage);
                stage
                    .map(|stage| stage.signature())
                    .ok_or_else(|| PlanError::UnknownStage { step: step.label.clone(), stage: step.stage.clone() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut plan = Plan::default();
        for (position, step) in steps.iter().enumerate() {
            plan.add_call(step, &signatures[position]);
            if controls && !step.controls.is_empty() {
                plan.add_controls(steps, &signatures, position)?;
            }
        }
        plan.priorities = priorities(&plan.tasks, &BTreeMap::new());
        Ok(plan)
    }

    /// Takes in what tasks cost in earlier runs (milliseconds by [`Task::cost_name`]), for the order of tasks.
    pub fn estimate(&mut self, costs: &BTreeMap<String, f64>) {
        self.priorities = priorities(&self.tasks, costs);
    }

    /// Takes in which steps a person asked for.
    ///
    /// # Errors
    /// When a step is named that the plan does not have; then nothing is changed.
    pub fn select(&mut self, selection: &Selection) -> Result<(), UnknownStep> {
        self.wishes = selection.wishes(self)?;
        Ok(())
    }

    /// What is to become of a task.
    pub fn wish(&self, task: TaskId) -> Wish {
        self.wishes.get(task).copied().unwrap_or_default()
    }

    /// How urgent a task is: the length of the longest way from its beginning to the end of the plan, in estimated microseconds.
    pub fn priority(&self, task: TaskId) -> u64 {
        self.priorities.get(task).copied().unwrap_or(0)
    }

    fn argument(&self, input: &StepInput) -> Argument {
        let source = match &input.from {
            From::Content(digest) => Source::Content { digest: *digest, kind: input.kind },
            From::Step { step, output } => {
                let (task, output) = self.results[*step].get(output).cloned().unwrap_or((0, output.clone()));
                Source::Task { task, output }
            }
        };
        Argument { slot: input.slot.clone(), label: input.label.clone(), kind: input.kind, source }
    }

    fn add_call(&mut self, step: &Step, signature: &Signature) {
        let task = self.tasks.len();
        let outputs: Vec<(String, Kind)> = signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect();
        self.results.push(outputs.iter().map(|(name, _)| (name.clone(), (task, name.clone()))).collect());
        self.tasks.push(Task {
            label: step.label.clone(),
            step: step.label.clone(),
            work: match &step.program {
                Some((call, _)) => Work::Exec(Box::new(call.clone())),
                None => Work::Call(call_of(step, signature)),
            },
            arguments: step.inputs.iter().map(|input| self.argument(input)).collect(),
            outputs,
            cores: step.cores,
            gpu: step.gpu,
            cached: step.cached,
        });
    }

    fn add_controls(&mut self, steps: &[Step], signatures: &[Signature], position: usize) -> Result<(), PlanError> {
        let step = &steps[position];
        let Some(scores) = signatures[position].scores() else {
            return Err(PlanError::NothingToControl { step: step.label.clone(), stage: step.stage.clone() });
        };
        let base = self.argument(&StepInput {
            slot: "scores".into(),
            label: String::new(),
            kind: Kind::Scores,
            from: From::Step { step: position, output: scores.name.to_owned() },
        });
        let mut arguments = vec![base];
        let mut batches = Vec::new();
        for (number, control) in step.controls.iter().enumerate() {
            let Some((site_step, site)) = find_site(steps, signatures, position, control) else {
                return Err(PlanError::NoSite {
                    step: step.label.clone(),
                    stage: step.stage.clone(),
                    control: control.name().to_owned(),
                    possible: possible_controls(steps, signatures, position),
                });
            };
            let (chain, outside) = self.chain(steps, signatures, site_step, position);
            let draws = control.draws();
            let mut start = 0;
            while start < draws {
                let end = (start + DRAWS_PER_BATCH).min(draws);
                let span = if draws == 1 { String::new() } else { format!(" {start}–{}", end - 1) };
                batches.push(number);
                arguments.push(Argument {
                    slot: "nulls".into(),
                    label: format!("{number}.{start}"),
                    kind: Kind::Table,
                    source: Source::Task { task: self.tasks.len(), output: "nulls".into() },
                });
                self.tasks.push(Task {
                    label: format!("{} · {}{span}", step.label, control.name()),
                    step: step.label.clone(),
                    work: Work::Nulls(Box::new(NullBatch {
                        control: control.clone(),
                        site,
                        chain: chain.clone(),
                        scores: scores.name.to_owned(),
                        seed: step.seed,
                        draws: start..end,
                    })),
                    arguments: outside.clone(),
                    outputs: vec![("nulls".into(), Kind::Table)],
                    cores: 1,
                    gpu: step.gpu,
                    cached: step.cached,
                });
                start = end;
            }
        }
        let join = self.tasks.len();
        self.tasks.push(Task {
            label: format!("{} · controls", step.label),
            step: step.label.clone(),
            work: Work::Join { controls: step.controls.clone(), batches },
            arguments,
            outputs: vec![("scores".into(), Kind::Scores)],
            cores: 1,
            gpu: GpuPolicy::Never,
            cached: step.cached,
        });
        self.results[position].insert(scores.name.to_owned(), (join, "scores".into()));
        Ok(())
    }

    /// The calls from the site to the scoring step, and the arguments from outside of them.
    fn chain(&self, steps: &[Step], signatures: &[Signature], site: usize, end: usize) -> (Vec<Link>, Vec<Argument>) {
        let members = between(steps, site, end);
        let order: Vec<usize> = members.iter().copied().collect();
        let mut outside: Vec<Argument> = Vec::new();
        let chain = order
            .iter()
            .map(|&member| {
                let inputs = steps[member]
                    .inputs
                    .iter()
                    .map(|input| {
                        let from = match &input.from {
                            From::Step { step, output } if members.contains(step) => {
                                let link = order.iter().position(|other| other == step).unwrap_or(0);
                                LinkInput::Link { link, output: output.clone() }
                            }
                            _ => {
                                // The slot in the key is the position, so that the same content under other names is the same question.
                                let argument = Argument { slot: "outside".into(), label: String::new(), ..self.argument(input) };
                                let place = outside.iter().position(|known| *known == argument).unwrap_or_else(|| {
                                    outside.push(argument);
                                    outside.len() - 1
                                });
                                LinkInput::Outside(place)
                            }
                        };
                        (input.slot.clone(), input.label.clone(), from)
                    })
                    .collect();
                Link { call: call_of(&steps[member], &signatures[member]), inputs }
            })
            .collect();
        (chain, outside)
    }
}

fn call_of(step: &Step, signature: &Signature) -> StageCall {
    StageCall { stage: step.stage.clone(), version: signature.version, params: step.params.clone(), seed: step.seed }
}

/// The nearest step at or above `end` that is a site of the control; among equally near ones the first.
fn find_site(steps: &[Step], signatures: &[Signature], end: usize, control: &Control) -> Option<(usize, SiteAt)> {
    let mut level = BTreeSet::from([end]);
    while !level.is_empty() {
        for &step in &level {
            if let Some(site) = signatures[step].site(control.name()).filter(|site| control.fits(*site)) {
                return Some((step, site));
            }
        }
        // A control is not carried through a program: it would run once a draw.
        level = level.iter().filter(|&&step| steps[step].program.is_none()).flat_map(|&step| parents(&steps[step])).collect();
    }
    None
}

fn possible_controls(steps: &[Step], signatures: &[Signature], end: usize) -> String {
    let mut names = BTreeSet::new();
    let mut level = BTreeSet::from([end]);
    while !level.is_empty() {
        names.extend(level.iter().flat_map(|&step| signatures[step].sites.iter().map(|site| site.control)));
        level = level.iter().flat_map(|&step| parents(&steps[step])).collect();
    }
    if names.is_empty() { "none".into() } else { names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") }
}

fn parents(step: &Step) -> impl Iterator<Item = usize> + '_ {
    step.inputs.iter().filter_map(|input| match &input.from {
        From::Step { step, .. } => Some(*step),
        From::Content(_) => None,
    })
}

/// All steps on a way from `site` to `end`, both included.
fn between(steps: &[Step], site: usize, end: usize) -> BTreeSet<usize> {
    let mut members = BTreeSet::from([site]);
    // Steps come after what they need, so one pass upwards finds everything that follows from the site.
    for (position, step) in steps.iter().enumerate().take(end + 1).skip(site + 1) {
        if parents(step).any(|parent| members.contains(&parent)) {
            members.insert(position);
        }
    }
    // Of these, only what leads to the end.
    let mut wanted = BTreeSet::from([end]);
    for &step in members.iter().rev() {
        if wanted.contains(&step) {
            wanted.extend(parents(&steps[step]).filter(|parent| members.contains(parent)));
        }
    }
    wanted
}

fn priorities(tasks: &[Task], costs: &BTreeMap<String, f64>) -> Vec<u64> {
    let own = |task: &Task| costs.get(&task.cost_name()).map_or(1000, |ms| (ms * 1e3).max(1.0) as u64);
    let mut longest: Vec<u64> = tasks.iter().map(own).collect();
    for id in (0..tasks.len()).rev() {
        let way = longest[id];
        for needed in tasks[id].needs().collect::<BTreeSet<_>>() {
            longest[needed] = longest[needed].max(own(&tasks[needed]) + way);
        }
    }
    longest
}
