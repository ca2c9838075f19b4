//! A checked pipeline: names are resolved, types fit, loops are still loops.

use crate::ast::{Expr, Span, Word};
use crate::evaluate::Scope;
use neuroflow_data::Kind;
use neuroflow_stage::Value;
use std::collections::BTreeMap;

/// A pipeline that can be expanded and run.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: Option<String>,
    /// Parameters with the values that they have in this run.
    pub params: BTreeMap<String, Value>,
    /// Inputs.
    pub inputs: Vec<InputDecl>,
    /// Steps, in the order of the file.
    pub steps: Vec<StepDecl>,
    /// Expectations.
    pub expects: Vec<ExpectDecl>,
    /// Reports.
    pub reports: Vec<ReportDecl>,
}

/// An input.
#[derive(Debug, Clone)]
pub struct InputDecl {
    /// Its name.
    pub name: Word,
    /// Alternatives, in the order written.
    pub alternatives: Vec<Alternative>,
    /// The kind that every alternative gives.
    pub kind: Kind,
}

/// One alternative of an input.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// A reader such as `dataset`, or a stage without inputs.
    pub reader: String,
    /// Whether it is a stage.
    pub is_stage: bool,
    /// Arguments by position: a path or a name.
    pub arguments: Vec<Value>,
    /// Arguments by name; for a stage its parameters.
    pub named: BTreeMap<String, Value>,
    /// Whether `when` allows it.
    pub wanted: bool,
    /// Its place.
    pub span: Span,
}

/// What a loop goes over.
#[derive(Debug, Clone)]
pub enum LoopList {
    /// Values known when the file is checked.
    Values(Vec<Value>),
    /// The members of a [`Kind::Dir`] input, known when it is found.
    Members(usize),
}

/// A loop around a step.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The loop variable.
    pub variable: Word,
    /// What it goes over.
    pub list: LoopList,
    /// Tells loops with the same variable apart: the place of the `for`.
    pub id: usize,
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A step.
    Step(usize),
    /// An input.
    Input(usize),
}

/// A reference to a result.
#[derive(Debug, Clone)]
pub struct DataRef {
    /// What it names.
    pub target: Target,
    /// Indices in brackets; `None` is `*`.
    pub indices: Vec<Option<Expr>>,
    /// The output after a point.
    pub output: Option<Word>,
    /// Whether it stands in `gather(…)`.
    pub gather: bool,
    /// Its place.
    pub span: Span,
}

/// A value for one of a stage's inputs.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The stage's input.
    pub slot: String,
    /// What fills it.
    pub reference: DataRef,
    /// The kind of the value.
    pub kind: Kind,
}

/// `with …`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// `seed`.
    pub seed: Option<Expr>,
    /// `control`: one or a list.
    pub control: Option<Expr>,
    /// `cores`.
    pub cores: Option<Expr>,
    /// `gpu`.
    pub gpu: Option<Expr>,
    /// `cache`.
    pub cache: Option<Expr>,
    /// `time`: the longest that a program may run.
    pub time: Option<Expr>,
    /// `retries`: how often a program that failed is started again.
    pub retries: Option<Expr>,
}

/// A program that a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The command, with `{{ name }}` where paths and values go.
    pub template: String,
    /// How its output is read: the name of a reader.
    pub reader: String,
    /// The file that it writes, in its working folder.
    pub file: String,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepDecl {
    /// Its name.
    pub name: Word,
    /// The stage that it calls; `exec` for a program.
    pub stage: String,
    /// The program, for `exec`.
    pub program: Option<Program>,
    /// Loops around it, outermost first.
    pub loops: Vec<Loop>,
    /// What fills the stage's inputs.
    pub bindings: Vec<Binding>,
    /// Parameters as written.
    pub params: Vec<(Word, Expr)>,
    /// Policies.
    pub policy: Policy,
    /// Outputs of the stage and their kinds, the default first.
    pub outputs: Vec<(String, Kind)>,
    /// Metrics of the stage.
    pub metrics: Vec<String>,
    /// Its place.
    pub span: Span,
}

/// `expect …`.
#[derive(Debug, Clone)]
pub struct ExpectDecl {
    /// The condition.
    pub condition: Expr,
    /// The condition as written, on one line.
    pub written: String,
    /// The message.
    pub message: Option<String>,
}

/// `report …`.
#[derive(Debug, Clone)]
pub struct ReportDecl {
    /// Its name.
    pub name: Word,
    /// Its title.
    pub title: Option<String>,
    /// The steps that it shows.
    pub steps: Vec<usize>,
}

impl Pipeline {
    /// A step by name.
    pub fn step(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name.text == name)
    }

    /// An input by name.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|input| input.name.text == name)
    }

    /// What names mean outside of loops.
    pub fn scope(&self) -> Scope {
        Scope { params: self.params.clone(), variables: BTreeMap::new() }
    }

    /// The steps that a step needs, each once.
    pub fn needs(&self, step: usize) -> Vec<usize> {
        let targets = self.steps[step].bindings.iter().filter_map(|binding| match binding.reference.target {
            Target::Step(step) => Some(step),
            Target::Input(_) => None,
        });
        let mut needs: Vec<usize> = targets.collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}
