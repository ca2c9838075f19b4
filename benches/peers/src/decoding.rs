//! Classifiers, as the stages that a pipeline names.

use crate::Work;
use crate::inputs::{Inputs, Problem};
use neuroflow_data::{Artifact, Axis, Responses, Scores, Table, Tensor, Typed, columns};
use neuroflow_decode::{Classify, Eeg};
use neuroflow_stage::{AnyStage, Context, Control, Draws, Inputs as Slots, Outputs, Value};
use std::collections::BTreeMap;

const PERMUTATIONS: u64 = 200;

/// Trials of a stage with the labels as the column `class`, and who trains whom.
fn slots(inputs: &Inputs) -> Result<Slots, Problem> {
    let (shape, values) = inputs.array("x")?;
    let (n_trials, n_units, n_bins) = (shape[0], shape[1], shape.get(2).copied().unwrap_or(1));
    let times = (0..n_bins).map(|bin| bin as f64 / n_bins as f64).collect();
    let axes = vec![Axis::count("trial", n_trials), Axis::count("unit", n_units), Axis::numbers("bin", Some("s"), times)];
    let labels = inputs.array("labels")?.1[..n_trials].to_vec();
    let table = Table::from_columns(vec![columns::from_numbers("class", labels)])?;
    let responses = Responses::new("bench", Tensor::new(axes, None, values.to_vec())?, table, None)?;
    let fold = inputs.indices("folds")?;
    let n_folds = fold.iter().max().map_or(0, |last| last + 1);
    let roles: Vec<f64> = (0..n_folds).flat_map(|number| fold.iter().map(move |&own| if own == number { 2.0 } else { 1.0 })).collect();
    let split = Tensor::new(vec![Axis::count("fold", n_folds), Axis::count("trial", n_trials)], None, roles)?;
    let mut slots = Slots::new();
    slots.push("responses", "", responses.into_artifact()?);
    slots.push("split", "", split.into_artifact()?);
    Ok(slots)
}

fn params(model: Value, more: &[(&str, Value)]) -> BTreeMap<String, Value> {
    let own = [("target", "class".into()), ("window", Value::window(0.0, 2.0)), ("model", model)];
    own.into_iter().chain(more.iter().cloned()).map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect()
}

fn accuracy(outputs: &Outputs) -> Result<Vec<f64>, Problem> {
    let scores: Scores = outputs.one("scores")?;
    Ok(vec![scores.get("accuracy").ok_or("there is no accuracy")?.value])
}

/// The accuracy of one set of labels.
pub fn classify<'a>(inputs: &'a Inputs, case: &str, threads: usize) -> Result<Work<'a>, Problem> {
    let slots = slots(inputs)?;
    let model = if case == "lda" {
        Value::word("lda")
    } else {
        Value::call("logistic", vec![("strength", 1.0.into()), ("tolerance", 1e-4.into())])
    };
    let params = params(model, &[("scale", Value::word("none"))]);
    let context = Context { threads, ..Context::quiet(7) };
    Ok(Box::new(move || accuracy(&AnyStage::run(&Classify, &slots, &params, &context)?)))
}

/// The accuracy of each shuffle of the labels.
pub fn permutations(inputs: &Inputs, pooled: bool, threads: usize) -> Result<Work<'_>, Problem> {
    let slots = slots(inputs)?;
    let shrinkage = Value::word(if pooled { "pooled" } else { "auto" });
    let params = params(Value::call("lda", vec![("shrinkage", shrinkage)]), &[("scale", Value::word("none"))]);
    let context = Context { threads, ..Context::quiet(7) };
    let control = Control::parse(&Value::call("shuffle", vec![("column", "class".into())]))?;
    let seeds: Vec<u64> = (0..PERMUTATIONS).collect();
    Ok(Box::new(move || {
        let draws = Draws { control: &control, slot: "responses", seeds: &seeds };
        let null = AnyStage::run_draws(&Classify, &slots, &params, &draws, &context)?.ok_or("the stage does one draw after the other")?;
        null.iter().map(|scores| Ok(scores.get("accuracy").ok_or("there is no accuracy")?.value)).collect()
    }))
}

/// The class that each trial is given when it is held out.
pub fn eeg<'a>(inputs: &'a Inputs, case: &str, threads: usize) -> Result<Work<'a>, Problem> {
    let slots = slots(inputs)?;
    let (model, covariance) = match case {
        "csp-lda" => (Value::call("csp", vec![("components", 4.into()), ("shrinkage", 0.0.into())]), "second_moment"),
        "riemann-mdm" => (Value::word("mdm"), "oas"),
        _ => (Value::word("tangent_space"), "oas"),
    };
    let params = params(model, &[("covariance", Value::word(covariance))]);
    let context = Context { threads, ..Context::quiet(7) };
    Ok(Box::new(move || {
        let outputs = AnyStage::run(&Eeg, &slots, &params, &context)?;
        let predictions: Artifact = outputs.get("predictions").ok_or("there are no predictions")?.clone();
        Ok(Table::from_artifact(&predictions)?.numbers("predicted")?)
    }))
}
