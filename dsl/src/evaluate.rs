//! Expressions to values: parameters and loop variables are filled in, arithmetic is done, units are minded.

use crate::ast::{Expr, ExprKind, Operator};
use crate::diagnostics::Diagnostic;
use neuroflow_stage::value::Call;
use neuroflow_stage::{Quantity, Value, nearest};
use std::collections::BTreeMap;

static NOTHING: BTreeMap<String, Value> = BTreeMap::new();

/// What stands for the value of a loop variable while it is not known.
pub(crate) const UNKNOWN: &str = "…";

/// What names mean where an expression stands.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    params: &'a BTreeMap<String, Value>,
    /// Loop variables, outermost first.
    variables: Vec<(&'a str, Value)>,
}

impl Default for Scope<'_> {
    fn default() -> Self {
        Scope::new(&NOTHING)
    }
}

impl<'a> Scope<'a> {
    /// Parameters of the pipeline, used as `param.name`, and no loop variables.
    pub fn new(params: &'a BTreeMap<String, Value>) -> Scope<'a> {
        Scope { params, variables: Vec::new() }
    }

    /// Adds a loop variable.
    pub fn add(&mut self, name: &'a str, value: Value) {
        self.variables.push((name, value));
    }

    /// The value of a loop variable.
    pub fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Whether an expression names one of these loop variables, in a text or outside of it.
pub(crate) fn names_any(expr: &Expr, names: &[&str]) -> bool {
    let inner = |expr: &Expr| names_any(expr, names);
    if names.is_empty() {
        return false;
    }
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Number(_) | ExprKind::Quantity(_) | ExprKind::Bool(_) => false,
        ExprKind::Text(text) => {
            // A brace that is doubled fills nothing in; taking it for a name costs nothing but time.
            text.split('{').skip(1).any(|rest| rest.split('}').next().is_some_and(|name| names.contains(&name.trim())))
        }
        ExprKind::Name(name) => names.contains(&name.as_str()),
        ExprKind::Field(of, _) | ExprKind::All(of) | ExprKind::Negative(of) | ExprKind::Not(of) => inner(of),
        ExprKind::Index(a, b) | ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) => inner(a) || inner(b),
        ExprKind::Steps(a, b, c) => inner(a) || inner(b) || inner(c),
        ExprKind::List(items) => items.iter().any(inner),
        ExprKind::Call(_, arguments) => arguments.iter().any(|argument| inner(&argument.value)),
    }
}

/// The value of an expression. A bare name that is no loop variable is a word.
///
/// # Errors
/// What is wrong, at its place: an unknown parameter, units that don't fit, a step where a value is meant.
pub fn evaluate(expr: &Expr, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
    let error = |code, message: String| Diagnostic::error(code, expr.span.clone(), message);
    Ok(match &expr.kind {
        ExprKind::Int(value) => Value::Int(*value),
        ExprKind::Number(value) => Value::Number(*value),
        ExprKind::Quantity(quantity) => Value::Quantity(*quantity),
        ExprKind::Bool(value) => Value::Bool(*value),
        ExprKind::Text(text) => Value::Text(interpolate(text, scope).map_err(|message| error("unknown-name", message))?),
        ExprKind::Name(name) => scope.variable(name).cloned().unwrap_or_else(|| Value::Word(name.clone())),
        ExprKind::Field(of, field) => {
            let ExprKind::Name(object) = &of.kind else {
                return Err(error("wrong-value", "a value is expected here, this names a result".into()));
            };
            if object != "param" {
                let message = format!("a value is expected here; `{object}.{}` names a result", field.text);
                return Err(error("wrong-value", message).help("results are passed as positional arguments, values as `key = value`"));
            }
            let near = || nearest(&field.text, scope.params.keys().map(String::as_str)).map(|near| format!("did you mean `param.{near}`?"));
            scope.params.get(&field.text).cloned().ok_or_else(|| {
                Diagnostic::error("unknown-name", field.span.clone(), format!("there is no parameter `{}`", field.text)).help_if(near())
            })?
        }
        ExprKind::List(items) => Value::List(items.iter().map(|item| evaluate(item, scope)).collect::<Result<_, _>>()?),
        ExprKind::Range(start, end) => {
            let (low, high) = (evaluate(start, scope)?, evaluate(end, scope)?);
            let kind = |value: &Value| match value {
                Value::Quantity(quantity) => Some(quantity.dimension.name()),
                Value::Int(_) | Value::Number(_) => Some("number"),
                _ => None,
            };
            match (kind(&low), kind(&high)) {
                (Some(a), Some(b)) if a == b => Value::Range(Box::new(low), Box::new(high)),
                (Some(a), Some(b)) => {
                    let message = format!("a range from a {a} to a {b}");
                    let help = suggest_unit(&low, &high).map(|text| format!("did you mean `{text}`?"));
                    return Err(Diagnostic::error("unit-mismatch", end.span.clone(), message)
                        .label(format!("{high} is a {b}"))
                        .help_if(help));
                }
                _ => return Err(error("wrong-value", "a range goes from a number to a number".into())),
            }
        }
        ExprKind::Steps(start, end, step) => {
            let parts = [evaluate(start, scope)?, evaluate(end, scope)?, evaluate(step, scope)?];
            steps(&parts).map_err(|(code, message)| error(code, message))?
        }
        ExprKind::Call(callee, arguments) => {
            let ExprKind::Name(name) = &callee.kind else {
                return Err(error("wrong-value", "a value is expected here; a stage is called in a statement of its own".into())
                    .help("give it a name: `name = topic.stage(…)`, and use the name"));
            };
            let mut call = Call { name: name.clone(), positional: Vec::new(), named: Vec::new() };
            for argument in arguments {
                let value = evaluate(&argument.value, scope)?;
                match &argument.name {
                    Some(key) => call.named.push((key.text.clone(), value)),
                    None => call.positional.push(value),
                }
            }
            Value::Call(call)
        }
        ExprKind::Negative(of) => match evaluate(of, scope)? {
            Value::Int(value) => Value::Int(value.checked_neg().ok_or_else(|| error("wrong-value", "the number is too large".into()))?),
            Value::Number(value) => Value::Number(-value),
            Value::Quantity(quantity) => Value::Quantity(Quantity { value: -quantity.value, ..quantity }),
            other => return Err(error("wrong-value", format!("`-` needs a number, this is {}", other.describe()))),
        },
        ExprKind::Not(of) => match evaluate(of, scope)? {
            Value::Bool(value) => Value::Bool(!value),
            other => return Err(error("wrong-value", format!("`not` needs true or false, this is {}", other.describe()))),
        },
        ExprKind::Binary(operator, left, right) => {
            let (a, b) = (evaluate(left, scope)?, evaluate(right, scope)?);
            binary(*operator, &a, &b).map_err(|(code, message)| error(code, message))?
        }
        ExprKind::Index(..) | ExprKind::All(_) => return Err(error("wrong-value", "a value is expected here, this names a result".into())),
    })
}

