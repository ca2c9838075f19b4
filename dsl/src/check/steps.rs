//! Steps: which stage each calls, and what its parts are checked against.

use super::blocks::{Contents, What};
use super::programs::{is_program, program_signature};
use super::{Checker, dotted};
use crate::ast::{Argument, Expr, ExprKind, Span, Word};
use crate::diagnostics::Diagnostic;
use crate::pipeline::StepDecl;
use crate::query_text::is_query;
use crate::written::Promise;
use neuroflow_data::Kind;
use neuroflow_stage::Signature;
use std::rc::Rc;
use std::sync::Arc;

/// A step whose stage is known.
pub(super) struct Called<'s> {
    pub(super) call: &'s Expr,
    pub(super) arguments: &'s [Argument],
    pub(super) with: &'s [(Word, Expr)],
    pub(super) calls: Calls,
}

/// What a step calls.
pub(super) enum Calls {
    Stage(Rc<Signature>),
    /// A program that gives an output of this kind.
    Program(Kind),
    Query,
    /// Made by a sweep.
    Nothing,
}

static NOWHERE: Expr = Expr { kind: ExprKind::Bool(false), span: 0..0 };

impl Called<'_> {
    /// A step that nobody wrote.
    pub(super) fn nothing() -> Self {
        Called { call: &NOWHERE, arguments: &[], with: &[], calls: Calls::Nothing }
    }
}

impl Checker<'_> {
    pub(super) fn steps(&mut self, found: &Contents<'_>, promises: &[Promise]) {
        // First what each step is, then what it takes: the order of lines does not matter.
        let mut called: Vec<Called<'_>> = Vec::with_capacity(found.steps.len());
        for step in &found.steps {
            if found.is_broken(&self.pipeline, step.block) {
                continue;
            }
            match &step.what {
                What::Sweep { inner, .. } if found.is_broken(&self.pipeline, *inner) => {}
                What::Sweep { settings, inner } => self.declare_sweep(step, settings, *inner, &mut called),
                What::Call { call, gives, with, .. } if is_program(call) => self.declare_program(step, call, *gives, with, &mut called),
                What::Call { call, gives, with, value } => {
                    if let Some(gives) = gives {
                        let message = "`->` names the file that an `exec` step writes; a stage declares its outputs itself";
                        self.tell(Diagnostic::error("bad-exec", gives.span.clone(), message).help("remove `->` and what follows it"));
                    }
                    if is_query(call) {
                        self.declare_query(step, call, with, &mut called);
                    } else {
                        self.declare((step.name, &step.span, step.block), call, with, *value, &mut called);
                    }
                }
            }
        }
        self.kinds_like_inputs(&called);
        self.resolve_blocks(found);
        let broken = self.promises(promises);
        let before = self.diagnostics.len();
        for (position, step) in called.iter().enumerate() {
            match &step.calls {
                Calls::Stage(signature) => {
                    self.bindings(position, &step.call.span, step.arguments, signature);
                    self.parameters(position, step.arguments, signature);
                }
                Calls::Program(_) => self.program_arguments(position, step.call, step.arguments),
                Calls::Query => self.query_arguments(position, step.call, step.arguments),
                Calls::Nothing => {}
            }
        }
        // Controls look upwards, so every binding must be known.
        for (position, step) in called.iter().enumerate() {
            match &step.calls {
                Calls::Stage(signature) => self.policies(position, step.with, signature),
                Calls::Program(kind) => self.policies(position, step.with, &program_signature(*kind)),
                Calls::Query => self.policies(position, step.with, &program_signature(Kind::Table)),
                Calls::Nothing => {}
            }
        }
        // What breaks a promise is told where it was promised, and not again where it is used.
        if !broken.is_empty() {
            let later = self.diagnostics.split_off(before);
            self.diagnostics.extend(later.into_iter().filter(|told| !broken.contains(&told.span)));
        }
    }

    /// Gives outputs that are like an input the kind of what is given there. Steps may stand in any order, so this goes on while something changes:
    /// each round settles at least one more step of a chain.
    fn kinds_like_inputs(&mut self, called: &[Called<'_>]) {
        // What is wrong with a reference is told where the step's inputs are bound.
        let told = self.diagnostics.len();
        for _ in 0..called.len() {
            let mut changed = false;
            for (position, step) in called.iter().enumerate() {
                let Calls::Stage(signature) = &step.calls else { continue };
                for output in &signature.outputs {
                    let Some(place) = signature.inputs.iter().position(|input| output.like == Some(input.name)) else { continue };
                    let given = step.arguments.iter().filter(|argument| argument.name.is_none()).nth(place);
                    let Some(kind) = given.and_then(|given| self.reference(&given.value)).and_then(|reference| self.kind_of(&reference))
                    else {
                        continue;
                    };
                    let fits = signature.inputs.get(place).is_some_and(|input| input.kinds.contains(&kind));
                    let own = self.pipeline.steps[position].outputs.iter_mut().find(|(name, _)| *name == output.name);
                    if let Some((_, own)) = own.filter(|(_, own)| fits && *own != kind) {
                        *own = kind;
                        changed = true;
                    }
                }
            }
            self.diagnostics.truncate(told);
            if !changed {
                break;
            }
        }
    }

    fn declare<'s>(
        &mut self,
        (name, span, block): (&Word, &Span, usize),
        call: &'s Expr,
        with: &'s [(Word, Expr)],
        value: Option<&Word>,
        called: &mut Vec<Called<'s>>,
    ) {
        let Some((arguments, signature)) = self.stage_of(call) else { return };
        let mut outputs: Vec<(String, Kind)> = signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect();
        if let Some(value) = value {
            // The value of a function may be another output than the stage's first.
            match outputs.iter().position(|(output, _)| *output == value.text) {
                Some(at) => outputs[..=at].rotate_right(1),
                None => {
                    let list = outputs.iter().map(|(output, _)| format!("`{output}`")).collect::<Vec<_>>().join(", ");
                    let message = format!("`{}` has no output `{}`; it has {list}", signature.name, value.text);
                    self.tell(Diagnostic::error("unknown-name", value.span.clone(), message));
                }
            }
        }
        self.pipeline.add_step(StepDecl {
            name: name.clone(),
            stage: signature.name.to_owned(),
            program: None,
            sweep: None,
            block,
            bindings: Vec::new(),
            params: Vec::new(),
            with: Vec::new(),
            outputs,
            metrics: signature.metrics.iter().map(|metric| Arc::from(*metric)).collect(),
            span: span.clone(),
        });
        called.push(Called { call, arguments, with, calls: Calls::Stage(signature) });
    }

    fn stage_of<'s>(&mut self, call: &'s Expr) -> Option<(&'s [Argument], Rc<Signature>)> {
        let ExprKind::Call(callee, arguments) = &call.kind else {
            let message = "a step calls a stage: `name = topic.stage(…)`";
            let told = Diagnostic::error("unknown-stage", call.span.clone(), message);
            self.tell(told.help("`neuroflow stages` lists them; a constant is a `param`"));
            return None;
        };
        let name = dotted(callee).unwrap_or_default();
        if name == "gather" {
            let message = "`gather` makes no step: it stands where a family is taken, as in `topic.stage(gather(step))`";
            self.tell(Diagnostic::error("unknown-stage", callee.span.clone(), message));
            return None;
        }
        if let Some(signature) = self.signature(&name) {
            return Some((arguments, signature));
        }
        // A function that is wrong was told of.
        if self.seen.contains_key(&name) || name.contains('/') {
            return None;
        }
        let near = self.catalogue.stages.nearest(&name).map(|near| format!("did you mean `{near}`?"));
        let known = near.is_some();
        let what = if name.contains('.') { "stage" } else { "function" };
        let mut told = Diagnostic::error("unknown-stage", callee.span.clone(), format!("there is no {what} `{name}`")).help_if(near);
        if !known {
            told = told.help(if what == "stage" {
                "`neuroflow stages` lists all stages"
            } else {
                "a function is written `fn name(x: Type) { … }`; stages have a topic, as in `ingest.trials`"
            });
        }
        self.tell(told);
        None
    }
}

