//! Loops unrolled: from a checked pipeline to single steps with values in place of names.

use crate::ast::Expr;
use crate::check::{controls_in, shared_loops};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Scope, evaluate};
use crate::pipeline::{LoopList, Pipeline, Program, StepDecl, Target};
use neuroflow_data::Kind;
use neuroflow_stage::{Control, GpuPolicy, Registry, Value, params};
use std::collections::{BTreeMap, HashMap};

/// Where an instance's input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An output of another instance.
    Step {
        /// The instance's position.
        step: usize,
        /// The output's name.
        output: String,
    },
    /// An input of the pipeline, or one member of it.
    Input {
        /// The input's position in [`Pipeline::inputs`].
        input: usize,
        /// The member, for a Dir.
        member: Option<String>,
    },
}

/// One input of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceInput {
    /// The stage's input that it fills.
    pub slot: String,
    /// The family member's label; empty for a single value.
    pub label: String,
    /// The kind of the value.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
}

/// One step with all values known.
#[derive(Debug, Clone, PartialEq)]
pub struct StepInstance {
    /// The step's name.
    pub name: String,
    /// The values of the loops around it, outermost first, as labels.
    pub members: Vec<String>,
    /// The position of its declaration in [`Pipeline::steps`].
    pub decl: usize,
    /// The stage that it calls; `exec` for a program.
    pub stage: String,
    /// The program, for `exec`.
    pub program: Option<Program>,
    /// `with time`, in seconds.
    pub time: Option<f64>,
    /// `with retries`, or 0.
    pub retries: u64,
    /// Every parameter, defaults filled in.
    pub params: BTreeMap<String, Value>,
    /// Its inputs.
    pub inputs: Vec<InstanceInput>,
    /// `with seed`, or 0.
    pub seed: u64,
    /// `with control`.
    pub controls: Vec<Control>,
    /// `with cores`, or 1.
    pub cores: usize,
    /// `with gpu`.
    pub gpu: GpuPolicy,
    /// False for `with cache = off`.
    pub cached: bool,
}

impl StepInstance {
    /// What a person calls it: `direction["mrcuts28"]`.
    pub fn label(&self) -> String {
        let indices: String = self.members.iter().map(|member| format!("[\"{member}\"]")).collect();
        format!("{}{indices}", self.name)
    }
}

/// Unrolls loops. `members` gives the names of a Dir input's files; each instance comes after those that it needs.
///
/// # Errors
/// What only shows when loops are unrolled: an index that no member has, a parameter that is wrong for one value of a loop.
pub fn expand(
    pipeline: &Pipeline,
    stages: &Registry,
    members: &dyn Fn(usize) -> Vec<String>,
) -> Result<Vec<StepInstance>, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let mut instances: Vec<StepInstance> = Vec::new();
    // Where each instance stands: declaration and labels to position.
    let mut places: HashMap<(usize, Vec<String>), usize> = HashMap::new();
    for decl in order(pipeline) {
        let step = &pipeline.steps[decl];
        for values in combinations(step, members) {
            let labels: Vec<String> = values.iter().map(label_of).collect();
            let mut scope = pipeline.scope();
            for (around, value) in step.loops.iter().zip(&values) {
                scope.variables.insert(around.variable.text.clone(), value.clone());
            }
            match instance(pipeline, stages, decl, labels.clone(), &scope, &places, members, &instances) {
                Ok(instance) => {
                    places.insert((decl, labels), instances.len());
                    instances.push(instance);
                }
                Err(mistake) => mistakes.push(*mistake),
            }
        }
    }
    if mistakes.is_empty() {
        return Ok(instances);
    }
    crate::diagnostics::sort(&mut mistakes);
    Err(mistakes)
}

/// Declarations in an order in which each comes after those that it needs; otherwise as in the file.
fn order(pipeline: &Pipeline) -> Vec<usize> {
    let mut done = vec![false; pipeline.steps.len()];
    let mut order = Vec::new();
    while order.len() < done.len() {
        let next = (0..done.len()).find(|&step| !done[step] && pipeline.needs(step).iter().all(|&need| done[need]));
        // A cycle was refused by the checker; should one be left, its steps are left out.
        let Some(next) = next else { break };
        done[next] = true;
        order.push(next);
    }
    order
}

fn combinations(step: &StepDecl, members: &dyn Fn(usize) -> Vec<String>) -> Vec<Vec<Value>> {
    let mut all: Vec<Vec<Value>> = vec![Vec::new()];
    for around in &step.loops {
        let values = match &around.list {
            LoopList::Values(values) => values.clone(),
            LoopList::Members(input) => members(*input).into_iter().map(Value::Text).collect(),
        };
        all = all.iter().flat_map(|outer| values.iter().map(|value| outer.iter().cloned().chain([value.clone()]).collect())).collect();
    }
    all
}

fn label_of(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Word(text) => text.clone(),
        other => other.to_string(),
    }
}

