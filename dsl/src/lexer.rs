//! Text to tokens. Every byte of the text is in exactly one token.

use crate::syntax::SyntaxKind::{self, *};
use nom::IResult;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{anychar, satisfy};
use nom::combinator::{opt, recognize, value};
use nom::multi::many0_count;
use nom::sequence::{pair, preceded};

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: SyntaxKind,
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

/// The tokens of a text. Their texts joined are the text.
pub(crate) fn lex(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // `token` takes at least one character of anything that is not empty; should it not, the rest is one bad token.
        let (after, kind) = token(rest).unwrap_or(("", Bad));
        let length = rest.len() - after.len();
        let (length, kind) = if length == 0 { (rest.len(), Bad) } else { (length, kind) };
        tokens.push(Token { kind, text: &rest[..length], start: text.len() - rest.len() });
        rest = &rest[length..];
    }
    tokens
}

fn token(input: &str) -> IResult<&str, SyntaxKind> {
    // The first byte tells most tokens apart, without trying one kind after the other.
    match input.as_bytes().first() {
        Some(b'\n') => Ok((&input[1..], Newline)),
        Some(b' ' | b'\t') => space(input),
        Some(b'#') => comment(input),
        Some(b'"') => string(input),
        Some(b'0'..=b'9') => number(input),
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => word(input),
        _ => alt((value(Newline, tag("\r\n")), space, word, punctuation, value(Bad, anychar))).parse(input),
    }
}

/// Blanks up to the end of the line. A carriage return that no newline follows is a blank like others.
fn space(input: &str) -> IResult<&str, SyntaxKind> {
    let blank = |rest: &str| rest.chars().next().is_some_and(|c| c.is_whitespace() && c != '\n' && !rest.starts_with("\r\n"));
    let end = input.char_indices().find(|(at, _)| !blank(&input[*at..])).map_or(input.len(), |(at, _)| at);
    if end == 0 {
        return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Space)));
    }
    Ok((&input[end..], Space))
}

/// From `#` to the end of the line.
fn comment(input: &str) -> IResult<&str, SyntaxKind> {
    let (body, _) = tag("#").parse(input)?;
    let end = body.find('\n').unwrap_or(body.len());
    let end = if body[..end].ends_with('\r') && end < body.len() { end - 1 } else { end };
    Ok((&body[end..], Comment))
}

fn word(input: &str) -> IResult<&str, SyntaxKind> {
    let (rest, text) =
        recognize(pair(satisfy(|c| c.is_alphabetic() || c == '_'), take_while(|c: char| c.is_alphanumeric() || c == '_'))).parse(input)?;
    Ok((rest, SyntaxKind::keyword(text).unwrap_or(Ident)))
}

/// `12`, `1_000`, `0.5`, `1e-3`. A point counts only before a digit, so that `1..5` is a range.
fn number(input: &str) -> IResult<&str, SyntaxKind> {
    let digits =
        |input| recognize(pair(satisfy(|c: char| c.is_ascii_digit()), take_while(|c: char| c.is_ascii_digit() || c == '_'))).parse(input);
    let fraction = opt(preceded(tag("."), digits));
    let exponent = opt((alt((tag("e"), tag("E"))), opt(alt((tag("+"), tag("-")))), digits));
    value(Number, (digits, fraction, exponent)).parse(input)
}

/// `"…"` on one line, or `"""…"""` over several. One that does not end reaches to the end of its line (of the file for the long form), as a bad string.
fn string(input: &str) -> IResult<&str, SyntaxKind> {
    if let Some(body) = input.strip_prefix("\"\"\"") {
        return Ok(match body.find("\"\"\"") {
            Some(end) => (&body[end + 3..], Text),
            None => ("", BadText),
        });
    }
    let (body, _) = tag("\"").parse(input)?;
    let plain = take_while1(|c: char| c != '"' && c != '\\' && c != '\n' && c != '\r');
    let escape = pair(tag("\\"), satisfy(|c| c != '\n' && c != '\r'));
    let (rest, _) = many0_count(alt((recognize(plain), recognize(escape)))).parse(body)?;
    match rest.strip_prefix('"') {
        Some(rest) => Ok((rest, Text)),
        None => {
            // A lone backslash at the end of the line belongs to the bad string.
            let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
            Ok((&rest[end..], BadText))
        }
    }
}

fn punctuation(input: &str) -> IResult<&str, SyntaxKind> {
    let bytes = input.as_bytes();
    let (kind, length) = match (bytes.first(), bytes.get(1)) {
        (Some(b'.'), Some(b'.')) => (DotDot, 2),
        (Some(b'-'), Some(b'>')) => (Arrow, 2),
        (Some(b'<'), Some(b'=')) => (LessEqual, 2),
        (Some(b'>'), Some(b'=')) => (GreaterEqual, 2),
        (Some(b'='), Some(b'=')) => (EqualEqual, 2),
        (Some(b'!'), Some(b'=')) => (NotEqual, 2),
        (Some(first), _) => match first {
            b'.' => (Dot, 1),
            b',' => (Comma, 1),
            b':' => (Colon, 1),
            b'=' => (Equal, 1),
            b'<' => (Less, 1),
            b'>' => (Greater, 1),
            b'+' => (Plus, 1),
            b'-' => (Minus, 1),
            b'*' => (Star, 1),
            b'/' => (Slash, 1),
            b'%' => (Percent, 1),
            b'(' => (LeftParen, 1),
            b')' => (RightParen, 1),
            b'[' => (LeftBracket, 1),
            b']' => (RightBracket, 1),
            b'{' => (LeftBrace, 1),
            b'}' => (RightBrace, 1),
            _ => return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Char))),
        },
        _ => return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Eof))),
    };
    Ok((&input[length..], kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_joined_are_the_text(text in any::<String>()) {
            let joined: String = lex(&text).iter().map(|token| token.text).collect();
            prop_assert_eq!(joined, text);
        }
    }

    #[test]
    fn a_range_of_whole_numbers_is_not_a_number_with_two_points() {
        let kinds: Vec<_> = lex("2..12 0.5 1e-3 5 ms").iter().map(|token| token.kind).filter(|kind| *kind != Space).collect();
        assert_eq!(kinds, [Number, DotDot, Number, Number, Number, Number, Ident]);
    }
}
