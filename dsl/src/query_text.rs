//! The text of a query: values are filled in so that they stay values.
//!
//! A value within single quotes is a text and within double quotes a name, whatever is in it: its quotes are doubled. Anywhere else it would be read as a part
//! of the query, so only numbers, truth values and plain words may stand there.

use crate::ast::{Expr, ExprKind, Span};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Piece, Scope, UNKNOWN, bare, evaluate, filled, pieces};
use neuroflow_stage::Value;

/// The stage that answers queries.
pub(crate) const STAGE: &str = "query.sql";
/// Its parameter.
pub(crate) const QUERY: &str = "query";

/// Whether a call is a query.
pub(crate) fn is_query(call: &Expr) -> bool {
    matches!(&call.kind, ExprKind::Call(callee, _) if matches!(&callee.kind, ExprKind::Name(name) if name == "sql"))
}

/// The value of a stage's parameter.
///
/// # Errors
/// As [`evaluate`]; and when a value can't stand where a query has its place.
pub(crate) fn evaluate_param(stage: &str, key: &str, expr: &Expr, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
    if stage == STAGE && key == QUERY { evaluate_query(expr, scope) } else { evaluate(expr, scope) }
}

/// The text of a query with everything filled in.
///
/// # Errors
/// As [`evaluate`]; and when a value can't stand where the query has its place.
pub(crate) fn evaluate_query(expr: &Expr, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
    let ExprKind::Text(text) = &expr.kind else { return evaluate(expr, scope) };
    let unknown = |message: String| Diagnostic::error("unknown-name", expr.span.clone(), message);
    let mut quotes = Quotes::of_query();
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text).map_err(unknown)? {
        match piece {
            Piece::Plain(text) => {
                quotes.pass(text);
                out.push_str(text);
            }
            Piece::Filled(name) => {
                let value = filled(name, scope).map_err(unknown)?;
                out.push_str(&quotes.fit(name, value, &expr.span)?);
                quotes.pass_value();
            }
        }
    }
    Ok(Value::Text(out))
}

/// What a place in a query stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Within {
    /// The query itself.
    Open,
    /// `'a text'`.
    Text,
    /// `"a name"`.
    Name,
    /// `E'a text'`, in which a backslash takes a quote's meaning away.
    Escaped,
    /// A comment to the end of the line.
    Line,
    /// So many comments `/* … */` in one another.
    Block(usize),
    /// Quotes of another kind, up to this end.
    Until(String),
}

/// Where a text is, as far as quotes go.
#[derive(Debug, Clone)]
pub(crate) struct Quotes {
    /// None when quotes have no meaning.
    within: Option<Within>,
    /// The length of the word that ends here: a letter before a quote gives it another meaning.
    word: usize,
    /// Whether a minus stands before: a second one would begin a comment.
    after_minus: bool,
}

impl Quotes {
    /// The beginning of a query.
    pub(crate) fn of_query() -> Quotes {
        Quotes { within: Some(Within::Open), word: 0, after_minus: false }
    }

    /// A text in which quotes are characters like others.
    pub(crate) fn none() -> Quotes {
        Quotes { within: None, word: 0, after_minus: false }
    }

    /// Goes on behind what is written.
    pub(crate) fn pass(&mut self, text: &str) {
        let Some(mut within) = self.within.take() else { return };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (next, length) = step(within, rest, first, self.word == 1);
            within = next;
            let is_word = length == first.len_utf8() && (first.is_alphanumeric() || first == '_');
            self.word = if is_word { self.word + 1 } else { 0 };
            self.after_minus = first == '-' && length == 1;
            rest = &rest[length..];
        }
        self.within = Some(within);
    }

    /// Goes on behind a value, which never changes what it stands in. It may be a letter that gives the next quote another meaning.
    pub(crate) fn pass_value(&mut self) {
        self.word = 1;
        self.after_minus = false;
    }

    /// A text that is to stand here, with its quotes doubled.
    pub(crate) fn escaped(&self, text: &str) -> String {
        match self.within {
            Some(Within::Text) => text.replace('\'', "''"),
            Some(Within::Name) => text.replace('"', "\"\""),
            _ => text.to_owned(),
        }
    }

    /// A value as it is to stand here.
    ///
    /// # Errors
    /// When it would be read as a part of the query; with what to write instead.
    pub(crate) fn fit(&self, name: &str, value: &Value, span: &Span) -> Result<String, Diagnostic> {
        let text = bare(value);
        let place = match &self.within {
            None | Some(Within::Text | Within::Name) => return Ok(self.escaped(&text)),
            Some(_) if is_plain(value) => {
                let apart = if self.after_minus && text.starts_with('-') { " " } else { "" };
                return Ok(format!("{apart}{text}"));
            }
            Some(Within::Open) => "outside of quotes in the query",
            Some(Within::Line | Within::Block(_)) => "in a comment of the query",
            Some(Within::Escaped | Within::Until(_)) => "in quotes of another kind in the query",
        };
        let message = format!("`{{{name}}}` is {value} and stands {place}, where only numbers, truth values and plain words may");
        let told = Diagnostic::error("bad-query", span.clone(), message);
        Err(told.help(format!("write `'{{{name}}}'` for a text, `\"{{{name}}}\"` for the name of a column")))
    }
}

