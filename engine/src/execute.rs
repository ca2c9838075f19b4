//! Doing one task: values in, values out. No cache, no clock, no scheduling.

use crate::task::{LinkInput, NullBatch, Site, Task, Work};
use neuroflow_data::{Artifact, Scores, Table, Typed, columns};
use neuroflow_stage::control::{draw_seed, join, require_effect};
use neuroflow_stage::{Context, Control, Draws, Inputs, Registry, StageError, Value};
use std::collections::BTreeMap;

/// The outputs of a task from the values of its arguments, in their order.
///
/// # Errors
/// What the stage answers. A panic in a stage is not caught here: the scheduler turns it into a bug report.
pub fn execute(
    task: &Task,
    values: Vec<Artifact>,
    registry: &Registry,
    context: &Context,
) -> Result<BTreeMap<String, Artifact>, StageError> {
    match &task.work {
        Work::Exec(_) => Err(StageError::Bug("a program was called like a stage".into())),
        Work::Call(call) => {
            let stage = registry.get(&call.stage).ok_or_else(|| StageError::Bug(format!("stage `{}` is gone", call.stage)))?;
            let mut inputs = Inputs::new();
            for (argument, value) in task.arguments.iter().zip(values) {
                inputs.push(&argument.slot, &argument.label, value);
            }
            let outputs = stage.run(&inputs, &call.params, &context.with_seed(call.seed))?.into_artifacts();
            for (name, kind) in &task.outputs {
                match outputs.get(name) {
                    Some(artifact) if artifact.kind() == *kind => {}
                    Some(artifact) => {
                        return Err(StageError::Bug(format!(
                            "`{}` gave a {} as `{name}`, it declares a {kind}",
                            call.stage,
                            artifact.kind()
                        )));
                    }
                    None => return Err(StageError::Bug(format!("`{}` did not give its output `{name}`", call.stage))),
                }
            }
            Ok(outputs)
        }
        Work::Nulls(batch) => {
            let table = null_draws(batch, &values, registry, context)?;
            Ok(BTreeMap::from([("nulls".to_owned(), table.into_artifact()?)]))
        }
        Work::Join { controls, batches } => {
            let mut values = values.into_iter();
            let observed = values.next().ok_or_else(|| StageError::Bug("a join without scores".into()))?;
            let meta = observed.meta().clone();
            let mut scores = Scores::from_artifact(&observed)?;
            let own: Vec<usize> = scores.scores.iter().map(|score| score.controls.len()).collect();
            let tables: Vec<(usize, Artifact)> = batches.iter().copied().zip(values).collect();
            for (position, control) in controls.iter().enumerate() {
                let control = &control_of(control)?;
                let mut draws: BTreeMap<i64, Scores> = BTreeMap::new();
                for (_, table) in tables.iter().filter(|(of, _)| *of == position) {
                    read_draws(&Table::from_artifact(table)?, &mut draws)?;
                }
                let nulls: Vec<Scores> = draws.into_values().collect();
                require_effect(&scores, control, &nulls)?;
                scores = join(scores, control, &nulls);
            }
            // What the pipeline asked for stands before what the stage permutes by itself.
            for (score, own) in scores.scores.iter_mut().zip(own) {
                score.controls.rotate_left(own);
            }
            let artifact = scores.into_artifact()?;
            let attributes = artifact.meta().attributes.clone();
            Ok(BTreeMap::from([("scores".to_owned(), artifact.with_meta(neuroflow_data::Meta { attributes, ..meta }))]))
        }
    }
}

/// Runs the chain once a draw, or all draws together where the stage can; the table has a row for each draw and metric.
fn null_draws(batch: &NullBatch, values: &[Artifact], registry: &Registry, context: &Context) -> Result<Table, StageError> {
    let control = control_of(&batch.control)?;
    let (mut draws, mut metrics, mut results) = (Vec::new(), Vec::new(), Vec::new());
    let total = batch.draws.end.saturating_sub(batch.draws.start);
    let mut together = all_draws(batch, &control, values, registry, context)?.map(Vec::into_iter);
    for (done, draw) in batch.draws.clone().enumerate() {
        context.cancel.check()?;
        let scores = match &mut together {
            Some(scores) => scores.next().ok_or_else(|| StageError::Bug("a draw without scores".into()))?,
            None => one_draw(batch, &control, draw, values, registry, context)?,
        };
        for score in scores.scores {
            draws.push(i64::try_from(draw).unwrap_or(i64::MAX));
            metrics.push(score.metric);
            results.push(score.value);
        }
        context.progress.report(done as u64 + 1, total);
    }
    Ok(Table::from_columns(vec![
        columns::from_integers("draw", draws),
        columns::from_texts("metric", &metrics),
        columns::from_numbers("value", results),
    ])?)
}

