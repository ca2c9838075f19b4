//! What names become when statements stand somewhere else than they were written.

use crate::ast::{Argument, Expr, ExprKind, Function, FunctionParam, FunctionValue, Span, Statement, StatementKind, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Piece, Scope, evaluate, pieces};
use crate::query_text::{Quotes, is_query};
use neuroflow_stage::{Value, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// What a name becomes.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// The argument of a function.
    Value(Expr),
    /// A loop variable under another name.
    Variable(String),
    /// A step, an input or a function under another name. Where a value is meant, the same word is a word.
    Result(String),
}

/// A used file under its name.
#[derive(Debug, Clone)]
pub(super) struct UsedNames {
    /// What stands before its names.
    pub(super) prefix: String,
    /// Its path.
    pub(super) path: String,
    /// What it defines.
    pub(super) defined: BTreeSet<String>,
}

/// A name that a statement defines.
pub(super) struct Defined {
    pub(super) name: String,
    /// Whether it is a loop variable.
    pub(super) is_variable: bool,
}

/// The names that a statement defines: steps, sweeps, loop variables; with `all`, inputs as well.
pub(super) fn definitions(statement: &Statement, all: bool, names: &mut Vec<Defined>) {
    let result = |word: &Word| Defined { name: word.text.clone(), is_variable: false };
    let variable = |word: &Word| Defined { name: word.text.clone(), is_variable: true };
    match &statement.kind {
        StatementKind::Step { name, .. } => names.push(result(name)),
        StatementKind::For(word, _, body) => {
            names.push(variable(word));
            body.iter().for_each(|inner| definitions(inner, all, names));
        }
        StatementKind::If(_, then, otherwise) => then.iter().chain(otherwise).for_each(|inner| definitions(inner, all, names)),
        StatementKind::Sweep(name, settings, body) => {
            names.push(result(name));
            names.extend(settings.iter().map(|(key, _)| variable(key)));
            body.iter().for_each(|inner| definitions(inner, all, names));
        }
        StatementKind::Input(name, _) if all => names.push(result(name)),
        _ => {}
    }
}

/// What names become.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) meanings: BTreeMap<String, Meaning>,
    /// What is put before the name of each parameter of the file.
    prefix: String,
    /// Names of used files: `file.step` becomes the step's own name.
    pub(super) files: BTreeMap<String, UsedNames>,
    /// How far places are moved: where the file's text begins.
    start: usize,
}

type Told<'d> = &'d mut Vec<Diagnostic>;

impl Names {
    pub(super) fn new(prefix: &str, start: usize) -> Names {
        Names { prefix: prefix.to_owned(), start, ..Names::default() }
    }

    fn span(&self, span: &Span) -> Span {
        span.start + self.start..span.end + self.start
    }

    fn word(&self, word: &Word) -> Word {
        Word { text: word.text.clone(), span: self.span(&word.span) }
    }

    /// A name where it is defined.
    fn defined(&self, word: &Word) -> Word {
        let text = match self.meanings.get(&word.text) {
            Some(Meaning::Variable(text) | Meaning::Result(text)) => text.clone(),
            _ => word.text.clone(),
        };
        Word { text, span: self.span(&word.span) }
    }

    fn entries(&self, entries: &[(Word, Expr)], told: Told<'_>) -> Vec<(Word, Expr)> {
        entries.iter().map(|(key, value)| (self.word(key), self.expr(value, false, told))).collect()
    }

    fn all(&self, statements: &[Statement], told: Told<'_>) -> Vec<Statement> {
        statements.iter().map(|statement| self.statement(statement, told)).collect()
    }

    pub(super) fn statement(&self, statement: &Statement, told: Told<'_>) -> Statement {
        let kind = match &statement.kind {
            StatementKind::Param(name, ty, default) => {
                let name = Word { text: format!("{}{}", self.prefix, name.text), span: self.span(&name.span) };
                let default = default.as_ref().map(|default| self.expr(default, false, told));
                StatementKind::Param(name, ty.as_ref().map(|ty| self.word(ty)), default)
            }
            StatementKind::Input(name, alternatives) => {
                let alternatives = alternatives.iter().map(|one| self.expr(one, false, told)).collect();
                StatementKind::Input(self.defined(name), alternatives)
            }
            StatementKind::Step { name, call, gives, with, value } => StatementKind::Step {
                name: self.defined(name),
                call: self.expr(call, true, told),
                // A file name and a reader: nothing in it is a name of ours.
                gives: gives.as_ref().map(|gives| self.expr(gives, false, told)),
                with: self.entries(with, told),
                value: value.as_ref().map(|value| self.word(value)),
            },
            StatementKind::For(variable, list, body) => {
                StatementKind::For(self.defined(variable), self.expr(list, true, told), self.all(body, told))
            }
            StatementKind::If(condition, then, otherwise) => {
                StatementKind::If(self.expr(condition, true, told), self.all(then, told), self.all(otherwise, told))
            }
            StatementKind::Sweep(name, settings, body) => {
                let settings = settings.iter().map(|(key, list)| (self.defined(key), self.expr(list, true, told))).collect();
                StatementKind::Sweep(self.defined(name), settings, self.all(body, told))
            }
            StatementKind::Fn(function) => StatementKind::Fn(self.function(function, told)),
            StatementKind::Expect(condition, message, written) => {
                StatementKind::Expect(self.expr(condition, true, told), message.clone(), written.clone())
            }
            StatementKind::Report(name, title, shown, with) => {
                let shown = shown.iter().map(|word| self.shown(word, told)).collect();
                StatementKind::Report(self.word(name), title.clone(), shown, with.clone())
            }
            other => other.clone(),
        };
        Statement { kind, span: self.span(&statement.span) }
    }

