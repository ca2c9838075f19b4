//! Conditions of `expect`: checked against what stages declare, evaluated on scores.
//!
//! `step.metric` is a score's value; `step["x"].metric` that of one member, `step[*].metric` or a bare family those of all. After the metric may stand
//! `p`, `chance`, `ceiling`, `null` (the mean of the null draws) or the name of a control (the mean of what it gave). Comparisons of a
//! family are made member by member; `all`, `any`, `count`, `min`, `max` and `mean` sum up. A bare family holds when all its members do.

use crate::ast::{Argument, Expr, ExprKind, Operator};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Scope, evaluate};
use crate::pipeline::Pipeline;
use neuroflow_data::Score;
use neuroflow_stage::{Control, Value, nearest};

const FUNCTIONS: [&str; 6] = ["all", "any", "count", "min", "max", "mean"];
const PARTS: [&str; 4] = ["p", "chance", "ceiling", "null"];

/// A reference to scores in a condition.
struct ScoreRef<'e> {
    step: usize,
    /// Indices; `None` is `*`.
    indices: Vec<Option<&'e Expr>>,
    metric: &'e str,
    part: Option<&'e str>,
}

/// Gives the scores of a step: for each member its labels and its scores.
pub type ScoresOf<'a> = &'a dyn Fn(usize) -> Vec<(Vec<String>, Vec<Score>)>;

/// What a condition came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether it holds.
    pub holds: bool,
    /// The numbers that it was decided on.
    pub numbers: String,
}

#[derive(Debug, Clone)]
enum Item {
    Number(f64),
    Truth(bool),
    Numbers(Vec<f64>),
    Truths(Vec<bool>),
}

/// Whether a condition can be evaluated, and the steps that it needs.
pub fn check(condition: &Expr, pipeline: &Pipeline, names: &[String]) -> (Vec<Diagnostic>, Vec<usize>) {
    let (mut diagnostics, mut steps) = (Vec::new(), Vec::new());
    walk(condition, pipeline, names, &mut diagnostics, &mut steps);
    (diagnostics, steps)
}

