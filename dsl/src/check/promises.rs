//! What the arguments of functions promise to be.

use super::{Checker, steps};
use crate::ast::{ExprKind, Span};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{evaluate, names_any};
use crate::written::Promise;
use neuroflow_data::Kind;
use neuroflow_stage::ParamSpec;
use std::collections::HashSet;

impl Checker<'_> {
    /// Checks arguments; gives the places of those that are not what was promised.
    pub(super) fn promises(&mut self, promises: &[Promise]) -> HashSet<Span> {
        let before = self.diagnostics.len();
        for promise in promises {
            // A call that went wrong was told of.
            let Some(step) = self.pipeline.step(&promise.step) else { continue };
            let block = self.pipeline.steps[step].block;
            let of = format!("`{}` of `{}`", promise.argument, promise.function);
            let (plain, is_list) = match promise.ty.text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
                Some(inner) => (inner, true),
                None => (promise.ty.text.as_str(), false),
            };
            if let Ok(kind) = plain.parse::<Kind>() {
                self.result_promise(promise, block, kind, is_list, &of);
                continue;
            }
            let Some(ty) = super::settings::param_type(&promise.ty.text) else { continue };
            let (scope, unknown) = self.sample(block);
            if names_any(&promise.value, &unknown) {
                continue;
            }
            let told = match evaluate(&promise.value, &scope) {
                Ok(value) => {
                    let spec = ParamSpec { name: "argument", doc: String::new(), ty, default: None, limits: None };
                    spec.check(&value).err().map(|message| {
                        Diagnostic::error("type-mismatch", promise.value.span.clone(), format!("{of}: {message}"))
                            .note(promise.ty.span.clone(), "promised here")
                    })
                }
                Err(told) => Some(told),
            };
            self.diagnostics.extend(told);
        }
        self.diagnostics[before..].iter().map(|told| told.span.clone()).collect()
    }

    fn result_promise(&mut self, promise: &Promise, block: usize, kind: Kind, is_list: bool, of: &str) {
        let told = |message: String| {
            Diagnostic::error("type-mismatch", promise.value.span.clone(), message).note(promise.ty.span.clone(), "promised here")
        };
        if !steps::may_be_result(&promise.value) {
            let message = format!("{of} takes a {kind}, this is a value");
            return self.tell(told(message).help("give it a step or an input"));
        }
        // A name that is no result is told of where it is used.
        let before = self.diagnostics.len();
        let reference = self.reference(&promise.value);
        let found = reference.as_ref().and_then(|reference| self.kind_of(reference));
        self.diagnostics.truncate(before);
        let (Some(reference), Some(found)) = (reference, found) else {
            if let ExprKind::Name(name) = &promise.value.kind
                && !self.seen.contains_key(name)
            {
                let message = format!("{of} takes a {kind}, and there is no step or input `{name}`");
                self.tell(told(message));
            }
            return;
        };
        if found != kind {
            return self.tell(told(format!("{of} takes a {kind}, this is a {found}")).label(format!("a {found}")));
        }
        let is_family = self.pipeline.shape(&reference, block).is_family();
        if is_family != is_list {
            let (wanted, help) =
                if is_list { ("a family", "write `gather(step)`") } else { ("one value", "take one member, `step[\"…\"]`") };
            let message = format!("{of} takes {wanted}, this is {}", if is_family { "a family" } else { "one value" });
            self.tell(told(message).help(help));
        }
    }
}
