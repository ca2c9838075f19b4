//! Tasks: what is to be computed, from what, and under which key.
//!
//! A task is one call of a stage, one batch of null draws of a control, or the joining of null draws to their scores. All are pure
//! functions of parameters, seed and the *contents* of their inputs, so the key is made of exactly those (see `docs/adr/20261124-null-batches.md`).

use crate::program::environment::EnvironmentKind;
use neuroflow_cache::{Digest, KeyEncoder};
use neuroflow_data::Kind;
use neuroflow_stage::{GpuPolicy, SiteAt, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The position of a task in its [`crate::plan::Plan`].
pub type TaskId = usize;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// An output of another task.
    Task {
        /// The task.
        task: TaskId,
        /// The output's name.
        output: String,
    },
    /// Content that is in the cache before the run begins: an input of the pipeline.
    Content {
        /// Its digest.
        digest: Digest,
    },
}

/// One value for a slot of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    /// The stage's input that it fills.
    pub slot: String,
    /// The family member's label; empty for a single value.
    pub label: String,
    /// The kind of the value.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
}

/// One stage call without its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageCall {
    /// The stage's name.
    #[serde(with = "crate::shared")]
    pub stage: Arc<str>,
    /// The stage's version.
    pub version: u32,
    /// Every parameter, defaults filled in.
    #[serde(with = "crate::shared")]
    pub params: Arc<BTreeMap<String, Value>>,
    /// The seed.
    pub seed: u64,
}

/// An input of a link in a chain of calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LinkInput {
    /// A value from outside the chain: a position in the task's arguments.
    Outside(usize),
    /// An output of an earlier link.
    Link {
        /// The earlier link.
        link: usize,
        /// Its output.
        output: String,
    },
}

/// One call of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The call.
    pub call: StageCall,
    /// Slot, label and where the value comes from.
    pub inputs: Vec<(String, String, LinkInput)>,
}

/// Where a control takes hold of the first call of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Site {
    /// The control changes this input before the stage runs.
    Input(String),
    /// The control replaces this parameter.
    Parameter(String),
}

impl From<SiteAt> for Site {
    fn from(site: SiteAt) -> Site {
        match site {
            SiteAt::Input(slot) => Site::Input(slot.to_owned()),
            SiteAt::Parameter(name) => Site::Parameter(name.to_owned()),
        }
    }
}

/// Null draws of a control: the chain of calls from the place where the control takes hold to the scoring step, run once a draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullBatch {
    /// The control, without its number of draws ([`neuroflow_stage::Control::identity`]).
    pub control: Value,
    /// Where it takes hold in the first link.
    pub site: Site,
    /// The calls, the first being the control's site and the last the scoring step.
    #[serde(with = "crate::shared")]
    pub chain: Arc<[Link]>,
    /// The output of the last link that holds the scores.
    pub scores: String,
    /// The seed that draws are derived from.
    pub seed: u64,
    /// The numbers of the draws.
    pub draws: std::ops::Range<u64>,
}

/// A file of the pipeline's folder that a program finds at the same place in its own folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its path below the pipeline's folder, with `/`.
    pub path: String,
    /// Its content, which is in the cache.
    pub content: Digest,
    /// Whether it can be started by itself.
    pub executable: bool,
}

/// An environment by its lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedEnvironment {
    /// As the pipeline's author wrote it, for messages; no part of the key.
    pub written: String,
    /// What installs it.
    pub kind: EnvironmentKind,
    /// The lock and what belongs to it: name and content, the lock first. The names are part of the key, for they are what an installer goes by.
    pub files: Vec<(String, Digest)>,
}

/// A program with its values, without its inputs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExecCall {
    /// The command's template.
    pub template: String,
    /// The file that it writes.
    pub file: String,
    /// The reader of that file.
    pub reader: String,
    /// Values that the template is given.
    #[serde(with = "crate::shared")]
    pub params: Arc<BTreeMap<String, Value>>,
    /// The seed that the program is given.
    pub seed: u64,
    /// Files of the pipeline's folder that it is given.
    pub scripts: Vec<Script>,
    /// The environment that it runs in.
    pub environment: Option<LockedEnvironment>,
    /// Files and folders that it may read beside its own folder; absolute, and no part of the key.
    pub reads: Vec<PathBuf>,
    /// Whether it may use the network; no part of the key.
    pub network: bool,
    /// The pipeline's folder, which it may not read; no part of the key.
    pub home: PathBuf,
    /// Seconds that it may run; no part of the key.
    pub time: Option<f64>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Runs a program.
    Exec(Box<ExecCall>),
    /// Calls a stage.
    Call(StageCall),
    /// Runs null draws.
    Nulls(Box<NullBatch>),
    /// Joins null draws to scores: the first argument are the scores, the others the batches, by control.
    Join {
        /// The controls, in the order written, without their numbers of draws.
        controls: Vec<Value>,
        /// For each further argument, the position of its control.
        batches: Vec<usize>,
    },
}

