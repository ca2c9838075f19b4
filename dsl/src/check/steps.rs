//! Steps: which stage each calls, and the loops around it.

use super::programs::{is_program, program_signature};
use super::{Checker, dotted};
use crate::ast::{Argument, Expr, ExprKind, Statement, StatementKind, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::evaluate;
use crate::pipeline::{Loop, LoopList, Policy, StepDecl};
use neuroflow_data::Kind;
use neuroflow_stage::{Signature, Value, nearest};
use std::collections::BTreeMap;
use std::ops::Range;

/// A step found in the file, before what it refers to is known.
pub(super) struct Found<'s> {
    pub(super) name: &'s Word,
    pub(super) call: &'s Expr,
    pub(super) gives: Option<&'s Expr>,
    with: &'s [(Word, Expr)],
    loops: Vec<(&'s Word, &'s Expr, usize)>,
    pub(super) span: Range<usize>,
}

/// A step whose stage is known.
pub(super) struct Called<'s> {
    call: &'s Expr,
    arguments: &'s [Argument],
    with: &'s [(Word, Expr)],
    signature: Signature,
}

impl<'s> Called<'s> {
    /// A program, whose signature has one output.
    pub(super) fn program(found: &Found<'s>, arguments: &'s [Argument], kind: Kind) -> Called<'s> {
        Called { call: found.call, arguments, with: found.with, signature: program_signature(kind) }
    }
}

