//! The words of a condition.

use std::fmt;

/// One word or sign.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A bare name, which may be a word of the language such as `and`.
    Name(String),
    /// A name in back quotes: always a column.
    Column(String),
    Number(f64),
    Text(String),
    Symbol(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Name(name) | Token::Column(name) => write!(f, "`{name}`"),
            Token::Number(number) => write!(f, "{number}"),
            Token::Text(text) => write!(f, "'{text}'"),
            Token::Symbol(symbol) => write!(f, "`{symbol}`"),
        }
    }
}

/// Signs, those of two characters first; `==` and `<>` are other ways to write `=` and `!=`.
const SYMBOLS: [(&str, &str); 13] = [
    ("==", "="),
    ("!=", "!="),
    ("<>", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("<", "<"),
    (">", ">"),
    ("=", "="),
    ("(", "("),
    (")", ")"),
    ("[", "["),
    ("]", "]"),
    (",", ","),
];

/// The tokens of a condition, each with the byte where it begins.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (token, length) = match first {
            '\'' | '"' | '`' => {
                let inner = rest.get(1..).unwrap_or("");
                let end = inner.find(first).ok_or_else(|| format!("has a text that is not closed, from character {at} on"))?;
                let inner = inner.get(..end).unwrap_or("").to_owned();
                (if first == '`' { Token::Column(inner) } else { Token::Text(inner) }, end + 2)
            }
            _ if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
                (Token::Name(rest.get(..end).unwrap_or("").to_owned()), end)
            }
            '0'..='9' | '-' | '+' | '.' => {
                let mut before = ' ';
                let ends = |c: char| {
                    let exponent_sign = matches!(c, '-' | '+') && matches!(before, 'e' | 'E' | ' ');
                    before = c;
                    !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || exponent_sign)
                };
                let end = rest.find(ends).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or("");
                (Token::Number(word.parse().map_err(|_| format!("can't be read: `{word}` is no number"))?), end)
            }
            _ => match SYMBOLS.iter().find(|(written, _)| rest.starts_with(written)) {
                Some((written, symbol)) => (Token::Symbol(symbol), written.len()),
                None => return Err(format!("can't be read: `{first}` means nothing in a condition")),
            },
        };
        tokens.push((token, at));
        rest = rest.get(length..).unwrap_or("");
    }
}
