//! Conditions of `expect`, and of an `if` on scores: checked against what stages declare, evaluated on scores.
//!
//! `step.metric` is a score's value; `step["x"].metric` that of one member, `step[*].metric` or a bare family those of all. After the metric may stand
//! `p`, `chance`, `ceiling`, `null` (the mean of the null draws) or the name of a control (the mean of what it gave). Comparisons of a
//! family are made member by member; `all`, `any`, `count`, `min`, `max` and `mean` sum up. A bare family holds when all its members do.

use crate::ast::{Argument, Expr, ExprKind, Operator, Span};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Scope, evaluate, names_any};
use crate::expand::label_of;
use crate::pipeline::{Members, Pipeline};
use neuroflow_data::Score;
use neuroflow_stage::{Control, Value, nearest};

const FUNCTIONS: [&str; 6] = ["all", "any", "count", "min", "max", "mean"];
/// Whether a word sums up a family in a condition.
pub(crate) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

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
pub type ScoresOf<'a> = &'a dyn Fn(usize) -> Vec<(Members, Vec<Score>)>;

/// What a condition came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether it holds.
    pub holds: bool,
    /// The numbers that it was decided on.
    pub numbers: String,
}

/// What a condition sees from where it stands.
pub(crate) trait Sight {
    /// Parameters and loop variables.
    fn scope(&self) -> Scope<'_>;
    /// The members of a step that the labels in brackets name, with their scores.
    fn look(&self, step: usize, indices: &[Option<String>]) -> Result<Sighted, Blind>;
}

/// Members with their scores.
pub(crate) struct Sighted {
    pub(crate) members: Vec<(Members, Vec<Score>)>,
    /// Whether one member was meant, and not a family.
    pub(crate) single: bool,
}

/// Why a condition can't be decided.
pub(crate) enum Blind {
    /// Scores are not there yet.
    NotYet,
    /// A step that it names is wrong, which was told.
    Follows,
    /// No loop and no branch around this step made one.
    NotMade(String),
    /// In words.
    Wrong(String),
}

impl From<String> for Blind {
    fn from(reason: String) -> Blind {
        Blind::Wrong(reason)
    }
}

impl From<&str> for Blind {
    fn from(reason: &str) -> Blind {
        Blind::Wrong(reason.to_owned())
    }
}

#[derive(Debug, Clone)]
enum Item {
    Number(f64),
    Truth(bool),
    Text(String),
    Numbers(Vec<f64>),
    Truths(Vec<bool>),
}

/// What a part of a condition gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gives {
    Number,
    Truth,
    Text,
    /// It is wrong, which was told, or not known before it runs.
    Anything,
}

impl Gives {
    fn fits(self, other: Gives) -> bool {
        self == other || self == Gives::Anything || other == Gives::Anything
    }

    fn words(self) -> &'static str {
        match self {
            Gives::Number => "a number",
            Gives::Truth => "true or false",
            Gives::Text => "text",
            Gives::Anything => "anything",
        }
    }
}

/// Whether a condition can be evaluated, and the steps that it needs. `variables` are the loop variables that it may name; `defined` tells names that are
/// defined but wrong.
pub fn check(condition: &Expr, pipeline: &Pipeline, variables: &[&str], defined: &dyn Fn(&str) -> bool) -> (Vec<Diagnostic>, Vec<usize>) {
    let mut walker = Walker { pipeline, variables, defined, diagnostics: Vec::new(), steps: Vec::new() };
    let gives = walker.gives(condition);
    if !gives.fits(Gives::Truth) {
        let message = format!("a condition is true or false, this is {}", gives.words());
        let told = Diagnostic::error("wrong-value", condition.span.clone(), message);
        walker.diagnostics.push(told.help("compare it, as in `step.accuracy > 0.2`"));
    }
    (walker.diagnostics, walker.steps)
}

struct Walker<'w> {
    pipeline: &'w Pipeline,
    variables: &'w [&'w str],
    defined: &'w dyn Fn(&str) -> bool,
    diagnostics: Vec<Diagnostic>,
    steps: Vec<usize>,
}

