//! Everything that can be wrong without running, found without running.

use crate::ast::{Argument, Expr, ExprKind, Statement, StatementKind, Word, statements};
use crate::condition;
use crate::diagnostics::{Diagnostic, sort};
use crate::evaluate::{Scope, evaluate};
use crate::parser::{Parse, parse};
use crate::pipeline::{
    Alternative, Binding, DataRef, ExpectDecl, InputDecl, Loop, LoopList, Pipeline, Policy, ReportDecl, StepDecl, Target,
};
use neuroflow_data::Kind;
use neuroflow_stage::params::ParamType;
use neuroflow_stage::{Control, Dimension, ParamSpec, Registry, Signature, Value, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// What a pipeline may name beside its own steps.
pub struct Catalogue<'a> {
    /// Stages.
    pub stages: &'a Registry,
    /// Readers of inputs: name and the kind that they give.
    pub readers: &'a [(&'a str, Kind)],
}

/// A pipeline and what is wrong with it. With errors among the diagnostics, the pipeline must not run.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The pipeline, as far as it could be understood.
    pub pipeline: Pipeline,
    /// What is wrong, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a pipeline. `set` are values given for this run as `name`, `text`: each replaces a parameter's default.
pub fn check(text: &str, set: &[(String, String)], catalogue: &Catalogue<'_>) -> Checked {
    let Parse { diagnostics, .. } = parse(text);
    let mut checker = Checker { catalogue, diagnostics, pipeline: Pipeline::default(), seen: BTreeMap::new(), used: BTreeSet::new() };
    let root = parse(text).root();
    let all = statements(&root, &mut checker.diagnostics);
    checker.run(&all, set);
    let mut diagnostics = checker.diagnostics;
    sort(&mut diagnostics);
    Checked { pipeline: checker.pipeline, diagnostics }
}

struct Checker<'a> {
    catalogue: &'a Catalogue<'a>,
    diagnostics: Vec<Diagnostic>,
    pipeline: Pipeline,
    /// Where each name was defined first.
    seen: BTreeMap<String, std::ops::Range<usize>>,
    /// Steps that something needs.
    used: BTreeSet<usize>,
}

/// A step found in the file, before what it refers to is known.
struct Found<'s> {
    name: &'s Word,
    call: &'s Expr,
    with: &'s [(Word, Expr)],
    loops: Vec<(&'s Word, &'s Expr, usize)>,
    span: std::ops::Range<usize>,
}

