//! Expressions to values: parameters and loop variables are filled in, arithmetic is done, units are minded.

use crate::ast::{Expr, ExprKind, Operator};
use crate::diagnostics::Diagnostic;
use neuroflow_stage::value::Call;
use neuroflow_stage::{Quantity, Value, nearest};
use std::collections::BTreeMap;

/// What names mean where an expression stands.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Parameters of the pipeline: `param.name`.
    pub params: BTreeMap<String, Value>,
    /// Loop variables.
    pub variables: BTreeMap<String, Value>,
}

/// The value of an expression. A bare name that is no loop variable is a word.
///
/// # Errors
/// What is wrong, at its place: an unknown parameter, units that don't fit, a step where a value is meant.
pub fn evaluate(expr: &Expr, scope: &Scope) -> Result<Value, Diagnostic> {
    let error = |code, message: String| Diagnostic::error(code, expr.span.clone(), message);
    Ok(match &expr.kind {
        ExprKind::Int(value) => Value::Int(*value),
        ExprKind::Number(value) => Value::Number(*value),
        ExprKind::Quantity(quantity) => Value::Quantity(*quantity),
        ExprKind::Bool(value) => Value::Bool(*value),
        ExprKind::Text(text) => Value::Text(interpolate(text, scope).map_err(|message| error("unknown-name", message))?),
        ExprKind::Name(name) => scope.variables.get(name).cloned().unwrap_or_else(|| Value::Word(name.clone())),
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

/// Text with `{name}` and `{param.name}` filled in; `{{` and `}}` are braces.
fn interpolate(text: &str, scope: &Scope) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let Some(end) = rest.find('}').filter(|_| brace == "{") else {
            return Err(format!("`{brace}` stands alone in this text; write `{brace}{brace}` for a brace"));
        };
        let name = rest[..end].trim();
        let value = match name.strip_prefix("param.") {
            Some(param) => scope.params.get(param),
            None => scope.variables.get(name),
        };
        match value {
            Some(Value::Text(text) | Value::Word(text)) => out.push_str(text),
            Some(value) => out.push_str(&value.to_string()),
            None => return Err(format!("there is no `{name}` to fill in here; write `param.name` or a loop variable")),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}
