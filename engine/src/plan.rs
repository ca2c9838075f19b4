//! From steps to tasks: controls become batches of null draws and a join, and every task knows how long the way to the end is.
//!
//! A run may hold millions of tasks, so a plan keeps a few bytes of each (which step, which part of it) and makes the [`Task`] when it is asked for. A plan
//! only grows: what has a number keeps it, which lets steps be added while the run goes on.

use crate::chain::NullChain;
use crate::files::ProjectFiles;
use crate::schedule::equip;
use crate::select::{Selection, UnknownStep, Wish};
use crate::task::{Argument, EXEC, ExecCall, JOIN, NullBatch, Source, StageCall, Task, TaskId, Work, nulls_cost};
use neuroflow_cache::{Cache, Digest};
use neuroflow_data::Kind;
use neuroflow_dsl::check::program_signature;
use neuroflow_dsl::expand::{self, Expansion, InstanceInput, Known, StepInstance};
use neuroflow_dsl::{Diagnostic, Pipeline, Policies};
use neuroflow_stage::{GpuPolicy, OutputSpec, Registry, Signature, Value};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Null draws a batch: small enough to spread over cores and to lose little when a run is killed, large enough that storing a batch costs nothing beside it.
pub const DRAWS_PER_BATCH: u64 = 10;

/// The content of an input of the pipeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputContent {
    /// What was taken, in words: `file S001R03.edf`.
    pub taken: String,
    /// The content as a whole.
    pub whole: Option<Digest>,
    /// The file as it came, where queries read of it only what they need.
    pub raw: Option<Digest>,
    /// The members of a folder, by label.
    pub members: HashMap<String, Digest>,
}

/// What a step declares, shared by all of its members.
pub(crate) struct Declared {
    pub(crate) signature: Signature,
    pub(crate) stage: Arc<str>,
    pub(crate) outputs: Vec<(String, Kind)>,
    /// The position of the scores among the outputs.
    pub(crate) scores: Option<usize>,
    cost: u32,
}

/// The tasks of one step.
#[derive(Clone, Copy)]
struct StepTasks {
    decl: u32,
    call: u32,
    /// The join of its controls; [`NONE`] without controls.
    join: u32,
    /// Its program among those of the plan; [`NONE`] for a stage.
    program: u32,
}

const NONE: u32 = u32::MAX;

/// Which part of its step a task is.
#[derive(Clone, Copy)]
enum Part {
    Call,
    /// A batch of draws of the chain at this position.
    Nulls {
        chain: u32,
        start: u32,
        end: u32,
    },
    Join,
}

#[derive(Clone, Copy)]
struct Entry {
    step: u32,
    cost: u32,
    part: Part,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Origin {
    Content(Digest),
    /// The output at this position of a task.
    Task(TaskId, usize),
}

/// Tasks in an order in which each comes after what it needs.
pub struct Plan {
    expansion: Expansion,
    inputs: Vec<InputContent>,
    /// Whether controls are on.
    controls: bool,
    /// By declaration.
    declared: BTreeMap<usize, Arc<Declared>>,
    /// Programs: what members of a step with the same policies share.
    programs: Vec<ExecCall>,
    /// Where these are, by the addresses of the program and the policies, which instances keep alive.
    program_places: HashMap<(usize, usize), u32>,
    steps: Vec<StepTasks>,
    entries: Vec<Entry>,
    chains: Vec<NullChain>,
    cost_names: Vec<String>,
    costs: BTreeMap<String, f64>,
    priorities: Vec<u64>,
    selection: Selection,
    /// What is to become of each task; empty when everything is wanted.
    wishes: Vec<Wish>,
}

/// Why steps can't become tasks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The pipeline is wrong, which shows only now.
    #[error("{}", said(.0))]
    Pipeline(Vec<Diagnostic>),
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
    /// More tasks than have numbers.
    #[error("the pipeline has more than {NONE} tasks; run it in parts")]
    TooLarge,
}

