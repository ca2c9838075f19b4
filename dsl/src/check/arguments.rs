//! Keyword parameters of stages: names, types, units, ranges.

use super::Checker;
use crate::ast::{Argument, Expr, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{evaluate, names_any};
use neuroflow_stage::params::ParamType;
use neuroflow_stage::{Signature, Value, nearest};

impl Checker<'_> {
    pub(super) fn parameters(&mut self, position: usize, arguments: &[Argument], signature: &Signature) {
        let block = self.pipeline.steps[position].block;
        let mut given: Vec<(Word, Expr)> = Vec::new();
        for argument in arguments {
            let Some(key) = &argument.name else { continue };
            if let Some((first, _)) = given.iter().find(|(name, _)| name.text == key.text) {
                let message = format!("`{}` is given twice", key.text);
                let told = Diagnostic::error("duplicate-name", key.span.clone(), message).note(first.span.clone(), "first here");
                self.tell(told);
                continue;
            }
            match self.sampled(&argument.value, block) {
                Some(Ok(value)) => self.param_value(signature, key, &value, &argument.value),
                Some(Err(diagnostic)) => self.tell(diagnostic),
                // Known when it runs; the name is known now.
                None if signature.param(&key.text).is_none() => self.param_value(signature, key, &Value::Bool(true), &argument.value),
                None => {}
            }
            given.push((key.clone(), argument.value.clone()));
        }
        let call = self.pipeline.steps[position].span.clone();
        for spec in signature.params.iter().filter(|spec| spec.default.is_none()) {
            // What is broken within the call, or misspelt, may be what is missing.
            if self.broken_within(&call)
                || given.iter().any(|(name, _)| signature.param(&name.text).is_none() && nearest(&name.text, [spec.name]).is_some())
            {
                continue;
            }
            if !given.iter().any(|(name, _)| name.text == spec.name) {
                let message = format!("`{}` needs the parameter `{}`", signature.name, spec.name);
                let span = self.pipeline.steps[position].span.clone();
                let help = format!("{}; {} is expected", spec.doc.trim_end_matches('.'), spec.ty.describe());
                self.tell(Diagnostic::error("missing-parameter", span, message).help(help));
            }
        }
        self.pipeline.steps[position].params = given;
    }

    /// The value of an expression in a block while nothing has run; none when it names what is known only then.
    pub(super) fn sampled(&self, expr: &Expr, block: usize) -> Option<Result<Value, Diagnostic>> {
        if block == 0 {
            return Some(evaluate(expr, &self.pipeline.scope()));
        }
        let (scope, unknown) = self.sample(block);
        (!names_any(expr, &unknown)).then(|| evaluate(expr, &scope))
    }

    pub(super) fn param_value(&mut self, signature: &Signature, key: &Word, value: &Value, expr: &Expr) {
        let Some(spec) = signature.param(&key.text) else {
            let names = signature.params.iter().map(|spec| spec.name);
            let near = nearest(&key.text, names.clone()).map(|near| format!("did you mean `{near}`?"));
            let list = names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let has = if list.is_empty() { "it has none".into() } else { format!("it has {list}") };
            let message = format!("`{}` has no parameter `{}`; {has}", signature.name, key.text);
            self.tell(Diagnostic::error("unknown-parameter", key.span.clone(), message).help_if(near));
            return;
        };
        if let Err(message) = spec.check(value) {
            let code = if is_unit_mistake(&spec.ty, value) { "unit-mismatch" } else { "wrong-value" };
            self.tell(Diagnostic::error(code, expr.span.clone(), format!("`{}`: {message}", key.text)).label(value.describe()));
        }
    }
}

fn is_unit_mistake(ty: &ParamType, value: &Value) -> bool {
    match (ty, value) {
        (ParamType::Quantity(dimension), Value::Quantity(quantity)) => *dimension != quantity.dimension,
        (ParamType::Quantity(_), Value::Int(_) | Value::Number(_)) | (ParamType::Integer | ParamType::Number, Value::Quantity(_)) => true,
        (ParamType::Range(inner), Value::Range(start, end)) => is_unit_mistake(inner, start) || is_unit_mistake(inner, end),
        (ParamType::List(inner), Value::List(values)) => values.iter().any(|value| is_unit_mistake(inner, value)),
        (ParamType::OneOf(types), value) => types.iter().any(|ty| is_unit_mistake(ty, value)),
        _ => false,
    }
}