    /// A function under its name. What it defines itself is its own.
    fn function(&self, function: &Function, told: Told<'_>) -> Function {
        let mut inner = self.clone();
        let mut own = Vec::new();
        function.body.iter().for_each(|statement| definitions(statement, false, &mut own));
        for name in function.params.iter().map(|param| &param.name.text).chain(own.iter().map(|own| &own.name)) {
            inner.meanings.remove(name);
            inner.files.remove(name);
        }
        let params = function.params.iter().map(|param| FunctionParam {
            name: self.word(&param.name),
            ty: param.ty.as_ref().map(|ty| self.word(ty)),
            default: param.default.as_ref().map(|default| self.expr(default, true, told)),
        });
        let params = params.collect();
        Function {
            name: self.defined(&function.name),
            params,
            body: inner.all(&function.body, told),
            value: function.value.as_ref().map(|value| inner.value(value, told)),
        }
    }

    pub(super) fn value(&self, value: &FunctionValue, told: Told<'_>) -> FunctionValue {
        FunctionValue {
            call: self.expr(&value.call, true, told),
            gives: value.gives.as_ref().map(|gives| self.expr(gives, false, told)),
            with: self.entries(&value.with, told),
        }
    }

    /// A name in a report, which may be `file.step`.
    fn shown(&self, word: &Word, told: Told<'_>) -> Word {
        let text = match word.text.split_once('.') {
            Some((file, step)) => self.of_file(file, step, &word.span, told).unwrap_or_else(|| word.text.clone()),
            None => return self.defined(word),
        };
        Word { text, span: self.span(&word.span) }
    }

    /// `file.name`, when `file` names a used file.
    fn of_file(&self, file: &str, name: &str, span: &Span, told: Told<'_>) -> Option<String> {
        let used = self.files.get(file)?;
        if !used.defined.contains(name) {
            let near = nearest(name, used.defined.iter().map(String::as_str)).map(|near| format!("did you mean `{file}.{near}`?"));
            let message = format!("`{}` defines no `{name}`", used.path);
            told.push(Diagnostic::error("bad-use", self.span(span), message).help_if(near));
        }
        Some(format!("{}{name}", used.prefix))
    }

    /// An expression; `results` says whether a bare name in it is a result, or a word.
    pub(super) fn expr(&self, expr: &Expr, results: bool, told: Told<'_>) -> Expr {
        let mut inner = |expr: &Expr, results: bool| Box::new(self.expr(expr, results, told));
        let kind = match &expr.kind {
            ExprKind::Name(name) => match self.meanings.get(name) {
                // What the caller wrote keeps its place.
                Some(Meaning::Value(value)) => return value.clone(),
                Some(Meaning::Variable(text)) => ExprKind::Name(text.clone()),
                Some(Meaning::Result(text)) if results => ExprKind::Name(text.clone()),
                _ => expr.kind.clone(),
            },
            ExprKind::Field(of, field) => match &of.kind {
                ExprKind::Name(object) if object == "param" => {
                    let field = Word { text: format!("{}{}", self.prefix, field.text), span: self.span(&field.span) };
                    ExprKind::Field(Box::new(Expr { kind: of.kind.clone(), span: self.span(&of.span) }), field)
                }
                ExprKind::Name(file) if self.files.contains_key(file) => {
                    ExprKind::Name(self.of_file(file, &field.text, &expr.span, told).unwrap_or_default())
                }
                _ => ExprKind::Field(inner(of, true), self.word(field)),
            },
            ExprKind::Index(of, index) => ExprKind::Index(inner(of, true), inner(index, false)),
            ExprKind::All(of) => ExprKind::All(inner(of, true)),
            ExprKind::Range(start, end) => ExprKind::Range(inner(start, results), inner(end, results)),
            ExprKind::Steps(start, end, step) => ExprKind::Steps(inner(start, results), inner(end, results), inner(step, results)),
            ExprKind::Negative(of) => ExprKind::Negative(inner(of, results)),
            ExprKind::Not(of) => ExprKind::Not(inner(of, results)),
            ExprKind::Binary(operator, left, right) => ExprKind::Binary(*operator, inner(left, results), inner(right, results)),
            ExprKind::List(items) => ExprKind::List(items.iter().map(|item| self.expr(item, false, told)).collect()),
            ExprKind::Call(callee, arguments) => {
                let is_query = is_query(expr);
                let callee = self.callee(callee, told);
                let of_stage = matches!(callee.kind, ExprKind::Field(..));
                let arguments = arguments.iter().map(|argument| Argument {
                    name: argument.name.as_ref().map(|name| self.word(name)),
                    value: match &argument.value {
                        Expr { kind: ExprKind::Text(text), span } if is_query && argument.name.is_none() => {
                            Expr { kind: ExprKind::Text(self.text(text, span, Quotes::of_query(), told)), span: self.span(span) }
                        }
                        value => self.expr(value, results && !(of_stage && argument.name.is_some()), told),
                    },
                });
                ExprKind::Call(Box::new(callee), arguments.collect())
            }
            ExprKind::Text(text) => ExprKind::Text(self.text(text, &expr.span, Quotes::none(), told)),
            other => other.clone(),
        };
        Expr { kind, span: self.span(&expr.span) }
    }

