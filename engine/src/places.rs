//! Where a step runs, and whether there is what it asks of the machine.

use crate::plan::Plan;
use crate::ready::Machine;
use neuroflow_dsl::{Diagnostic, Pipeline, Policies};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The position of this machine among the executors.
pub(crate) const HERE: usize = 0;
/// The position of worker processes among the executors.
pub(crate) const WORKERS: usize = 1;
/// The executor that is this machine, whatever the others are called.
pub const LOCAL: &str = "local";

/// Why a step can't run as it asks: what is wrong, and what to do.
pub(crate) type Refusal = (String, String);

/// The executor of a step: the one that it names, else the run's. `names` are the positions of clusters.
pub(crate) fn executor_of(
    policies: &Policies,
    is_program: bool,
    usual: Option<&String>,
    names: &BTreeMap<String, usize>,
) -> Result<usize, Refusal> {
    // Only a process of its own can be measured and stopped alone. A program is one anyway.
    let apart = !is_program && (policies.isolate || policies.memory.is_some() || policies.time.is_some());
    let here = if apart { WORKERS } else { HERE };
    match policies.executor.as_ref().or(usual) {
        None => Ok(here),
        Some(name) => match names.get(name) {
            Some(position) => Ok(*position),
            None if name == LOCAL => Ok(here),
            None => {
                let known: Vec<String> = names.keys().map(String::as_str).chain([LOCAL]).map(|name| format!("`{name}`")).collect();
                let help = format!("a cluster is set in neuroflow.toml under `[profiles.{name}]`; there is {}", known.join(", "));
                Err((format!("there is no executor `{name}`"), help))
            }
        },
    }
}

/// Whether the machine has the pools that a step takes places in.
pub(crate) fn has_pools(policies: &Policies, machine: &Machine) -> Result<(), Refusal> {
    for (name, share) in &policies.pools {
        match machine.pools.get(name) {
            Some(size) if share <= size => {}
            Some(size) => {
                let help = "ask for less, or make the pool larger in neuroflow.toml under `[pools]`".into();
                return Err((format!("it takes {share} of the pool `{name}`, which has {size}"), help));
            }
            None => {
                let known: Vec<&str> = machine.pools.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "there is none yet".into() } else { format!("there is {}", known.join(", ")) };
                return Err((
                    format!("there is no pool `{name}`"),
                    format!("pools are set in neuroflow.toml under `[pools]`, or by `--pool {name}=1`; {known}"),
                ));
            }
        }
    }
    Ok(())
}

/// What the steps that are known ask for and can't have, so that it is told before anything runs. `executors` are the names of clusters.
pub fn check(
    plan: &Plan,
    pipeline: &Pipeline,
    machine: &Machine,
    usual: Option<&String>,
    executors: impl IntoIterator<Item = String>,
) -> Vec<Diagnostic> {
    let names: BTreeMap<String, usize> = executors.into_iter().zip(WORKERS + 1..).collect();
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    for instance in plan.instances() {
        if !seen.insert((instance.decl, Arc::as_ptr(&instance.policies))) {
            continue;
        }
        let asked = executor_of(&instance.policies, instance.program.is_some(), usual, &names).map(|_| ());
        if let Err((message, help)) = asked.and_then(|()| has_pools(&instance.policies, machine)) {
            let span = pipeline.steps.get(instance.decl).map(|step| step.span.clone()).unwrap_or_default();
            let told = Diagnostic::error("unknown-policy", span, format!("`{}`: {message}", instance.label())).help(help);
            if !wrong.contains(&told) {
                wrong.push(told);
            }
        }
    }
    wrong
}
