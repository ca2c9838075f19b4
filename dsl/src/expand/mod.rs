//! Loops unrolled: from a checked pipeline to single steps with values in place of names, as far as is known.
//!
//! The graph grows while it runs: a loop over a column of a step's output, and a branch on a score, are unrolled when that step has run. What was unrolled
//! keeps its place. What members of a family have in common is held once, so that a million of them fit into memory.

mod frames;
mod instance;
mod params;
mod references;

pub use params::Params;

use crate::condition::{self, Blind, Sight, Sighted};
use crate::diagnostics::{Diagnostic, sort};
use crate::evaluate::Scope;
use crate::pipeline::{BlockKind, Branch, ColumnRef, Loop, LoopList, Members, Pipeline, Program, Target};
use crate::policy::Policies;
use frames::Frames;
use instance::Prepared;
use neuroflow_data::{Kind, Score};
use neuroflow_stage::{Registry, Value, nearest};
use references::{Dirs, Missing};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// How many steps a pipeline may become.
pub(crate) const MOST_INSTANCES: usize = 40_000_000;
/// How many mistakes are told of one step: the rest is more of the same.
const MOST_MISTAKES: usize = 10;

/// What is known of a run so far. It may be asked of an instance that was unrolled just now, and of which it has not heard yet.
pub trait Known {
    /// Labels of a Dir input's members.
    fn members(&self, input: usize) -> Vec<String>;
    /// Values of a column of an instance's output, nulls left out; none while that is not computed. An error is told in words: there is no such column, ….
    fn column(&self, instance: usize, output: &str, column: &str) -> Option<Result<Vec<Value>, String>>;
    /// Scores of an instance; none while they are not computed.
    fn scores(&self, instance: usize) -> Option<Vec<Score>>;
}

/// Where an instance's input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An output of another instance.
    Step {
        /// The instance's position.
        step: usize,
        /// The output's name.
        output: Arc<str>,
    },
    /// An input of the pipeline, or one member of it.
    Input {
        /// The input's position in [`Pipeline::inputs`].
        input: usize,
        /// The member, for a Dir.
        member: Option<Arc<str>>,
    },
}

/// One input of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceInput {
    /// The stage's input that it fills.
    pub slot: Arc<str>,
    /// The family member's label; empty for a single value.
    pub label: Arc<str>,
    /// The kind of the value.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
}

/// One step with all values known.
#[derive(Debug, Clone, PartialEq)]
pub struct StepInstance {
    /// The step's name.
    pub name: Arc<str>,
    /// The values of the loops around it, outermost first, as labels.
    pub members: Members,
    /// The position of its declaration in [`Pipeline::steps`].
    pub decl: usize,
    /// The stage that it calls; `exec` for a program.
    pub stage: Arc<str>,
    /// The program, for `exec`.
    pub program: Option<Arc<Program>>,
    /// Every parameter, defaults filled in.
    pub params: Params,
    /// Its inputs.
    pub inputs: Vec<InstanceInput>,
    /// How it runs.
    pub policies: Arc<Policies>,
}

impl StepInstance {
    /// What a person calls it: `direction["mrcuts28"]`.
    pub fn label(&self) -> String {
        let indices: String = self.members.iter().map(|member| format!("[\"{member}\"]")).collect();
        format!("{}{indices}", self.name)
    }
}

/// A pipeline as far as it is unrolled. Positions never change; growth only appends, each instance after those that it needs.
#[derive(Debug)]
pub struct Expansion {
    /// The steps.
    pub instances: Vec<StepInstance>,
    /// Declarations, each after those that it needs.
    order: Vec<usize>,
    blocks: Vec<Frames>,
    steps: Vec<Unrolled>,
    dirs: Dirs,
    /// The label of a single value.
    empty: Arc<str>,
    waiting: BTreeSet<usize>,
    round: usize,
    complete: bool,
}

/// What was made of one declaration.
#[derive(Debug, Default)]
struct Unrolled {
    prepared: Option<Prepared>,
    /// For each frame of its block, the position of the instance, or one of the two below.
    positions: Vec<u32>,
    /// Frames that were tried and have to wait.
    pending: Vec<u32>,
    mistakes: usize,
}

/// Not made yet.
const WAITS: u32 = u32::MAX;
/// Not made because of a mistake, which was told.
const WRONG: u32 = u32::MAX - 1;

