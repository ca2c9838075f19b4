//! A side of a comparison that need not have run: the plan of a pipeline as it is now, with the results that are in the cache.

use crate::cached::lookup;
use crate::delta::in_place_of;
use crate::difference::{Row, Side};
use crate::outcome::Outcome;
use crate::session::Prepared;
use neuroflow_cache::{Cache, CacheError, Digest};
use std::cell::Cell;
use std::collections::BTreeMap;

/// What a plan computes. In the place of contents that are not known before a step runs stands what gives them.
///
/// # Errors
/// When the cache can't be read.
pub fn foreseen(prepared: &Prepared, cache: &Cache) -> Result<Side, CacheError> {
    let plan = &prepared.plan;
    let mut known: Vec<Option<Outcome>> = Vec::with_capacity(plan.len());
    let mut keys: Vec<Digest> = Vec::with_capacity(plan.len());
    let mut rows = Vec::with_capacity(plan.len());
    for id in 0..plan.len() {
        let task = plan.task(id);
        let is_certain = Cell::new(true);
        let contents = plan.contents(id, |needed, output| {
            if let Some(output) = known[needed].as_ref().and_then(|known| known.outputs.get(output)) {
                return Some(output.digest);
            }
            is_certain.set(false);
            Some(in_place_of(&keys[needed], output))
        });
        let contents = contents.unwrap_or_default();
        let key = task.key(&contents);
        let found = if is_certain.get() && task.cached { lookup(cache, &key, &task)? } else { None };
        let mut needs = Vec::new();
        plan.needs(id, |needed| needs.push(needed));
        rows.push(Row {
            label: plan.label(id),
            joins: plan.is_join(id).then(|| plan.instance(plan.step_of(id)).label()),
            key: Some(key),
            fields: task.key_fields(&contents),
            outputs: found.iter().flat_map(|found| found.outputs.iter().map(|output| output.digest)).collect(),
            needs,
        });
        known.push(found);
        keys.push(key);
    }
    let mut scores = BTreeMap::new();
    for (step, instance) in plan.instances().iter().enumerate() {
        // The join of the controls, when there is one, has the last word.
        let of = plan.tasks_of(step).last().and_then(|task| known[task].as_ref()).and_then(|outcome| outcome.scores.as_deref());
        if let Some(of) = of {
            scores.insert(instance.label(), of.to_vec());
        }
    }
    Ok(Side::new(prepared.inputs.clone(), scores, rows))
}