/// What comes behind the first token of `rest`, and how long that is. `prefixed` says that a single letter stands before it.
fn step(within: Within, rest: &str, first: char, prefixed: bool) -> (Within, usize) {
    let one = first.len_utf8();
    match within {
        Within::Open => match first {
            '-' if rest.starts_with("--") => (Within::Line, 2),
            '/' if rest.starts_with("/*") => (Within::Block(1), 2),
            '\'' if prefixed => (Within::Escaped, one),
            '\'' => (Within::Text, one),
            '"' if prefixed => (Within::Until("\"".to_owned()), one),
            '"' => (Within::Name, one),
            '`' => (Within::Until("`".to_owned()), one),
            '$' => match dollars(rest) {
                Some(end) => (Within::Until(end.to_owned()), end.len()),
                None => (Within::Open, one),
            },
            _ => (Within::Open, one),
        },
        // A doubled quote ends a text and begins it again.
        Within::Text if first == '\'' => (Within::Open, one),
        Within::Name if first == '"' => (Within::Open, one),
        Within::Escaped => match first {
            '\\' => (Within::Escaped, one + rest[one..].chars().next().map_or(0, char::len_utf8)),
            '\'' if rest.starts_with("''") => (Within::Escaped, 2),
            '\'' => (Within::Open, one),
            _ => (Within::Escaped, one),
        },
        Within::Line if first == '\n' => (Within::Open, one),
        Within::Block(depth) if rest.starts_with("/*") => (Within::Block(depth + 1), 2),
        Within::Block(depth) if rest.starts_with("*/") => (if depth > 1 { Within::Block(depth - 1) } else { Within::Open }, 2),
        Within::Until(end) if rest.starts_with(&end) => (Within::Open, end.len()),
        other => (other, one),
    }
}

/// The `$word$` at the beginning of a text.
fn dollars(text: &str) -> Option<&str> {
    let end = text.get(1..)?.find('$')? + 1;
    let word = text.get(1..end)?;
    word.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| text.get(..=end))?
}

/// Whether a value is read as nothing but itself wherever it stands.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) => true,
        Value::Number(number) => number.is_finite(),
        // What is not known yet is looked at when it is.
        Value::Text(text) | Value::Word(text) => text == UNKNOWN || is_word(text) || is_number(text),
        Value::Quantity(_) | Value::List(_) | Value::Range(..) | Value::Call(_) => false,
    }
}

