//! `with`: seeds, cores, and controls that must take hold somewhere.

use super::Checker;
use crate::ast::{Expr, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{evaluate, names_any};
use crate::pipeline::BlockKind;
use crate::policy::{Policies, controls_in};
use neuroflow_stage::{Control, Signature, Value};
use std::collections::BTreeSet;

impl Checker<'_> {
    pub(super) fn policies(&mut self, position: usize, with: &[(Word, Expr)], signature: &Signature) {
        if with.is_empty() {
            return;
        }
        let step = &self.pipeline.steps[position];
        let program = step.program.is_some();
        let (scope, unknown) = self.sample(step.block);
        // What names a variable that nothing is known of is looked at when it is.
        let known: Vec<(Word, Expr)> = with.iter().filter(|(_, expr)| !names_any(expr, &unknown)).cloned().collect();
        let read = Policies::read(&known, program, &scope);
        let controls: Vec<(Value, Expr)> = match &read {
            Ok(policies) if policies.controls.is_empty() => Vec::new(),
            _ => {
                let controls = known.iter().filter(|(key, _)| key.text == "control");
                let values = controls.filter_map(|(_, expr)| Some((evaluate(expr, &scope).ok()?, expr.clone())));
                values
                    .flat_map(|(value, expr)| controls_in(&value).iter().map(|one| (one.clone(), expr.clone())).collect::<Vec<_>>())
                    .collect()
            }
        };
        if let Err(told) = read {
            self.diagnostics.extend(told);
        }
        for (control, expr) in controls {
            self.control(position, &control, &expr, signature);
        }
        self.pipeline.steps[position].with = with.to_vec();
    }

    fn control(&mut self, position: usize, value: &Value, expr: &Expr, signature: &Signature) {
        // One that there is not was told of.
        let Ok(control) = Control::parse(value) else { return };
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
                    visited.insert(step);
                    self.shuffled_is_read(step, &visited, &control, expr);
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

    /// A shuffle of a column that no step from `site` on names permutes what nobody reads: every null would be the score itself. `steps` are those on the
    /// way. What a loop variable stands for is not known here; a run refuses such draws too.
    fn shuffled_is_read(&mut self, site: usize, steps: &BTreeSet<usize>, control: &Control, expr: &Expr) {
        let Control::Shuffle { column, .. } = control else { return };
        let changes = |step: usize, expr: &Expr| {
            let around = self.pipeline.path(0, self.pipeline.steps[step].block);
            let variables = around.into_iter().filter_map(|block| match &self.pipeline.blocks[block].kind {
                BlockKind::Loop(of) => Some(of.variable.text.as_str()),
                _ => None,
            });
            names_any(expr, &variables.collect::<Vec<_>>())
        };
        let mut read = Vec::new();
        for &step in steps {
            let decl = &self.pipeline.steps[step];
            let Some(stage) = self.catalogue.stages.get(&decl.stage) else { return };
            let (scope, _) = self.sample(decl.block);
            for spec in &stage.signature().params {
                let written = decl.params.iter().find(|(name, _)| name.text == spec.name).map(|(_, expr)| expr);
                if changes(step, expr) || written.is_some_and(|expr| changes(step, expr)) {
                    return;
                }
                let value = match written {
                    Some(expr) => evaluate(expr, &scope).ok(),
                    None => spec.default.clone(),
                };
                // A column may stand inside of a list, a call or a query.
                let Some(text) = value.map(|value| value.to_string()) else { continue };
                if text.contains(column.as_str()) {
                    return;
                }
                if matches!(spec.name, "by" | "target") {
                    read.push(format!("`{} = {text}`", spec.name));
                }
            }
        }
        let message =
            format!("no step from `{}` on reads the column `{column}`, so shuffling it changes nothing", self.pipeline.steps[site].stage);
        let help = if read.is_empty() {
            "shuffle a column that the step reads".to_owned()
        } else {
            format!("shuffle what is read: {}", read.join(", "))
        };
        self.tell(Diagnostic::error("control-unsupported", expr.span.clone(), message).help(help));
    }
}