/// How many members a list that is written as a range may have.
const MOST_STEPS: f64 = 1e6;

/// `start .. end step step` as a list, half-open. Fractions are what they would be written as: 0.3, not 0.30000000000000004.
fn steps(parts: &[Value; 3]) -> Result<Value, (&'static str, String)> {
    let number = |value: &Value| match value {
        Value::Quantity(quantity) => Some((quantity.value, Some(quantity.dimension))),
        other => other.as_number().map(|number| (number, None)),
    };
    let [Some((start, of)), Some((end, end_of)), Some((step, step_of))] = parts.each_ref().map(number) else {
        return Err(("wrong-value", "`a .. b step c` is made of numbers".into()));
    };
    if of != end_of || of != step_of {
        return Err(("unit-mismatch", format!("`{} .. {} step {}` mixes units", parts[0], parts[1], parts[2])));
    }
    let count = ((end - start) / step - 1e-9).ceil();
    if !(step > 0.0 && end > start && count <= MOST_STEPS) {
        return Err(("wrong-value", format!("`{} .. {} step {}` must go up, in at most a million steps", parts[0], parts[1], parts[2])));
    }
    if let [Value::Int(start), Value::Int(_), Value::Int(step)] = parts {
        return Ok(Value::List((0..count as i64).map(|at| Value::Int(start + at * step)).collect()));
    }
    let at = |at: f64| {
        let value = start + at * step;
        // Twelve digits are more than anybody writes, and fewer than what addition spoils.
        let value = format!("{value:.11e}").parse().unwrap_or(value);
        of.map_or(Value::Number(value), |dimension| Value::Quantity(Quantity { value, dimension }))
    };
    Ok(Value::List((0..count as i64).map(|number| at(number as f64)).collect()))
}

/// The number of the range's end with the unit of its start, when that is likely meant: `50 ms .. 250 Hz` → `250 ms`.
fn suggest_unit(start: &Value, end: &Value) -> Option<String> {
    let (Value::Quantity(start), Value::Quantity(end)) = (start, end) else { return None };
    let unit = start.to_string().split_whitespace().nth(1)?.to_owned();
    let number = end.to_string().split_whitespace().next()?.to_owned();
    Some(format!("{number} {unit}"))
}