fn walk(expr: &Expr, pipeline: &Pipeline, names: &[String], diagnostics: &mut Vec<Diagnostic>, steps: &mut Vec<usize>) {
    match &expr.kind {
        ExprKind::Binary(_, left, right) => [left, right].into_iter().for_each(|side| walk(side, pipeline, names, diagnostics, steps)),
        ExprKind::Not(of) | ExprKind::Negative(of) => walk(of, pipeline, names, diagnostics, steps),
        ExprKind::Int(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Quantity(_) => {}
        ExprKind::Call(callee, arguments) => match (&callee.kind, arguments.as_slice()) {
            (ExprKind::Name(name), [Argument { name: None, value }]) if FUNCTIONS.contains(&name.as_str()) => {
                walk(value, pipeline, names, diagnostics, steps);
            }
            (ExprKind::Name(name), _) => {
                let near = nearest(name, FUNCTIONS).map(|near| format!("did you mean `{near}`?"));
                let message = format!("`{name}` can't stand in a condition; {} take one family", FUNCTIONS.join(", "));
                diagnostics.push(Diagnostic::error("unknown-metric", expr.span.clone(), message).help_if(near));
            }
            _ => diagnostics.push(Diagnostic::error("unknown-metric", expr.span.clone(), "a score is expected in a condition")),
        },
        ExprKind::Field(of, _) if matches!(&of.kind, ExprKind::Name(name) if name == "param") => {
            if let Err(diagnostic) = evaluate(expr, &pipeline.scope()) {
                diagnostics.push(diagnostic);
            }
        }
        _ => match score_ref(expr, pipeline, names) {
            Ok(reference) => steps.push(reference.step),
            // A step that is defined but wrong was told of already.
            Err(diagnostic)
                if diagnostic.code == "unknown-name" && names.iter().any(|name| diagnostic.message.ends_with(&format!("`{name}`"))) => {}
            Err(diagnostic) => diagnostics.push(*diagnostic),
        },
    }
}

fn score_ref<'e>(expr: &'e Expr, pipeline: &Pipeline, names: &[String]) -> Result<ScoreRef<'e>, Box<Diagnostic>> {
    let mut fields = Vec::new();
    let mut indices = Vec::new();
    let mut at = expr;
    let name = loop {
        match &at.kind {
            ExprKind::Field(of, field) if indices.is_empty() => {
                fields.push(field);
                at = of;
            }
            ExprKind::Index(of, index) => {
                indices.push(Some(index.as_ref()));
                at = of;
            }
            ExprKind::All(of) => {
                indices.push(None);
                at = of;
            }
            ExprKind::Name(name) => break name,
            _ => {
                return Err(Box::new(Diagnostic::error(
                    "unknown-metric",
                    expr.span.clone(),
                    "a score is expected in a condition, such as `step.accuracy`",
                )));
            }
        }
    };
    fields.reverse();
    indices.reverse();
    let Some(step) = pipeline.step(name) else {
        let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        return Err(Box::new(Diagnostic::error("unknown-name", at.span.clone(), format!("there is no step `{name}`")).help_if(near)));
    };
    let decl = &pipeline.steps[step];
    let list = || decl.metrics.iter().map(|metric| format!("`{metric}`")).collect::<Vec<_>>().join(", ");
    if decl.metrics.is_empty() {
        let message = format!("`{name}` gives no scores, so nothing can be expected of it");
        return Err(Box::new(Diagnostic::error("unknown-metric", expr.span.clone(), message)));
    }
    // `step.scores.accuracy` and `step.accuracy` are the same.
    let mut fields = fields
        .into_iter()
        .skip_while(|field| decl.outputs.iter().any(|(output, kind)| *kind == neuroflow_data::Kind::Scores && *output == field.text));
    let Some(metric) = fields.next() else {
        let message = format!("a metric of `{name}` is expected: {}", list());
        return Err(Box::new(
            Diagnostic::error("unknown-metric", expr.span.clone(), message).help(format!("write `{name}.{}`", decl.metrics[0])),
        ));
    };
    if !decl.metrics.contains(&metric.text) {
        let near = nearest(&metric.text, decl.metrics.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        let message = format!("`{name}` has no metric `{}`; it has {}", metric.text, list());
        return Err(Box::new(Diagnostic::error("unknown-metric", metric.span.clone(), message).help_if(near)));
    }
    let part = fields.next();
    if let Some(part) = part
        && !PARTS.contains(&part.text.as_str())
        && Control::params(&part.text).is_none()
    {
        let message =
            format!("a score has no `{}`; it has {} and its controls by name", part.text, PARTS.map(|part| format!("`{part}`")).join(", "));
        return Err(Box::new(Diagnostic::error("unknown-metric", part.span.clone(), message)));
    }
    Ok(ScoreRef { step, indices, metric: &metric.text, part: part.map(|part| part.text.as_str()) })
}

/// Evaluates a checked condition.
///
/// # Errors
/// When a score that it names is not there, or sides don't fit, in words.
pub fn decide(condition: &Expr, pipeline: &Pipeline, scores: ScoresOf<'_>) -> Result<Outcome, String> {
    let mut shown = Vec::new();
    let item = value(condition, pipeline, scores, &mut shown)?;
    let holds = match item {
        Item::Truth(truth) => truth,
        Item::Truths(truths) => truths.into_iter().all(|truth| truth),
        Item::Number(_) | Item::Numbers(_) => return Err("a condition must be true or false, such as `step.accuracy > 0.2`".into()),
    };
    shown.dedup();
    Ok(Outcome { holds, numbers: shown.join("; ") })
}

