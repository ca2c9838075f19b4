//! What is asked of steps at the end: expectations, reports; and steps that need each other or that nothing needs.

use super::Checker;
use crate::ast::{Expr, ExprKind, Word};
use crate::condition;
use crate::diagnostics::{Diagnostic, has_errors};
use crate::pipeline::{ExpectDecl, ReportDecl};
use crate::used::stays_below;
use crate::written::short;
use neuroflow_stage::nearest;

impl Checker<'_> {
    pub(super) fn cycles(&mut self) {
        // Depth first; a step that is met while it is open closes a cycle.
        let n = self.pipeline.steps.len();
        let mut state = vec![0u8; n];
        for start in 0..n {
            let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
            if state[start] == 0 {
                state[start] = 1;
                path.push((start, self.pipeline.after(start)));
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
                        let needs = self.pipeline.after(next);
                        path.push((next, needs));
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// Warns of steps that nothing needs.
    pub(super) fn unused(&mut self) {
        // What is broken may be what would use them.
        if has_errors(&self.diagnostics) {
            return;
        }
        for (position, step) in self.pipeline.steps.iter().enumerate() {
            if !self.used.contains(&position) && !self.pipeline.places.is_elsewhere(step.name.span.start) {
                // Of a function that is called often it is told once.
                let message = format!("nothing uses `{}`", short(&step.name.text));
                let warning = Diagnostic::warning("unused-step", step.name.span.clone(), message);
                self.diagnostics.push(warning.help("name it in a `report` or an `expect`, or remove it"));
            }
        }
    }

    pub(super) fn expectation(&mut self, condition: &Expr, message: Option<&String>, written: &str) {
        let (diagnostics, steps) = condition::check(condition, &self.pipeline, &[], &|name| self.seen.contains_key(name));
        self.diagnostics.extend(diagnostics);
        self.used.extend(&steps);
        let (condition, written, message) = (condition.clone(), written.to_owned(), message.cloned());
        self.pipeline.expects.push(ExpectDecl { condition, written, message, steps });
    }

    pub(super) fn report(&mut self, name: &Word, title: Option<&String>, names: &[Word], with: &[(Word, Expr)]) {
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
        let mut template = None;
        for (key, value) in with {
            match report_template(key, value) {
                Ok(path) => template = Some(path),
                Err(told) => self.tell(*told),
            }
        }
        self.pipeline.reports.push(ReportDecl { name: name.clone(), title: title.cloned(), steps, template });
    }
}

/// What stands behind `with` of a report: the file that lays its page out, a path below the pipeline's folder.
fn report_template(key: &Word, value: &Expr) -> Result<Word, Box<Diagnostic>> {
    if key.text != "template" {
        let message = format!("a report has no `{}`", key.text);
        return Err(Box::new(Diagnostic::error("bad-template", key.span.clone(), message).help("it has `template = \"page.html\"`")));
    }
    let told = |message: String| Diagnostic::error("bad-template", value.span.clone(), message);
    let ExprKind::Text(path) = &value.kind else {
        return Err(Box::new(told("a template is the path of a file, in quotes".into()).help("write `template = \"page.html\"`")));
    };
    if !stays_below(path) || path.contains('{') {
        let message = format!("`{path}` must be a path below the pipeline's folder");
        return Err(Box::new(told(message).help("no `..`, no `{name}`, and nothing that begins at the root")));
    }
    Ok(Word { text: path.clone(), span: value.span.clone() })
}