impl Checker<'_> {
    fn tell(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn define(&mut self, name: &Word) -> bool {
        if name.text == "param" || name.text == "gather" {
            let message = format!("`{}` has a meaning of its own and can't be a name", name.text);
            self.tell(Diagnostic::error("duplicate-name", name.span.clone(), message));
            return false;
        }
        match self.seen.get(&name.text).cloned() {
            Some(first) => {
                let message = format!("`{}` is defined twice", name.text);
                self.tell(Diagnostic::error("duplicate-name", name.span.clone(), message).label("again here").note(first, "first here"));
                false
            }
            None => {
                self.seen.insert(name.text.clone(), name.span.clone());
                true
            }
        }
    }

    fn run(&mut self, all: &[Statement], set: &[(String, String)]) {
        self.header(all);
        self.params(all, set);
        let mut chosen: Vec<&Statement> = Vec::new();
        self.choose(all, &mut chosen);
        for statement in &chosen {
            if let StatementKind::Input(name, alternatives) = &statement.kind {
                self.input(name, alternatives);
            }
        }
        let mut found = Vec::new();
        for statement in &chosen {
            self.find_steps(statement, &mut Vec::new(), &mut found);
        }
        self.steps(&found);
        self.cycles();
        for statement in &chosen {
            match &statement.kind {
                StatementKind::Expect(condition, message, written) => self.expectation(condition, message.as_ref(), written),
                StatementKind::Report(name, title, names) => self.report(name, title.as_ref(), names),
                _ => {}
            }
        }
        for (position, step) in self.pipeline.steps.iter().enumerate() {
            if !self.used.contains(&position) {
                let message = format!("nothing uses `{}`", step.name.text);
                let warning = Diagnostic::warning("unused-step", step.name.span.clone(), message);
                self.diagnostics.push(warning.help("name it in a `report` or an `expect`, or remove it"));
            }
        }
    }

    fn header(&mut self, all: &[Statement]) {
        let mut headers = all.iter().filter_map(|statement| match &statement.kind {
            StatementKind::Pipeline(name, title) => Some((name, title)),
            _ => None,
        });
        match headers.next() {
            Some((name, title)) => {
                self.pipeline.name.clone_from(&name.text);
                self.pipeline.title.clone_from(title);
            }
            None => {
                let missing = Diagnostic::error("no-pipeline", 0..0, "a pipeline file begins with `pipeline NAME`");
                self.tell(missing.help("write `pipeline my_analysis \"What it asks\"` in the first line"));
            }
        }
        if let Some((second, _)) = headers.next() {
            let message = "a file holds one pipeline";
            self.tell(Diagnostic::error("duplicate-name", second.span.clone(), message).label("a second `pipeline` line"));
        }
    }

    fn params(&mut self, all: &[Statement], set: &[(String, String)]) {
        let mut types = BTreeMap::new();
        for statement in all {
            let StatementKind::Param(name, ty, default) = &statement.kind else { continue };
            if !self.define(name) {
                continue;
            }
            let scope = self.pipeline.scope();
            let value = match default.as_ref().map(|default| evaluate(default, &scope)) {
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
                        let message = format!("`{}` is not a type of parameter: {}", ty.text, names.join(", "));
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

    /// The statements that count: branches of `if` whose condition holds, in place of the `if`.
    fn choose<'s>(&mut self, all: &'s [Statement], chosen: &mut Vec<&'s Statement>) {
        for statement in all {
            match &statement.kind {
                StatementKind::If(condition, then, otherwise) => {
                    let value = evaluate(condition, &self.pipeline.scope());
                    match value {
                        Ok(Value::Bool(truth)) => self.choose(if truth { then } else { otherwise }, chosen),
                        Ok(other) => {
                            let message = format!("`if` needs true or false, this is {}", other.describe());
                            self.tell(Diagnostic::error("wrong-value", condition.span.clone(), message));
                        }
                        Err(diagnostic) => self.tell(diagnostic),
                    }
                }
                StatementKind::Later(word) => self.not_yet(word),
                _ => chosen.push(statement),
            }
        }
    }

    fn not_yet(&mut self, word: &Word) {
        let message = format!("`{}` isn't in this version", word.text);
        self.tell(Diagnostic::error("not-yet", word.span.clone(), message).help("docs/language.md says what this version runs"));
    }

    fn input(&mut self, name: &Word, alternatives: &[Expr]) {
        if !self.define(name) {
            return;
        }
        let mut declared: Vec<Alternative> = Vec::new();
        let mut kind = None;
        for alternative in alternatives {
            let Some((this, given)) = self.alternative(alternative) else { continue };
            match kind {
                None => kind = Some(given),
                Some(first) if first != given => {
                    let message = format!("every alternative must give the same: the first gives a {first}, this one a {given}");
                    self.tell(Diagnostic::error("type-mismatch", alternative.span.clone(), message));
                }
                Some(_) => {}
            }
            declared.push(this);
        }
        if let Some(kind) = kind {
            self.pipeline.inputs.push(InputDecl { name: name.clone(), alternatives: declared, kind });
        }
    }

    fn alternative(&mut self, expr: &Expr) -> Option<(Alternative, Kind)> {
        let ExprKind::Call(callee, arguments) = &expr.kind else {
            let message = "an input is read by a reader, such as `dataset(\"name\")` or `csv(\"file.csv\")`";
            self.tell(Diagnostic::error("unknown-reader", expr.span.clone(), message));
            return None;
        };
        let reader = dotted(callee);
        let known = self.catalogue.readers.iter().find(|known| Some(known.0) == reader.as_deref());
        let stage = reader.as_deref().and_then(|name| self.catalogue.stages.get(name)).map(|stage| stage.signature());
        let kind = match (known, &stage) {
            (Some(known), _) => known.1,
            (None, Some(signature)) if signature.inputs.iter().all(|input| input.optional) => match signature.outputs.first() {
                Some(output) => output.kind,
                None => return None,
            },
            (None, Some(_)) => {
                let message = format!("`{}` needs inputs of its own, so it can't be one", reader.unwrap_or_default());
                self.tell(Diagnostic::error("unknown-reader", callee.span.clone(), message).help("make it a step"));
                return None;
            }
            (None, None) => {
                let reader = reader.unwrap_or_default();
                let names = self.catalogue.readers.iter().map(|known| known.0);
                let near = nearest(&reader, names.clone()).map(|near| format!("did you mean `{near}`?"));
                let list = names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let message = format!("there is no reader `{reader}`; there are {list}");
                self.tell(Diagnostic::error("unknown-reader", callee.span.clone(), message).help_if(near));
                return None;
            }
        };
        let scope = self.pipeline.scope();
        let (mut positional, mut named, mut wanted) = (Vec::new(), BTreeMap::new(), true);
        for argument in arguments {
            let value = match evaluate(&argument.value, &scope) {
                Ok(value) => value,
                Err(diagnostic) => {
                    self.tell(diagnostic);
                    return None;
                }
            };
            match &argument.name {
                Some(key) if key.text == "when" => match value {
                    Value::Bool(truth) => wanted = truth,
                    other => {
                        let message = format!("`when` needs true or false, this is {}", other.describe());
                        self.tell(Diagnostic::error("wrong-value", argument.value.span.clone(), message));
                    }
                },
                Some(key) => {
                    if let Some(signature) = &stage {
                        self.param_value(signature, key, &value, &argument.value);
                    } else {
                        let message = format!("the reader has no option `{}`; it has `when`", key.text);
                        self.tell(Diagnostic::error("unknown-parameter", key.span.clone(), message));
                    }
                    named.insert(key.text.clone(), value);
                }
                None => positional.push(value),
            }
        }
        let is_stage = stage.is_some() && known.is_none();
        if !is_stage && !matches!(positional.as_slice(), [Value::Text(_)]) {
            let message = "a reader takes one text: a path, or the name of a data set";
            self.tell(Diagnostic::error("wrong-value", expr.span.clone(), message));
        }
        let reader = reader.unwrap_or_default();
        Some((Alternative { reader, is_stage, arguments: positional, named, wanted, span: expr.span.clone() }, kind))
    }

    fn find_steps<'s>(&mut self, statement: &'s Statement, loops: &mut Vec<(&'s Word, &'s Expr, usize)>, found: &mut Vec<Found<'s>>) {
        match &statement.kind {
            StatementKind::Step(name, call, with) if self.define(name) => {
                found.push(Found { name, call, with, loops: loops.clone(), span: statement.span.clone() });
            }
            StatementKind::For(variable, list, body) => {
                if loops.iter().any(|(outer, _, _)| outer.text == variable.text) || self.seen.contains_key(&variable.text) {
                    let message = format!("`{}` has a meaning already", variable.text);
                    self.tell(Diagnostic::error("duplicate-name", variable.span.clone(), message));
                }
                loops.push((variable, list, statement.span.start));
                let mut chosen = Vec::new();
                self.choose(body, &mut chosen);
                for inner in chosen {
                    match &inner.kind {
                        StatementKind::Step(..) | StatementKind::For(..) => self.find_steps(inner, loops, found),
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

    fn steps(&mut self, found: &[Found<'_>]) {
        // First what each step is, then what it takes: the order of lines does not matter.
        let mut lists: BTreeMap<usize, Option<LoopList>> = BTreeMap::new();
        let mut kept: Vec<(&Found<'_>, &[Argument], Signature)> = Vec::new();
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
            let Some((arguments, signature)) = self.stage_of(step.call) else { continue };
            if !complete {
                continue;
            }
            self.pipeline.steps.push(StepDecl {
                name: step.name.clone(),
                stage: signature.name.to_owned(),
                loops,
                bindings: Vec::new(),
                params: Vec::new(),
                policy: Policy::default(),
                outputs: signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect(),
                metrics: signature.metrics.iter().map(|metric| (*metric).to_owned()).collect(),
                span: step.span.clone(),
            });
            kept.push((step, arguments, signature));
        }
        for (position, (found, arguments, signature)) in kept.iter().enumerate() {
            self.bindings(position, found, arguments, signature);
            self.parameters(position, arguments, signature);
        }
        // Controls look upwards, so every binding must be known.
        for (position, (found, _, signature)) in kept.iter().enumerate() {
            self.policies(position, found.with, signature);
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

    fn bindings(&mut self, position: usize, found: &Found<'_>, arguments: &[Argument], signature: &Signature) {
        let positional: Vec<&Expr> = arguments.iter().filter(|argument| argument.name.is_none()).map(|argument| &argument.value).collect();
        let required = signature.inputs.iter().filter(|input| !input.optional).count();
        if positional.len() < required {
            let missing = &signature.inputs[positional.len()];
            let message = format!("`{}` needs `{}`: {}", signature.name, missing.name, kinds(missing.kinds));
            self.tell(Diagnostic::error("missing-input", found.call.span.clone(), message).help(missing.doc));
        }
        if let Some(extra) = positional.get(signature.inputs.len()) {
            let message = format!("`{}` takes {} inputs", signature.name, signature.inputs.len());
            self.tell(Diagnostic::error("type-mismatch", extra.span.clone(), message).help("values are given by name: `key = value`"));
        }
        for (expr, input) in positional.iter().zip(&signature.inputs) {
            let Some(reference) = self.reference(expr) else { continue };
            let Some(kind) = self.kind_of(&reference) else { continue };
            if !input.kinds.contains(&kind) {
                let message = format!("`{}` of `{}` takes {}, this is a {kind}", input.name, signature.name, kinds(input.kinds));
                self.tell(Diagnostic::error("type-mismatch", expr.span.clone(), message).label(format!("a {kind}")));
                continue;
            }
            self.check_family(&reference, position, input.many, input.name);
            if let Target::Step(step) = reference.target {
                self.used.insert(step);
            }
            self.pipeline.steps[position].bindings.push(Binding { slot: input.name.to_owned(), reference, kind });
        }
    }

    /// What a positional argument refers to.
    fn reference(&mut self, expr: &Expr) -> Option<DataRef> {
        if let ExprKind::Call(callee, arguments) = &expr.kind
            && dotted(callee).as_deref() == Some("gather")
        {
            let [argument] = arguments.as_slice() else {
                self.tell(Diagnostic::error("wrong-value", expr.span.clone(), "`gather` takes one family of steps"));
                return None;
            };
            let inner = self.reference(&argument.value)?;
            return Some(DataRef { gather: true, span: expr.span.clone(), ..inner });
        }
        let mut indices = Vec::new();
        let mut output = None;
        let mut at = expr;
        let name = loop {
            match &at.kind {
                ExprKind::Name(name) => break name,
                ExprKind::Field(of, field) if output.is_none() && indices.is_empty() => {
                    output = Some(field.clone());
                    at = of;
                }
                ExprKind::Index(of, index) => {
                    indices.push(Some(index.as_ref().clone()));
                    at = of;
                }
                ExprKind::All(of) => {
                    indices.push(None);
                    at = of;
                }
                _ => {
                    let message = "a step or an input is expected here";
                    self.tell(
                        Diagnostic::error("type-mismatch", expr.span.clone(), message).help("values are given by name: `key = value`"),
                    );
                    return None;
                }
            }
        };
        indices.reverse();
        let target = self.pipeline.step(name).map(Target::Step).or_else(|| self.pipeline.input(name).map(Target::Input));
        let Some(target) = target else {
            // A name that is defined but broken was told of already.
            if !self.seen.contains_key(name) {
                let names: Vec<String> = self.seen.keys().cloned().collect();
                let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                let message = format!("there is no step or input `{name}`");
                self.tell(Diagnostic::error("unknown-name", at.span.clone(), message).help_if(near));
            } else if self.pipeline.params.contains_key(name) {
                let message = format!("`{name}` is a parameter; a step or an input is expected here");
                self.tell(Diagnostic::error("type-mismatch", at.span.clone(), message).help(format!("write `key = param.{name}`")));
            }
            return None;
        };
        Some(DataRef { target, indices, output, gather: false, span: expr.span.clone() })
    }

    fn kind_of(&mut self, reference: &DataRef) -> Option<Kind> {
        match reference.target {
            Target::Input(input) => {
                let kind = self.pipeline.inputs[input].kind;
                if let Some(output) = &reference.output {
                    self.tell(Diagnostic::error(
                        "unknown-name",
                        output.span.clone(),
                        format!("a {kind} input has no output `{}`", output.text),
                    ));
                    return None;
                }
                Some(if kind == Kind::Dir && !reference.indices.is_empty() { Kind::File } else { kind })
            }
            Target::Step(step) => {
                let step = &self.pipeline.steps[step];
                let Some(output) = &reference.output else { return step.outputs.first().map(|(_, kind)| *kind) };
                let found = step.outputs.iter().find(|(name, _)| *name == output.text).map(|(_, kind)| *kind);
                if found.is_none() {
                    let list = step.outputs.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    let near = nearest(&output.text, step.outputs.iter().map(|(name, _)| name.as_str()))
                        .map(|near| format!("did you mean `{near}`?"));
                    let message = format!("`{}` has no output `{}`; it has {list}", step.name.text, output.text);
                    self.tell(Diagnostic::error("unknown-name", output.span.clone(), message).help_if(near));
                }
                found
            }
        }
    }

    /// Whether one value stands where one is wanted, and a family where a family is.
    fn check_family(&mut self, reference: &DataRef, from: usize, many: bool, slot: &str) {
        let (name, free) = match reference.target {
            Target::Input(input) => {
                // An input is no family; a Dir that is taken whole is one value.
                (self.pipeline.inputs[input].name.text.clone(), usize::from(reference.indices.iter().any(Option::is_none)))
            }
            Target::Step(step) => {
                let shared = shared_loops(&self.pipeline.steps[step], &self.pipeline.steps[from]);
                let open =
                    self.pipeline.steps[step].loops.len() - if reference.gather || !reference.indices.is_empty() { 0 } else { shared };
                let given = reference.indices.iter().filter(|index| index.is_some()).count();
                let free = if reference.gather { 1 } else { open.saturating_sub(given) };
                (self.pipeline.steps[step].name.text.clone(), free)
            }
        };
        if !many && free > 0 {
            let message = format!("`{slot}` takes one value, `{name}` is a family");
            let told = Diagnostic::error("family-needs-index", reference.span.clone(), message);
            self.tell(told.help(format!("take one member, `{name}[\"…\"]`, or use it inside the same loop")));
        }
        if many && free == 0 {
            let message = format!("`{slot}` takes a family, `{name}` is one value here");
            self.tell(
                Diagnostic::error("family-needs-index", reference.span.clone(), message)
                    .help(format!("write `gather({name})` outside of the loop")),
            );
        }
    }

    fn scope_of(&self, position: usize) -> Scope {
        let mut scope = self.pipeline.scope();
        for around in &self.pipeline.steps[position].loops {
            let value = match &around.list {
                LoopList::Values(values) => values.first().cloned().unwrap_or_else(|| Value::Text(String::new())),
                LoopList::Members(_) => Value::Text("…".into()),
            };
            scope.variables.insert(around.variable.text.clone(), value);
        }
        scope
    }

    fn parameters(&mut self, position: usize, arguments: &[Argument], signature: &Signature) {
        let scope = self.scope_of(position);
        let mut given: Vec<(Word, Expr)> = Vec::new();
        for argument in arguments {
            let Some(key) = &argument.name else { continue };
            if let Some((first, _)) = given.iter().find(|(name, _)| name.text == key.text) {
                let message = format!("`{}` is given twice", key.text);
                let told = Diagnostic::error("duplicate-name", key.span.clone(), message).note(first.span.clone(), "first here");
                self.tell(told);
                continue;
            }
            match evaluate(&argument.value, &scope) {
                Ok(value) => self.param_value(signature, key, &value, &argument.value),
                Err(diagnostic) => self.tell(diagnostic),
            }
            given.push((key.clone(), argument.value.clone()));
        }
        for spec in signature.params.iter().filter(|spec| spec.default.is_none()) {
            if !given.iter().any(|(name, _)| name.text == spec.name) {
                let message = format!("`{}` needs the parameter `{}`", signature.name, spec.name);
                let span = self.pipeline.steps[position].span.clone();
                let help = format!("{}; {} is expected", spec.doc.trim_end_matches('.'), spec.ty.describe());
                self.tell(Diagnostic::error("missing-parameter", span, message).help(help));
            }
        }
        self.pipeline.steps[position].params = given;
    }

    fn param_value(&mut self, signature: &Signature, key: &Word, value: &Value, expr: &Expr) {
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

    fn policies(&mut self, position: usize, with: &[(Word, Expr)], signature: &Signature) {
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
                let message = format!("`{}` is {expected}, this is {}", key.text, value.describe());
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
            visited.extend(level.iter().copied());
            level = level.iter().flat_map(|&step| self.pipeline.needs(step)).filter(|step| !visited.contains(step)).collect();
        }
        let list = possible.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the control `{}` takes hold nowhere on the way to `{}`", control.name(), signature.name);
        let help = if list.is_empty() { "this step has no controls".into() } else { format!("possible here: {list}") };
        self.tell(Diagnostic::error("control-unsupported", expr.span.clone(), message).help(help));
    }

    fn cycles(&mut self) {
        // Depth first; a step that is met while it is open closes a cycle.
        let n = self.pipeline.steps.len();
        let mut state = vec![0u8; n];
        for start in 0..n {
            let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
            if state[start] == 0 {
                state[start] = 1;
                path.push((start, self.pipeline.needs(start)));
            }
            while let Some((step, rest)) = path.last_mut() {
                let step = *step;
                match rest.pop() {
                    None => {
                        state[step] = 2;
                        path.pop();
                    }
                    Some(next) if state[next] == 1 => {
                        let from = path.iter().position(|(step, _)| *step == next).unwrap_or(0);
                        // Needs point upwards; data flows the other way.
                        let mut names: Vec<&str> =
                            path[from..].iter().map(|(step, _)| self.pipeline.steps[*step].name.text.as_str()).collect();
                        names.push(names[0]);
                        names.reverse();
                        let message = format!("these steps need each other: {}", names.join(" → "));
                        let span = self.pipeline.steps[next].name.span.clone();
                        self.diagnostics.push(Diagnostic::error("cycle", span, message));
                    }
                    Some(next) if state[next] == 0 => {
                        state[next] = 1;
                        let needs = self.pipeline.needs(next);
                        path.push((next, needs));
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn expectation(&mut self, condition: &Expr, message: Option<&String>, written: &str) {
        let (diagnostics, steps) = condition::check(condition, &self.pipeline, &self.seen.keys().cloned().collect::<Vec<_>>());
        self.diagnostics.extend(diagnostics);
        self.used.extend(steps);
        self.pipeline.expects.push(ExpectDecl { condition: condition.clone(), written: written.to_owned(), message: message.cloned() });
    }

    fn report(&mut self, name: &Word, title: Option<&String>, names: &[Word]) {
        let mut steps = Vec::new();
        for shown in names {
            match self.pipeline.step(&shown.text) {
                Some(step) => {
                    self.used.insert(step);
                    steps.push(step);
                }
                None if self.seen.contains_key(&shown.text) && self.pipeline.input(&shown.text).is_none() => {}
                None => {
                    let known = self.pipeline.steps.iter().map(|step| step.name.text.as_str());
                    let near = nearest(&shown.text, known).map(|near| format!("did you mean `{near}`?"));
                    let told =
                        Diagnostic::error("unknown-name", shown.span.clone(), format!("there is no step `{}` to report", shown.text))
                            .help_if(near);
                    self.tell(told);
                }
            }
        }
        self.pipeline.reports.push(ReportDecl { name: name.clone(), title: title.cloned(), steps });
    }
}

/// How many outer loops two steps have in common.
pub(crate) fn shared_loops(a: &StepDecl, b: &StepDecl) -> usize {
    a.loops.iter().zip(&b.loops).take_while(|(a, b)| a.id == b.id).count()
}

/// The controls in a value: one, or a list.
pub(crate) fn controls_in(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// `topic.stage` or `name`, when an expression is just that.
fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Field(of, field) => Some(format!("{}.{}", dotted(of)?, field.text)),
        _ => None,
    }
}

fn kinds(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| format!("a {kind}")).collect::<Vec<_>>().join(" or ")
}

fn param_type(name: &str) -> Option<ParamType> {
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
