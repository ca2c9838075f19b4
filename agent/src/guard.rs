//! What a change may not say, and what a person should look at twice.
//!
//! The pipelines before and after are compared, not the edits, so that no way of writing a change leads around this. What a model may never do is refused;
//! the same in a person's own patch is a warning on the card.

use crate::settings::Settings;
use neuroflow_dsl::Pipeline;
use neuroflow_dsl::ast::{Expr, ExprKind};
use neuroflow_dsl::pipeline::{Alternative, StepDecl};
use neuroflow_engine::readers::{self, Takes};
use neuroflow_stage::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Something that a person should look at twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about: `program`, `input`, `control`, `expect`, `policy`, `letters`, `uncommitted`.
    pub kind: String,
    /// In words.
    pub message: String,
    /// Whether a model may not propose it.
    pub forbidden: bool,
}

impl Warning {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Warning {
        Warning { kind: kind.into(), message: message.into(), forbidden: false }
    }

    fn forbidden(kind: &str, message: impl Into<String>) -> Warning {
        Warning { forbidden: true, ..Warning::new(kind, message) }
    }

    fn forbidden_unless(allowed: bool, kind: &str, message: impl Into<String>) -> Warning {
        Warning { forbidden: !allowed, ..Warning::new(kind, message) }
    }
}

/// Policies of programs that open something to them.
const OPENING: [&str; 4] = ["network", "reads", "env", "scripts"];

/// Compares two pipelines. `root` is the project's folder.
pub(crate) fn compare(before: Option<&Pipeline>, after: &Pipeline, root: &Path, settings: &Settings, tainted: bool) -> Vec<Warning> {
    let mut found = Vec::new();
    let changed: Vec<&String> = after
        .params
        .iter()
        .filter(|(name, value)| before.is_some_and(|before| before.params.get(*name) != Some(value)))
        .map(|(name, _)| name)
        .collect();
    for step in &after.steps {
        let was = before.and_then(|before| before.step(&step.name.text).map(|at| &before.steps[at]));
        programs(was, step, settings.allow_exec && !tainted, &mut found);
        policies(was, step, &mut found);
        if let Some(was) = was {
            controls(was, step, &mut found);
            arguments(was, step, &changed, &mut found);
        }
    }
    inputs(before, after, root, &mut found);
    for expect in before.iter().flat_map(|before| &before.expects) {
        if !after.expects.iter().any(|other| other.written == expect.written) {
            found.push(Warning::new("expect", format!("no longer expected: {}", expect.written)));
        }
    }
    found
}

fn programs(was: Option<&StepDecl>, step: &StepDecl, allowed: bool, found: &mut Vec<Warning>) {
    let Some(program) = &step.program else { return };
    let name = &step.name.text;
    match was.and_then(|was| was.program.as_ref()) {
        None => found.push(Warning::forbidden_unless(allowed, "program", format!("`{name}` runs a program: {}", program.template))),
        Some(was) if was != program => {
            found.push(Warning::forbidden_unless(allowed, "program", format!("`{name}` runs another program: {}", program.template)));
        }
        Some(_) => {}
    }
}

/// The command stays, and is told something else: what a script does may lie in its arguments alone.
fn arguments(was: &StepDecl, step: &StepDecl, changed: &[&String], found: &mut Vec<Warning>) {
    let (Some(program), true) = (&step.program, was.program == step.program) else { return };
    let values = |step: &StepDecl| step.params.iter().map(|(name, value)| (name.text.clone(), value.clone())).collect::<Vec<_>>();
    let (old, new) = (values(was), values(step));
    let is_same = old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| old.0 == new.0 && old.1.says_same(&new.1));
    let written = format!("{:?} {}", new.iter().map(|(_, value)| &value.kind).collect::<Vec<_>>(), program.template);
    let words: BTreeSet<&str> = written.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).collect();
    if !is_same || changed.iter().any(|name| words.contains(name.as_str())) {
        found.push(Warning::new("program", format!("the program of `{}` is told something else", step.name.text)));
    }
}

fn policies(was: Option<&StepDecl>, step: &StepDecl, found: &mut Vec<Warning>) {
    let name = &step.name.text;
    for (key, value) in &step.with {
        let before = was.and_then(|was| policy(was, &key.text));
        if before.is_some_and(|before| before.says_same(value)) {
            continue;
        }
        if OPENING.contains(&key.text.as_str()) && !is_word(value, "off") {
            found.push(Warning::forbidden("policy", format!("`{name}`: `{}` opens more to its program", key.text)));
        }
        if key.text == "executor" {
            found.push(Warning::forbidden("policy", format!("`{name}` runs somewhere else")));
        }
        if key.text == "isolate" && is_word(value, "none") {
            found.push(Warning::forbidden("policy", format!("`{name}` no longer runs in a process of its own")));
        }
    }
    for key in ["isolate", "time", "executor"] {
        if was.is_some_and(|was| policy(was, key).is_some()) && policy(step, key).is_none() {
            found.push(Warning::forbidden("policy", format!("`{name}` loses its `{key}`")));
        }
    }
}

