//! Values as they stand in a pipeline file, after names are resolved.

use crate::quantity::Quantity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A call-like value such as `shuffle("direction", n = 200)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The word before the parenthesis.
    pub name: String,
    /// Arguments by position.
    pub positional: Vec<Value>,
    /// Arguments by name, in the order written.
    pub named: Vec<(String, Value)>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Number(f64),
    /// A number with a unit.
    Quantity(Quantity),
    /// Text in quotes.
    Text(String),
    /// A bare word, such as `correlation`.
    Word(String),
    /// `[a, b]`.
    List(Vec<Value>),
    /// `a .. b`, half-open.
    Range(Box<Value>, Box<Value>),
    /// `name(…)`.
    Call(Call),
}

impl Value {
    /// A bare word.
    pub fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    /// A duration.
    pub fn seconds(value: f64) -> Value {
        Value::Quantity(Quantity { value, dimension: crate::Dimension::Time })
    }

    /// A window of time, in seconds.
    pub fn window(start: f64, end: f64) -> Value {
        Value::Range(Box::new(Value::seconds(start)), Box::new(Value::seconds(end)))
    }

    /// A word or call with arguments by name.
    pub fn call(name: &str, named: Vec<(&str, Value)>) -> Value {
        let named = named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Call(Call { name: name.to_owned(), positional: Vec::new(), named })
    }

    /// What it is, in words for messages: `a number`, `text`, `a duration`, ….
    pub fn describe(&self) -> String {
        match self {
            Value::Bool(_) => "a truth value".into(),
            Value::Int(_) => "a whole number".into(),
            Value::Number(_) => "a number".into(),
            Value::Quantity(quantity) => format!("a {}", quantity.dimension.name()),
            Value::Text(_) => "text".into(),
            Value::Word(word) => format!("the word `{word}`"),
            Value::List(_) => "a list".into(),
            Value::Range(..) => "a range".into(),
            Value::Call(call) => format!("`{}(…)`", call.name),
        }
    }

    /// The number in a [`Value::Int`] or [`Value::Number`].
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Number(value) => Some(*value),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(i64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl From<Quantity> for Value {
    fn from(value: Quantity) -> Value {
        Value::Quantity(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Value {
    /// As it would be written in a pipeline file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value:?}"),
            Value::Quantity(quantity) => write!(f, "{quantity}"),
            Value::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")),
            Value::Word(word) => write!(f, "{word}"),
            Value::List(values) => {
                let inner = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "[{inner}]")
            }
            Value::Range(start, end) => write!(f, "{start} .. {end}"),
            Value::Call(call) => {
                let mut parts: Vec<String> = call.positional.iter().map(ToString::to_string).collect();
                parts.extend(call.named.iter().map(|(name, value)| format!("{name} = {value}")));
                write!(f, "{}({})", call.name, parts.join(", "))
            }
        }
    }
}
