//! Conditions on the rows of a table, as they stand in a parameter `where`: `rate > 0.5 and area in ['VISp', 'VISl']`.
//!
//! A condition compares columns (`=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `like` with `*` and `?`) with numbers, texts in single or double quotes, or `true`
//! and `false`; `not`, `and`, `or` and parentheses join them, in this order of binding. A column of booleans stands by itself. A gap fits no comparison.

use neuroflow_data::{DataError, Table};
use neuroflow_stage::StageError;

mod lexer;

use lexer::{Token, tokens};

/// How deep parentheses and `not` may nest.
const DEEPEST: usize = 64;

/// Names that are words of a condition; a column of such a name stands in back quotes.
const WORDS: [&str; 7] = ["and", "or", "not", "in", "like", "true", "false"];

/// A condition that was read.
#[derive(Debug, Clone, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(String, Test),
}

/// What a column is asked.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    True,
    Is(Operator, Literal),
    Among(Vec<Literal>),
    Like(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Number(f64),
    Text(String),
    Truth(bool),
}

/// The rows of a table that fit a condition, in order. An empty condition fits all.
///
/// # Errors
/// When the condition can't be read, names a column that is not there, or compares a column with a value of another type. `what` names the table.
pub(crate) fn rows_where(table: &Table, condition: &str, what: &str) -> Result<Vec<usize>, StageError> {
    if condition.trim().is_empty() {
        return Ok((0..table.rows()).collect());
    }
    let refused = |reason: String| {
        let help = "write it as in `rate > 0.5 and area in ['VISp', 'VISl']`; texts stand in single quotes";
        StageError::refused_with_help(format!("`where = \"{condition}\"` {reason}"), help)
    };
    let tokens = tokens(condition).map_err(refused)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let parsed = parser.any().map_err(refused)?;
    if let Some((token, _)) = parser.tokens.get(parser.at) {
        return Err(refused(format!("can't be read: {token} is not expected there")));
    }
    let fits = parsed.fits(table).map_err(|error| refused(format!("does not fit {what}: {error}")))?;
    Ok(fits.into_iter().enumerate().filter(|(_, fits)| *fits).map(|(row, _)| row).collect())
}

/// Whether a name fits a pattern with `*` (any characters) and `?` (one).
pub(crate) fn name_fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // For each prefix of the pattern, whether it fits the characters so far.
    let mut fits = vec![false; pattern.len() + 1];
    fits[0] = true;
    let stars = |fits: &mut Vec<bool>| {
        for (at, wanted) in pattern.iter().enumerate() {
            fits[at + 1] |= *wanted == '*' && fits[at];
        }
    };
    stars(&mut fits);
    for character in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (at, wanted) in pattern.iter().enumerate() {
            next[at + 1] = match wanted {
                '*' => fits[at + 1],
                '?' => fits[at],
                wanted => fits[at] && *wanted == character,
            };
        }
        stars(&mut next);
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

/// The positions of the names that fit any of the patterns, in the names' order; all when there is no pattern.
///
/// # Errors
/// When a pattern fits no name; says which names there are.
pub(crate) fn chosen(names: &[String], patterns: &[String], session: &str, what: &str) -> Result<Vec<usize>, StageError> {
    for pattern in patterns {
        if !names.iter().any(|name| name_fits(pattern, name)) {
            let first = names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = if names.len() > 8 { ", …" } else { "" };
            let message = format!("session `{session}` has no {what} `{pattern}`; its {} {what}s are {first}{more}", names.len());
            return Err(match neuroflow_stage::nearest(pattern, names.iter().map(String::as_str)) {
                Some(near) => StageError::refused_with_help(message, format!("did you mean `{near}`?")),
                None => StageError::refused(message),
            });
        }
    }
    let fits = |name: &String| patterns.is_empty() || patterns.iter().any(|pattern| name_fits(pattern, name));
    Ok(names.iter().enumerate().filter(|(_, name)| fits(name)).map(|(place, _)| place).collect())
}

