//! The tasks, as they stand in `tasks.toml`.

use serde::Deserialize;

/// A request and what must hold of the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// Its name.
    pub(crate) id: String,
    /// The request.
    pub(crate) ask: String,
    /// The pipeline that it is about; empty for a folder without one.
    pub(crate) pipeline: String,
    /// What the person answers when they are asked back.
    #[serde(default)]
    pub(crate) answers: Vec<String>,
    /// Whether the pipeline ran before.
    #[serde(default)]
    pub(crate) runs: bool,
    /// What solves it.
    pub(crate) script: Vec<Line>,
    /// What misses the point.
    pub(crate) wrong: Vec<Line>,
    /// What must hold.
    pub(crate) check: Check,
}

/// Something that a scripted model says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) tool: Option<String>,
    pub(crate) arguments: Option<String>,
    pub(crate) text: Option<String>,
}

/// What must hold of an answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Check {
    pub(crate) steps: Vec<StepCheck>,
    pub(crate) has: Vec<String>,
    pub(crate) lacks: Vec<String>,
    pub(crate) stage: Option<String>,
    pub(crate) new_steps: Option<i64>,
    pub(crate) controlled: bool,
    pub(crate) report: Option<String>,
    pub(crate) expects: usize,
    pub(crate) predicts: usize,
    pub(crate) looks: u64,
    pub(crate) asks: bool,
    pub(crate) proposals: Option<usize>,
    pub(crate) says: Vec<String>,
    pub(crate) note: Option<String>,
}

/// What must hold of a step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StepCheck {
    pub(crate) step: String,
    pub(crate) has: Vec<String>,
    pub(crate) lacks: Vec<String>,
}

/// All tasks.
pub(crate) fn all() -> Result<Vec<Task>, String> {
    #[derive(Deserialize)]
    struct File {
        task: Vec<Task>,
    }
    toml::from_str::<File>(include_str!("../tasks.toml")).map(|file| file.task).map_err(|error| format!("tasks.toml: {error}"))
}

/// The text of a pipeline that tasks are about.
pub(crate) fn pipeline(name: &str) -> Result<&'static str, String> {
    match name {
        "decode" => Ok(include_str!("../pipelines/decode.nf")),
        "network" => Ok(include_str!("../pipelines/network.nf")),
        "likeness" => Ok(include_str!("../pipelines/likeness.nf")),
        _ => Err(format!("there is no pipeline `{name}`")),
    }
}