fn control_of(value: &Value) -> Result<Control, StageError> {
    Control::parse(value).map_err(|reason| StageError::Bug(format!("a control that was understood before is not: {reason}")))
}

/// The scores of all draws at once, where the chain is one stage whose changed input is one artifact, and the stage can reuse what a draw leaves as it is.
fn all_draws(
    batch: &NullBatch,
    control: &Control,
    values: &[Artifact],
    registry: &Registry,
    context: &Context,
) -> Result<Option<Vec<Scores>>, StageError> {
    let ([link], Site::Input(slot), None) = (&*batch.chain, &batch.site, control.replacement()) else {
        return Ok(None);
    };
    let stage = registry.get(&link.call.stage).ok_or_else(|| StageError::Bug(format!("stage `{}` is gone", link.call.stage)))?;
    let scores = stage.signature().scores().map(|output| output.name);
    if scores != Some(batch.scores.as_str()) || link.inputs.iter().filter(|(of, _, _)| of == slot).count() != 1 {
        return Ok(None);
    }
    let mut inputs = Inputs::new();
    for (slot, label, input) in &link.inputs {
        let LinkInput::Outside(argument) = input else { return Ok(None) };
        let value = values.get(*argument).ok_or_else(|| StageError::Bug("a null chain with a loose end".into()))?;
        inputs.push(slot, label, value.clone());
    }
    let seeds: Vec<u64> = batch.draws.clone().map(|draw| draw_seed(batch.seed, control, draw)).collect();
    let quiet = Context { progress: std::sync::Arc::new(()), ..context.with_seed(link.call.seed) };
    stage.run_draws(&inputs, &link.call.params, &Draws { control, slot, seeds: &seeds }, &quiet)
}

fn one_draw(
    batch: &NullBatch,
    control: &Control,
    draw: u64,
    values: &[Artifact],
    registry: &Registry,
    context: &Context,
) -> Result<Scores, StageError> {
    let seed = draw_seed(batch.seed, control, draw);
    let quiet = Context { progress: std::sync::Arc::new(()), ..context.clone() };
    let mut results: Vec<BTreeMap<String, Artifact>> = Vec::with_capacity(batch.chain.len());
    for (position, link) in batch.chain.iter().enumerate() {
        let stage = registry.get(&link.call.stage).ok_or_else(|| StageError::Bug(format!("stage `{}` is gone", link.call.stage)))?;
        let mut inputs = Inputs::new();
        for (slot, label, input) in &link.inputs {
            let value = match input {
                LinkInput::Outside(argument) => values.get(*argument),
                LinkInput::Link { link, output } => results.get(*link).and_then(|outputs| outputs.get(output)),
            };
            let value = value.ok_or_else(|| StageError::Bug("a null chain with a loose end".into()))?;
            inputs.push(slot, label, value.clone());
        }
        let mut params = (*link.call.params).clone();
        let mut link_seed = link.call.seed;
        if position == 0 {
            match (&batch.site, control.replacement()) {
                (Site::Input(slot), None) => {
                    // Each member of a family is changed by a stream of its own.
                    let mut member = 0;
                    inputs.change(slot, |artifact| {
                        member += 1;
                        control.change(artifact, seed.wrapping_add(member - 1))
                    })?;
                }
                (Site::Parameter(name), Some(value)) => {
                    params.insert(name.clone(), value);
                    if matches!(control, Control::RandomWeights { .. }) {
                        link_seed = seed;
                    }
                }
                _ => return Err(StageError::Bug(format!("control `{}` does not fit its site", control.name()))),
            }
        }
        results.push(stage.run(&inputs, &params, &quiet.with_seed(link_seed))?.into_artifacts());
    }
    let last = results.last().and_then(|outputs| outputs.get(&batch.scores));
    Ok(Scores::from_artifact(last.ok_or_else(|| StageError::Bug("a null chain without scores".into()))?)?)
}

fn read_draws(table: &Table, draws: &mut BTreeMap<i64, Scores>) -> Result<(), StageError> {
    let numbers = table.integers("draw")?;
    let metrics = table.texts("metric")?;
    let values = table.numbers("value")?;
    for ((draw, metric), value) in numbers.into_iter().zip(metrics).zip(values) {
        draws.entry(draw).or_default().scores.push(neuroflow_data::Score::new(metric, value, 0));
    }
    Ok(())
}