    fn callee(&self, callee: &Expr, told: Told<'_>) -> Expr {
        let kind = match &callee.kind {
            ExprKind::Name(name) => match self.meanings.get(name) {
                Some(Meaning::Result(renamed)) => ExprKind::Name(renamed.clone()),
                _ => callee.kind.clone(),
            },
            ExprKind::Field(of, field) => match &of.kind {
                ExprKind::Name(file) if self.files.contains_key(file) => {
                    ExprKind::Name(self.of_file(file, &field.text, &callee.span, told).unwrap_or_default())
                }
                // The name of a stage.
                _ => ExprKind::Field(Box::new(Expr { kind: of.kind.clone(), span: self.span(&of.span) }), self.word(field)),
            },
            other => other.clone(),
        };
        Expr { kind, span: self.span(&callee.span) }
    }

    /// `{name}` in a text, which is a query when `quotes` minds them.
    fn text(&self, text: &str, span: &Span, mut quotes: Quotes, told: Told<'_>) -> String {
        if self.meanings.is_empty() && self.prefix.is_empty() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            quotes.pass(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                out.push_str("{{");
                rest = after;
                continue;
            }
            let Some(end) = rest.find('}') else {
                out.push('{');
                break;
            };
            let name = rest[..end].trim();
            let filled = match (name.strip_prefix("param."), self.meanings.get(name)) {
                (Some(param), _) => Some(format!("{{param.{}{param}}}", self.prefix)),
                (None, Some(Meaning::Variable(name))) => Some(format!("{{{name}}}")),
                (None, Some(Meaning::Value(value))) => Some(self.filled(name, value, span, &quotes, told)),
                (None, _) => None,
            };
            match filled {
                Some(filled) => {
                    out.push_str(&filled);
                    quotes.pass_value();
                    rest = &rest[end + 1..];
                }
                None => out.push('{'),
            }
        }
        out.push_str(rest);
        out
    }

    /// An argument as it stands within a text.
    fn filled(&self, name: &str, value: &Expr, span: &Span, quotes: &Quotes, told: Told<'_>) -> String {
        match &value.kind {
            // A loop variable of the caller, or a word; which, is not known here.
            ExprKind::Name(name) => format!("{{{name}}}"),
            // What is filled into it in turn is looked at when that is done, what is written in it here.
            ExprKind::Text(text) if text.contains('{') => {
                let written = pieces(text).unwrap_or_default().into_iter().map(|piece| match piece {
                    Piece::Plain(text) => text,
                    Piece::Filled(_) => "",
                });
                let written: String = written.collect();
                if !written.is_empty() {
                    self.put_in(name, &Value::Text(written), span, quotes, told);
                }
                quotes.escaped(text)
            }
            ExprKind::Text(text) => self.put_in(name, &Value::Text(text.clone()), span, quotes, told),
            ExprKind::Field(of, field) if matches!(&of.kind, ExprKind::Name(object) if object == "param") => {
                format!("{{param.{}}}", field.text)
            }
            _ => match evaluate(value, &Scope::default()) {
                Ok(value) => self.put_in(name, &value, span, quotes, told).replace('{', "{{").replace('}', "}}"),
                Err(_) => {
                    let message = format!("what `{name}` stands for can't be filled into this text");
                    let help = "give a text, a number, a loop variable or a `param` for it";
                    told.push(Diagnostic::error("bad-function", self.span(span), message).help(help));
                    String::new()
                }
            },
        }
    }

    /// A value within a text, as it may stand there.
    fn put_in(&self, name: &str, value: &Value, span: &Span, quotes: &Quotes, told: Told<'_>) -> String {
        quotes.fit(name, value, &self.span(span)).unwrap_or_else(|misfit| {
            told.push(misfit);
            String::new()
        })
    }
}
