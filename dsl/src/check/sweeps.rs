//! `sweep`: a loop for each setting, and the table of settings and scores.

use super::Checker;
use super::blocks::{Contents, Found, What};
use super::steps::Called;
use crate::ast::{Expr, Span, Statement, Word};
use crate::diagnostics::Diagnostic;
use crate::pipeline::{BlockKind, Loop, StepDecl, Sweep};
use crate::written::short;
use neuroflow_data::Kind;

/// The stage that makes the table.
const STAGE: &str = "query.sweep";
/// Its output.
const TABLE: &str = "table";

impl Checker<'_> {
    pub(super) fn find_sweep<'s>(
        &mut self,
        name: &'s Word,
        settings: &'s [(Word, Expr)],
        body: &'s [Statement],
        (block, span): (usize, Span),
        found: &mut Contents<'s>,
    ) {
        let defined = self.define(name);
        if settings.is_empty() {
            let message = format!("the sweep `{}` has no settings", name.text);
            self.tell(Diagnostic::error("bad-sweep", name.span.clone(), message).help("write `sweep name in { key = [1, 2] } { … }`"));
            return;
        }
        let mut inner = block;
        for (key, list) in settings {
            inner = self.add_loop(key, list, inner, found);
        }
        self.find_within(body, inner, found);
        if defined {
            found.steps.push(Found { name, what: What::Sweep { settings, inner }, block, span });
        }
    }

    /// The step that gathers the scores of the steps within a block.
    pub(super) fn declare_sweep(&mut self, found: &Found<'_>, settings: &[(Word, Expr)], inner: usize, called: &mut Vec<Called<'_>>) {
        // The steps of a sweep are declared right before its table.
        let within = (0..self.pipeline.steps.len()).rev().take_while(|&step| self.is_inside(step, inner));
        let mut steps: Vec<(usize, String)> = within
            .filter_map(|step| {
                let scores = self.pipeline.steps[step].outputs.iter().find(|(_, kind)| *kind == Kind::Scores)?;
                Some((step, scores.0.clone()))
            })
            .collect();
        steps.reverse();
        if steps.is_empty() {
            // What is broken inside may be what scores.
            if !self.broken_inside(&found.span) {
                let message = format!("no step in the sweep `{}` gives scores", found.name.text);
                let told = Diagnostic::error("bad-sweep", found.name.span.clone(), message);
                self.tell(told.help("a sweep is a table of settings and scores; for anything else write loops and `gather`"));
            }
            return;
        }
        let mut columns: Vec<(String, String)> = settings.iter().map(|(key, _)| (short(&key.text).to_owned(), key.text.clone())).collect();
        for (step, _) in &steps {
            for block in self.pipeline.path(inner, self.pipeline.steps[*step].block) {
                let BlockKind::Loop(Loop { variable, .. }) = &self.pipeline.blocks[block].kind else { continue };
                if !columns.iter().any(|(_, known)| *known == variable.text) {
                    columns.push((short(&variable.text).to_owned(), variable.text.clone()));
                }
            }
        }
        self.used.extend(steps.iter().map(|(step, _)| *step));
        self.pipeline.add_step(StepDecl {
            name: found.name.clone(),
            stage: STAGE.into(),
            program: None,
            sweep: Some(Sweep { settings: columns, steps }),
            block: found.block,
            bindings: Vec::new(),
            params: Vec::new(),
            with: Vec::new(),
            outputs: vec![(TABLE.to_owned(), Kind::Table)],
            metrics: Vec::new(),
            span: found.span.clone(),
        });
        called.push(Called::nothing());
    }

    fn is_inside(&self, step: usize, block: usize) -> bool {
        self.pipeline.common(self.pipeline.steps[step].block, block) == block
    }

    fn broken_inside(&self, span: &Span) -> bool {
        self.diagnostics.iter().any(|told| span.contains(&told.span.start))
    }
}
