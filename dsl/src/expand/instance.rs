//! One step in one frame: parameters, policies and inputs filled in. What does not name a loop variable is evaluated once.

use super::{Expansion, InstanceInput, Known, Params, Source, StepInstance, Stop};
use crate::ast::Expr;
use crate::diagnostics::Diagnostic;
use crate::evaluate::names_any;
use crate::pipeline::{Binding, Pipeline, StepDecl, Sweep, Target};
use crate::policy::Policies;
use crate::query_text::{self, evaluate_param};
use neuroflow_data::Kind;
use neuroflow_stage::{ParamSpec, Registry, Value, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What all instances of a declaration have in common.
#[derive(Debug)]
pub(super) struct Prepared {
    name: Arc<str>,
    stage: Arc<str>,
    /// For each binding: its slot, and the output that it takes.
    slots: Vec<(Arc<str>, Arc<str>)>,
    /// Parameters as the first instance has them.
    params: Params,
    /// Parameters that name loop variables: position in `params`, position in the declaration, what is declared of it.
    varying: Vec<(usize, usize, Option<ParamSpec>)>,
    /// Policies as the last instance had them.
    policies: Arc<Policies>,
    policies_vary: bool,
}

impl Expansion {
    pub(super) fn make(
        &mut self,
        pipeline: &Pipeline,
        stages: &Registry,
        known: &dyn Known,
        decl: usize,
        frame: u32,
    ) -> Result<StepInstance, Stop> {
        let step = &pipeline.steps[decl];
        let (inputs, swept) = match &step.sweep {
            Some(sweep) => self.swept(pipeline, step, sweep, frame)?,
            None => (self.inputs(pipeline, known, decl, frame)?, None),
        };
        let mut params = None;
        let mut policies = None;
        if let Some(prepared) = &self.steps[decl].prepared {
            if !prepared.varying.is_empty() || prepared.policies_vary {
                let scope = self.scope(pipeline, step.block, frame);
                let mut own = Vec::with_capacity(prepared.varying.len());
                for (position, written, spec) in &prepared.varying {
                    let (key, expr) = &step.params[*written];
                    let value = evaluate_param(&step.stage, &key.text, expr, &scope)?;
                    if let Some(spec) = spec {
                        spec.check(&value).map_err(|message| wrong_value(expr, &key.text, &message))?;
                    }
                    own.push((*position, value));
                }
                if !own.is_empty() {
                    params = Some(prepared.params.with_own(own));
                }
                if prepared.policies_vary {
                    policies = Some(Policies::read(&step.with, step.program.is_some(), &scope).map_err(Stop::Wrong)?);
                }
            }
        } else {
            self.steps[decl].prepared = Some(self.prepare(pipeline, stages, decl, frame, swept.clone())?);
        }
        let Some(prepared) = &mut self.steps[decl].prepared else { return Err(Stop::Follows) };
        if let Some(policies) = policies
            && *prepared.policies != policies
        {
            prepared.policies = Arc::new(policies);
        }
        if let Some(swept) = swept {
            params = Some(Params::shared(filled(stages, step, swept)?));
        }
        Ok(StepInstance {
            name: Arc::clone(&prepared.name),
            members: Arc::clone(&self.blocks[step.block].labels[frame as usize]),
            decl,
            stage: Arc::clone(&prepared.stage),
            program: step.program.clone(),
            params: params.unwrap_or_else(|| prepared.params.clone()),
            inputs,
            policies: Arc::clone(&prepared.policies),
        })
    }

    fn prepare(
        &self,
        pipeline: &Pipeline,
        stages: &Registry,
        decl: usize,
        frame: u32,
        swept: Option<BTreeMap<String, Value>>,
    ) -> Result<Prepared, Stop> {
        let step = &pipeline.steps[decl];
        let scope = self.scope(pipeline, step.block, frame);
        let variables: Vec<&str> = pipeline.variables(step.block).collect();
        let mut given = swept.unwrap_or_default();
        for (key, expr) in &step.params {
            given.insert(key.text.clone(), evaluate_param(&step.stage, &key.text, expr, &scope)?);
        }
        let params = Params::shared(filled(stages, step, given)?);
        let specs = stages.get(&step.stage).map(|stage| stage.signature().params).unwrap_or_default();
        let mut varying = Vec::new();
        for (written, (key, expr)) in step.params.iter().enumerate() {
            if names_any(expr, &variables)
                && let Some(position) = params.position(&key.text)
            {
                varying.push((position, written, specs.iter().find(|spec| spec.name == key.text).cloned()));
            }
        }
        varying.sort_by_key(|(position, ..)| *position);
        let policies = Policies::read(&step.with, step.program.is_some(), &scope).map_err(Stop::Wrong)?;
        let slots = step.bindings.iter().map(|binding| (Arc::from(binding.slot.as_str()), pipeline.output_of(&binding.reference)));
        Ok(Prepared {
            name: step.name.text.as_str().into(),
            stage: step.stage.as_str().into(),
            slots: slots.collect(),
            params,
            varying,
            policies: Arc::new(policies),
            policies_vary: step.with.iter().any(|(_, expr)| names_any(expr, &variables)),
        })
    }

    fn inputs(&mut self, pipeline: &Pipeline, known: &dyn Known, decl: usize, frame: u32) -> Result<Vec<InstanceInput>, Stop> {
        let step = &pipeline.steps[decl];
        let mut inputs = Vec::with_capacity(step.bindings.len());
        for (number, binding) in step.bindings.iter().enumerate() {
            let (slot, output) = match self.steps[decl].prepared.as_ref().and_then(|prepared| prepared.slots.get(number)) {
                Some((slot, output)) => (Arc::clone(slot), Arc::clone(output)),
                None => (Arc::from(binding.slot.as_str()), pipeline.output_of(&binding.reference)),
            };
            let fixed = self.indices(pipeline, &binding.reference, step.block, frame)?;
            match binding.reference.target {
                Target::Input(input) => {
                    if binding.family {
                        for label in self.dirs.of(input, known).labels() {
                            let source = Source::Input { input, member: Some(Arc::clone(label)) };
                            inputs.push(InstanceInput { slot: Arc::clone(&slot), label: Arc::clone(label), kind: binding.kind, source });
                        }
                        continue;
                    }
                    let member = match fixed.into_iter().next().flatten() {
                        Some(wanted) => Some(self.dirs.of(input, known).member(pipeline, input, &binding.reference, &wanted)?),
                        None => None,
                    };
                    inputs.push(InstanceInput {
                        slot,
                        label: Arc::clone(&self.empty),
                        kind: binding.kind,
                        source: Source::Input { input, member },
                    });
                }
                Target::Step(target) => {
                    self.members(pipeline, (step, binding), target, frame, &fixed, (slot, output), &mut inputs)?;
                }
            }
        }
        Ok(inputs)
    }

    fn members(
        &mut self,
        pipeline: &Pipeline,
        (step, binding): (&StepDecl, &Binding),
        target: usize,
        frame: u32,
        fixed: &[Option<Arc<str>>],
        (slot, output): (Arc<str>, Arc<str>),
        inputs: &mut Vec<InstanceInput>,
    ) -> Result<(), Stop> {
        if !fixed.is_empty() {
            self.index(pipeline, target);
        }
        let reference = &binding.reference;
        let found = self.find(pipeline, target, step.block, frame, fixed)?;
        if found.is_empty() {
            return Err(self.no_member(pipeline, target, reference, fixed).into());
        }
        inputs.reserve_exact(found.len());
        // In a query each loop variable is a column, so its labels say which is which.
        let mut names: Vec<&str> = pipeline.variables(pipeline.steps[target].block).collect();
        names.reverse();
        let label_of = |members: &[Arc<str>]| match step.stage.as_str() {
            query_text::STAGE if names.len() == members.len() => {
                let named: Vec<String> = names.iter().zip(members).map(|(name, member)| format!("{name} = {member}")).collect();
                named.join(", ")
            }
            _ => members.join(", "),
        };
        for at in found {
            let label = if binding.family { label_of(&self.instances[at as usize].members).into() } else { Arc::clone(&self.empty) };
            let source = Source::Step { step: at as usize, output: Arc::clone(&output) };
            inputs.push(InstanceInput { slot: Arc::clone(&slot), label, kind: binding.kind, source });
        }
        Ok(())
    }

    /// The scores of a sweep, and its parameters: names of the settings, and a row of values for each score.
    fn swept(
        &mut self,
        pipeline: &Pipeline,
        step: &StepDecl,
        sweep: &Sweep,
        frame: u32,
    ) -> Result<(Vec<InstanceInput>, Option<BTreeMap<String, Value>>), Stop> {
        let (mut inputs, mut rows) = (Vec::new(), Vec::new());
        let slot: Arc<str> = "scores".into();
        for (inner, output) in &sweep.steps {
            let output: Arc<str> = output.as_str().into();
            let name = &pipeline.steps[*inner].name.text;
            let (block, positions) = (pipeline.steps[*inner].block, self.find(pipeline, *inner, step.block, frame, &[])?);
            for position in positions {
                let at = self.frame_of(*inner, position);
                let scope = self.scope(pipeline, block, at);
                let mut row = vec![Value::Text(name.clone())];
                let mut label = name.clone();
                for (setting, variable) in &sweep.settings {
                    let value = scope.variable(variable).cloned();
                    if let Some(value) = &value {
                        label.push_str(&format!("; {setting}={}", super::label_of(value)));
                    }
                    row.push(value.unwrap_or_else(|| Value::Text(String::new())));
                }
                rows.push(Value::List(row));
                let source = Source::Step { step: position as usize, output: Arc::clone(&output) };
                inputs.push(InstanceInput { slot: Arc::clone(&slot), label: label.into(), kind: Kind::Scores, source });
            }
        }
        if inputs.is_empty() {
            let message = format!("the sweep `{}` has no scores: no loop and no branch in it made a step", step.name.text);
            return Err(Diagnostic::error("empty-family", step.name.span.clone(), message).into());
        }
        let settings = sweep.settings.iter().map(|(setting, _)| Value::Text(setting.clone())).collect();
        let params = BTreeMap::from([("settings".to_owned(), Value::List(settings)), ("rows".to_owned(), Value::List(rows))]);
        Ok((inputs, Some(params)))
    }

    /// The frame in which an instance stands.
    fn frame_of(&self, decl: usize, position: u32) -> u32 {
        // Positions rise with frames, but for frames that waited.
        let positions = &self.steps[decl].positions;
        let near = positions.binary_search(&position).ok();
        near.or_else(|| positions.iter().position(|known| *known == position)).unwrap_or(0) as u32
    }
}

fn filled(stages: &Registry, step: &StepDecl, given: BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, Stop> {
    match stages.get(&step.stage) {
        Some(stage) => params::fill(&stage.signature().params, &given)
            .map_err(|message| Diagnostic::error("wrong-value", step.span.clone(), message).into()),
        // A program takes any value.
        None => Ok(given),
    }
}

fn wrong_value(expr: &Expr, key: &str, message: &str) -> Diagnostic {
    Diagnostic::error("wrong-value", expr.span.clone(), format!("`{key}`: {message}"))
}