/// Whether an expression has the form of a name of results.
pub(super) fn may_be_result(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Name(_) => true,
        ExprKind::Field(of, _) => !matches!(&of.kind, ExprKind::Name(name) if name == "param") && may_be_result(of),
        ExprKind::Index(of, _) | ExprKind::All(of) => may_be_result(of),
        ExprKind::Call(callee, _) => dotted(callee).as_deref() == Some("gather"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{checked, pipeline};
    use neuroflow_data::Kind;

    fn kind(text: &str, step: &str) -> Kind {
        let pipeline = pipeline(text);
        pipeline.steps[pipeline.step(step).unwrap()].outputs[0].1
    }

    #[test]
    fn an_output_like_an_input_has_the_kind_of_what_is_given_in_any_order_of_lines() {
        let steps = ["given = t.give()", "first = t.same(given.rest)", "second = t.same(first)", "third = t.same(second)"];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let text = format!("pipeline a \"A\"\n{}\n", order.map(|line| steps[line]).join("\n"));
            for step in ["first", "second", "third"] {
                assert_eq!(kind(&text, step), Kind::Tensor, "{text}");
            }
        }
        assert_eq!(kind("pipeline a \"A\"\ngiven = t.give()\nsame = t.same(given)\n", "same"), Kind::Table);
        let text = "pipeline a \"A\"\ngiven = t.give()\nsame = t.same(given.rest)\nwrong = t.take(same)\nright = t.take(same.notes)\n";
        let told = checked(text, &[]).diagnostics;
        assert_eq!(told.iter().filter(|told| told.message.contains("takes a Table, this is a Tensor")).count(), 1, "{told:#?}");
    }

    #[test]
    fn what_is_given_wrongly_is_told_once_and_a_circle_ends() {
        let told = checked("pipeline a \"A\"\nsame = t.same(nothing)\n", &[]).diagnostics;
        assert_eq!(told.iter().filter(|told| told.message.contains("nothing")).count(), 1, "{told:#?}");
        let told = checked("pipeline a \"A\"\none = t.same(two)\ntwo = t.same(one)\n", &[]).diagnostics;
        assert!(!told.is_empty());
    }
}