struct Parser<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(is);
        is
    }

    fn symbol(&mut self, symbol: &'static str) -> bool {
        let is = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(Condition::Any(parts))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.word("and") {
            parts.push(self.one()?);
        }
        Ok(Condition::All(parts))
    }

    fn one(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("nests deeper than {DEEPEST} levels"));
        }
        let condition = if self.word("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.symbol("(") {
            let inner = self.any()?;
            if !self.symbol(")") {
                return Err("lacks a closing `)`".into());
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let column = match self.next() {
            Some(Token::Column(name)) => name,
            Some(Token::Name(name)) if !WORDS.contains(&name.as_str()) => name,
            Some(token) => return Err(format!("can't be read: the name of a column is expected, not {token}")),
            None => return Err("ends where the name of a column is expected".into()),
        };
        let operators = [
            ("=", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<", Operator::Less),
            ("<=", Operator::AtMost),
            (">", Operator::More),
            (">=", Operator::AtLeast),
        ];
        for (symbol, operator) in operators {
            if self.symbol(symbol) {
                return Ok(Condition::Compare(column, Test::Is(operator, self.literal()?)));
            }
        }
        if self.word("like") {
            return match self.literal()? {
                Literal::Text(pattern) => Ok(Condition::Compare(column, Test::Like(pattern))),
                _ => Err("can't be read: `like` takes a text in quotes".into()),
            };
        }
        let outside = self.word("not");
        if self.word("in") {
            let test = Condition::Compare(column, Test::Among(self.list()?));
            return Ok(if outside { Condition::Not(Box::new(test)) } else { test });
        }
        if outside {
            return Err("can't be read: `not` after a column is followed by `in`".into());
        }
        Ok(Condition::Compare(column, Test::True))
    }

    fn list(&mut self) -> Result<Vec<Literal>, String> {
        if !self.symbol("[") {
            return Err("can't be read: `in` takes a list in `[` and `]`".into());
        }
        let mut values = Vec::new();
        if self.symbol("]") {
            return Ok(values);
        }
        loop {
            values.push(self.literal()?);
            if self.symbol("]") {
                return Ok(values);
            }
            if !self.symbol(",") {
                return Err("can't be read: `,` or `]` is expected in the list".into());
            }
        }
    }

    fn literal(&mut self) -> Result<Literal, String> {
        match self.next() {
            Some(Token::Number(number)) => Ok(Literal::Number(number)),
            Some(Token::Text(text)) => Ok(Literal::Text(text)),
            Some(Token::Name(name)) if name == "true" || name == "false" => Ok(Literal::Truth(name == "true")),
            Some(token) => Err(format!("can't be read: a number or a text in quotes is expected, not {token}")),
            None => Err("ends where a number or a text in quotes is expected".into()),
        }
    }
}

impl Condition {
    fn fits(&self, table: &Table) -> Result<Vec<bool>, String> {
        let join = |parts: &[Condition], all: bool| -> Result<Vec<bool>, String> {
            let mut fits = vec![all; table.rows()];
            for part in parts {
                let more = part.fits(table)?;
                fits.iter_mut().zip(more).for_each(|(fits, more)| *fits = if all { *fits && more } else { *fits || more });
            }
            Ok(fits)
        };
        match self {
            Condition::All(parts) => join(parts, true),
            Condition::Any(parts) => join(parts, false),
            Condition::Not(part) => Ok(part.fits(table)?.into_iter().map(|fits| !fits).collect()),
            Condition::Compare(column, test) => test.fits(table, column),
        }
    }
}

/// A column's values, by what they can be compared with.
enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Test {
    fn fits(&self, table: &Table, column: &str) -> Result<Vec<bool>, String> {
        let values = match table.numbers(column) {
            Ok(numbers) => Values::Numbers(numbers),
            Err(DataError::ColumnType { .. }) => Values::Texts(table.texts(column).map_err(|error| error.to_string())?),
            Err(other) => return Err(other.to_string()),
        };
        let wrong = |is: &str, given: &str| Err(format!("column `{column}` holds {is} and can't be compared with {given}"));
        match (self, values) {
            (Test::True, Values::Numbers(numbers)) => Ok(numbers.into_iter().map(|number| number != 0.0 && !number.is_nan()).collect()),
            (Test::True, Values::Texts(_)) => Err(format!("column `{column}` holds text; compare it with one")),
            (Test::Is(operator, literal), Values::Numbers(numbers)) => match literal.number() {
                Some(wanted) => Ok(numbers.iter().map(|number| operator.holds(number.partial_cmp(&wanted))).collect()),
                None => wrong("numbers", "a text"),
            },
            (Test::Is(operator, Literal::Text(wanted)), Values::Texts(texts)) => {
                Ok(texts.iter().map(|text| operator.holds(Some(text.as_str().cmp(wanted)))).collect())
            }
            (Test::Is(..), Values::Texts(_)) => wrong("text", "a number"),
            (Test::Among(list), Values::Numbers(numbers)) => {
                let Some(wanted) = list.iter().map(Literal::number).collect::<Option<Vec<f64>>>() else {
                    return wrong("numbers", "a text");
                };
                Ok(numbers.iter().map(|number| wanted.contains(number)).collect())
            }
            (Test::Among(list), Values::Texts(texts)) => {
                let text = |literal: &Literal| if let Literal::Text(text) = literal { Some(text.clone()) } else { None };
                let Some(wanted) = list.iter().map(text).collect::<Option<Vec<String>>>() else { return wrong("text", "a number") };
                Ok(texts.iter().map(|text| wanted.contains(text)).collect())
            }
            (Test::Like(pattern), Values::Texts(texts)) => Ok(texts.iter().map(|text| name_fits(pattern, text)).collect()),
            (Test::Like(_), Values::Numbers(_)) => wrong("numbers", "a pattern of text"),
        }
    }
}

impl Literal {
    fn number(&self) -> Option<f64> {
        match self {
            Literal::Number(number) => Some(*number),
            Literal::Truth(truth) => Some(f64::from(u8::from(*truth))),
            Literal::Text(_) => None,
        }
    }
}

impl Operator {
    /// A gap has no order to anything, and fits nothing.
    fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self {
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::More => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::columns;

    fn table() -> Table {
        Table::from_columns(vec![
            columns::from_texts("area", &["VISp", "VISl", "LGd", "VISp"]),
            columns::from_optional_numbers("rate", vec![Some(0.2), Some(3.0), None, Some(1.5)]),
            columns::from_booleans("good", vec![true, false, true, true]),
            columns::from_numbers("peak channel", vec![1.0, 2.0, 3.0, 4.0]),
        ])
        .unwrap()
    }

    fn rows(condition: &str) -> Vec<usize> {
        rows_where(&table(), condition, "the units").unwrap()
    }

    #[test]
    fn comparisons_lists_patterns_and_their_joins_choose_rows() {
        for (condition, expected) in [
            ("", vec![0, 1, 2, 3]),
            ("area = 'VISp'", vec![0, 3]),
            ("area == \"VISp\" and rate > 1", vec![3]),
            ("area != 'VISp'", vec![1, 2]),
            ("area in ['LGd', 'VISl']", vec![1, 2]),
            ("area not in ['LGd', 'VISl']", vec![0, 3]),
            ("area like 'VIS?' and not good", vec![1]),
            ("rate >= 1.5 or area = 'LGd'", vec![1, 2, 3]),
            ("rate <= -1e9 or rate < 2.5e-1", vec![0]),
            ("rate != 3", vec![0, 3]),
            ("good = false or good and rate in [1.5]", vec![1, 3]),
            ("(good = true or rate > 2) and (area = 'VISl')", vec![1]),
            ("`peak channel` >= 3", vec![2, 3]),
            ("area in []", vec![]),
        ] {
            assert_eq!(rows(condition), expected, "{condition}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_reason() {
        for (condition, reason) in [
            ("area", "column `area` holds text; compare it with one"),
            ("area = 3", "column `area` holds text and can't be compared with a number"),
            ("rate = '3'", "column `rate` holds numbers and can't be compared with a text"),
            ("speed > 3", "there is no column `speed`; there are: `area`, `rate`, `good`, `peak channel`"),
            ("rate >", "ends where a number or a text in quotes is expected"),
            ("rate > 3 4", "4 is not expected there"),
            ("(rate > 3", "lacks a closing `)`"),
            ("area = 'VISp", "a text that is not closed"),
            ("rate ~ 3", "`~`"),
            ("and", "the name of a column is expected"),
            ("area in 'VISp'", "`in` takes a list"),
            ("rate like 'x'", "can't be compared with a pattern of text"),
        ] {
            let message = rows_where(&table(), condition, "the units").unwrap_err().to_string();
            assert!(message.contains(reason), "{condition}: {message}");
        }
        let deep = format!("{}rate > 3{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(rows_where(&table(), &deep, "the units").unwrap_err().to_string().contains("nests deeper than 64"));
    }

    #[test]
    fn names_are_chosen_by_patterns_in_their_own_order() {
        let names = ["C3", "Cz", "C4", "EOG 1"].map(str::to_owned);
        let of = |patterns: &[&str]| chosen(&names, &patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), "s", "channel");
        assert_eq!(of(&[]).unwrap(), [0, 1, 2, 3]);
        assert_eq!(of(&["E*", "C?"]).unwrap(), [0, 1, 2, 3]);
        assert_eq!(of(&["*4", "C3"]).unwrap(), [0, 2]);
        assert_eq!(of(&["*O* ?"]).unwrap(), [3]);
        let message = of(&["C5"]).unwrap_err();
        assert!(message.to_string().contains("has no channel `C5`; its 4 channels are `C3`"), "{message}");
    }
}
