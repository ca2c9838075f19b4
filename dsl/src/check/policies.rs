//! `with`: seeds, cores, and controls that must take hold somewhere.

use super::Checker;
use crate::ast::{Expr, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::evaluate;
use crate::pipeline::Policy;
use neuroflow_stage::{Control, Dimension, Signature, Value, nearest};
use std::collections::BTreeSet;

impl Checker<'_> {
    pub(super) fn policies(&mut self, position: usize, with: &[(Word, Expr)], signature: &Signature) {
        let scope = self.scope_of(position);
        let mut policy = Policy::default();
        for (key, expr) in with {
            let value = match evaluate(expr, &scope) {
                Ok(value) => value,
                Err(diagnostic) => {
                    self.tell(diagnostic);
                    continue;
                }
            };
            let wrong = |expected: &str| {
                let message = format!("`{}` is {expected}, this is `{value}`", key.text);
                Diagnostic::error("wrong-value", expr.span.clone(), message)
            };
            let slot = match key.text.as_str() {
                "seed" => {
                    if !matches!(value, Value::Int(seed) if seed >= 0) {
                        self.tell(wrong("a whole number that is not negative"));
                    }
                    &mut policy.seed
                }
                "cores" => {
                    if !matches!(value, Value::Int(cores) if (1..=4096).contains(&cores)) {
                        self.tell(wrong("a number of cores from 1"));
                    }
                    &mut policy.cores
                }
                "gpu" => {
                    if !matches!(&value, Value::Word(word) if ["never", "prefer", "require"].contains(&word.as_str())) {
                        self.tell(wrong("`never`, `prefer` or `require`"));
                    }
                    &mut policy.gpu
                }
                "cache" => {
                    if !matches!(&value, Value::Word(word) if ["on", "off"].contains(&word.as_str())) {
                        self.tell(wrong("`on` or `off`"));
                    }
                    &mut policy.cache
                }
                "control" => {
                    for control in controls_in(&value) {
                        self.control(position, control, expr, signature);
                    }
                    &mut policy.control
                }
                "time" if self.pipeline.steps[position].program.is_some() => {
                    if !matches!(&value, Value::Quantity(time) if time.dimension == Dimension::Time && time.value > 0.0) {
                        self.tell(wrong("a duration such as `10 min`"));
                    }
                    &mut policy.time
                }
                "retries" if self.pipeline.steps[position].program.is_some() => {
                    if !matches!(value, Value::Int(retries) if (0..=100).contains(&retries)) {
                        self.tell(wrong("a number from 0 to 100"));
                    }
                    &mut policy.retries
                }
                "memory" | "time" | "retries" | "executor" | "isolate" | "env" => {
                    self.not_yet(key);
                    continue;
                }
                other => {
                    let names = ["seed", "control", "cores", "gpu", "cache"];
                    let near = nearest(other, names).map(|near| format!("did you mean `{near}`?"));
                    let message = format!("there is no policy `{other}`; there are {}", names.map(|name| format!("`{name}`")).join(", "));
                    self.tell(Diagnostic::error("unknown-policy", key.span.clone(), message).help_if(near));
                    continue;
                }
            };
            *slot = Some(expr.clone());
        }
        self.pipeline.steps[position].policy = policy;
    }

    fn control(&mut self, position: usize, value: &Value, expr: &Expr, signature: &Signature) {
        let control = match Control::parse(value) {
            Ok(control) => control,
            Err(message) => {
                self.tell(Diagnostic::error("unknown-control", expr.span.clone(), format!("control: {message}")));
                return;
            }
        };
        if signature.scores().is_none() {
            let message = format!("`{}` gives no scores, so a control has nothing to compare", signature.name);
            self.tell(Diagnostic::error("control-unsupported", expr.span.clone(), message).help("put the control on the step that scores"));
            return;
        }
        let mut level = BTreeSet::from([position]);
        let mut visited = BTreeSet::new();
        let mut possible = BTreeSet::new();
        while !level.is_empty() {
            for &step in &level {
                let Some(stage) = self.catalogue.stages.get(&self.pipeline.steps[step].stage) else { continue };
                let signature = stage.signature();
                if signature.site(control.name()).is_some_and(|site| control.fits(site)) {
                    return;
                }
                possible.extend(signature.sites.iter().map(|site| site.control));
            }
            // A control is not carried through a program: it would run once a draw.
            level.retain(|&step| self.pipeline.steps[step].program.is_none());
            visited.extend(level.iter().copied());
            level = level.iter().flat_map(|&step| self.pipeline.needs(step)).filter(|step| !visited.contains(step)).collect();
        }
        let list = possible.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the control `{}` takes hold nowhere on the way to `{}`", control.name(), signature.name);
        let help = if list.is_empty() { "this step has no controls".into() } else { format!("possible here: {list}") };
        self.tell(Diagnostic::error("control-unsupported", expr.span.clone(), message).help(help));
    }
}

/// The controls in a value: one, or a list.
pub(crate) fn controls_in(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        one => std::slice::from_ref(one),
    }
}