impl Checker<'_> {
    pub(super) fn find_steps<'s>(
        &mut self,
        statement: &'s Statement,
        loops: &mut Vec<(&'s Word, &'s Expr, usize)>,
        found: &mut Vec<Found<'s>>,
    ) {
        match &statement.kind {
            StatementKind::Step { name, call, gives, with } if self.define(name) => {
                found.push(Found { name, call, gives: gives.as_ref(), with, loops: loops.clone(), span: statement.span.clone() });
            }
            StatementKind::For(variable, list, body) => {
                if loops.iter().any(|(outer, _, _)| outer.text == variable.text) || self.seen.contains_key(&variable.text) {
                    let message = format!("`{}` has a meaning already", variable.text);
                    self.tell(Diagnostic::error("duplicate-name", variable.span.clone(), message));
                }
                loops.push((variable, list, statement.span.start));
                let mut chosen = Vec::new();
                self.choose(body, &mut chosen);
                if chosen.is_empty() {
                    // Nothing else would look at it.
                    self.loop_list(list);
                }
                for inner in chosen {
                    match &inner.kind {
                        StatementKind::Step { .. } | StatementKind::For(..) => self.find_steps(inner, loops, found),
                        _ => {
                            let message = "only steps and loops stand inside a loop";
                            self.tell(Diagnostic::error("syntax", inner.span.clone(), message).help("move this line out of the braces"));
                        }
                    }
                }
                loops.pop();
            }
            _ => {}
        }
    }

    fn loop_list(&mut self, list: &Expr) -> Option<LoopList> {
        if let ExprKind::Name(name) = &list.kind
            && let Some(input) = self.pipeline.input(name)
        {
            if self.pipeline.inputs[input].kind == Kind::Dir {
                return Some(LoopList::Members(input));
            }
            let message = format!("`{name}` is a {}; only the files of a Dir are looped over", self.pipeline.inputs[input].kind);
            self.tell(Diagnostic::error("bad-loop", list.span.clone(), message));
            return None;
        }
        match evaluate(list, &self.pipeline.scope()) {
            Ok(Value::List(values)) if !values.is_empty() => Some(LoopList::Values(values)),
            Ok(Value::Range(start, end)) => match (*start, *end) {
                (Value::Int(start), Value::Int(end)) if start < end && end - start <= 1_000_000 => {
                    Some(LoopList::Values((start..end).map(Value::Int).collect()))
                }
                _ => {
                    self.tell(Diagnostic::error("bad-loop", list.span.clone(), "a loop's range goes up in whole numbers, `1 .. 5`"));
                    None
                }
            },
            Ok(Value::Word(word)) => {
                let names = self.pipeline.inputs.iter().map(|input| input.name.text.as_str());
                let near = nearest(&word, names).map(|near| format!("did you mean `{near}`?"));
                let message =
                    format!("there is no list `{word}`: a loop goes over a list, a range of whole numbers, or an input with several files");
                self.tell(Diagnostic::error("bad-loop", list.span.clone(), message).help_if(near));
                None
            }
            Ok(other) => {
                let message = format!(
                    "a loop goes over a list, a range of whole numbers, or an input with several files; this is {}",
                    other.describe()
                );
                self.tell(Diagnostic::error("bad-loop", list.span.clone(), message));
                None
            }
            Err(diagnostic) => {
                self.tell(diagnostic);
                None
            }
        }
    }

    pub(super) fn steps(&mut self, found: &[Found<'_>]) {
        // First what each step is, then what it takes: the order of lines does not matter.
        let mut lists: BTreeMap<usize, Option<LoopList>> = BTreeMap::new();
        let mut called: Vec<Called<'_>> = Vec::new();
        for step in found {
            let mut loops = Vec::new();
            for (variable, list, id) in &step.loops {
                let list = match lists.get(id) {
                    Some(known) => known.clone(),
                    None => {
                        let list = self.loop_list(list);
                        lists.insert(*id, list.clone());
                        list
                    }
                };
                loops.extend(list.map(|list| Loop { variable: (*variable).clone(), list, id: *id }));
            }
            let complete = loops.len() == step.loops.len();
            if is_program(step.call) {
                if complete {
                    self.declare_program(step, loops, &mut called);
                }
                continue;
            }
            if let Some(gives) = step.gives {
                let message = "`->` names the file that an `exec` step writes; a stage declares its outputs itself";
                self.tell(Diagnostic::error("bad-exec", gives.span.clone(), message).help("remove `->` and what follows it"));
            }
            self.declare(step.name.clone(), step.span.clone(), step.call, step.with, complete.then_some(&loops), &mut called);
        }
        for (position, step) in called.iter().enumerate() {
            if self.pipeline.steps[position].program.is_some() {
                self.program_arguments(position, step.call, step.arguments);
                continue;
            }
            self.bindings(position, &step.call.span, step.arguments, &step.signature);
            self.parameters(position, step.arguments, &step.signature);
        }
        // Controls look upwards, so every binding must be known.
        for (position, step) in called.iter().enumerate() {
            self.policies(position, step.with, &step.signature);
        }
    }

    /// Adds a step, and those that are written inside its call: `ntf(affinity(x))` is two steps. With no loops known, it is only checked.
    fn declare<'s>(
        &mut self,
        name: Word,
        span: Range<usize>,
        call: &'s Expr,
        with: &'s [(Word, Expr)],
        loops: Option<&Vec<Loop>>,
        called: &mut Vec<Called<'s>>,
    ) {
        let Some((arguments, signature)) = self.stage_of(call) else { return };
        let Some(loops) = loops else { return };
        let parent = name.text.clone();
        self.pipeline.steps.push(StepDecl {
            name,
            stage: signature.name.to_owned(),
            program: None,
            loops: loops.clone(),
            bindings: Vec::new(),
            params: Vec::new(),
            policy: Policy::default(),
            outputs: signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect(),
            metrics: signature.metrics.iter().map(|metric| (*metric).to_owned()).collect(),
            span,
        });
        called.push(Called { call, arguments, with, signature });
        for argument in arguments.iter().filter(|argument| argument.name.is_none()) {
            let inner = match &argument.value.kind {
                ExprKind::Field(of, _) => of.as_ref(),
                _ => &argument.value,
            };
            let ExprKind::Call(callee, _) = &inner.kind else { continue };
            let Some(stage) = dotted(callee).filter(|stage| stage.contains('.')) else { continue };
            let short = stage.rsplit('.').next().unwrap_or(&stage);
            let base = format!("{parent}/{short}");
            let mut text = base.clone();
            for number in 2.. {
                if self.pipeline.step(&text).is_none() {
                    break;
                }
                text = format!("{base}{number}");
            }
            let position = self.pipeline.steps.len();
            self.declare(Word { text, span: callee.span.clone() }, inner.span.clone(), inner, &[], Some(loops), called);
            let found = (self.pipeline.steps.len() > position).then_some(position);
            self.nested.insert((inner.span.start, inner.span.end), found);
        }
    }

    fn stage_of<'s>(&mut self, call: &'s Expr) -> Option<(&'s [Argument], Signature)> {
        let ExprKind::Call(callee, arguments) = &call.kind else {
            let message = "a step calls a stage: `name = topic.stage(…)`";
            self.tell(
                Diagnostic::error("unknown-stage", call.span.clone(), message)
                    .help("`neuroflow stages` lists them; a constant is a `param`"),
            );
            return None;
        };
        let name = dotted(callee).unwrap_or_default();
        if ["sql", "exec", "gather"].contains(&name.as_str()) {
            self.not_yet(&Word { text: name, span: callee.span.clone() });
            return None;
        }
        match self.catalogue.stages.get(&name) {
            Some(stage) => Some((arguments, stage.signature())),
            None => {
                let near = self.catalogue.stages.nearest(&name).map(|near| format!("did you mean `{near}`?"));
                let known = near.is_some();
                let mut told = Diagnostic::error("unknown-stage", callee.span.clone(), format!("there is no stage `{name}`")).help_if(near);
                if !known {
                    told = told.help("`neuroflow stages` lists all stages");
                }
                self.tell(told);
                None
            }
        }
    }
}

/// How many outer loops two steps have in common.
pub(crate) fn shared_loops(a: &StepDecl, b: &StepDecl) -> usize {
    a.loops.iter().zip(&b.loops).take_while(|(a, b)| a.id == b.id).count()
}