fn said(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; ")
}

impl Plan {
    /// An empty plan. `inputs` are the contents of the pipeline's inputs, in their order; without `controls` no null draws are planned, for drafts.
    pub fn new(pipeline: &Pipeline, inputs: Vec<InputContent>, controls: bool) -> Plan {
        Plan {
            expansion: Expansion::new(pipeline),
            inputs,
            controls,
            declared: BTreeMap::new(),
            programs: Vec::new(),
            program_places: HashMap::new(),
            steps: Vec::new(),
            entries: Vec::new(),
            chains: Vec::new(),
            cost_names: Vec::new(),
            costs: BTreeMap::new(),
            priorities: Vec::new(),
            selection: Selection::default(),
            wishes: Vec::new(),
        }
    }

    /// Adds all steps that can be known now, and their tasks. Gives the numbers of the new tasks.
    ///
    /// # Errors
    /// When the pipeline turns out wrong, or a control can't take hold; see [`PlanError`].
    pub fn grow(&mut self, pipeline: &Pipeline, registry: &Registry, known: &dyn PlanKnown) -> Result<Range<TaskId>, PlanError> {
        let (first_task, first_step) = (self.entries.len(), self.steps.len());
        let knowing = Knowing { inputs: &self.inputs, steps: &self.steps, declared: &self.declared, known };
        self.expansion.grow(pipeline, registry, &knowing).map_err(PlanError::Pipeline)?;
        for step in first_step..self.expansion.instances.len() {
            let declared = self.declare(pipeline, registry, step)?;
            self.require_contents(pipeline, step)?;
            let program = self.program(pipeline, step, known)?;
            self.add_call(step, &declared, program)?;
            if self.controls && !self.instance(step).policies.controls.is_empty() {
                self.add_controls(step, &declared)?;
            }
        }
        self.prioritise(first_task);
        if self.wishes.len() < self.entries.len() && !self.selection.is_everything() {
            self.wishes = self.selection.wishes(self);
        }
        Ok(first_task..self.entries.len())
    }

    /// Steps (by position) on whose results something waits that is not yet planned.
    pub fn waits_for(&self) -> &std::collections::BTreeSet<usize> {
        self.expansion.waits_for()
    }

    /// Whether all steps are planned.
    pub fn is_complete(&self) -> bool {
        self.expansion.is_complete()
    }

    /// Whether more members of a step may be planned when more is known.
    pub(crate) fn may_grow(&self, pipeline: &Pipeline, step: &str) -> bool {
        pipeline.steps.iter().position(|known| known.name.text == step).is_some_and(|decl| !self.expansion.is_unrolled(pipeline, decl))
    }

    /// What was asked for by a name that no step turned out to have.
    ///
    /// # Errors
    /// The first such name.
    pub fn check_selection(&self, pipeline: &Pipeline) -> Result<(), UnknownStep> {
        self.selection.check(self, pipeline)
    }

