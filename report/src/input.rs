//! What a report is made from: plain values that the caller fills in.

use neuroflow_data::Artifact;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It ran.
    Ran,
    /// Its result was in the cache.
    Cached,
    /// It failed.
    Failed,
    /// It did not run.
    Skipped,
    /// It runs.
    Running,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Ran => "ran",
            State::Cached => "cached",
            State::Failed => "failed",
            State::Skipped => "not run",
            State::Running => "runs",
        }
    }
}

/// A fact of the header: a name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The name: `commit`, `command`, ….
    pub name: String,
    /// The value.
    pub value: String,
}

/// One node of the drawn graph: a step, or a family of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct DagNode {
    /// The step's name.
    pub name: String,
    /// The stage that it calls, or the reader of an input.
    pub stage: String,
    /// How many steps it stands for.
    pub count: usize,
    /// The positions of the nodes that it needs.
    pub needs: Vec<usize>,
    /// Milliseconds in all, null draws included.
    pub wall_ms: f64,
    /// Tasks that ran, and tasks that were cached.
    pub ran_cached: (usize, usize),
    /// How it ended.
    pub state: State,
    /// How far it is, in words, while it is not done.
    pub progress: Option<String>,
}

/// An `expect` line and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The condition as written.
    pub condition: String,
    /// The message as written.
    pub message: String,
    /// The numbers.
    pub numbers: String,
    /// Whether it holds; none when the run ended before that could be said.
    pub holds: Option<bool>,
}

/// An output of a step that the report shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownArtifact {
    /// The output's name.
    pub output: String,
    /// Its value.
    pub artifact: Artifact,
}

/// A step that the report names.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownStep {
    /// The step's name without family index: `direction`.
    pub name: String,
    /// The family index, such as `mrcuts28`; none for a single step.
    pub member: Option<String>,
    /// The stage.
    pub stage: String,
    /// The stage's summary, one sentence.
    pub summary: String,
    /// Its outputs, the default first.
    pub artifacts: Vec<ShownArtifact>,
    /// Outputs that are not on the page, each with how it is taken out.
    pub elsewhere: Vec<String>,
}

/// What became of a step in a run, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The step's name without family index.
    pub step: String,
    /// The family index.
    pub member: Option<String>,
    /// The stage.
    pub stage: String,
    /// How it ended.
    pub state: State,
    /// Milliseconds in this run, null draws included.
    pub wall_ms: f64,
    /// Why it ran, or where its result comes from: `folds: 8 → 10`, `run 20261130-070347-0a1b2c3 made it`.
    pub why: Vec<String>,
    /// What its result is made with: version, seed, parameters, contents of inputs.
    pub made_with: Vec<(String, String)>,
}

/// Everything on the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The headline.
    pub title: String,
    /// What stands above everything else, such as that the data are simulated.
    pub notices: Vec<String>,
    /// The header: commit, data, versions, command.
    pub facts: Vec<Fact>,
    /// The graph.
    pub dag: Vec<DagNode>,
    /// Every step of the run, in the order of the plan.
    pub work: Vec<Work>,
    /// How many steps are not in `work` because they are too many.
    pub work_left_out: usize,
    /// The expectations.
    pub expectations: Vec<Expectation>,
    /// The steps, in the order of the report line.
    pub steps: Vec<ShownStep>,
}