/// One node of the plan, complete: what an executor needs to know of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What a person calls it: `direction["mrcuts28"]`, or `direction["mrcuts28"] · shuffle 0–9`.
    pub label: String,
    /// The step that it belongs to: the part of the label before `·`.
    pub step: String,
    /// What it does.
    pub work: Work,
    /// Its inputs.
    pub arguments: Vec<Argument>,
    /// The outputs and their kinds, the default first.
    pub outputs: Vec<(String, Kind)>,
    /// The GPU policy.
    pub gpu: GpuPolicy,
    /// Whether its result may be taken from and put into the cache.
    pub cached: bool,
}

/// The version of what the engine itself adds to a result (null batches and joins); raised when that changes.
const ENGINE_WORK_VERSION: u64 = 1;

/// What costs of programs are remembered under.
pub(crate) const EXEC: &str = "exec";
/// What costs of joins are remembered under.
pub(crate) const JOIN: &str = "join";

/// What costs of null draws are remembered under.
pub(crate) fn nulls_cost(control: &Value, stage: &str) -> String {
    let name = match control {
        Value::Call(call) => &call.name,
        Value::Word(word) => word,
        _ => "control",
    };
    format!("{name} of {stage}")
}

impl Task {
    /// The stage that the cost of this task is remembered under.
    pub fn cost_name(&self) -> String {
        match &self.work {
            Work::Exec(_) => EXEC.into(),
            Work::Call(call) => call.stage.to_string(),
            Work::Nulls(batch) => nulls_cost(&batch.control, batch.chain.last().map_or("", |link| &link.call.stage)),
            Work::Join { .. } => JOIN.into(),
        }
    }

    /// The action key, given the content of each argument.
    pub fn key(&self, contents: &[Digest]) -> Digest {
        let mut key = KeyEncoder::new();
        match &self.work {
            Work::Exec(call) => {
                key.text("exec");
                key.uint(ENGINE_WORK_VERSION);
                [&call.template, &call.file, &call.reader].into_iter().for_each(|text| key.text(text));
                key.uint(call.seed);
                key.map(call.params.len());
                for (name, value) in call.params.iter() {
                    key.text(name);
                    encode_value(&mut key, value);
                }
                key.list(call.scripts.len());
                for script in &call.scripts {
                    key.text(&script.path);
                    key.digest(&script.content);
                    key.bool(script.executable);
                }
                key.list(usize::from(call.environment.is_some()));
                if let Some(environment) = &call.environment {
                    key.text(environment.kind.name());
                    key.map(environment.files.len());
                    for (name, content) in &environment.files {
                        key.text(name);
                        key.digest(content);
                    }
                }
            }
            Work::Call(call) => {
                key.text("call");
                encode_call(&mut key, call);
            }
            Work::Nulls(batch) => {
                key.text("nulls");
                key.uint(ENGINE_WORK_VERSION);
                encode_value(&mut key, &batch.control);
                match &batch.site {
                    Site::Input(slot) => ["input", slot].into_iter().for_each(|text| key.text(text)),
                    Site::Parameter(name) => ["parameter", name].into_iter().for_each(|text| key.text(text)),
                }
                key.list(batch.chain.len());
                for link in batch.chain.iter() {
                    encode_call(&mut key, &link.call);
                    key.list(link.inputs.len());
                    for (slot, label, input) in &link.inputs {
                        key.text(slot);
                        key.text(label);
                        match input {
                            LinkInput::Outside(position) => key.uint(*position as u64),
                            LinkInput::Link { link, output } => {
                                key.uint(*link as u64);
                                key.text(output);
                            }
                        }
                    }
                }
                key.text(&batch.scores);
                key.uint(batch.seed);
                key.uint(batch.draws.start);
                key.uint(batch.draws.end);
            }
            Work::Join { controls, batches } => {
                key.text("join");
                key.uint(ENGINE_WORK_VERSION);
                key.list(controls.len());
                controls.iter().for_each(|control| encode_value(&mut key, control));
                key.list(batches.len());
                batches.iter().for_each(|control| key.uint(*control as u64));
            }
        }
        key.list(contents.len());
        for (argument, content) in self.arguments.iter().zip(contents) {
            key.text(&argument.slot);
            key.text(&argument.label);
            key.digest(content);
        }
        key.finish()
    }

