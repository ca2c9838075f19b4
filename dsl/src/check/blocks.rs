//! Braces: loops, branches and sweeps, the steps in them, and what they go over.

use super::{Checker, dotted};
use crate::ast::{Argument, Expr, ExprKind, Span, Statement, StatementKind, Word};
use crate::condition::{self, is_function};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Scope, UNKNOWN, evaluate, names_any};
use crate::expand::MOST_INSTANCES;
use crate::expand::label_of;
use crate::glob;
use crate::pipeline::{BlockKind, Branch, ColumnRef, DataRef, Loop, LoopList, Target};
use neuroflow_data::Kind;
use neuroflow_stage::{Value, nearest};
use std::collections::HashSet;
use std::sync::Arc;

/// How many members a list may have.
const MOST_MEMBERS: i64 = 10_000_000;

/// A step found in the file, before what it refers to is known.
pub(super) struct Found<'s> {
    pub(super) name: &'s Word,
    pub(super) what: What<'s>,
    pub(super) block: usize,
    pub(super) span: Span,
}

/// What a name stands for.
pub(super) enum What<'s> {
    /// A call.
    Call { call: &'s Expr, gives: Option<&'s Expr>, with: &'s [(Word, Expr)], value: Option<&'s Word> },
    /// The table of a sweep, whose steps stand within this block.
    Sweep { settings: &'s [(Word, Expr)], inner: usize },
}

/// Steps, and the lists and conditions that can be resolved only when all steps are known.
#[derive(Default)]
pub(super) struct Contents<'s> {
    pub(super) steps: Vec<Found<'s>>,
    /// Loops over a column.
    columns: Vec<(usize, &'s Expr)>,
    /// Both sides of branches.
    branches: Vec<([usize; 2], &'s Expr)>,
    /// Blocks whose list is wrong: what is in them is not looked at further.
    broken: HashSet<usize>,
}

impl Contents<'_> {
    pub(super) fn is_broken(&self, pipeline: &crate::Pipeline, block: usize) -> bool {
        !self.broken.is_empty() && pipeline.path(0, block).iter().any(|around| self.broken.contains(around))
    }
}