fn value(expr: &Expr, pipeline: &Pipeline, scores: ScoresOf<'_>, shown: &mut Vec<String>) -> Result<Item, String> {
    match &expr.kind {
        ExprKind::Int(number) => Ok(Item::Number(*number as f64)),
        ExprKind::Number(number) => Ok(Item::Number(*number)),
        ExprKind::Quantity(quantity) => Ok(Item::Number(quantity.value)),
        ExprKind::Bool(truth) => Ok(Item::Truth(*truth)),
        ExprKind::Negative(of) => Ok(match value(of, pipeline, scores, shown)? {
            Item::Number(number) => Item::Number(-number),
            Item::Numbers(numbers) => Item::Numbers(numbers.into_iter().map(|number| -number).collect()),
            _ => return Err("`-` needs numbers".into()),
        }),
        ExprKind::Not(of) => Ok(match value(of, pipeline, scores, shown)? {
            Item::Truth(truth) => Item::Truth(!truth),
            Item::Truths(truths) => Item::Truths(truths.into_iter().map(|truth| !truth).collect()),
            _ => return Err("`not` needs true or false".into()),
        }),
        ExprKind::Binary(operator, left, right) => {
            binary(*operator, value(left, pipeline, scores, shown)?, value(right, pipeline, scores, shown)?)
        }
        ExprKind::Call(callee, arguments) => {
            let (ExprKind::Name(name), Some(argument)) = (&callee.kind, arguments.first()) else {
                return Err("a function takes one family".into());
            };
            let result = function(name, value(&argument.value, pipeline, scores, shown)?)?;
            if let Item::Number(number) = &result {
                shown.push(format!("{name}(…) = {number:.3}"));
            }
            Ok(result)
        }
        ExprKind::Field(of, _) if matches!(&of.kind, ExprKind::Name(name) if name == "param") => {
            match evaluate(expr, &pipeline.scope()).map_err(|told| told.message)? {
                Value::Bool(truth) => Ok(Item::Truth(truth)),
                Value::Quantity(quantity) => Ok(Item::Number(quantity.value)),
                other => other.as_number().map(Item::Number).ok_or_else(|| "a number is expected in a condition".into()),
            }
        }
        _ => {
            let reference = score_ref(expr, pipeline, &[]).map_err(|told| told.message)?;
            let name = &pipeline.steps[reference.step].name.text;
            let mut wanted = Vec::new();
            for index in &reference.indices {
                wanted.push(match index {
                    Some(expr) => {
                        match evaluate(expr, &Scope { params: pipeline.params.clone(), ..Scope::default() }).map_err(|told| told.message)? {
                            Value::Text(text) | Value::Word(text) => Some(text),
                            other => Some(other.to_string()),
                        }
                    }
                    None => None,
                });
            }
            let single = wanted.iter().all(Option::is_some) && wanted.len() == pipeline.steps[reference.step].loops.len();
            let mut numbers = Vec::new();
            for (labels, of) in scores(reference.step) {
                if !labels.iter().zip(&wanted).all(|(label, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == label)) {
                    continue;
                }
                let member = labels.iter().map(|label| format!("[\"{label}\"]")).collect::<String>();
                let score = of.iter().find(|score| score.metric == reference.metric);
                let score = score.ok_or_else(|| format!("`{name}{member}` has no score `{}`", reference.metric))?;
                let number = part_of(score, reference.part).ok_or_else(|| {
                    format!("the score `{}` of `{name}{member}` has no `{}`", reference.metric, reference.part.unwrap_or_default())
                })?;
                let part = reference.part.map(|part| format!(".{part}")).unwrap_or_default();
                shown.push(format!("{name}{member}.{}{part} = {number:.3}", reference.metric));
                numbers.push(number);
            }
            match numbers.as_slice() {
                [] => Err(format!("`{name}` has no such member")),
                [one] if single => Ok(Item::Number(*one)),
                _ => Ok(Item::Numbers(numbers)),
            }
        }
    }
}

fn part_of(score: &Score, part: Option<&str>) -> Option<f64> {
    let distribution = || score.controls.iter().find(|control| control.is_distribution());
    match part {
        None => Some(score.value),
        Some("chance") => score.chance,
        Some("ceiling") => score.ceiling,
        Some("p") => distribution().map(|control| control.p),
        Some("null") => distribution().map(|control| control.mean()),
        Some(name) => score.controls.iter().find(|control| control.control.split('(').next() == Some(name)).map(|control| control.mean()),
    }
}

