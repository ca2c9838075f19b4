//! Null chains: the steps from the place where a control takes hold to the step that scores, run anew in each draw.

use crate::plan::{Origin, Plan, PlanError, call_of};
use crate::task::{Link, LinkInput, Site};
use neuroflow_data::Kind;
use neuroflow_dsl::expand::Source;
use neuroflow_stage::{Control, SiteAt, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The chain of one control of one step, shared by its batches of draws.
pub(crate) struct NullChain {
    /// The control's position among those of the step.
    pub(crate) number: usize,
    /// The control's word.
    pub(crate) name: String,
    /// The control without its number of draws.
    pub(crate) control: Value,
    /// How many draws.
    pub(crate) draws: u64,
    pub(crate) site: Site,
    pub(crate) links: Arc<[Link]>,
    /// The output of the last link that holds the scores.
    pub(crate) scores: String,
    /// What the chain takes from outside.
    pub(crate) outside: Vec<(Kind, Origin)>,
}

impl NullChain {
    pub(crate) fn new(plan: &Plan, step: usize, number: usize, control: &Control, scores: &str) -> Result<NullChain, PlanError> {
        let Some((first, site)) = find_site(plan, step, control) else {
            return Err(PlanError::NoSite {
                step: plan.instance(step).label(),
                stage: plan.instance(step).stage.to_string(),
                control: control.name().to_owned(),
                possible: possible_controls(plan, step),
            });
        };
        let (links, outside) = chain(plan, first, step);
        Ok(NullChain {
            number,
            name: control.name().to_owned(),
            control: control.identity(),
            draws: control.draws(),
            site: site.into(),
            links: links.into(),
            scores: scores.to_owned(),
            outside,
        })
    }
}

/// The calls from the site to the scoring step, and the values from outside of them.
fn chain(plan: &Plan, site: usize, end: usize) -> (Vec<Link>, Vec<(Kind, Origin)>) {
    let members = between(plan, site, end);
    let mut outside: Vec<(Kind, Origin)> = Vec::new();
    let mut links = Vec::with_capacity(members.len());
    for &member in &members {
        let instance = plan.instance(member);
        let mut inputs = Vec::with_capacity(instance.inputs.len());
        for input in &instance.inputs {
            let link = match &input.source {
                Source::Step { step, output } => {
                    members.binary_search(step).ok().map(|link| LinkInput::Link { link, output: output.to_string() })
                }
                Source::Input { .. } => None,
            };
            let from = link.unwrap_or_else(|| {
                let value = plan.given(member, input);
                let place = outside.iter().position(|known| *known == value).unwrap_or_else(|| {
                    outside.push(value);
                    outside.len() - 1
                });
                LinkInput::Outside(place)
            });
            inputs.push((input.slot.to_string(), input.label.to_string(), from));
        }
        if let Some(declared) = plan.declared_of(member) {
            links.push(Link { call: call_of(instance, declared), inputs });
        }
    }
    (links, outside)
}

/// The nearest step at or above `end` that is a site of the control; among equally near ones the first. A program is no part of a chain.
fn find_site(plan: &Plan, end: usize, control: &Control) -> Option<(usize, SiteAt)> {
    let mut level = BTreeSet::from([end]);
    while !level.is_empty() {
        for &step in &level {
            let site = plan.declared_of(step).and_then(|declared| declared.signature.site(control.name()));
            if let Some(site) = site.filter(|site| control.fits(*site)) {
                return Some((step, site));
            }
        }
        level = level.iter().filter(|&&step| plan.instance(step).program.is_none()).flat_map(|&step| parents(plan, step)).collect();
    }
    None
}

fn possible_controls(plan: &Plan, end: usize) -> String {
    let mut names = BTreeSet::new();
    let mut level = BTreeSet::from([end]);
    while !level.is_empty() {
        let declared = level.iter().filter_map(|&step| plan.declared_of(step));
        names.extend(declared.flat_map(|declared| declared.signature.sites.iter().map(|site| site.control)));
        level = level.iter().flat_map(|&step| parents(plan, step)).collect();
    }
    if names.is_empty() { "none".into() } else { names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") }
}

fn parents(plan: &Plan, step: usize) -> impl Iterator<Item = usize> {
    plan.instance(step).inputs.iter().filter_map(|input| match &input.source {
        Source::Step { step, .. } => Some(*step),
        Source::Input { .. } => None,
    })
}

/// All steps on a way from `site` to `end`, both included, in order.
fn between(plan: &Plan, site: usize, end: usize) -> Vec<usize> {
    // Steps come after what they need: what stands before the site can't follow from it.
    let mut above = BTreeSet::from([end]);
    let mut open = vec![end];
    while let Some(step) = open.pop() {
        open.extend(parents(plan, step).filter(|&parent| parent >= site && above.insert(parent)));
    }
    let mut members = Vec::new();
    for step in above {
        if step == site || parents(plan, step).any(|parent| members.binary_search(&parent).is_ok()) {
            members.push(step);
        }
    }
    members
}
