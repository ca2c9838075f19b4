//! Features and calls for tests.

use crate::golden;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Features, Table, Tensor, Typed, columns};
use neuroflow_stage::{AnyStage, Context, Inputs, Outputs, StageError, Value};
use std::collections::BTreeMap;

/// Features `[stimulus × feature]` of given values, a direction for each stimulus.
pub(crate) fn features_of(rows: usize, values: Vec<f64>) -> Features {
    let cols = values.len() / rows;
    let axes = vec![Axis::count("stimulus", rows), Axis::count("feature", cols)];
    let stimuli = Table::from_columns(vec![columns::from_numbers("direction", (0..rows).map(|row| row as f64).collect())]).unwrap();
    Features::new(Tensor::new(axes, None, values).unwrap(), stimuli).unwrap()
}

/// Normal features of a seed with noise of their own added; constant ones when the noise is not a number.
pub(crate) fn features(seed: u64, rows: usize, cols: usize, noise: f64) -> Features {
    let (mut stream, mut own) = (Stream::new(seed), Stream::new(seed + 1000));
    let value = |_| if noise.is_nan() { 0.7 } else { stream.normal() + noise * own.normal() };
    features_of(rows, (0..rows * cols).map(value).collect())
}

/// The two inputs of a golden case of subspaces.
pub(crate) fn golden_features(case: &str) -> Option<(Features, Features)> {
    let read = |name: &str| {
        let (shape, values) = golden::array(&format!("../more/similarity/{case}"), name)?;
        Some(features_of(shape[0], values))
    };
    Some((read("in_A")?, read("in_B")?))
}

/// Runs a stage with inputs by slot.
pub(crate) fn run(stage: &dyn AnyStage, inputs: &[(&str, &Features)], params: &[(&str, Value)]) -> Result<Outputs, StageError> {
    let mut given = Inputs::new();
    for (slot, features) in inputs {
        given.push(slot, "", (*features).clone().into_artifact()?);
    }
    let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    stage.run(&given, &params, &Context::quiet(5))
}

/// Runs a stage of two representations.
pub(crate) fn run_pair(stage: &dyn AnyStage, first: &Features, second: &Features, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
    run(stage, &[("first", first), ("second", second)], params)
}