fn is_word(text: &str) -> bool {
    let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    letters && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Whether a text is a number, as labels of members are.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::checked;

    fn asked(text: &str, value: Value) -> Result<String, String> {
        let expr = Expr { kind: ExprKind::Text(text.to_owned()), span: 0..1 };
        let mut scope = Scope::default();
        scope.add("x", value);
        let value = evaluate_query(&expr, &scope).map_err(|told| format!("{} = {}", told.message, told.help.join("; ")))?;
        Ok(bare(&value))
    }

    #[test]
    fn a_value_in_quotes_stays_what_it_is() {
        let filled = |text: &str, value: &str| asked(text, value.into()).unwrap();
        assert_eq!(filled("select '{x}'", "VI'Sl"), "select 'VI''Sl'");
        assert_eq!(filled("select * from t where a = '{x}'", "x' or 'a'='a"), "select * from t where a = 'x'' or ''a''=''a'");
        assert_eq!(filled("select \"{x}\" from t", "a \"b\" '"), "select \"a \"\"b\"\" '\" from t");
        assert_eq!(filled("select 'it''s {x}', \"{x}\"", "'"), "select 'it''s ''', \"'\"");
        assert_eq!(filled("select '{{{x}}}'", "a'b"), "select '{a''b}'");
        // Quotes in comments and in other quotes open nothing.
        assert_eq!(filled("-- it's\nselect '{x}'", "a'b"), "-- it's\nselect 'a''b'");
        assert_eq!(filled("/* ' /* \" */ ' */ select '{x}'", "a'b"), "/* ' /* \" */ ' */ select 'a''b'");
        assert_eq!(filled("select \"it's\", '{x}'", "a'b"), "select \"it's\", 'a''b'");
        assert_eq!(filled("select '\"', '{x}'", "a\"b"), "select '\"', 'a\"b'");
        assert_eq!(filled("select $a$ ' $a$, '{x}'", "a'b"), "select $a$ ' $a$, 'a''b'");
        assert_eq!(filled("select E'\\' ''', '{x}'", "a'b"), "select E'\\' ''', 'a''b'");
    }

    #[test]
    fn outside_of_quotes_only_what_can_be_nothing_else_is_filled_in() {
        for (value, text) in [
            (Value::Int(-3), "-3"),
            (Value::Number(0.5), "0.5"),
            (Value::Bool(true), "true"),
            (Value::word("rate"), "rate"),
            ("rate_2".into(), "rate_2"),
            ("007".into(), "007"),
        ] {
            assert_eq!(asked("select {x} from t", value).unwrap(), format!("select {text} from t"));
        }
        assert_eq!(asked("select 1 -{x}", Value::Int(-3)).unwrap(), "select 1 - -3");
        for value in ["", "a b", "x' or 'a'='a", "1; drop", "--", "a-b", "1e999", "é", "(1)", "*"] {
            let told = asked("select * from t where a = {x}", value.into()).unwrap_err();
            assert!(told.contains("stands outside of quotes in the query") && told.contains("write `'{x}'`"), "{told}");
        }
        for text in ["select E'{x}'", "-- {x}\nselect 1", "/* {x} */ select 1", "select $${x}$$", "select `{x}`", "select E'a''{x}'"] {
            assert!(asked(text, "a'b".into()).is_err(), "{text}");
            assert!(asked(text, "ab".into()).is_ok(), "{text}");
        }
        assert!(asked("select {x}", Value::seconds(0.5)).is_err());
    }

    #[test]
    fn arguments_of_functions_are_filled_into_queries_as_safely() {
        let told = |query: &str, argument: &str| {
            let text = format!(
                "pipeline p\nfn f(rows: Table, x: Text) {{\n  sql(\"{query}\", rows = rows)\n}}\ngiven = t.give()\nq = f(given, x = {argument})\nreport r {{ q }}\n"
            );
            let checked = checked(&text, &[]);
            let query = checked.pipeline.steps.iter().find(|step| step.stage == STAGE).map(|step| step.params[0].1.clone());
            let errors: Vec<String> =
                checked.diagnostics.into_iter().filter(|told| told.code == "bad-query").map(|told| told.message).collect();
            (query.map(|query| query.kind), errors)
        };
        let (query, errors) = told("select * from rows where a = '{x}'", "\"VI'Sl\"");
        assert_eq!((query, errors), (Some(ExprKind::Text("select * from rows where a = 'VI''Sl'".into())), vec![]));
        let (query, errors) = told("select {x} from rows", "\"rate\"");
        assert_eq!((query, errors), (Some(ExprKind::Text("select rate from rows".into())), vec![]));
        for argument in ["\"VI'Sl\"", "\"1 or {{1\"", "\"a b{param.c}\""] {
            let (_, errors) = told("select * from rows where a = {x}", argument);
            assert!(errors.iter().any(|message| message.contains("outside of quotes")), "{argument}: {errors:?}");
        }
    }

    #[test]
    fn a_loop_variable_is_looked_at_in_each_member() {
        let text = |values: &str, place: &str| {
            format!(
                "pipeline p\nrows = t.give()\nfor x in {values} {{\n  q = sql(\"select * from rows where a = {place}\", rows = rows)\n}}\nreport r {{ q }}\n"
            )
        };
        let codes = |text: &str| checked(text, &[]).diagnostics.iter().map(|told| told.code).collect::<Vec<_>>();
        assert_eq!(codes(&text("[\"VI'Sl\", \"b c\"]", "'{x}'")), Vec::<&str>::new());
        assert_eq!(codes(&text("[1, 2]", "{x}")), Vec::<&str>::new());
        assert_eq!(codes(&text("[\"VI'Sl\"]", "{x}")), ["bad-query"]);
        // The checker looks at the first member, whoever unrolls the loop at the others.
        let pipeline = crate::testing::pipeline(&text("[\"a\", \"b c\"]", "{x}"));
        let told = crate::testing::played(&pipeline, &crate::testing::World::default(), |waiting| *waiting.first().unwrap()).err().unwrap();
        assert!(told.iter().any(|told| told.code == "bad-query" && told.message.contains("\"b c\"")), "{told:#?}");
    }
}