impl Checker<'_> {
    /// Whether a condition is decided while the pipeline runs: it names scores, or loop variables.
    pub(super) fn is_decided_later(&self, condition: &Expr, block: usize) -> bool {
        let variables: Vec<&str> = self.pipeline.variables(block).collect();
        names_any(condition, &variables) || names_scores(condition)
    }

    pub(super) fn find_steps<'s>(&mut self, statement: &'s Statement, block: usize, found: &mut Contents<'s>) {
        match &statement.kind {
            StatementKind::Step { name, call, gives, with, value } if self.define(name) => {
                let what = What::Call { call, gives: gives.as_ref(), with, value: value.as_ref() };
                found.steps.push(Found { name, what, block, span: statement.span.clone() });
            }
            StatementKind::For(variable, list, body) => {
                let inner = self.add_loop(variable, list, block, found);
                self.find_within(body, inner, found);
            }
            StatementKind::If(condition, then, otherwise) => {
                let sides = [true, false].map(|when| {
                    let branch = Branch { condition: Arc::new(condition.clone()), when, steps: Vec::new() };
                    self.pipeline.add_block(block, BlockKind::Branch(branch))
                });
                found.branches.push((sides, condition));
                self.find_within(then, sides[0], found);
                self.find_within(otherwise, sides[1], found);
            }
            StatementKind::Sweep(name, settings, body) => self.find_sweep(name, settings, body, (block, statement.span.clone()), found),
            _ => {}
        }
    }

    pub(super) fn find_within<'s>(&mut self, body: &'s [Statement], block: usize, found: &mut Contents<'s>) {
        let mut chosen = Vec::new();
        self.choose(body, block, &mut chosen);
        for inner in chosen {
            match &inner.kind {
                StatementKind::Step { .. } | StatementKind::For(..) | StatementKind::If(..) | StatementKind::Sweep(..) => {
                    self.find_steps(inner, block, found);
                }
                _ => {
                    let message = "only steps, loops, branches and sweeps stand inside braces";
                    self.tell(Diagnostic::error("syntax", inner.span.clone(), message).help("move this line out of the braces"));
                }
            }
        }
    }

    /// A block for a loop, whose list is resolved at once where that is possible.
    pub(super) fn add_loop<'s>(&mut self, variable: &'s Word, list: &'s Expr, block: usize, found: &mut Contents<'s>) -> usize {
        let hides = self.pipeline.variables(block).any(|outer| outer == variable.text) || self.seen.contains_key(&variable.text);
        if hides {
            let message = format!("`{}` has a meaning already", variable.text);
            self.tell(Diagnostic::error("duplicate-name", variable.span.clone(), message));
        }
        let is_column = matches!(&list.kind, ExprKind::Field(of, _) if !is_param(of));
        let resolved = if is_column { None } else { self.loop_list(list, block) };
        let is_broken = !is_column && resolved.is_none();
        let list_or_none = resolved.unwrap_or_else(|| LoopList::Values(Arc::from([])));
        let around = Loop { variable: variable.clone(), list: list_or_none, span: list.span.clone() };
        self.count_members(&around, block);
        let inner = self.pipeline.add_block(block, BlockKind::Loop(around));
        if is_column {
            found.columns.push((inner, list));
        }
        if is_broken {
            found.broken.insert(inner);
        }
        inner
    }

    /// Refuses loops that together have more members than a pipeline may have steps.
    fn count_members(&mut self, around: &Loop, block: usize) {
        let count = |list: &LoopList| match list {
            LoopList::Values(values) => values.len().max(1),
            LoopList::Numbers(numbers) => usize::try_from(numbers.end.saturating_sub(numbers.start)).unwrap_or(1),
            // How many there are shows later.
            LoopList::Members(_) | LoopList::Column(_) => 1,
        };
        let mut members = count(&around.list);
        let mut at = block;
        while at != 0 {
            if let BlockKind::Loop(outer) = &self.pipeline.blocks[at].kind {
                members = members.saturating_mul(count(&outer.list));
            }
            at = self.pipeline.blocks[at].parent;
        }
        if members > MOST_INSTANCES {
            let message = format!("these loops have {members} members together; a pipeline has at most {MOST_INSTANCES} steps");
            let told = Diagnostic::error("bad-loop", around.span.clone(), message);
            self.tell(told.help("let one step do more, or make several pipelines"));
        }
    }

    fn loop_list(&mut self, list: &Expr, block: usize) -> Option<LoopList> {
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
        let variables: Vec<&str> = self.pipeline.variables(block).collect();
        if names_any(list, &variables) {
            let message = "a list is the same for every member of the loops around it; it can't name their variables";
            self.tell(
                Diagnostic::error("bad-loop", list.span.clone(), message).help("loop over the longest list, and choose inside with `if`"),
            );
            return None;
        }
        let evaluated = match globbed(list, &self.pipeline.scope()) {
            Some(Ok(pattern)) => {
                let found = self.files.glob(&pattern);
                self.globbed_list(&pattern, found, list)?
            }
            Some(Err(told)) => Err(told),
            None => evaluate(list, &self.pipeline.scope()),
        };
        let told = match evaluated {
            Ok(Value::List(values)) if !values.is_empty() => return self.distinct(values, list),
            Ok(Value::List(_)) => Diagnostic::error("bad-loop", list.span.clone(), "this list is empty"),
            Ok(Value::Range(start, end)) => match (*start, *end) {
                (Value::Int(start), Value::Int(end))
                    if start < end && end.checked_sub(start).is_some_and(|count| count <= MOST_MEMBERS) =>
                {
                    return Some(LoopList::Numbers(start..end));
                }
                (Value::Int(start), Value::Int(end)) if start < end => {
                    let message = format!("`{start} .. {end}` has more than {MOST_MEMBERS} members");
                    Diagnostic::error("bad-loop", list.span.clone(), message).help("let one step do more, or make several pipelines")
                }
                _ => Diagnostic::error("bad-loop", list.span.clone(), "a loop's range goes up in whole numbers, `1 .. 5`")
                    .help("`0.1 .. 0.5 step 0.1` is a list of numbers"),
            },
            Ok(Value::Word(word)) => {
                let names = self.pipeline.inputs.iter().map(|input| input.name.text.as_str());
                let near = nearest(&word, names).map(|near| format!("did you mean `{near}`?"));
                let message =
                    format!("there is no list `{word}`: a loop goes over a list, a range of whole numbers, or an input with several files");
                let help = near.or_else(|| {
                    self.seen.contains_key(&word).then(|| format!("to loop over a column of a table, name it: `{word}.column`"))
                });
                Diagnostic::error("bad-loop", list.span.clone(), message).help_if(help)
            }
            Ok(other) => {
                let message = format!(
                    "a loop goes over a list, a range of whole numbers, or an input with several files; this is {}",
                    other.describe()
                );
                Diagnostic::error("bad-loop", list.span.clone(), message)
            }
            Err(diagnostic) => diagnostic,
        };
        self.tell(told);
        None
    }

    fn globbed_list(&mut self, pattern: &str, found: Result<Vec<String>, String>, list: &Expr) -> Option<Result<Value, Diagnostic>> {
        let told = match found {
            Ok(paths) if paths.is_empty() => {
                let message = format!("no file fits `{pattern}`");
                Diagnostic::error("bad-loop", list.span.clone(), message).help("patterns begin at the folder of the pipeline file")
            }
            Ok(paths) => return Some(Ok(Value::List(paths.into_iter().map(Value::Text).collect()))),
            Err(reason) => Diagnostic::error("bad-loop", list.span.clone(), reason),
        };
        self.tell(told);
        None
    }

    /// Members are known by their labels, so each stands once.
    fn distinct(&mut self, values: Vec<Value>, list: &Expr) -> Option<LoopList> {
        if values.len() as i64 > MOST_MEMBERS {
            let message = format!("this list has more than {MOST_MEMBERS} members");
            self.tell(Diagnostic::error("bad-loop", list.span.clone(), message));
            return None;
        }
        let mut labels = HashSet::new();
        let twice = values.iter().map(label_of).find(|label| !labels.insert(Arc::clone(label)));
        if let Some(label) = twice {
            let message = format!("`{label}` stands in this list twice");
            self.tell(
                Diagnostic::error("bad-loop", list.span.clone(), message).help("a member is known by its label, so each stands once"),
            );
            return None;
        }
        Some(LoopList::Values(values.into()))
    }

    /// Resolves what needs all steps to be declared: columns and conditions.
    pub(super) fn resolve_blocks(&mut self, found: &Contents<'_>) {
        for (block, list) in &found.columns {
            if found.is_broken(&self.pipeline, *block) {
                continue;
            }
            let Some(column) = self.column(list, *block) else { continue };
            if let BlockKind::Loop(around) = &mut self.pipeline.blocks[*block].kind {
                around.list = LoopList::Column(Box::new(column));
            }
        }
        for (sides, condition) in &found.branches {
            if found.is_broken(&self.pipeline, sides[0]) {
                continue;
            }
            let variables: Vec<&str> = self.pipeline.variables(sides[0]).collect();
            let (told, steps) = condition::check(condition, &self.pipeline, &variables, &|name| self.seen.contains_key(name));
            self.diagnostics.extend(told);
            self.used.extend(&steps);
            for side in sides {
                if let BlockKind::Branch(branch) = &mut self.pipeline.blocks[*side].kind {
                    branch.steps.clone_from(&steps);
                }
            }
        }
    }

    /// `step.output.column`, or `step.column` for the step's default output.
    fn column(&mut self, list: &Expr, block: usize) -> Option<ColumnRef> {
        let ExprKind::Field(of, column) = &list.kind else { return None };
        let reference = self.reference(of)?;
        let Target::Step(step) = reference.target else {
            let message = "a loop goes over the columns of steps, this is an input";
            let help = "read it with a step first, such as `rows = sql(\"select * from t\", t = input)`, and loop over `rows.column`";
            self.tell(Diagnostic::error("bad-loop", list.span.clone(), message).help(help));
            return None;
        };
        self.used.insert(step);
        // An output of that name goes before a column of that name.
        let is_output = self.pipeline.steps[step].outputs.iter().any(|(output, _)| *output == column.text);
        if reference.output.is_none() && is_output {
            let name = &self.pipeline.steps[step].name.text;
            let message = format!("`{name}.{}` is an output, and a loop goes over one of its columns", column.text);
            let told = Diagnostic::error("bad-loop", list.span.clone(), message);
            self.tell(told.help(format!("name the column: `{name}.{}.column`", column.text)));
            return None;
        }
        let kind = self.kind_of(&reference)?;
        if !matches!(kind, Kind::Table | Kind::Events | Kind::Scores) {
            let message = format!("only a table has columns to loop over, this is a {kind}");
            self.tell(Diagnostic::error("bad-loop", list.span.clone(), message));
            return None;
        }
        let outer = self.pipeline.blocks[block].parent;
        let shape = self.pipeline.shape(&reference, outer);
        if shape.is_family() || shape.conditional {
            let name = &self.pipeline.steps[step].name.text;
            let message = format!("a column of one result is looped over, `{name}` is a family here");
            let told = Diagnostic::error("family-needs-index", list.span.clone(), message);
            self.tell(told.help(format!("take one member, `{name}[\"…\"].{}`, or loop inside the same braces", column.text)));
            return None;
        }
        Some(ColumnRef { reference: DataRef { span: list.span.clone(), ..reference }, column: column.clone() })
    }

    /// What names mean in a block while nothing has run: for a loop the first of its values; and the variables whose values are not known.
    pub(super) fn sample(&self, block: usize) -> (Scope<'_>, Vec<&str>) {
        let (mut scope, mut unknown) = (self.pipeline.scope(), Vec::new());
        for around in self.pipeline.path(0, block) {
            let BlockKind::Loop(Loop { variable, list, .. }) = &self.pipeline.blocks[around].kind else { continue };
            let value = match list {
                LoopList::Values(values) => values.first().cloned(),
                LoopList::Numbers(numbers) => Some(Value::Int(numbers.start)),
                LoopList::Members(_) => Some(Value::Text(UNKNOWN.into())),
                LoopList::Column(_) => None,
            };
            if value.is_none() {
                unknown.push(variable.text.as_str());
            }
            scope.add(&variable.text, value.unwrap_or_else(|| Value::Text(UNKNOWN.into())));
        }
        (scope, unknown)
    }
}