fn controls(was: &StepDecl, step: &StepDecl, found: &mut Vec<Warning>) {
    let name = &step.name.text;
    let Some(before) = policy(was, "control") else { return };
    let (old, new) = (control_names(before), policy(step, "control").map(control_names).unwrap_or_default());
    let lost: Vec<&String> = old.difference(&new).collect();
    if !lost.is_empty() {
        let lost = lost.iter().map(|control| format!("`{control}`")).collect::<Vec<_>>().join(", ");
        found.push(Warning::new("control", format!("`{name}` loses the control {lost}")));
    } else if policy(step, "control").is_some_and(|after| !before.says_same(after)) && old == new {
        found.push(Warning::new("control", format!("the control of `{name}` is another one")));
    }
}

fn control_names(value: &Expr) -> BTreeSet<String> {
    match &value.kind {
        ExprKind::List(values) => values.iter().flat_map(control_names).collect(),
        ExprKind::Call(callee, _) => control_names(callee),
        ExprKind::Name(name) => BTreeSet::from([name.clone()]),
        _ => BTreeSet::new(),
    }
}

fn inputs(before: Option<&Pipeline>, after: &Pipeline, root: &Path, found: &mut Vec<Warning>) {
    let known: Vec<String> = before.iter().flat_map(|before| &before.inputs).flat_map(|input| &input.alternatives).map(written).collect();
    for input in &after.inputs {
        for alternative in &input.alternatives {
            if known.contains(&written(alternative)) {
                continue;
            }
            let name = &input.name.text;
            if before.is_some_and(|before| before.input(name).is_some()) {
                found.push(Warning::new("input", format!("`{name}` is taken from somewhere else: {}", written(alternative))));
            }
            if !alternative.is_stage && alternative.reader != "dataset" {
                let paths = alternative.arguments.iter().chain(alternative.named.values());
                for path in paths.filter_map(|value| if let Value::Text(path) = value { Some(path) } else { None }) {
                    if let Some(reason) = leaves(root, path).or_else(|| brings(root, path, &alternative.reader)) {
                        found.push(Warning::forbidden("input", format!("`{name}`: {path} {reason}")));
                    }
                }
            }
        }
    }
}

/// Why a path does not stay in the project; none when it does.
fn leaves(root: &Path, path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    if path.contains("://") {
        return Some("is an address, not a file of the project");
    }
    if path.starts_with(['/', '\\', '~']) || path.as_bytes().get(1) == Some(&b':') || parts.contains(&"..") || path.contains('\0') {
        return Some("lies outside of the project");
    }
    if parts.iter().any(|part| part.starts_with('.') && *part != ".") {
        return Some("is hidden");
    }
    // A link may lead out of the folder. Of a pattern, the part before its first wildcard is looked at.
    let fixed: std::path::PathBuf = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '{'])).collect();
    let place = root.join(fixed);
    let Ok(root) = root.canonicalize() else { return None };
    let leads_out = |place: &Path| place.canonicalize().is_ok_and(|place| !place.starts_with(&root));
    if leads_out(&place) {
        return Some("is a link that leads out of the project");
    }
    if !path.contains(['*', '?']) {
        return None;
    }
    // What the wildcards stand for may be a link as well.
    let fitting = neuroflow_engine::folder::search(&root, path, &|_| true).unwrap_or_default();
    fitting.iter().any(|path| leads_out(&root.join(path))).then_some("fits a link that leads out of the project")
}

/// Why what a reader takes along with a path does not stay in the project: what lies in its folder, or beside it. None when it does.
fn brings(root: &Path, path: &str, reader: &str) -> Option<&'static str> {
    let path = path.trim_end_matches('/');
    let pattern = match readers::reader(reader)?.takes {
        Takes::File => return None,
        Takes::Folder => format!("{path}/**"),
        Takes::Beside => path.rsplit_once('/').map_or_else(|| "*".to_owned(), |(folder, _)| format!("{folder}/*")),
    };
    let root = root.canonicalize().ok()?;
    let leads_out = |path: &String| root.join(path).canonicalize().is_ok_and(|place| !place.starts_with(&root));
    let files = neuroflow_engine::folder::search(&root, &pattern, &|_| true).unwrap_or_default();
    files.iter().any(leads_out).then_some("has a link in it or beside it that leads out of the project")
}

fn written(alternative: &Alternative) -> String {
    let named = alternative.named.iter().map(|(name, value)| format!("{name} = {value}"));
    let arguments: Vec<String> = alternative.arguments.iter().map(ToString::to_string).chain(named).collect();
    format!("{}({})", alternative.reader, arguments.join(", "))
}

fn policy<'s>(step: &'s StepDecl, key: &str) -> Option<&'s Expr> {
    step.with.iter().find(|(known, _)| known.text == key).map(|(_, value)| value)
}

fn is_word(value: &Expr, word: &str) -> bool {
    matches!(&value.kind, ExprKind::Name(name) if name == word)
}
