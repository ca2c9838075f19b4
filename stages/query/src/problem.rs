//! What DataFusion says, in the words of the person who wrote the query: place, reason, remedy.

use crate::session::{is_refused_function, megabytes};
use crate::unreadable::Unreadable;
use crate::watch::Cancelled;
use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use neuroflow_stage::{StageError, nearest};

/// Where in a query something is: line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place {
    /// Whether a name in double quotes begins here.
    fn is_quoted(self, query: &str) -> bool {
        let at = |number: u64| usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let line = at(self.line).and_then(|line| query.lines().nth(line));
        let rest: Option<String> = line.zip(at(self.column)).map(|(line, column)| line.chars().skip(column).collect());
        // The place of `t."x"` is that of `t`.
        rest.is_some_and(|rest| rest.starts_with('"') || rest.split([' ', ',', ')']).next().is_some_and(|word| word.contains(".\"")))
    }
}

/// A refusal with the place in front.
pub(crate) fn refused(place: Option<Place>, message: &str, help: Option<String>) -> StageError {
    let message = match place {
        Some(Place { line, column }) => format!("line {line}, column {column} of the query: {message}"),
        None => format!("the query: {message}"),
    };
    StageError::Refused { message, help }
}

/// What went wrong while a query was parsed, planned or run.
pub(crate) fn in_words(error: &DataFusionError, query: &str) -> StageError {
    let diagnostic = error.diagnostic();
    let span = diagnostic.and_then(|diagnostic| diagnostic.span);
    let place = span.map(|span| Place { line: span.start.line, column: span.start.column }).filter(|place| place.line > 0);
    match error.find_root() {
        DataFusionError::SQL(parser, _) => syntax(parser),
        DataFusionError::SchemaError(schema, _) => names(schema, place, place.is_some_and(|place| place.is_quoted(query))),
        DataFusionError::ArrowError(arrow, _) => values(arrow),
        DataFusionError::External(inner) => outside(inner.as_ref()),
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::IoError(io) => refused(None, &format!("what does not fit into memory could not be put aside: {io}"), None),
        DataFusionError::NotImplemented(message) => refused(place, &format!("this is not supported: {}", first_line(message)), None),
        DataFusionError::Internal(message) => StageError::Bug(format!("the query engine: {}", first_line(message))),
        DataFusionError::Plan(message) if message.starts_with("Invalid function '") => function(message, place),
        DataFusionError::Plan(message) => match ungrouped(diagnostic.map_or("", |diagnostic| diagnostic.message.as_str())) {
            Some(column) => {
                let help = format!("add it to `group by`, or choose one of its values: `min({column})`");
                refused(place, &format!("`{column}` has many values in a group"), Some(help))
            }
            None => refused(place, &plain(message), None),
        },
        other => refused(place, &plain(&other.strip_backtrace()), None),
    }
}

/// The column of `'units.unit' must appear in GROUP BY clause …`.
fn ungrouped(message: &str) -> Option<&str> {
    message.strip_prefix('\'')?.split_once("' must appear in GROUP BY").map(|(column, _)| column)
}

/// `Expected: …, found: … at Line: 2, Column: 7`.
fn syntax(error: &ParserError) -> StageError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            return refused(None, "it is nested too deeply", Some("split it: a query's result can be another query's table".into()));
        }
    };
    let (said, place) = match message.rsplit_once(" at Line: ") {
        Some((said, rest)) => (
            said,
            rest.split_once(", Column: ").and_then(|(line, column)| {
                let column: String = column.chars().take_while(char::is_ascii_digit).collect();
                Some(Place { line: line.trim().parse().ok()?, column: column.parse().ok()? })
            }),
        ),
        None => (message, None),
    };
    let said = said.strip_prefix("Expected: ").map_or_else(
        || lower_first(said),
        |rest| {
            let (expected, found) = rest.split_once(", found: ").unwrap_or((rest, ""));
            match found {
                "" => format!("{expected} is expected here"),
                "EOF" => format!("{expected} is expected, but the query ends"),
                found => format!("{expected} is expected, this is `{found}`"),
            }
        },
    );
    refused(place, &said, None)
}