fn function(name: &str, item: Item) -> Result<Item, String> {
    Ok(match (name, item) {
        ("all", Item::Truths(truths)) => Item::Truth(truths.into_iter().all(|truth| truth)),
        ("any", Item::Truths(truths)) => Item::Truth(truths.into_iter().any(|truth| truth)),
        ("count", Item::Truths(truths)) => Item::Number(truths.into_iter().filter(|truth| *truth).count() as f64),
        ("count", Item::Numbers(numbers)) => Item::Number(numbers.len() as f64),
        ("all" | "any", Item::Truth(truth)) => Item::Truth(truth),
        ("count", Item::Truth(truth)) => Item::Number(f64::from(u8::from(truth))),
        ("min" | "max" | "mean", Item::Number(number)) => Item::Number(number),
        ("min", Item::Numbers(numbers)) => Item::Number(numbers.into_iter().fold(f64::INFINITY, f64::min)),
        ("max", Item::Numbers(numbers)) => Item::Number(numbers.into_iter().fold(f64::NEG_INFINITY, f64::max)),
        ("mean", Item::Numbers(numbers)) => Item::Number(numbers.iter().sum::<f64>() / numbers.len() as f64),
        (name, _) => return Err(format!("`{name}` does not fit what it is given")),
    })
}

fn binary(operator: Operator, left: Item, right: Item) -> Result<Item, String> {
    use Operator::*;
    let truths = |item: &Item| match item {
        Item::Truth(truth) => Some((vec![*truth], true)),
        Item::Truths(truths) => Some((truths.clone(), false)),
        _ => None,
    };
    let numbers = |item: &Item| match item {
        Item::Number(number) => Some((vec![*number], true)),
        Item::Numbers(numbers) => Some((numbers.clone(), false)),
        _ => None,
    };
    fn pairs<T: Copy>((a, a_one): (Vec<T>, bool), (b, b_one): (Vec<T>, bool)) -> Result<(Vec<(T, T)>, bool), String> {
        Ok(match (a_one, b_one) {
            (true, _) => (b.iter().map(|b| (a[0], *b)).collect(), b_one),
            (false, true) => (a.iter().map(|a| (*a, b[0])).collect(), false),
            (false, false) if a.len() == b.len() => (a.into_iter().zip(b).collect(), false),
            _ => return Err(format!("families of {} and {} members can't be compared", a.len(), b.len())),
        })
    }
    let wrap_truths = |(values, one): (Vec<bool>, bool)| if one { Item::Truth(values[0]) } else { Item::Truths(values) };
    if matches!(operator, And | Or) {
        let (Some(a), Some(b)) = (truths(&left), truths(&right)) else {
            return Err("`and` and `or` need true or false on both sides".into());
        };
        let (pairs, one) = pairs(a, b)?;
        return Ok(wrap_truths((pairs.into_iter().map(|(a, b)| if operator == And { a && b } else { a || b }).collect(), one)));
    }
    let (Some(a), Some(b)) = (numbers(&left), numbers(&right)) else { return Err("numbers are expected on both sides".into()) };
    let (pairs, one) = pairs(a, b)?;
    let compare: Option<fn(f64, f64) -> bool> = match operator {
        Less => Some(|a, b| a < b),
        Greater => Some(|a, b| a > b),
        LessEqual => Some(|a, b| a <= b),
        GreaterEqual => Some(|a, b| a >= b),
        Equal => Some(|a, b| a == b),
        NotEqual => Some(|a, b| a != b),
        _ => None,
    };
    if let Some(compare) = compare {
        return Ok(wrap_truths((pairs.into_iter().map(|(a, b)| compare(a, b)).collect(), one)));
    }
    let results: Vec<f64> = pairs
        .into_iter()
        .map(|(a, b)| match operator {
            Add => a + b,
            Subtract => a - b,
            Multiply => a * b,
            _ => a / b,
        })
        .collect();
    Ok(if one { Item::Number(results[0]) } else { Item::Numbers(results) })
}
