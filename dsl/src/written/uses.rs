//! `use`: the statements of other files, under names of their own.

use super::names::{Defined, Meaning, Names, UsedNames, definitions};
use super::{MOST_DEPTH, Writer, reach};
use crate::ast::{Expr, Statement, StatementKind, Word, statements};
use crate::diagnostics::{Diagnostic, has_errors};
use crate::parser::parse;
use crate::used::{UsedFile, stays_below};
use neuroflow_stage::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// One file on the way from the pipeline to what is read now.
struct Link {
    path: String,
    prefix: String,
    start: usize,
}

impl Writer<'_> {
    /// The pipeline's statements, and those of used files that they need.
    pub(super) fn gathered(&mut self, all: Vec<Statement>) -> Vec<Statement> {
        let special = |statement: &Statement| matches!(statement.kind, StatementKind::Use(..) | StatementKind::Fn(_));
        if !all.iter().any(special) {
            return all;
        }
        let mut used = Vec::new();
        let own = self.file(all, &mut Vec::new(), &mut used);
        let mut statements = reach::needed(used, &own);
        for statement in statements.iter().chain(&own) {
            let StatementKind::Fn(function) = &statement.kind else { continue };
            self.check_function(function);
            self.functions.entry(function.name.text.clone()).or_insert_with(|| Rc::new(function.clone()));
        }
        statements.extend(own);
        statements
    }

    /// The statements of one file, its names resolved to those of all files together. Those of the files that it uses are put into `used`.
    fn file(&mut self, all: Vec<Statement>, chain: &mut Vec<Link>, used: &mut Vec<Statement>) -> Vec<Statement> {
        let (prefix, start) = chain.last().map_or((String::new(), 0), |link| (link.prefix.clone(), link.start));
        let mut names = Names::new(&prefix, start);
        for statement in &all {
            let mut defined = Vec::new();
            if let StatementKind::Use(path, name, with) = &statement.kind {
                let place = |word: &Word| Word { text: word.text.clone(), span: word.span.start + start..word.span.end + start };
                if chain.is_empty() {
                    self.written.defined.push(name.clone());
                }
                let with: Vec<(Word, Expr)> =
                    with.iter().map(|(key, value)| (place(key), names.expr(value, false, self.diagnostics))).collect();
                if let Some(found) = self.use_file(&place(path), &name.text, &with, chain, used) {
                    names.files.insert(name.text.clone(), found);
                }
            } else if let StatementKind::Fn(function) = &statement.kind {
                if chain.is_empty() {
                    self.written.defined.push(function.name.clone());
                } else {
                    defined.push(Defined { name: function.name.text.clone(), is_variable: false });
                }
            } else if !chain.is_empty() {
                definitions(statement, true, &mut defined);
            }
            for Defined { name, is_variable } in defined {
                let text = format!("{prefix}{name}");
                names.meanings.insert(name, if is_variable { Meaning::Variable(text) } else { Meaning::Result(text) });
            }
        }
        all.iter()
            .filter(|statement| !matches!(statement.kind, StatementKind::Use(..)))
            .map(|statement| names.statement(statement, self.diagnostics))
            .collect()
    }

    fn use_file(
        &mut self,
        path: &Word,
        name: &str,
        with: &[(Word, Expr)],
        chain: &mut Vec<Link>,
        used: &mut Vec<Statement>,
    ) -> Option<UsedNames> {
        let told = |message: String| Diagnostic::error("bad-use", path.span.clone(), message);
        if !stays_below(&path.text) {
            let message = format!("`{}` must be a path below the folder of the file that uses it", path.text);
            self.tell(told(message).help("no `..`, and nothing that begins at the root: what a run needs stays together"));
            return None;
        }
        // Paths in a used file begin at its own folder.
        let folder = chain.last().and_then(|link| link.path.rsplit_once('/')).map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let written: Vec<&str> = path.text.split('/').filter(|part| *part != "." && !part.is_empty()).collect();
        let full = format!("{folder}{}", written.join("/"));
        if let Some(begin) = chain.iter().position(|link| link.path == full) {
            let way = chain[begin..].iter().map(|link| link.path.as_str()).chain([full.as_str()]).collect::<Vec<_>>().join(" → ");
            self.tell(told(format!("these files use each other: {way}")));
            return None;
        }
        if chain.len() >= MOST_DEPTH {
            self.tell(told(format!("more than {MOST_DEPTH} files use each other in a row")));
            return None;
        }
        let text = match self.files.read(&full) {
            Ok(text) => text,
            Err(reason) => {
                self.tell(told(reason).help("the path begins at the folder of the file that uses it"));
                return None;
            }
        };
        let parsed = parse(&text);
        let mut found = parsed.diagnostics.clone();
        let all = statements(&parsed.root(), &mut found);
        let start = self.places.add(UsedFile { path: full.clone(), text }, path.span.clone());
        let wrong = has_errors(&found);
        for mut one in found {
            one.span = one.span.start + start..one.span.end + start;
            one.notes.clear();
            self.tell(one);
        }
        if wrong {
            return None;
        }
        let kept = |statement: &Statement| {
            !matches!(statement.kind, StatementKind::Pipeline(..) | StatementKind::Expect(..) | StatementKind::Report(..))
        };
        let all: Vec<Statement> = all.into_iter().filter(kept).collect();
        let mut params = BTreeSet::new();
        let mut defined = Vec::new();
        for statement in &all {
            match &statement.kind {
                StatementKind::Param(param, ..) => {
                    params.insert(param.text.clone());
                }
                StatementKind::Fn(function) => defined.push(Defined { name: function.name.text.clone(), is_variable: false }),
                _ => definitions(statement, true, &mut defined),
            }
        }
        for (key, _) in with.iter().filter(|(key, _)| !params.contains(&key.text)) {
            let near = nearest(&key.text, params.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            self.tell(Diagnostic::error("bad-use", key.span.clone(), format!("`{full}` has no parameter `{}`", key.text)).help_if(near));
        }
        let prefix = format!("{}{name}/", chain.last().map_or("", |link| &link.prefix));
        chain.push(Link { path: full.clone(), prefix: prefix.clone(), start });
        let mut all = self.file(all, chain, used);
        chain.pop();
        let mut given: BTreeMap<String, &Expr> = BTreeMap::new();
        for (key, value) in with {
            given.insert(format!("{prefix}{}", key.text), value);
        }
        for statement in &mut all {
            if let StatementKind::Param(param, _, default) = &mut statement.kind
                && let Some(value) = given.get(&param.text)
            {
                *default = Some((*value).clone());
            }
        }
        used.extend(all);
        let defined = defined.into_iter().filter(|one| !one.is_variable).map(|one| one.name).collect();
        Some(UsedNames { prefix, path: full, defined })
    }
}