/// Why something can't be unrolled.
enum Stop {
    /// It has to wait.
    Wait,
    /// It is wrong.
    Wrong(Vec<Diagnostic>),
    /// What it needs is wrong, and was told of.
    Follows,
}

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Stop {
        Stop::Wrong(vec![diagnostic])
    }
}

impl Expansion {
    /// Nothing unrolled yet.
    pub fn new(pipeline: &Pipeline) -> Expansion {
        let mut blocks: Vec<Frames> = pipeline.blocks.iter().map(|_| Frames::default()).collect();
        if let Some(file) = blocks.first_mut() {
            *file = Frames::file();
        }
        Expansion {
            instances: Vec::new(),
            order: order(pipeline),
            blocks,
            steps: pipeline.steps.iter().map(|_| Unrolled::default()).collect(),
            dirs: Dirs::default(),
            empty: "".into(),
            waiting: BTreeSet::new(),
            round: 0,
            complete: false,
        }
    }

    /// Unrolls everything that can be unrolled with what is known now; gives the range of new instances. The pipeline must be the same each time.
    /// Takes time for what is new and for what waits, so a caller that has several results calls it once.
    ///
    /// # Errors
    /// What only shows when loops are unrolled: an index that no member has, a parameter that is wrong for one value of a loop, a column that is not there.
    pub fn grow(&mut self, pipeline: &Pipeline, stages: &Registry, known: &dyn Known) -> Result<Range<usize>, Vec<Diagnostic>> {
        let start = self.instances.len();
        self.round += 1;
        self.waiting.clear();
        let mut mistakes = Vec::new();
        for at in 0..self.order.len() {
            let decl = self.order[at];
            let block = pipeline.steps[decl].block;
            self.open(pipeline, known, block, &mut mistakes);
            let frames = self.blocks[block].len();
            let state = &mut self.steps[decl];
            let mut frames_to_try = std::mem::take(&mut state.pending);
            frames_to_try.extend(state.positions.len() as u32..frames as u32);
            state.positions.resize(frames, WAITS);
            self.instances.reserve(frames_to_try.len());
            for frame in frames_to_try {
                if self.instances.len() >= MOST_INSTANCES {
                    let message = format!("the loops make more than {MOST_INSTANCES} steps");
                    mistakes.push(Diagnostic::error("bad-loop", pipeline.steps[decl].span.clone(), message));
                    return Err(told(pipeline, mistakes));
                }
                let position = match self.make(pipeline, stages, known, decl, frame) {
                    Ok(instance) => {
                        self.instances.push(instance);
                        (self.instances.len() - 1) as u32
                    }
                    Err(Stop::Wait) => {
                        self.steps[decl].pending.push(frame);
                        WAITS
                    }
                    Err(Stop::Follows) => WRONG,
                    Err(Stop::Wrong(told)) => {
                        self.steps[decl].mistakes += 1;
                        if self.steps[decl].mistakes <= MOST_MISTAKES {
                            mistakes.extend(told);
                        }
                        WRONG
                    }
                };
                self.steps[decl].positions[frame as usize] = position;
            }
        }
        if !mistakes.is_empty() {
            return Err(told(pipeline, mistakes));
        }
        self.complete = self.order.iter().all(|&decl| self.is_unrolled(pipeline, decl));
        Ok(start..self.instances.len())
    }

    /// Instances whose outputs or scores something waits for: when one of them is done, [`Expansion::grow`] finds more.
    pub fn waits_for(&self) -> &BTreeSet<usize> {
        &self.waiting
    }