impl Walker<'_> {
    fn gives(&mut self, expr: &Expr) -> Gives {
        match &expr.kind {
            ExprKind::Binary(operator, left, right) => {
                let (a, b) = (self.gives(left), self.gives(right));
                self.operator(*operator, expr, a, b)
            }
            ExprKind::Not(of) => {
                let inner = self.gives(of);
                self.expect(of, inner, Gives::Truth);
                Gives::Truth
            }
            ExprKind::Negative(of) => {
                let inner = self.gives(of);
                self.expect(of, inner, Gives::Number);
                Gives::Number
            }
            ExprKind::Int(_) | ExprKind::Number(_) | ExprKind::Quantity(_) => Gives::Number,
            ExprKind::Bool(_) => Gives::Truth,
            ExprKind::Text(_) => Gives::Text,
            ExprKind::Name(name) if self.variables.contains(&name.as_str()) => Gives::Anything,
            ExprKind::Call(callee, arguments) => match (&callee.kind, arguments.as_slice()) {
                (ExprKind::Name(name), [Argument { name: None, value }]) if FUNCTIONS.contains(&name.as_str()) => {
                    let inner = self.gives(value);
                    match name.as_str() {
                        "all" | "any" => {
                            self.expect(value, inner, Gives::Truth);
                            Gives::Truth
                        }
                        "count" => Gives::Number,
                        _ => {
                            self.expect(value, inner, Gives::Number);
                            Gives::Number
                        }
                    }
                }
                (ExprKind::Name(name), _) => {
                    let near = nearest(name, FUNCTIONS).map(|near| format!("did you mean `{near}`?"));
                    let message = format!("`{name}` can't stand in a condition; {} take one family", FUNCTIONS.join(", "));
                    self.diagnostics.push(Diagnostic::error("unknown-metric", expr.span.clone(), message).help_if(near));
                    Gives::Anything
                }
                _ => {
                    self.diagnostics.push(Diagnostic::error("unknown-metric", expr.span.clone(), "a score is expected in a condition"));
                    Gives::Anything
                }
            },
            ExprKind::Field(of, _) if matches!(&of.kind, ExprKind::Name(name) if name == "param") => {
                match evaluate(expr, &self.pipeline.scope()) {
                    Ok(Value::Bool(_)) => Gives::Truth,
                    Ok(Value::Text(_) | Value::Word(_)) => Gives::Text,
                    Ok(_) => Gives::Number,
                    Err(diagnostic) => {
                        self.diagnostics.push(diagnostic);
                        Gives::Anything
                    }
                }
            }
            _ => match score_ref(expr, self.pipeline) {
                Ok(reference) => {
                    self.indices(&reference);
                    self.steps.push(reference.step);
                    Gives::Number
                }
                // A step that is defined but wrong was told of already.
                Err(Unresolved::NoStep(name, _)) if (self.defined)(&name) => Gives::Anything,
                Err(Unresolved::NoStep(name, span)) => {
                    let names = self.pipeline.steps.iter().map(|step| step.name.text.as_str());
                    let near = nearest(&name, names).map(|near| format!("did you mean `{near}`?"));
                    self.diagnostics.push(Diagnostic::error("unknown-name", span, format!("there is no step `{name}`")).help_if(near));
                    Gives::Anything
                }
                Err(Unresolved::Wrong(diagnostic)) => {
                    self.diagnostics.push(*diagnostic);
                    Gives::Anything
                }
            },
        }
    }

    /// Labels in brackets that no loop over a list can have.
    fn indices(&mut self, reference: &ScoreRef<'_>) {
        let loops = self.pipeline.loops(reference.step);
        if reference.indices.len() > loops {
            let Some(Some(last)) = reference.indices.last() else { return };
            let message = format!("`{}` stands in {}", self.pipeline.steps[reference.step].name.text, loops_in_words(loops));
            self.diagnostics.push(Diagnostic::error("family-needs-index", last.span.clone(), message));
            return;
        }
        for (depth, index) in reference.indices.iter().enumerate() {
            let Some(index) = index.filter(|index| !names_any(index, self.variables)) else { continue };
            let label = match evaluate(index, &self.pipeline.scope()) {
                Ok(value) => label_of(&value),
                Err(told) => {
                    self.diagnostics.push(told);
                    continue;
                }
            };
            if let Some(known) = self.pipeline.labels_of_loop(reference.step, depth)
                && !known.contains(&label)
            {
                let name = &self.pipeline.steps[reference.step].name.text;
                let near = nearest(&label, known.iter().map(|label| &**label)).map(|near| format!("did you mean `{near}`?"));
                let list = known.iter().take(12).map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{name}` has no member `{label}`; it has {list}");
                self.diagnostics.push(Diagnostic::error("unknown-name", index.span.clone(), message).help_if(near));
            }
        }
    }

    fn operator(&mut self, operator: Operator, expr: &Expr, a: Gives, b: Gives) -> Gives {
        use Operator::*;
        let ExprKind::Binary(_, left, right) = &expr.kind else { return Gives::Anything };
        match operator {
            And | Or => {
                self.expect(left, a, Gives::Truth);
                self.expect(right, b, Gives::Truth);
                Gives::Truth
            }
            Equal | NotEqual => {
                if !a.fits(b) {
                    let message = format!("{} and {} can't be compared", a.words(), b.words());
                    self.diagnostics.push(Diagnostic::error("wrong-value", expr.span.clone(), message));
                }
                Gives::Truth
            }
            Less | Greater | LessEqual | GreaterEqual => {
                self.expect(left, a, Gives::Number);
                self.expect(right, b, Gives::Number);
                Gives::Truth
            }
            Add | Subtract | Multiply | Divide => {
                self.expect(left, a, Gives::Number);
                self.expect(right, b, Gives::Number);
                Gives::Number
            }
        }
    }

    fn expect(&mut self, expr: &Expr, found: Gives, wanted: Gives) {
        if !found.fits(wanted) {
            let message = format!("{} is expected here, this is {}", wanted.words(), found.words());
            self.diagnostics.push(Diagnostic::error("wrong-value", expr.span.clone(), message));
        }
    }
}

/// `no loop`, `one loop`, `3 loops`.
pub(crate) fn loops_in_words(loops: usize) -> String {
    match loops {
        0 => "no loop".into(),
        1 => "one loop".into(),
        more => format!("{more} loops"),
    }
}

/// Why a score can't be named.
enum Unresolved {
    /// There is no such step.
    NoStep(String, Span),
    Wrong(Box<Diagnostic>),
}

impl From<Diagnostic> for Unresolved {
    fn from(diagnostic: Diagnostic) -> Unresolved {
        Unresolved::Wrong(Box::new(diagnostic))
    }
}

fn score_ref<'e>(expr: &'e Expr, pipeline: &Pipeline) -> Result<ScoreRef<'e>, Unresolved> {
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
                let message = "a score is expected in a condition, such as `step.accuracy`";
                return Err(Diagnostic::error("unknown-metric", expr.span.clone(), message).into());
            }
        }
    };
    fields.reverse();
    indices.reverse();
    let Some(step) = pipeline.step(name) else { return Err(Unresolved::NoStep(name.clone(), at.span.clone())) };
    let decl = &pipeline.steps[step];
    let list = || decl.metrics.iter().map(|metric| format!("`{metric}`")).collect::<Vec<_>>().join(", ");
    if decl.metrics.is_empty() {
        let message = format!("`{name}` gives no scores, so nothing can be expected of it");
        return Err(Diagnostic::error("unknown-metric", expr.span.clone(), message).into());
    }
    // `step.scores.accuracy` and `step.accuracy` are the same.
    let mut fields = fields
        .into_iter()
        .skip_while(|field| decl.outputs.iter().any(|(output, kind)| *kind == neuroflow_data::Kind::Scores && *output == field.text));
    let Some(metric) = fields.next() else {
        let message = format!("a metric of `{name}` is expected: {}", list());
        let help = format!("write `{name}.{}`", decl.metrics[0]);
        return Err(Diagnostic::error("unknown-metric", expr.span.clone(), message).help(help).into());
    };
    if !decl.metrics.iter().any(|known| **known == *metric.text) {
        let near = nearest(&metric.text, decl.metrics.iter().map(|known| &**known)).map(|near| format!("did you mean `{near}`?"));
        let message = format!("`{name}` has no metric `{}`; it has {}", metric.text, list());
        return Err(Diagnostic::error("unknown-metric", metric.span.clone(), message).help_if(near).into());
    }
    let part = fields.next();
    if let Some(part) = part
        && !PARTS.contains(&part.text.as_str())
        && Control::params(&part.text).is_none()
    {
        let message =
            format!("a score has no `{}`; it has {} and its controls by name", part.text, PARTS.map(|part| format!("`{part}`")).join(", "));
        return Err(Diagnostic::error("unknown-metric", part.span.clone(), message).into());
    }
    Ok(ScoreRef { step, indices, metric: &metric.text, part: part.map(|part| part.text.as_str()) })
}

/// Evaluates the checked condition of an `expect`. Of steps whose branch was not taken nothing is expected.
///
/// # Errors
/// When a score that it names is not there, or sides don't fit, in words.
pub fn decide(condition: &Expr, pipeline: &Pipeline, scores: ScoresOf<'_>) -> Result<Outcome, String> {
    match decide_with(condition, pipeline, &Above { pipeline, scores }) {
        Ok(outcome) => Ok(outcome),
        Err(Blind::NotMade(step)) => Ok(Outcome { holds: true, numbers: format!("`{step}` was not made") }),
        Err(Blind::Wrong(reason)) => Err(reason),
        Err(Blind::NotYet | Blind::Follows) => Err("its steps have not run".into()),
    }
}

/// What an `expect` sees: everything, from outside of all loops.
struct Above<'a> {
    pipeline: &'a Pipeline,
    scores: ScoresOf<'a>,
}

impl Sight for Above<'_> {
    fn scope(&self) -> Scope<'_> {
        self.pipeline.scope()
    }

    fn look(&self, step: usize, indices: &[Option<String>]) -> Result<Sighted, Blind> {
        let fits =
            |labels: &Members| labels.iter().zip(indices).all(|(label, wanted)| wanted.as_ref().is_none_or(|wanted| **wanted == **label));
        let members = (self.scores)(step).into_iter().filter(|(labels, _)| fits(labels)).collect();
        Ok(Sighted { members, single: indices.iter().all(Option::is_some) && indices.len() == self.pipeline.loops(step) })
    }
}

pub(crate) fn decide_with(condition: &Expr, pipeline: &Pipeline, sight: &dyn Sight) -> Result<Outcome, Blind> {
    let mut shown = Vec::new();
    let item = value(condition, pipeline, sight, &mut shown)?;
    let holds = match item {
        Item::Truth(truth) => truth,
        Item::Truths(truths) => truths.into_iter().all(|truth| truth),
        _ => return Err("a condition must be true or false, such as `step.accuracy > 0.2`".into()),
    };
    shown.dedup();
    Ok(Outcome { holds, numbers: shown.join("; ") })
}

fn item_of(value: &Value) -> Option<Item> {
    Some(match value {
        Value::Bool(truth) => Item::Truth(*truth),
        Value::Quantity(quantity) => Item::Number(quantity.value),
        Value::Text(text) | Value::Word(text) => Item::Text(text.clone()),
        other => Item::Number(other.as_number()?),
    })
}

fn value(expr: &Expr, pipeline: &Pipeline, sight: &dyn Sight, shown: &mut Vec<String>) -> Result<Item, Blind> {
    match &expr.kind {
        ExprKind::Int(number) => Ok(Item::Number(*number as f64)),
        ExprKind::Number(number) => Ok(Item::Number(*number)),
        ExprKind::Quantity(quantity) => Ok(Item::Number(quantity.value)),
        ExprKind::Bool(truth) => Ok(Item::Truth(*truth)),
        ExprKind::Negative(of) => Ok(match value(of, pipeline, sight, shown)? {
            Item::Number(number) => Item::Number(-number),
            Item::Numbers(numbers) => Item::Numbers(numbers.into_iter().map(|number| -number).collect()),
            _ => return Err("`-` needs numbers".into()),
        }),
        ExprKind::Not(of) => Ok(match value(of, pipeline, sight, shown)? {
            Item::Truth(truth) => Item::Truth(!truth),
            Item::Truths(truths) => Item::Truths(truths.into_iter().map(|truth| !truth).collect()),
            _ => return Err("`not` needs true or false".into()),
        }),
        ExprKind::Binary(operator, left, right) => {
            let (left, right) = (value(left, pipeline, sight, shown)?, value(right, pipeline, sight, shown)?);
            Ok(binary(*operator, left, right)?)
        }
        ExprKind::Call(callee, arguments) => {
            let (ExprKind::Name(name), Some(argument)) = (&callee.kind, arguments.first()) else {
                return Err("a function takes one family".into());
            };
            let result = match (value(&argument.value, pipeline, sight, shown), name.as_str()) {
                (Ok(item), _) => function(name, item)?,
                // There are none, and that is an answer.
                (Err(Blind::NotMade(_)), "any") => Item::Truth(false),
                (Err(Blind::NotMade(_)), "all") => Item::Truth(true),
                (Err(Blind::NotMade(_)), "count") => Item::Number(0.0),
                (Err(blind), _) => return Err(blind),
            };
            if let Item::Number(number) = &result {
                shown.push(format!("{name}(…) = {number:.3}"));
            }
            Ok(result)
        }
        ExprKind::Field(of, _) if matches!(&of.kind, ExprKind::Name(name) if name == "param") => plain(expr, sight),
        ExprKind::Text(_) => plain(expr, sight),
        ExprKind::Name(name) if sight.scope().variable(name).is_some() => plain(expr, sight),
        _ => score(expr, pipeline, sight, shown),
    }
}

/// A parameter, a loop variable, a text.
fn plain(expr: &Expr, sight: &dyn Sight) -> Result<Item, Blind> {
    let value = evaluate(expr, &sight.scope()).map_err(|told| told.message)?;
    item_of(&value).ok_or_else(|| format!("{} can't stand in a condition", value.describe()).into())
}

fn score(expr: &Expr, pipeline: &Pipeline, sight: &dyn Sight, shown: &mut Vec<String>) -> Result<Item, Blind> {
    let reference = match score_ref(expr, pipeline) {
        Ok(reference) => reference,
        Err(Unresolved::NoStep(name, _)) => return Err(format!("there is no step `{name}`").into()),
        Err(Unresolved::Wrong(told)) => return Err(told.message.into()),
    };
    let name = &pipeline.steps[reference.step].name.text;
    let mut wanted = Vec::new();
    for index in &reference.indices {
        wanted.push(match index {
            Some(expr) => Some(label_of(&evaluate(expr, &sight.scope()).map_err(|told| told.message)?).to_string()),
            None => None,
        });
    }
    let sighted = sight.look(reference.step, &wanted)?;
    let mut numbers = Vec::new();
    for (labels, of) in &sighted.members {
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
        [] if pipeline.is_conditional(reference.step) || !wanted.iter().any(Option::is_some) => Err(Blind::NotMade(name.clone())),
        [] => Err(format!("`{name}` has no such member").into()),
        [one] if sighted.single => Ok(Item::Number(*one)),
        _ => Ok(Item::Numbers(numbers)),
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
    if let (Item::Text(a), Item::Text(b), Equal | NotEqual) = (&left, &right, operator) {
        return Ok(Item::Truth((a == b) == (operator == Equal)));
    }
    if let (Item::Truth(a), Item::Truth(b), Equal | NotEqual) = (&left, &right, operator) {
        return Ok(Item::Truth((a == b) == (operator == Equal)));
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
