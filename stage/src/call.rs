//! The stage trait, and its object-safe form that the engine calls.

use crate::context::Context;
use crate::control::Control;
use crate::error::StageError;
use crate::params::Params;
use crate::signature::Signature;
use crate::value::Value;
use neuroflow_data::{Artifact, Scores, Typed};
use std::collections::BTreeMap;

/// The inputs of one call, by slot.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    slots: BTreeMap<String, Vec<(String, Artifact)>>,
}

impl Inputs {
    /// No inputs.
    pub fn new() -> Inputs {
        Inputs::default()
    }

    /// Adds an artifact to a slot. `label` is the family member's name (`mrcuts28`), or empty for a single value.
    pub fn push(&mut self, slot: &str, label: &str, artifact: Artifact) {
        self.slots.entry(slot.to_owned()).or_default().push((label.to_owned(), artifact));
    }

    /// The same inputs with one artifact in a slot replaced by what `change` makes of it.
    ///
    /// # Errors
    /// What `change` answers.
    pub fn change(&mut self, slot: &str, mut change: impl FnMut(&Artifact) -> Result<Artifact, StageError>) -> Result<(), StageError> {
        for (_, artifact) in self.slots.get_mut(slot).into_iter().flatten() {
            *artifact = change(artifact)?;
        }
        Ok(())
    }

    /// A required single input as its type.
    ///
    /// # Errors
    /// When the slot is empty (a bug of the engine) or the artifact is of another kind.
    pub fn one<T: Typed>(&self, slot: &str) -> Result<T, StageError> {
        self.optional(slot)?.ok_or_else(|| StageError::Bug(format!("input `{slot}` was not given")))
    }

    /// An optional single input as its type.
    ///
    /// # Errors
    /// When the artifact is of another kind.
    pub fn optional<T: Typed>(&self, slot: &str) -> Result<Option<T>, StageError> {
        match self.artifact(slot) {
            Some(artifact) => Ok(Some(T::from_artifact(artifact)?)),
            None => Ok(None),
        }
    }

    /// A family of inputs as their type, with the members' labels.
    ///
    /// # Errors
    /// When an artifact is of another kind.
    pub fn many<T: Typed>(&self, slot: &str) -> Result<Vec<(String, T)>, StageError> {
        self.slots.get(slot).into_iter().flatten().map(|(label, artifact)| Ok((label.clone(), T::from_artifact(artifact)?))).collect()
    }

    /// The first artifact of a slot, for stages that accept several kinds.
    pub fn artifact(&self, slot: &str) -> Option<&Artifact> {
        self.slots.get(slot).and_then(|members| members.first()).map(|(_, artifact)| artifact)
    }

    /// All artifacts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Artifact)> {
        self.slots.iter().flat_map(|(slot, members)| members.iter().map(move |(label, artifact)| (slot.as_str(), label.as_str(), artifact)))
    }
}

/// The outputs of one call, by name.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    artifacts: BTreeMap<String, Artifact>,
}

impl Outputs {
    /// No outputs.
    pub fn new() -> Outputs {
        Outputs::default()
    }

    /// Adds an output. Its name must be one of the signature's.
    ///
    /// # Errors
    /// When the value can't become an artifact.
    pub fn with<T: Typed>(mut self, name: &str, value: T) -> Result<Outputs, StageError> {
        self.artifacts.insert(name.to_owned(), value.into_artifact()?);
        Ok(self)
    }

    /// Adds an output that is an artifact already.
    #[must_use]
    pub fn with_artifact(mut self, name: &str, artifact: Artifact) -> Outputs {
        self.artifacts.insert(name.to_owned(), artifact);
        self
    }

    /// An output by name.
    pub fn get(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.get(name)
    }

    /// An output as its type.
    ///
    /// # Errors
    /// When there is no such output or it is of another kind.
    pub fn one<T: Typed>(&self, name: &str) -> Result<T, StageError> {
        let artifact = self.get(name).ok_or_else(|| StageError::Bug(format!("output `{name}` is missing")))?;
        Ok(T::from_artifact(artifact)?)
    }

    /// All outputs, by name.
    pub fn into_artifacts(self) -> BTreeMap<String, Artifact> {
        self.artifacts
    }
}