    /// Whether everything is unrolled.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The instances of a declaration, as far as they are unrolled.
    pub fn of(&self, decl: usize) -> impl Iterator<Item = usize> + '_ {
        let positions = self.steps.get(decl).map_or(&[][..], |state| &state.positions);
        positions.iter().filter(|position| **position < WRONG).map(|position| *position as usize)
    }

    /// Whether all instances of a declaration are unrolled.
    pub fn is_unrolled(&self, pipeline: &Pipeline, decl: usize) -> bool {
        let (block, state) = (&self.blocks[pipeline.steps[decl].block], &self.steps[decl]);
        block.complete && state.pending.is_empty() && state.positions.len() == block.len()
    }

    /// Unrolls a block and those around it, as far as lists and conditions are known.
    fn open(&mut self, pipeline: &Pipeline, known: &dyn Known, block: usize, mistakes: &mut Vec<Diagnostic>) {
        if self.blocks[block].complete || self.blocks[block].round == self.round {
            return;
        }
        self.blocks[block].round = self.round;
        let parent = pipeline.blocks[block].parent;
        self.open(pipeline, known, parent, mistakes);
        let outer = self.blocks[parent].len();
        for frame in self.blocks[block].take_untried(outer) {
            let start = self.blocks[block].len() as u32;
            let opened = match &pipeline.blocks[block].kind {
                BlockKind::File => Ok(()),
                BlockKind::Loop(around) => self.open_loop(pipeline, known, block, around, parent, frame),
                BlockKind::Branch(branch) => self.decide(pipeline, known, branch, parent, frame).map(|taken| {
                    if taken {
                        let labels = Arc::clone(&self.blocks[parent].labels[frame as usize]);
                        self.blocks[block].parents.push(frame);
                        self.blocks[block].labels.push(labels);
                    }
                }),
            };
            match opened {
                Ok(()) => self.blocks[block].close(frame, start),
                Err(Stop::Wait) => self.blocks[block].pending.push(frame),
                Err(Stop::Follows) => self.blocks[block].close(frame, start),
                Err(Stop::Wrong(told)) => {
                    self.blocks[block].close(frame, start);
                    mistakes.extend(told);
                }
            }
        }
        self.blocks[block].complete = self.blocks[parent].complete && self.blocks[block].pending.is_empty();
    }

    fn open_loop(
        &mut self,
        pipeline: &Pipeline,
        known: &dyn Known,
        block: usize,
        around: &Loop,
        parent: usize,
        frame: u32,
    ) -> Result<(), Stop> {
        let outer = Arc::clone(&self.blocks[parent].labels[frame as usize]);
        let add = |frames: &mut Frames, label: Arc<str>| {
            frames.parents.push(frame);
            frames.labels.push(outer.iter().cloned().chain([label]).collect());
        };
        match &around.list {
            LoopList::Values(values) => {
                for value in values.iter() {
                    add(&mut self.blocks[block], label_of(value));
                }
            }
            LoopList::Numbers(numbers) => {
                for number in numbers.clone() {
                    add(&mut self.blocks[block], number.to_string().into());
                }
            }
            LoopList::Members(input) => {
                for label in self.dirs.of(*input, known).labels() {
                    add(&mut self.blocks[block], Arc::clone(label));
                }
            }
            LoopList::Column(column) => {
                let values = self.column(pipeline, known, column, parent, frame)?;
                let mut seen: HashSet<Arc<str>> = HashSet::new();
                for value in values {
                    let label = label_of(&value);
                    if seen.insert(Arc::clone(&label)) {
                        add(&mut self.blocks[block], label);
                        self.blocks[block].values.push(value);
                    }
                }
            }
        }
        Ok(())
    }

    fn column(&mut self, pipeline: &Pipeline, known: &dyn Known, column: &ColumnRef, block: usize, frame: u32) -> Result<Vec<Value>, Stop> {
        let Target::Step(step) = column.reference.target else { return Ok(Vec::new()) };
        let fixed = self.indices(pipeline, &column.reference, block, frame)?;
        if !fixed.is_empty() {
            self.index(pipeline, step);
        }
        let found = self.find(pipeline, step, block, frame, &fixed)?;
        if found.is_empty() {
            return Err(self.no_member(pipeline, step, &column.reference, &fixed).into());
        }
        let [instance] = found.as_slice() else {
            let message = format!("a column of one result is looped over, `{}` is a family here", pipeline.steps[step].name.text);
            return Err(Diagnostic::error("bad-loop", column.reference.span.clone(), message).into());
        };
        let output = pipeline.output_of(&column.reference);
        match known.column(*instance as usize, &output, &column.column.text) {
            None => {
                self.waiting.insert(*instance as usize);
                Err(Stop::Wait)
            }
            Some(Err(reason)) => Err(Diagnostic::error("bad-loop", column.column.span.clone(), reason).into()),
            Some(Ok(values)) => Ok(values),
        }
    }

    /// Whether a branch is taken.
    fn decide(&mut self, pipeline: &Pipeline, known: &dyn Known, branch: &Branch, block: usize, frame: u32) -> Result<bool, Stop> {
        for step in &branch.steps {
            self.index(pipeline, *step);
        }
        let unseen = RefCell::new(BTreeSet::new());
        let view = View { expansion: self, pipeline, known, block, frame, unseen: &unseen };
        let decided = condition::decide_with(&branch.condition, pipeline, &view);
        self.waiting.extend(unseen.into_inner());
        match decided {
            Ok(outcome) => Ok(outcome.holds == branch.when),
            Err(Blind::NotYet) => Err(Stop::Wait),
            Err(Blind::Follows) => Err(Stop::Follows),
            // Of steps whose own branch was not taken nothing holds.
            Err(Blind::NotMade(_)) => Ok(!branch.when),
            Err(Blind::Wrong(reason)) => {
                let message = format!("this condition can't be decided: {reason}");
                Err(Diagnostic::error("unknown-metric", branch.condition.span.clone(), message).into())
            }
        }
    }

    /// What names mean in a frame.
    fn scope<'p>(&self, pipeline: &'p Pipeline, block: usize, frame: u32) -> Scope<'p> {
        let mut found = Vec::new();
        let (mut block, mut frame) = (block, frame);
        while block != 0 {
            let frames = &self.blocks[block];
            if let BlockKind::Loop(around) = &pipeline.blocks[block].kind {
                let value = match &around.list {
                    LoopList::Values(values) => values.get(frames.place(frame)).cloned(),
                    LoopList::Numbers(numbers) => Some(Value::Int(numbers.start + frames.place(frame) as i64)),
                    LoopList::Members(_) => frames.labels[frame as usize].last().map(|label| Value::Text((**label).to_owned())),
                    LoopList::Column(_) => frames.values.get(frame as usize).cloned(),
                };
                found.extend(value.map(|value| (around.variable.text.as_str(), value)));
            }
            frame = frames.parents[frame as usize];
            block = pipeline.blocks[block].parent;
        }
        let mut scope = pipeline.scope();
        found.into_iter().rev().for_each(|(name, value)| scope.add(name, value));
        scope
    }
}

