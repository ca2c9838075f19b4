//! Tasks: what is to be computed, from what, and under which key.
//!
//! A task is one call of a stage, one batch of null draws of a control, or the joining of null draws to their scores. All are pure
//! functions of parameters, seed and the *contents* of their inputs, so the key is made of exactly those (see `docs/adr/20261124-null-batches.md`).

use neuroflow_cache::{Digest, KeyEncoder};
use neuroflow_data::Kind;
use neuroflow_stage::{Control, SiteAt, Value};
use std::collections::BTreeMap;

/// The position of a task in its [`crate::plan::Plan`].
pub type TaskId = usize;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        /// Its kind.
        kind: Kind,
    },
}

/// One value for a slot of a call.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct StageCall {
    /// The stage's name.
    pub stage: String,
    /// The stage's version.
    pub version: u32,
    /// Every parameter, defaults filled in.
    pub params: BTreeMap<String, Value>,
    /// The seed.
    pub seed: u64,
}

/// An input of a link in a chain of calls.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The call.
    pub call: StageCall,
    /// Slot, label and where the value comes from.
    pub inputs: Vec<(String, String, LinkInput)>,
}

/// Null draws of a control: the chain of calls from the place where the control takes hold to the scoring step, run once a draw.
#[derive(Debug, Clone, PartialEq)]
pub struct NullBatch {
    /// The control.
    pub control: Control,
    /// Where it takes hold in the first link.
    pub site: SiteAt,
    /// The calls, the first being the control's site and the last the scoring step.
    pub chain: Vec<Link>,
    /// The output of the last link that holds the scores.
    pub scores: String,
    /// The seed that draws are derived from.
    pub seed: u64,
    /// The numbers of the draws.
    pub draws: std::ops::Range<u64>,
}

/// A program with its values, without its inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecCall {
    /// The command's template.
    pub template: String,
    /// The file that it writes.
    pub file: String,
    /// The reader of that file.
    pub reader: String,
    /// Values that the template is given.
    pub params: BTreeMap<String, Value>,
    /// The seed that the program is given.
    pub seed: u64,
    /// Seconds that it may run; no part of the key.
    pub time: Option<f64>,
    /// How often it is started again when it fails; no part of the key.
    pub retries: u64,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Runs a program.
    Exec(Box<ExecCall>),
    /// Calls a stage.
    Call(StageCall),
    /// Runs null draws.
    Nulls(Box<NullBatch>),
    /// Joins null draws to scores: the first argument are the scores, the others the batches, by control.
    Join {
        /// The controls, in the order written.
        controls: Vec<Control>,
        /// For each further argument, the position of its control.
        batches: Vec<usize>,
    },
}

/// One node of the plan.
#[derive(Debug, Clone, PartialEq)]
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
    /// Cores that it may use.
    pub cores: usize,
    /// The GPU policy.
    pub gpu: neuroflow_stage::GpuPolicy,
    /// Whether its result may be taken from and put into the cache.
    pub cached: bool,
}

/// The version of what the engine itself adds to a result (null batches and joins); raised when that changes.
const ENGINE_WORK_VERSION: u64 = 1;

impl Task {
    /// The tasks that must be done before.
    pub fn needs(&self) -> impl Iterator<Item = TaskId> {
        self.arguments.iter().filter_map(|argument| match argument.source {
            Source::Task { task, .. } => Some(task),
            Source::Content { .. } => None,
        })
    }

    /// The stage that the cost of this task is remembered under.
    pub fn cost_name(&self) -> String {
        match &self.work {
            Work::Exec(_) => "exec".into(),
            Work::Call(call) => call.stage.clone(),
            Work::Nulls(batch) => {
                format!("{} of {}", batch.control.name(), batch.chain.last().map_or("", |link| link.call.stage.as_str()))
            }
            Work::Join { .. } => "join".into(),
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
                for (name, value) in &call.params {
                    key.text(name);
                    encode_value(&mut key, value);
                }
            }
            Work::Call(call) => {
                key.text("call");
                encode_call(&mut key, call);
            }
            Work::Nulls(batch) => {
                key.text("nulls");
                key.uint(ENGINE_WORK_VERSION);
                encode_value(&mut key, &batch.control.identity());
                match batch.site {
                    SiteAt::Input(slot) => ["input", slot].into_iter().for_each(|text| key.text(text)),
                    SiteAt::Parameter(name) => ["parameter", name].into_iter().for_each(|text| key.text(text)),
                }
                key.list(batch.chain.len());
                for link in &batch.chain {
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
                controls.iter().for_each(|control| encode_value(&mut key, &control.identity()));
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
            serde_json::json!({ "stage": call.stage, "version": call.version, "seed": call.seed, "params": params })
        };
        match &self.work {
            Work::Exec(call) => {
                let params: serde_json::Map<String, serde_json::Value> =
                    call.params.iter().map(|(name, value)| (name.clone(), serde_json::Value::String(value.to_string()))).collect();
                serde_json::json!({
                    "command": call.template, "file": call.file, "reader": call.reader, "seed": call.seed, "params": params, "inputs": inputs,
                })
            }
            Work::Call(call) => {
                let mut fields = call_fields(call);
                fields["inputs"] = inputs.into();
                fields
            }
            Work::Nulls(batch) => serde_json::json!({
                "control": batch.control.identity().to_string(),
                "draws": format!("{} .. {}", batch.draws.start, batch.draws.end),
                "seed": batch.seed,
                "chain": batch.chain.iter().map(|link| call_fields(&link.call)).collect::<Vec<_>>(),
                "inputs": inputs,
            }),
            Work::Join { controls, .. } => serde_json::json!({
                "join": controls.iter().map(|control| control.identity().to_string()).collect::<Vec<_>>(),
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
    for (name, value) in &call.params {
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
