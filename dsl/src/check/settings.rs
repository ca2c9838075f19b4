//! Parameters of a pipeline: types, defaults, and values given for one run.

use super::Checker;
use crate::ast::{Statement, StatementKind, statements};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Scope, evaluate};
use crate::parser::parse;
use neuroflow_stage::params::ParamType;
use neuroflow_stage::{Dimension, ParamSpec, Value, nearest};
use std::collections::BTreeMap;

impl Checker<'_> {
    pub(super) fn params(&mut self, all: &[Statement], set: &[(String, String)]) {
        let mut types = BTreeMap::new();
        for statement in all {
            let StatementKind::Param(name, ty, default) = &statement.kind else { continue };
            if !self.define(name) {
                continue;
            }
            let value = match default.as_ref().map(|default| evaluate(default, &self.pipeline.scope())) {
                Some(Ok(value)) => Some(value),
                Some(Err(diagnostic)) => {
                    self.tell(diagnostic);
                    continue;
                }
                None => None,
            };
            let expected = match (ty, &value) {
                (Some(ty), _) => match param_type(&ty.text) {
                    Some(ty) => Some(ty),
                    None => {
                        let names = ["Text", "Number", "Integer", "Bool", "Duration", "Frequency"];
                        let near = nearest(&ty.text, names).map(|near| format!("did you mean `{near}`?"));
                        let message = format!("`{}` is not a type of parameter: {}, or a list such as [Text]", ty.text, names.join(", "));
                        self.tell(Diagnostic::error("wrong-value", ty.span.clone(), message).help_if(near));
                        None
                    }
                },
                (None, Some(value)) => type_of(value),
                (None, None) => None,
            };
            types.insert(name.text.clone(), expected.clone());
            let given = set.iter().rev().find(|(key, _)| *key == name.text).map(|(_, text)| text.as_str());
            let (value, flag) = match given {
                Some(text) => match set_value(text, expected.as_ref()) {
                    Ok(value) => (Some(value), true),
                    Err(message) => {
                        self.tell(Diagnostic::error("bad-set", name.span.clone(), format!("`--set {}={text}`: {message}", name.text)));
                        (None, true)
                    }
                },
                None => (value, false),
            };
            match (value, expected) {
                (Some(value), Some(ty)) => {
                    let spec = ParamSpec { name: "param", doc: String::new(), ty, default: None, limits: None };
                    match spec.check(&value) {
                        Ok(()) => {
                            self.pipeline.params.insert(name.text.clone(), value);
                        }
                        Err(message) if flag => {
                            self.tell(Diagnostic::error("bad-set", name.span.clone(), format!("`--set {}={value}`: {message}", name.text)));
                        }
                        Err(message) => {
                            self.tell(Diagnostic::error("wrong-value", name.span.clone(), format!("`{}`: {message}", name.text)))
                        }
                    }
                }
                (Some(value), None) => {
                    self.pipeline.params.insert(name.text.clone(), value);
                }
                (None, _) if flag => {}
                (None, _) => {
                    let message = format!("parameter `{}` has no value", name.text);
                    self.tell(
                        Diagnostic::error("missing-parameter", name.span.clone(), message)
                            .help(format!("give it one: `--set {}=…`", name.text)),
                    );
                }
            }
        }
        for (key, _) in set {
            if !types.contains_key(key) {
                let near = nearest(key, types.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                self.tell(
                    Diagnostic::error("bad-set", 0..0, format!("`--set {key}=…`: the pipeline has no parameter `{key}`")).help_if(near),
                );
            }
        }
    }
}

pub(super) fn param_type(name: &str) -> Option<ParamType> {
    if let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return Some(ParamType::List(Box::new(param_type(inner)?)));
    }
    Some(match name {
        "Text" => ParamType::Text,
        "Number" => ParamType::Number,
        "Integer" => ParamType::Integer,
        "Bool" => ParamType::Bool,
        "Duration" => ParamType::Quantity(Dimension::Time),
        "Frequency" => ParamType::Quantity(Dimension::Frequency),
        _ => return None,
    })
}

/// The type that a default gives to a parameter; none where any value will do.
fn type_of(value: &Value) -> Option<ParamType> {
    Some(match value {
        Value::Bool(_) => ParamType::Bool,
        Value::Int(_) => ParamType::Integer,
        Value::Number(_) => ParamType::Number,
        Value::Quantity(quantity) => ParamType::Quantity(quantity.dimension),
        Value::Text(_) => ParamType::Text,
        Value::List(values) => ParamType::List(Box::new(values.first().and_then(type_of)?)),
        Value::Range(start, _) => ParamType::Range(Box::new(type_of(start)?)),
        Value::Word(_) | Value::Call(_) => return None,
    })
}

/// A value given on the command line. Text may be given without quotes where text is expected.
fn set_value(text: &str, expected: Option<&ParamType>) -> Result<Value, String> {
    if expected == Some(&ParamType::Text) && !text.trim_start().starts_with('"') {
        return Ok(Value::Text(text.to_owned()));
    }
    if text.contains(['\n', '\r']) {
        return Err("one value on one line is expected".into());
    }
    let file = format!("param x = {text}");
    let parsed = parse(&file);
    if let Some(mistake) = parsed.diagnostics.first() {
        return Err(mistake.message.clone());
    }
    let mut diagnostics = Vec::new();
    let found = statements(&parsed.root(), &mut diagnostics);
    match found.as_slice() {
        [Statement { kind: StatementKind::Param(_, _, Some(expr)), .. }] => evaluate(expr, &Scope::default()).map_err(|told| told.message),
        _ => Err("one value is expected".into()),
    }
}