/// What the condition of a branch sees: the scores of the members that its frame names.
struct View<'v> {
    expansion: &'v Expansion,
    pipeline: &'v Pipeline,
    known: &'v dyn Known,
    block: usize,
    frame: u32,
    unseen: &'v RefCell<BTreeSet<usize>>,
}

impl Sight for View<'_> {
    fn scope(&self) -> Scope<'_> {
        self.expansion.scope(self.pipeline, self.block, self.frame)
    }

    fn look(&self, step: usize, indices: &[Option<String>]) -> Result<Sighted, Blind> {
        let fixed: Vec<Option<Arc<str>>> = indices.iter().map(|index| index.as_deref().map(Arc::from)).collect();
        let found = self.expansion.find(self.pipeline, step, self.block, self.frame, &fixed).map_err(|missing| match missing {
            Missing::NotYet => Blind::NotYet,
            Missing::Follows => Blind::Follows,
        })?;
        let mut members = Vec::new();
        let mut complete = true;
        for position in found {
            let position = position as usize;
            match self.known.scores(position) {
                Some(scores) => members.push((Arc::clone(&self.expansion.instances[position].members), scores)),
                None => {
                    complete = false;
                    self.unseen.borrow_mut().insert(position);
                }
            }
        }
        let target = self.pipeline.steps[step].block;
        let single = if indices.is_empty() {
            self.pipeline.common(self.block, target) == target
        } else {
            indices.iter().all(Option::is_some) && indices.len() == self.pipeline.loops(step)
        };
        if complete { Ok(Sighted { members, single }) } else { Err(Blind::NotYet) }
    }
}

/// Declarations in an order in which each comes after those that it needs; otherwise as in the file.
fn order(pipeline: &Pipeline) -> Vec<usize> {
    let count = pipeline.steps.len();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut missing = vec![0usize; count];
    for (step, missing) in missing.iter_mut().enumerate() {
        for need in pipeline.after(step) {
            followers[need].push(step);
            *missing += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..count).filter(|&step| missing[step] == 0).map(Reverse).collect();
    // A cycle was refused by the checker; should one be left, its steps are left out.
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(step)) = ready.pop() {
        order.push(step);
        for &follower in &followers[step] {
            missing[follower] -= 1;
            if missing[follower] == 0 {
                ready.push(Reverse(follower));
            }
        }
    }
    order
}

fn told(pipeline: &Pipeline, mut mistakes: Vec<Diagnostic>) -> Vec<Diagnostic> {
    pipeline.places.settle(&mut mistakes);
    sort(&mut mistakes);
    mistakes
}

/// What a value is called as a member.
pub(crate) fn label_of(value: &Value) -> Arc<str> {
    match value {
        Value::Text(text) | Value::Word(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

fn suggestion<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(wanted, known).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests;