    /// Names of steps of which nothing is planned yet.
    pub fn later<'p>(&self, pipeline: &'p Pipeline) -> Vec<&'p str> {
        if self.is_complete() {
            return Vec::new();
        }
        let missing = pipeline.steps.iter().enumerate().filter(|(decl, _)| !self.declared.contains_key(decl));
        missing.map(|(_, step)| step.name.text.as_str()).collect()
    }

    /// All steps so far, each after those that it needs.
    pub fn instances(&self) -> &[StepInstance] {
        &self.expansion.instances
    }

    /// The number of tasks so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no tasks.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in what tasks cost in earlier runs (milliseconds by [`Task::cost_name`]), for the order of tasks.
    pub fn estimate(&mut self, costs: BTreeMap<String, f64>) {
        self.costs = costs;
        self.prioritise(0);
    }

    /// What such a task took before, in milliseconds.
    pub fn expected_ms(&self, task: TaskId) -> Option<f64> {
        self.costs.get(self.cost_name(task)).copied()
    }

    /// Takes in which steps a person asked for.
    ///
    /// # Errors
    /// When a step is named that the pipeline does not have; then nothing is changed.
    pub fn select(&mut self, selection: &Selection, pipeline: &Pipeline) -> Result<(), UnknownStep> {
        selection.check(self, pipeline)?;
        self.selection = selection.clone();
        self.wishes = if selection.is_everything() { Vec::new() } else { selection.wishes(self) };
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

    /// The position of the step that a task belongs to.
    pub fn step_of(&self, task: TaskId) -> usize {
        self.entries.get(task).map_or(0, |entry| entry.step as usize)
    }

    /// What costs of a task are remembered under; see [`Task::cost_name`].
    pub fn cost_name(&self, task: TaskId) -> &str {
        self.entries.get(task).and_then(|entry| self.cost_names.get(entry.cost as usize)).map_or("", String::as_str)
    }

    /// What a person calls a task.
    pub fn label(&self, task: TaskId) -> String {
        let Some(entry) = self.entries.get(task) else { return String::new() };
        let step = self.instance(entry.step as usize).label();
        match entry.part {
            Part::Call => step,
            Part::Join => format!("{step} · controls"),
            Part::Nulls { chain, start, end } => {
                let chain = &self.chains[chain as usize];
                let span = if chain.draws == 1 { String::new() } else { format!(" {start}–{}", end - 1) };
                format!("{step} · {}{span}", chain.name)
            }
        }
    }

    /// The name of the control whose null draws a task makes.
    pub fn control_name(&self, task: TaskId) -> Option<&str> {
        match self.entries.get(task)?.part {
            Part::Nulls { chain, .. } => Some(&self.chains[chain as usize].name),
            _ => None,
        }
    }

    /// Whether a task joins null draws to the scores of its step.
    pub fn is_join(&self, task: TaskId) -> bool {
        self.entries.get(task).is_some_and(|entry| matches!(entry.part, Part::Join))
    }

    /// The outputs of a task and their kinds.
    pub fn outputs(&self, task: TaskId) -> &[(String, Kind)] {
        let Some(entry) = self.entries.get(task) else { return &[] };
        match entry.part {
            Part::Call => self.declared_of(entry.step as usize).map_or(&[], |declared| &declared.outputs),
            Part::Join => &self.fixed().join,
            Part::Nulls { .. } => &self.fixed().nulls,
        }
    }

    /// Where the value of a step's output is: the step's own task, or the join of its controls, and the position among the outputs of that task.
    pub fn place(&self, step: usize, output: &str) -> Option<(TaskId, usize)> {
        let tasks = self.steps.get(step)?;
        let declared = self.declared_of(step)?;
        let position = declared.outputs.iter().position(|(name, _)| name == output)?;
        let joined = declared.scores == Some(position) && tasks.join != NONE;
        Some(if joined { (tasks.join as usize, 0) } else { (tasks.call as usize, position) })
    }

    /// The tasks that a step's results come from: its call, and the join of its controls.
    pub fn tasks_of(&self, step: usize) -> impl Iterator<Item = TaskId> {
        let tasks = self.steps.get(step).copied();
        tasks.into_iter().flat_map(|tasks| [tasks.call, tasks.join]).filter(|task| *task != NONE).map(|task| task as usize)
    }

    /// Calls `told` with each task that must be done before, possibly several times with the same.
    pub fn needs(&self, task: TaskId, mut told: impl FnMut(TaskId)) {
        self.arguments(task, &mut |_, _, _, origin| {
            if let Origin::Task(needed, _) = origin {
                told(needed);
            }
        });
    }

    /// The content of each argument, when `content` knows it.
    pub(crate) fn contents(&self, task: TaskId, content: impl Fn(TaskId, usize) -> Option<Digest>) -> Option<Vec<Digest>> {
        let mut contents = Vec::new();
        let mut known = true;
        self.arguments(task, &mut |_, _, _, origin| match origin {
            Origin::Content(digest) => contents.push(digest),
            Origin::Task(task, position) => match content(task, position) {
                Some(digest) => contents.push(digest),
                None => known = false,
            },
        });
        known.then_some(contents)
    }

    /// A task, complete.
    pub fn task(&self, id: TaskId) -> Task {
        let entry = self.entries[id];
        let step = self.instance(entry.step as usize);
        let mut arguments = Vec::new();
        self.arguments(id, &mut |slot, label, kind, origin| {
            let source = match origin {
                Origin::Content(digest) => Source::Content { digest },
                Origin::Task(task, position) => {
                    Source::Task { task, output: self.outputs(task).get(position).map(|(name, _)| name.clone()).unwrap_or_default() }
                }
            };
            arguments.push(Argument { slot: slot.to_owned(), label: label.to_owned(), kind, source });
        });
        let (work, gpu) = match entry.part {
            Part::Call => (self.call(entry.step as usize), step.policies.gpu),
            Part::Nulls { chain, start, end } => {
                let chain = &self.chains[chain as usize];
                let batch = NullBatch {
                    control: chain.control.clone(),
                    site: chain.site.clone(),
                    chain: Arc::clone(&chain.links),
                    scores: chain.scores.clone(),
                    seed: step.policies.seed,
                    draws: u64::from(start)..u64::from(end),
                };
                (Work::Nulls(Box::new(batch)), step.policies.gpu)
            }
            Part::Join => {
                let controls = step.policies.controls.iter().map(neuroflow_stage::Control::identity).collect();
                (
                    Work::Join { controls, batches: self.batches(id, entry.step as usize).map(|(control, _, _)| control).collect() },
                    GpuPolicy::Never,
                )
            }
        };
        Task {
            label: self.label(id),
            step: step.label(),
            work,
            arguments,
            outputs: self.outputs(id).to_vec(),
            gpu,
            cached: step.policies.cached,
        }
    }

    fn call(&self, step: usize) -> Work {
        let instance = self.instance(step);
        if let Some(program) = self.steps.get(step).and_then(|tasks| self.programs.get(tasks.program as usize)) {
            let call = ExecCall { params: Arc::new(instance.params.to_map()), seed: instance.policies.seed, ..program.clone() };
            return Work::Exec(Box::new(call));
        }
        match self.declared_of(step) {
            Some(declared) => Work::Call(call_of(instance, declared)),
            None => Work::Call(StageCall { stage: Arc::clone(&instance.stage), version: 0, params: Arc::default(), seed: 0 }),
        }
    }

    pub(crate) fn instance(&self, step: usize) -> &StepInstance {
        &self.expansion.instances[step]
    }

    pub(crate) fn declared_of(&self, step: usize) -> Option<&Declared> {
        let decl = self.expansion.instances.get(step)?.decl;
        self.declared.get(&decl).map(Arc::as_ref)
    }

    fn fixed(&self) -> &'static Fixed {
        static FIXED: std::sync::LazyLock<Fixed> =
            std::sync::LazyLock::new(|| Fixed { join: vec![("scores".into(), Kind::Scores)], nulls: vec![("nulls".into(), Kind::Table)] });
        &FIXED
    }

    /// The batches before a join: control, first draw, task.
    fn batches(&self, join: TaskId, step: usize) -> impl Iterator<Item = (usize, u32, TaskId)> {
        let call = self.steps[step].call as usize;
        (call + 1..join).filter_map(|task| match self.entries[task].part {
            Part::Nulls { chain, start, .. } => Some((self.chains[chain as usize].number, start, task)),
            _ => None,
        })
    }

    /// Calls `told` with slot, label, kind and origin of each argument of a task, in order.
    fn arguments(&self, task: TaskId, told: &mut dyn FnMut(&str, &str, Kind, Origin)) {
        let Some(entry) = self.entries.get(task) else { return };
        let step = entry.step as usize;
        match entry.part {
            Part::Call => {
                for input in &self.instance(step).inputs {
                    let (kind, origin) = self.given(step, input);
                    told(&input.slot, &input.label, kind, origin);
                }
            }
            // The slot in the key is the position, so that the same content under other names is the same question.
            Part::Nulls { chain, .. } => {
                for (kind, origin) in &self.chains[chain as usize].outside {
                    told("outside", "", *kind, *origin);
                }
            }
            Part::Join => {
                let scores = self.declared_of(step).and_then(|declared| declared.scores).unwrap_or(0);
                told("scores", "", Kind::Scores, Origin::Task(self.steps[step].call as usize, scores));
                for (control, start, batch) in self.batches(task, step) {
                    told("nulls", &format!("{control}.{start}"), Kind::Table, Origin::Task(batch, 0));
                }
            }
        }
    }

    /// What a step is given for an input, and where it comes from. The contents of inputs were found before the step was added.
    pub(crate) fn given(&self, step: usize, input: &InstanceInput) -> (Kind, Origin) {
        match &input.source {
            expand::Source::Step { step, output } => {
                let (task, position) = self.place(*step, output).unwrap_or((0, usize::MAX));
                (input.kind, Origin::Task(task, position))
            }
            expand::Source::Input { input: of, member } => {
                let (kind, digest) = self.content(step, input, *of, member.as_deref()).unwrap_or((input.kind, Digest::from_bytes([0; 32])));
                (kind, Origin::Content(digest))
            }
        }
    }

    fn content(&self, step: usize, input: &InstanceInput, of: usize, member: Option<&str>) -> Option<(Kind, Digest)> {
        let content = self.inputs.get(of)?;
        let whole = match member {
            Some(member) => content.members.get(member).copied(),
            None => match content.raw {
                Some(raw) if self.declared_of(step)?.signature.reads_files(&input.slot) => return Some((Kind::File, raw)),
                _ => content.whole,
            },
        };
        whole.map(|digest| (input.kind, digest))
    }

    /// The file, or member of a family of files, that a step of ours reads, in words; none when it takes results of others only.
    pub(crate) fn file_read(&self, step: usize) -> Option<String> {
        let instance = self.instance(step);
        let of_files = |input: &&InstanceInput| matches!(input.kind, Kind::File | Kind::Dir);
        instance.inputs.iter().filter(of_files).find_map(|input| match &input.source {
            expand::Source::Input { input: of, member } => {
                let taken = &self.inputs.get(*of)?.taken;
                Some(member.as_ref().map_or_else(|| taken.clone(), |member| format!("{taken}, `{}`", member.escape_debug())))
            }
            expand::Source::Step { .. } => None,
        })
    }

    fn require_contents(&self, pipeline: &Pipeline, step: usize) -> Result<(), PlanError> {
        for input in &self.instance(step).inputs {
            if let expand::Source::Input { input: of, member } = &input.source
                && self.content(step, input, *of, member.as_deref()).is_none()
            {
                let name = &pipeline.inputs[*of].name;
                let message = format!("`{}` is used as a whole here; name one of its files, `{}[\"…\"]`", name.text, name.text);
                return Err(PlanError::Pipeline(vec![Diagnostic::error("type-mismatch", name.span.clone(), message)]));
            }
        }
        Ok(())
    }

    fn declare(&mut self, pipeline: &Pipeline, registry: &Registry, step: usize) -> Result<Arc<Declared>, PlanError> {
        let decl = self.instance(step).decl;
        if let Some(known) = self.declared.get(&decl) {
            return Ok(Arc::clone(known));
        }
        let instance = self.instance(step);
        let stage = instance.stage.to_string();
        let program = instance.program.is_some();
        let kind = pipeline.steps.get(decl).and_then(|step| step.outputs.first()).map(|(_, kind)| *kind);
        let signature = match (registry.get(&stage), kind) {
            (_, Some(kind)) if program => program_signature(kind),
            (Some(stage), _) => stage.signature(),
            (None, _) => return Err(PlanError::UnknownStage { step: instance.label(), stage }),
        };
        let cost = self.cost(if program { EXEC.to_owned() } else { stage.clone() });
        // An output that is like an input has the kind that the checker found.
        let found = pipeline.steps.get(decl).map_or(&[][..], |step| step.outputs.as_slice());
        let kind_of =
            |output: &OutputSpec| found.iter().find(|(name, _)| output.like.is_some() && *name == output.name).map(|(_, kind)| *kind);
        let outputs: Vec<(String, Kind)> =
            signature.outputs.iter().map(|output| (output.name.to_owned(), kind_of(output).unwrap_or(output.kind))).collect();
        let scores = outputs.iter().position(|(_, kind)| *kind == Kind::Scores);
        let declared = Arc::new(Declared { signature, stage: Arc::from(stage), outputs, scores, cost });
        self.declared.insert(decl, Arc::clone(&declared));
        Ok(declared)
    }

    /// The position of a step's program; [`NONE`] for a stage.
    fn program(&mut self, pipeline: &Pipeline, step: usize, known: &dyn PlanKnown) -> Result<u32, PlanError> {
        let instance = self.instance(step);
        let Some(program) = &instance.program else { return Ok(NONE) };
        let policies = &instance.policies;
        let place = (Arc::as_ptr(program) as usize, Arc::as_ptr(policies) as usize);
        if let Some(known) = self.program_places.get(&place) {
            return Ok(*known);
        }
        let mut call = ExecCall {
            template: program.template.clone(),
            file: program.file.clone(),
            reader: program.reader.clone(),
            network: policies.network,
            time: policies.time,
            ..ExecCall::default()
        };
        known.equip(&mut call, policies).map_err(|reason| {
            let span = pipeline.steps.get(instance.decl).map(|step| step.span.clone()).unwrap_or_default();
            PlanError::Pipeline(vec![Diagnostic::error("bad-exec", span, reason)])
        })?;
        let position = self.programs.len() as u32;
        self.programs.push(call);
        self.program_places.insert(place, position);
        Ok(position)
    }

    fn cost(&mut self, name: String) -> u32 {
        let known = self.cost_names.iter().position(|known| *known == name);
        known.unwrap_or_else(|| {
            self.cost_names.push(name);
            self.cost_names.len() - 1
        }) as u32
    }

    fn add(&mut self, entry: Entry) -> Result<u32, PlanError> {
        let task = u32::try_from(self.entries.len()).ok().filter(|task| *task != NONE).ok_or(PlanError::TooLarge)?;
        self.entries.push(entry);
        Ok(task)
    }

    fn add_call(&mut self, step: usize, declared: &Declared, program: u32) -> Result<(), PlanError> {
        let number = u32::try_from(step).map_err(|_| PlanError::TooLarge)?;
        let decl = self.instance(step).decl as u32;
        let call = self.add(Entry { step: number, cost: declared.cost, part: Part::Call })?;
        self.steps.push(StepTasks { decl, call, join: NONE, program });
        Ok(())
    }

    fn add_controls(&mut self, step: usize, declared: &Declared) -> Result<(), PlanError> {
        let instance = self.instance(step);
        let Some(scores) = declared.scores.and_then(|position| declared.outputs.get(position)).map(|(name, _)| name.clone()) else {
            return Err(PlanError::NothingToControl { step: instance.label(), stage: declared.stage.to_string() });
        };
        let controls = instance.policies.controls.clone();
        for (number, control) in controls.iter().enumerate() {
            let chain = NullChain::new(self, step, number, control, &scores)?;
            let cost = self.cost(nulls_cost(&chain.control, &declared.stage));
            let position = self.chains.len() as u32;
            let draws = u32::try_from(chain.draws).map_err(|_| PlanError::TooLarge)?;
            self.chains.push(chain);
            let mut start = 0;
            while start < draws {
                let end = start.saturating_add(DRAWS_PER_BATCH as u32).min(draws);
                self.add(Entry { step: step as u32, cost, part: Part::Nulls { chain: position, start, end } })?;
                start = end;
            }
        }
        let cost = self.cost(JOIN.to_owned());
        self.steps[step].join = self.add(Entry { step: step as u32, cost, part: Part::Join })?;
        Ok(())
    }

    /// The longest ways from the tasks from `first` on. Tasks stand after what they need, so one pass from the end finds them.
    fn prioritise(&mut self, first: TaskId) {
        let own: Vec<u64> = self.cost_names.iter().map(|name| self.costs.get(name).map_or(1000, |ms| (ms * 1e3).max(1.0) as u64)).collect();
        let mut longest = std::mem::take(&mut self.priorities);
        longest.truncate(first);
        longest.extend(self.entries[first..].iter().map(|entry| own[entry.cost as usize]));
        for task in (first..self.entries.len()).rev() {
            let way = longest[task];
            self.needs(task, |needed| {
                let own = own[self.entries[needed].cost as usize];
                longest[needed] = longest[needed].max(own.saturating_add(way));
            });
        }
        self.priorities = longest;
    }
}