    /// The parts of the key in words, for `explain`: kept with the result, and compared field by field.
    pub fn key_fields(&self, contents: &[Digest]) -> serde_json::Value {
        let inputs: serde_json::Map<String, serde_json::Value> = self
            .arguments
            .iter()
            .zip(contents)
            .map(|(argument, content)| {
                let name = if argument.label.is_empty() { argument.slot.clone() } else { format!("{}[{}]", argument.slot, argument.label) };
                (name, serde_json::Value::String(content.to_string()))
            })
            .collect();
        let call_fields = |call: &StageCall| {
            let params: serde_json::Map<String, serde_json::Value> =
                call.params.iter().map(|(name, value)| (name.clone(), serde_json::Value::String(value.to_string()))).collect();
            serde_json::json!({ "stage": *call.stage, "version": call.version, "seed": call.seed, "params": params })
        };
        match &self.work {
            Work::Exec(call) => {
                let params: serde_json::Map<String, serde_json::Value> =
                    call.params.iter().map(|(name, value)| (name.clone(), serde_json::Value::String(value.to_string()))).collect();
                let mut fields = serde_json::json!({
                    "command": call.template, "file": call.file, "reader": call.reader, "seed": call.seed, "params": params, "inputs": inputs,
                });
                if !call.scripts.is_empty() {
                    let scripts =
                        call.scripts.iter().map(|script| (script.path.clone(), serde_json::Value::String(script.content.to_string())));
                    fields["scripts"] = serde_json::Value::Object(scripts.collect());
                }
                if let Some(environment) = &call.environment {
                    let files =
                        environment.files.iter().map(|(name, content)| (name.clone(), serde_json::Value::String(content.to_string())));
                    fields["environment"] = serde_json::Value::Object(files.collect());
                }
                fields
            }
            Work::Call(call) => {
                let mut fields = call_fields(call);
                fields["inputs"] = inputs.into();
                fields
            }
            Work::Nulls(batch) => serde_json::json!({
                "control": batch.control.to_string(),
                "draws": format!("{} .. {}", batch.draws.start, batch.draws.end),
                "seed": batch.seed,
                "chain": batch.chain.iter().map(|link| call_fields(&link.call)).collect::<Vec<_>>(),
                "inputs": inputs,
            }),
            Work::Join { controls, .. } => serde_json::json!({
                "join": controls.iter().map(Value::to_string).collect::<Vec<_>>(),
                "inputs": inputs,
            }),
        }
    }
}

fn encode_call(key: &mut KeyEncoder, call: &StageCall) {
    key.text(&call.stage);
    key.uint(u64::from(call.version));
    key.uint(call.seed);
    key.map(call.params.len());
    for (name, value) in call.params.iter() {
        key.text(name);
        encode_value(key, value);
    }
}

/// A value in the key. A whole number and the same number with a point are the same value wherever a number is meant, so both are encoded as numbers.
fn encode_value(key: &mut KeyEncoder, value: &Value) {
    match value {
        Value::Bool(value) => key.bool(*value),
        Value::Int(value) => {
            key.text("number");
            key.float(*value as f64);
            key.int(*value);
        }
        Value::Number(value) => {
            key.text("number");
            key.float(*value);
            key.int(*value as i64);
        }
        Value::Quantity(quantity) => {
            key.text(quantity.dimension.name());
            key.float(quantity.value);
        }
        Value::Text(text) => {
            key.text("text");
            key.text(text);
        }
        Value::Word(word) => {
            key.text("word");
            key.text(word);
        }
        Value::List(values) => {
            key.list(values.len());
            values.iter().for_each(|value| encode_value(key, value));
        }
        Value::Range(start, end) => {
            key.text("range");
            encode_value(key, start);
            encode_value(key, end);
        }
        Value::Call(call) if call.positional.is_empty() && call.named.is_empty() => encode_value(key, &Value::Word(call.name.clone())),
        Value::Call(call) => {
            key.text("call");
            key.text(&call.name);
            key.list(call.positional.len());
            call.positional.iter().for_each(|value| encode_value(key, value));
            let named: BTreeMap<&str, &Value> = call.named.iter().map(|(name, value)| (name.as_str(), value)).collect();
            key.map(named.len());
            for (name, value) in named {
                key.text(name);
                encode_value(key, value);
            }
        }
    }
}