fn instance(
    pipeline: &Pipeline,
    stages: &Registry,
    decl: usize,
    labels: Vec<String>,
    scope: &Scope,
    places: &HashMap<(usize, Vec<String>), usize>,
    members: &dyn Fn(usize) -> Vec<String>,
    instances: &[StepInstance],
) -> Result<StepInstance, Box<Diagnostic>> {
    let step = &pipeline.steps[decl];
    let mut given = BTreeMap::new();
    for (key, expr) in &step.params {
        given.insert(key.text.clone(), evaluate(expr, scope)?);
    }
    let params = match stages.get(&step.stage) {
        Some(stage) => params::fill(&stage.signature().params, &given)
            .map_err(|message| Diagnostic::error("wrong-value", step.span.clone(), message))?,
        // A program takes any value.
        None => given,
    };
    let mut inputs = Vec::new();
    for binding in &step.bindings {
        let reference = &binding.reference;
        let mut fixed: Vec<Option<String>> = Vec::new();
        for index in &reference.indices {
            fixed.push(match index {
                Some(expr) => Some(label_of(&evaluate(expr, scope)?)),
                None => None,
            });
        }
        let push = |inputs: &mut Vec<InstanceInput>, label: String, source: Source| {
            inputs.push(InstanceInput { slot: binding.slot.clone(), label, kind: binding.kind, source });
        };
        match reference.target {
            Target::Input(input) => {
                let member = fixed.into_iter().next().flatten();
                if let Some(member) = &member {
                    let known = members(input);
                    if !known.contains(member) {
                        let near = neuroflow_stage::nearest(member, known.iter().map(String::as_str))
                            .map(|near| format!("did you mean `{near}`?"));
                        let name = &pipeline.inputs[input].name.text;
                        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                        let message = format!("`{name}` has no file `{member}`; it has {list}");
                        return Err(Box::new(Diagnostic::error("unknown-name", reference.span.clone(), message).help_if(near)));
                    }
                }
                push(&mut inputs, String::new(), Source::Input { input, member });
            }
            Target::Step(target) => {
                let wanted = &pipeline.steps[target];
                // Without indices the loops that both steps stand in are the same; the rest is open.
                let shared = if reference.indices.is_empty() { shared_loops(wanted, step) } else { 0 };
                let fits = |candidate: &[String]| {
                    candidate.iter().enumerate().all(|(depth, label)| {
                        (depth >= shared || labels.get(depth) == Some(label))
                            && fixed.get(depth).and_then(Option::as_ref).is_none_or(|fixed| fixed == label)
                    })
                };
                let output = reference.output.as_ref().map(|word| word.text.clone());
                let output = output.or_else(|| wanted.outputs.first().map(|(name, _)| name.clone())).unwrap_or_default();
                // In the same loops there is one, and its place is known; otherwise all are looked at.
                let found: Vec<usize> = if fixed.is_empty() && shared == wanted.loops.len() && !reference.gather {
                    let own = labels.get(..shared).unwrap_or_default().to_vec();
                    places.get(&(target, own)).copied().into_iter().collect()
                } else {
                    (0..instances.len())
                        .filter(|&at| instances[at].decl == target && fits(&instances[at].members))
                        .filter(|&at| places.get(&(target, instances[at].members.clone())) == Some(&at))
                        .collect()
                };
                if found.is_empty() {
                    let known = instances.iter().filter(|instance| instance.decl == target).map(|i| format!("`{}`", i.members.join(", ")));
                    let list = known.collect::<Vec<_>>().join(", ");
                    let message = format!("`{}` has no such member; it has {list}", wanted.name.text);
                    return Err(Box::new(Diagnostic::error("unknown-name", reference.span.clone(), message)));
                }
                let many = found.len() > 1 || reference.gather || fixed.iter().any(Option::is_none) && !fixed.is_empty();
                for at in found {
                    let label = if many { instances[at].members.join(", ") } else { String::new() };
                    push(&mut inputs, label, Source::Step { step: at, output: output.clone() });
                }
            }
        }
    }
    let value = |expr: &Option<Expr>| expr.as_ref().map(|expr| evaluate(expr, scope)).transpose();
    let policy = &step.policy;
    let mut controls = Vec::new();
    if let Some(expr) = &policy.control {
        for control in controls_in(&evaluate(expr, scope)?) {
            controls.push(Control::parse(control).map_err(|message| Diagnostic::error("unknown-control", expr.span.clone(), message))?);
        }
    }
    let whole = |value: Option<Value>, default: u64| match value {
        Some(Value::Int(value)) => u64::try_from(value).unwrap_or(default),
        _ => default,
    };
    let gpu = match value(&policy.gpu)? {
        Some(Value::Word(word)) if word == "prefer" => GpuPolicy::Prefer,
        Some(Value::Word(word)) if word == "require" => GpuPolicy::Require,
        _ => GpuPolicy::Never,
    };
    Ok(StepInstance {
        name: step.name.text.clone(),
        members: labels,
        decl,
        stage: step.stage.clone(),
        program: step.program.clone(),
        time: match value(&policy.time)? {
            Some(Value::Quantity(quantity)) => Some(quantity.value),
            _ => None,
        },
        retries: whole(value(&policy.retries)?, 0),
        params,
        inputs,
        seed: whole(value(&policy.seed)?, 0),
        controls,
        cores: usize::try_from(whole(value(&policy.cores)?, 1)).unwrap_or(1),
        gpu,
        cached: value(&policy.cache)? != Some(Value::word("off")),
    })
}