struct Fixed {
    join: Vec<(String, Kind)>,
    nulls: Vec<(String, Kind)>,
}

pub(crate) fn call_of(instance: &StepInstance, declared: &Declared) -> StageCall {
    StageCall {
        stage: Arc::clone(&declared.stage),
        version: declared.signature.version,
        params: Arc::new(instance.params.to_map()),
        seed: instance.policies.seed,
    }
}

/// What a run has found out so far.
pub trait PlanKnown {
    /// The values of a column in a task's output; none while it is not computed. An error is told in words.
    fn column(&self, task: TaskId, output: usize, column: &str) -> Option<Result<Vec<Value>, String>>;
    /// The scores that a task gave; none while it is not computed.
    fn scores(&self, task: TaskId) -> Option<Vec<neuroflow_data::Score>>;
    /// Gives a program what its policies say that it needs: scripts, an environment, what it may read. An error is told in words.
    fn equip(&self, call: &mut ExecCall, policies: &Policies) -> Result<(), String>;
}

/// Before anything ran.
pub(crate) struct NothingKnown<'a> {
    pub(crate) files: &'a ProjectFiles,
    pub(crate) cache: &'a Cache,
}

impl PlanKnown for NothingKnown<'_> {
    fn column(&self, _task: TaskId, _output: usize, _column: &str) -> Option<Result<Vec<Value>, String>> {
        None
    }

    fn scores(&self, _task: TaskId) -> Option<Vec<neuroflow_data::Score>> {
        None
    }

    fn equip(&self, call: &mut ExecCall, policies: &Policies) -> Result<(), String> {
        equip(self.files, self.cache, call, policies)
    }
}

/// Steps in place of tasks.
struct Knowing<'a> {
    inputs: &'a [InputContent],
    steps: &'a [StepTasks],
    declared: &'a BTreeMap<usize, Arc<Declared>>,
    known: &'a dyn PlanKnown,
}

impl Known for Knowing<'_> {
    fn members(&self, input: usize) -> Vec<String> {
        let mut members: Vec<String> = self.inputs.get(input).into_iter().flat_map(|content| content.members.keys().cloned()).collect();
        members.sort();
        members
    }

    fn column(&self, instance: usize, output: &str, column: &str) -> Option<Result<Vec<Value>, String>> {
        let tasks = self.steps.get(instance)?;
        let declared = self.declared.get(&(tasks.decl as usize))?;
        let position = declared.outputs.iter().position(|(name, _)| name == output)?;
        self.known.column(tasks.call as usize, position, column)
    }

    fn scores(&self, instance: usize) -> Option<Vec<neuroflow_data::Score>> {
        let tasks = self.steps.get(instance)?;
        self.known.scores(if tasks.join == NONE { tasks.call } else { tasks.join } as usize)
    }
}