/// The pattern in `glob("…")`.
fn globbed(list: &Expr, scope: &Scope<'_>) -> Option<Result<String, Diagnostic>> {
    let ExprKind::Call(callee, arguments) = &list.kind else { return None };
    if dotted(callee).as_deref() != Some("glob") {
        return None;
    }
    let wrong = || {
        let message = "`glob` takes one pattern in quotes, which stays below the folder of the pipeline file";
        Err(Diagnostic::error("bad-loop", list.span.clone(), message).help("for example `glob(\"data/*.csv\")`"))
    };
    let [Argument { name: None, value }] = arguments.as_slice() else { return Some(wrong()) };
    Some(match evaluate(value, scope) {
        Ok(Value::Text(pattern)) if crate::used::stays_below(&pattern) && glob::is_pattern(&pattern) => Ok(pattern),
        Ok(_) => wrong(),
        Err(told) => Err(told),
    })
}

fn is_param(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Name(name) if name == "param")
}

/// Whether a condition names scores of steps.
fn names_scores(condition: &Expr) -> bool {
    match &condition.kind {
        ExprKind::Field(of, _) => !is_param(of),
        ExprKind::Index(..) | ExprKind::All(_) => true,
        ExprKind::Call(callee, _) => matches!(&callee.kind, ExprKind::Name(name) if is_function(name)),
        ExprKind::Negative(of) | ExprKind::Not(of) => names_scores(of),
        ExprKind::Binary(_, a, b) | ExprKind::Range(a, b) => names_scores(a) || names_scores(b),
        _ => false,
    }
}