/// Null draws of a control that changes one input, to be scored together.
#[derive(Debug, Clone, Copy)]
pub struct Draws<'a> {
    /// The control.
    pub control: &'a Control,
    /// The input that it changes; it holds one artifact.
    pub slot: &'a str,
    /// The seed of each draw: draw `k` is the input changed by [`Control::change`] with `seeds[k]`.
    pub seeds: &'a [u64],
}

/// One analysis.
pub trait Stage: Send + Sync + 'static {
    /// Its parameters.
    type Params: Params;

    /// What it declares; `params` is filled in from [`Stage::Params`] and may be left empty.
    fn signature(&self) -> Signature;

    /// The analysis: a pure function of inputs, parameters and the context's seed.
    ///
    /// # Errors
    /// When inputs or parameters do not allow the analysis, or it was cancelled.
    fn run(&self, inputs: &Inputs, params: &Self::Params, context: &Context) -> Result<Outputs, StageError>;

    /// The scores of many null draws at once, for a stage that can reuse what a draw does not change; none when it has nothing to reuse, and the draws
    /// are run one by one.
    ///
    /// What it gives for a draw must be what [`Stage::run`] gives, with the same context, for the changed input: the same metrics with the same values.
    /// `inputs` hold the input as it was before the control.
    ///
    /// # Errors
    /// As [`Stage::run`] of one of the draws.
    fn run_draws(
        &self,
        _inputs: &Inputs,
        _params: &Self::Params,
        _draws: &Draws<'_>,
        _context: &Context,
    ) -> Result<Option<Vec<Scores>>, StageError> {
        Ok(None)
    }
}

/// A stage of any parameter type.
pub trait AnyStage: Send + Sync {
    /// The stage's name.
    fn name(&self) -> &'static str;

    /// What it declares, parameters included.
    fn signature(&self) -> Signature;

    /// Runs it. Parameters that are not given have their defaults.
    ///
    /// # Errors
    /// As [`Stage::run`]; and when a parameter is unknown, missing or has a wrong value.
    fn run(&self, inputs: &Inputs, params: &BTreeMap<String, Value>, context: &Context) -> Result<Outputs, StageError>;

    /// As [`Stage::run_draws`], one table of scores for each seed.
    ///
    /// # Errors
    /// As [`AnyStage::run`].
    fn run_draws(
        &self,
        _inputs: &Inputs,
        _params: &BTreeMap<String, Value>,
        _draws: &Draws<'_>,
        _context: &Context,
    ) -> Result<Option<Vec<Scores>>, StageError> {
        Ok(None)
    }
}

impl<S: Stage> AnyStage for S {
    fn name(&self) -> &'static str {
        Stage::signature(self).name
    }

    fn signature(&self) -> Signature {
        Signature { params: S::Params::specs(), ..Stage::signature(self) }
    }

    fn run(&self, inputs: &Inputs, params: &BTreeMap<String, Value>, context: &Context) -> Result<Outputs, StageError> {
        let typed = S::Params::from_values(params).map_err(StageError::refused)?;
        let outputs = Stage::run(self, inputs, &typed, context)?;
        inherit(self.name(), inputs, outputs)
    }

    fn run_draws(
        &self,
        inputs: &Inputs,
        params: &BTreeMap<String, Value>,
        draws: &Draws<'_>,
        context: &Context,
    ) -> Result<Option<Vec<Scores>>, StageError> {
        let typed = S::Params::from_values(params).map_err(StageError::refused)?;
        let scores = Stage::run_draws(self, inputs, &typed, draws, context)?;
        match scores {
            Some(scores) if scores.len() != draws.seeds.len() => {
                Err(StageError::Bug(format!("`{}` scored {} of {} draws", self.name(), scores.len(), draws.seeds.len())))
            }
            scores => Ok(scores),
        }
    }
}

/// Outputs say which stage made them, and inherit their inputs' sources, so that "simulated" is never lost on the way.
fn inherit(name: &str, inputs: &Inputs, outputs: Outputs) -> Result<Outputs, StageError> {
    let mut artifacts = BTreeMap::new();
    for (slot, artifact) in outputs.artifacts {
        let mut meta = artifact.meta().clone();
        meta.made_by = Some(name.to_owned());
        for (_, _, input) in inputs.iter() {
            meta.sources.extend(input.meta().sources.iter().cloned());
        }
        artifacts.insert(slot, artifact.with_meta(meta));
    }
    Ok(Outputs { artifacts })
}