fn names(error: &SchemaError, place: Option<Place>, is_quoted: bool) -> StageError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let known: Vec<String> = valid_fields.iter().map(shown).collect();
            let bare: Vec<&str> = valid_fields.iter().map(Column::name).collect();
            let near = nearest(field.name(), bare).map(|near| format!("did you mean `{near}`? "));
            // A text in double quotes is a name in SQL.
            let quoted = if is_quoted { format!("a text stands in single quotes, `'{}'`; ", field.name()) } else { String::new() };
            let help = match known.is_empty() {
                true => format!("{quoted}there are no columns here"),
                false => format!("{}{quoted}there are {}", near.unwrap_or_default(), listed(&known)),
            };
            refused(place, &format!("there is no column `{}`", shown(field)), Some(help))
        }
        SchemaError::AmbiguousReference { field } => {
            let help = format!("say of which table: `table.{}`", field.name());
            refused(place, &format!("several tables have a column `{}`", field.name()), Some(help))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            refused(place, &format!("two columns are named `{name}`"), Some(format!("name one of them otherwise: `{name} as other`")))
        }
    }
}

fn function(message: &str, place: Option<Place>) -> StageError {
    let quoted = |text: &str| text.split('\'').nth(1).unwrap_or_default().to_owned();
    let name = quoted(message);
    if is_refused_function(&name) {
        let help = "give what it would tell as a `param`, so that it is part of what the result was made from";
        return refused(place, &format!("`{name}()` is no function of the tables, so the result could not be repeated"), Some(help.into()));
    }
    let near = message.split_once('\n').map(|(_, near)| quoted(near)).filter(|near| nearest(&name, [near.as_str()]).is_some());
    let help = near.map_or_else(|| "the functions are those of DataFusion".to_owned(), |near| format!("did you mean `{near}`?"));
    refused(place, &format!("there is no function `{name}`"), Some(help))
}

fn values(error: &ArrowError) -> StageError {
    match error {
        ArrowError::DivideByZero => {
            refused(None, "a whole number is divided by zero", Some("write `a / nullif(b, 0)`, which is null where `b` is 0".into()))
        }
        ArrowError::ExternalError(inner) => outside(inner.as_ref()),
        ArrowError::ArithmeticOverflow(message) => {
            refused(None, &format!("a whole number is too large: {}", lower_first(message)), Some("cast to `double` first".into()))
        }
        ArrowError::CastError(message) => {
            refused(None, &lower_first(message), Some("`try_cast(… as …)` is null where a value does not fit".into()))
        }
        other => refused(None, &plain(&other.to_string()), None),
    }
}

fn outside(error: &(dyn std::error::Error + Send + Sync + 'static)) -> StageError {
    if error.is::<Cancelled>() {
        return StageError::Cancelled;
    }
    match error.downcast_ref::<Unreadable>() {
        Some(Unreadable { message, help }) => StageError::Refused { message: message.clone(), help: help.clone() },
        None => refused(None, &plain(&error.to_string()), None),
    }
}

fn exhausted(message: &str) -> StageError {
    let help = "give the step more with `memory = …`, ask for fewer columns or rows, or give a join an equality (`on a.id = b.id`)";
    if message.contains("disk") || message.contains("temporary") {
        return refused(None, "what does not fit into memory does not fit on the disk either", Some(help.to_owned()));
    }
    refused(None, "it needs more memory than it may take", Some(help.to_owned()))
}

/// A refusal because the result is larger than the memory that a query may take.
pub(crate) fn too_large(limit: usize) -> StageError {
    let help = "give the step more with `memory = …`, or let the query count, average or limit";
    refused(None, &format!("its result is larger than {}", megabytes(limit)), Some(help.to_owned()))
}

/// A column as one would write it.
fn shown(column: &Column) -> String {
    match &column.relation {
        Some(relation) => format!("{}.{}", relation.table(), column.name()),
        None => column.name().to_owned(),
    }
}

/// Names for a message: the first twenty.
///
/// A table of a file that has a short name is listed by that alone.
pub(crate) fn listed(names: &[String]) -> String {
    let is_long = |name: &str| {
        let short = name.split_once('.').zip(name.rsplit_once('/')).map(|((slot, _), (_, last))| format!("{slot}.{last}"));
        short.is_some_and(|short| names.contains(&short))
    };
    let names: Vec<&String> = names.iter().filter(|name| !is_long(name)).collect();
    let shown = names.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 20 { format!("{shown} and {} more", names.len() - 20) } else { shown }
}

/// A message without the engine's own preambles and advice.
fn plain(message: &str) -> String {
    let line = first_line(message);
    let line = ["Error during planning: ", "Execution error: ", "Schema error: ", "External error: ", "SQL error: ", "Arrow error: "]
        .iter()
        .fold(line, |line, preamble| line.strip_prefix(preamble).unwrap_or(line));
    lower_first(line)
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim()
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), text.chars().nth(1)) {
        // `UNION` and `SUM` stay what they are.
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => first.to_lowercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}