fn binary(operator: Operator, a: &Value, b: &Value) -> Result<Value, (&'static str, String)> {
    use Operator::*;
    let wrong = |needs: &str| ("wrong-value", format!("{needs}; these are {} and {}", a.describe(), b.describe()));
    if let (Value::Bool(x), Value::Bool(y)) = (a, b) {
        match operator {
            Or => return Ok(Value::Bool(*x || *y)),
            And => return Ok(Value::Bool(*x && *y)),
            _ => {}
        }
    }
    if matches!(operator, Or | And) {
        return Err(wrong("`and` and `or` need true or false on both sides"));
    }
    if matches!(operator, Equal | NotEqual) {
        let text = |value: &Value| match value {
            Value::Text(text) | Value::Word(text) => Some(text.clone()),
            _ => None,
        };
        let same = match (text(a), text(b), a.as_number(), b.as_number()) {
            (Some(x), Some(y), _, _) => x == y,
            (_, _, Some(x), Some(y)) => x == y,
            _ => a == b,
        };
        return Ok(Value::Bool(same == (operator == Equal)));
    }
    if let (Value::Quantity(x), Value::Quantity(y)) = (a, b) {
        if x.dimension != y.dimension {
            return Err(("unit-mismatch", format!("{a} is a {} and {b} is a {}", x.dimension.name(), y.dimension.name())));
        }
        let quantity = |value| Ok(Value::Quantity(Quantity { value, dimension: x.dimension }));
        return match operator {
            Add => quantity(x.value + y.value),
            Subtract => quantity(x.value - y.value),
            Divide => Ok(Value::Number(x.value / y.value)),
            Multiply => Err(("unit-mismatch", format!("{a} times {b} has no unit that the language knows"))),
            _ => compare(operator, x.value, y.value).ok_or_else(|| wrong("numbers are expected")),
        };
    }
    if let (Value::Quantity(x), Some(y)) = (a, b.as_number()) {
        let quantity = |value| Ok(Value::Quantity(Quantity { value, dimension: x.dimension }));
        return match operator {
            Multiply => quantity(x.value * y),
            Divide => quantity(x.value / y),
            _ => Err(("unit-mismatch", format!("{a} is a {} and {b} has no unit", x.dimension.name()))),
        };
    }
    if let (Some(x), Value::Quantity(y)) = (a.as_number(), b) {
        return match operator {
            Multiply => Ok(Value::Quantity(Quantity { value: x * y.value, dimension: y.dimension })),
            _ => Err(("unit-mismatch", format!("{a} has no unit and {b} is a {}", y.dimension.name()))),
        };
    }
    let (Some(x), Some(y)) = (a.as_number(), b.as_number()) else { return Err(wrong("numbers are expected")) };
    if let Some(truth) = compare(operator, x, y) {
        return Ok(truth);
    }
    if let (Value::Int(x), Value::Int(y)) = (a, b) {
        let exact = match operator {
            Add => x.checked_add(*y),
            Subtract => x.checked_sub(*y),
            Multiply => x.checked_mul(*y),
            _ => None,
        };
        if let Some(exact) = exact {
            return Ok(Value::Int(exact));
        }
    }
    Ok(Value::Number(match operator {
        Add => x + y,
        Subtract => x - y,
        Multiply => x * y,
        _ => x / y,
    }))
}

fn compare(operator: Operator, x: f64, y: f64) -> Option<Value> {
    Some(Value::Bool(match operator {
        Operator::Less => x < y,
        Operator::Greater => x > y,
        Operator::LessEqual => x <= y,
        Operator::GreaterEqual => x >= y,
        _ => return None,
    }))
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// What stands there.
    Plain(&'t str),
    /// What is filled in: `name` or `param.name`.
    Filled(&'t str),
}

/// The parts of a text; `{{` and `}}` are braces.
///
/// # Errors
/// When a brace stands alone.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        pieces.push(Piece::Plain(&rest[..at]));
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            pieces.push(Piece::Plain(brace));
            rest = after;
            continue;
        }
        let Some(end) = rest.find('}').filter(|_| brace == "{") else {
            return Err(format!("`{brace}` stands alone in this text; write `{brace}{brace}` for a brace"));
        };
        pieces.push(Piece::Filled(rest[..end].trim()));
        rest = &rest[end + 1..];
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

/// The value that is filled in for `name` or `param.name`.
///
/// # Errors
/// When nothing is called that.
pub(crate) fn filled<'s>(name: &str, scope: &'s Scope<'_>) -> Result<&'s Value, String> {
    let value = match name.strip_prefix("param.") {
        Some(param) => scope.params.get(param),
        None => scope.variable(name),
    };
    value.ok_or_else(|| format!("there is no `{name}` to fill in here; write `param.name` or a loop variable"))
}

/// A value as it stands within a text: text without its quotes.
pub(crate) fn bare(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Word(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Text with `{name}` and `{param.name}` filled in.
fn interpolate(text: &str, scope: &Scope<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Filled(name) => out.push_str(&bare(filled(name, scope)?)),
        }
    }
    Ok(out)
}
