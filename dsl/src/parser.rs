//! Tokens to the lossless tree, by recursive descent, with recovery at statements.
//!
//! Newlines have no meaning except after a mistake: then the parser goes on at the next line that begins a statement and is not indented further than the
//! broken one, so that one mistake hides as little as possible.

use crate::diagnostics::{Diagnostic, sort};
use crate::lexer::{Token, lex};
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::{Nf, SyntaxNode};
use neuroflow_stage::{Quantity as UnitQuantity, nearest};
use rowan::{GreenNode, GreenNodeBuilder, Language};

/// How deep expressions and blocks may be nested.
const MOST_DEPTH: usize = 64;

/// How many operators, fields, indices and calls may follow each other in one statement: each makes the tree one deeper.
const MOST_LINKS: usize = 256;

/// A parsed text: its tree, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parse {
    green: GreenNode,
    /// Mistakes of syntax, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parse {
    /// The root of the tree.
    pub fn root(&self) -> SyntaxNode {
        SyntaxNode::new_root(self.green.clone())
    }

    /// The text, byte for byte as it was parsed.
    pub fn print(&self) -> String {
        self.root().text().to_string()
    }
}

/// Parses a text. Never fails: what can't be understood stands in error nodes and is told in the diagnostics.
pub fn parse(text: &str) -> Parse {
    let mut parser = Parser {
        tokens: lex(text),
        at: 0,
        builder: GreenNodeBuilder::new(),
        diagnostics: Vec::new(),
        depth: 0,
        links: 0,
        in_function: false,
        length: text.len(),
    };
    parser.file();
    let mut diagnostics = parser.diagnostics;
    sort(&mut diagnostics);
    Parse { green: parser.builder.finish(), diagnostics }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    builder: GreenNodeBuilder<'static>,
    diagnostics: Vec<Diagnostic>,
    depth: usize,
    links: usize,
    /// Whether a block may end with a value.
    in_function: bool,
    length: usize,
}

/// A statement can't be understood further; the diagnostic is written already.
struct Broken;
type Parsed = Result<(), Broken>;

impl<'a> Parser<'a> {
    // Looking.

    /// The position of the n-th token from here that is not trivia.
    fn ahead(&self, n: usize) -> Option<usize> {
        (self.at..self.tokens.len()).filter(|&at| !self.tokens[at].kind.is_trivia()).nth(n)
    }

    fn peek_nth(&self, n: usize) -> Option<SyntaxKind> {
        self.ahead(n).map(|at| self.tokens[at].kind)
    }

    fn peek(&self) -> Option<SyntaxKind> {
        self.peek_nth(0)
    }

    fn next_token(&self) -> Option<Token<'a>> {
        self.ahead(0).map(|at| self.tokens[at])
    }

    /// Whether the token at `at` is the first of its line, and how far it is indented.
    fn indentation(&self, at: usize) -> Option<usize> {
        let mut width = 0;
        for before in (0..at).rev() {
            match self.tokens[before].kind {
                Newline => return Some(width),
                Space => width += self.tokens[before].text.chars().count(),
                _ => return None,
            }
        }
        Some(width)
    }

    fn begins_statement(&self, at: usize) -> bool {
        let kind = self.tokens[at].kind;
        if kind.begins_statement() {
            return true;
        }
        let next = self.tokens[at + 1..].iter().find(|token| !token.kind.is_trivia()).map(|token| token.kind);
        kind == Ident && next == Some(Equal)
    }

    /// Whether here, inside brackets, a new statement begins: somebody forgot to close them.
    fn at_statement_line(&self, indent: usize) -> bool {
        self.ahead(0).is_some_and(|at| self.indentation(at).is_some_and(|width| width <= indent) && self.begins_statement(at))
    }

    // Building.

    fn trivia(&mut self) {
        while self.tokens.get(self.at).is_some_and(|token| token.kind.is_trivia()) {
            self.push();
        }
    }

    fn push(&mut self) {
        if let Some(token) = self.tokens.get(self.at) {
            self.builder.token(Nf::kind_to_raw(token.kind), token.text);
            self.at += 1;
        }
    }

    /// Takes the next token that is not trivia, and the trivia before it.
    fn bump(&mut self) {
        self.trivia();
        self.push();
    }

    fn start(&mut self, kind: SyntaxKind) {
        self.trivia();
        self.builder.start_node(Nf::kind_to_raw(kind));
    }

    fn finish(&mut self) {
        self.builder.finish_node();
    }

    fn checkpoint(&mut self) -> rowan::Checkpoint {
        self.trivia();
        self.builder.checkpoint()
    }

    fn wrap(&mut self, checkpoint: rowan::Checkpoint, kind: SyntaxKind) {
        self.builder.start_node_at(checkpoint, Nf::kind_to_raw(kind));
    }

    fn eat(&mut self, kind: SyntaxKind) -> bool {
        let there = self.peek() == Some(kind);
        if there {
            self.bump();
        }
        there
    }

    // Telling.

    fn here(&self) -> std::ops::Range<usize> {
        self.next_token().map_or(self.length..self.length, |token| token.start..token.start + token.text.len())
    }

    fn broken(&mut self, expected: &str) -> Broken {
        let found = match self.next_token() {
            None => "the file ends".to_owned(),
            Some(token) if token.kind == BadText => "this text has no closing quote".to_owned(),
            Some(token) => format!("found `{}`", token.text.lines().next().unwrap_or_default()),
        };
        self.diagnostics.push(
            Diagnostic::error("syntax", self.here(), format!("{expected} is expected, {found}")).label(format!("{expected} expected here")),
        );
        Broken
    }

    fn expect(&mut self, kind: SyntaxKind, what: &str) -> Parsed {
        if self.eat(kind) { Ok(()) } else { Err(self.broken(what)) }
    }

    fn name(&mut self, what: &str) -> Parsed {
        if self.peek() == Some(Ident) {
            self.start(Name);
            self.bump();
            self.finish();
            return Ok(());
        }
        if let Some(token) = self.next_token()
            && token.kind.is_word()
        {
            let message = format!("`{}` is a word of the language and can't be a name", token.text);
            self.diagnostics.push(Diagnostic::error("syntax", self.here(), message).label("choose another name"));
            self.start(Name);
            self.bump();
            self.finish();
            return Ok(());
        }
        Err(self.broken(what))
    }

    // Statements.

    fn file(&mut self) {
        self.builder.start_node(Nf::kind_to_raw(File));
        while self.peek().is_some() {
            self.statement();
        }
        self.trivia();
        self.finish();
    }

    fn statement(&mut self) {
        let Some(at) = self.ahead(0) else { return };
        let indent = self.indentation(at).unwrap_or(0);
        let begin = self.at;
        self.links = 0;
        let kind = match self.tokens[at].kind {
            PipelineWord => PipelineItem,
            ParamWord => ParamItem,
            InputWord => InputItem,
            ForWord => ForItem,
            IfWord => IfItem,
            ExpectWord => ExpectItem,
            ReportWord => ReportItem,
            UseWord => UseItem,
            FnWord => FnItem,
            SweepWord => SweepItem,
            _ if self.at_value() => ValueItem,
            _ => StepItem,
        };
        self.start(kind);
        let parsed = match kind {
            PipelineItem => self.pipeline_item(),
            ParamItem => self.param_item(indent),
            InputItem => self.input_item(indent),
            ForItem => self.for_item(indent),
            IfItem => self.if_item(indent),
            ExpectItem => self.expect_item(indent),
            ReportItem => self.report_item(indent),
            UseItem => self.use_item(indent),
            FnItem => self.fn_item(indent),
            SweepItem => self.sweep_item(indent),
            ValueItem => self.value_item(indent),
            _ => self.step_item(indent),
        };
        if parsed.is_err() {
            self.recover(indent);
        }
        self.finish();
        // A statement that took nothing would be tried for ever.
        if self.at == begin {
            self.start(Error);
            self.bump();
            self.finish();
        }
    }

    /// Skips to the next line that begins a statement and is not indented further, or to a closing brace on such a line.
    fn recover(&mut self, indent: usize) {
        let mut taken = false;
        while let Some(at) = self.ahead(0) {
            let width = self.indentation(at);
            let outside = width.is_some_and(|width| width <= indent);
            let closes =
                self.tokens[at].kind == RightBrace && width.is_some_and(|width| width < indent || self.depth > 0 && width <= indent);
            if (outside && self.begins_statement(at)) || closes {
                break;
            }
            if !taken {
                self.start(Error);
                taken = true;
            }
            self.bump();
        }
        if taken {
            self.finish();
        }
    }

    fn pipeline_item(&mut self) -> Parsed {
        self.bump();
        self.name("the pipeline's name")?;
        self.eat(Text);
        Ok(())
    }

    fn param_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.name("the parameter's name")?;
        if self.eat(Colon) {
            self.type_name("a type such as `Text` or `Number`")?;
        }
        if self.eat(Equal) {
            self.expression(indent)?;
        }
        Ok(())
    }

    fn type_name(&mut self, what: &str) -> Parsed {
        self.start(TypeName);
        let list = self.eat(LeftBracket);
        let found = self.expect(Ident, what);
        let closed = if list && found.is_ok() { self.expect(RightBracket, "`]`") } else { Ok(()) };
        self.finish();
        found?;
        closed
    }

    fn input_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.name("the input's name")?;
        self.expect(Equal, "`=`")?;
        loop {
            self.postfix(indent)?;
            if !self.eat(OrWord) {
                return Ok(());
            }
        }
    }

    fn step_item(&mut self, indent: usize) -> Parsed {
        let known = ["pipeline", "param", "input", "for", "if", "expect", "report", "use", "sweep"];
        if self.peek() == Some(Ident) && self.peek_nth(1) != Some(Equal) {
            let word = self.next_token().map_or("", |token| token.text);
            let help = nearest(word, known).map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{word}` begins no statement: a step is written `name = topic.stage(…)`");
            self.diagnostics.push(Diagnostic::error("syntax", self.here(), message).help_if(help));
            return Err(Broken);
        }
        self.name("a statement")?;
        self.expect(Equal, "`=`")?;
        self.call(indent)
    }

    /// The value of a function, its last line.
    fn value_item(&mut self, indent: usize) -> Parsed {
        self.call(indent)?;
        if self.peek() == Some(RightBrace) { Ok(()) } else { Err(self.broken("`}` after the function's value")) }
    }

    /// A call with what it gives and its policies.
    fn call(&mut self, indent: usize) -> Parsed {
        self.expression(indent)?;
        if self.peek() == Some(Arrow) {
            self.bump();
            self.expression(indent)?;
        }
        self.with_clause(indent)
    }

    /// The word `with` and what follows it, where it stands.
    fn with_clause(&mut self, indent: usize) -> Parsed {
        if self.peek() == Some(WithWord) {
            self.start(WithClause);
            self.bump();
            let parsed = self.with_entries(indent);
            self.finish();
            parsed?;
        }
        Ok(())
    }

    fn with_entries(&mut self, indent: usize) -> Parsed {
        loop {
            self.start(WithEntry);
            let parsed = self.with_entry(indent);
            self.finish();
            parsed?;
            if !self.eat(Comma) {
                return Ok(());
            }
        }
    }

    fn with_entry(&mut self, indent: usize) -> Parsed {
        self.name("a policy such as `seed`")?;
        self.expect(Equal, "`=`")?;
        self.expression(indent)
    }

    fn for_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.name("the loop's name")?;
        self.expect(InWord, "`in`")?;
        self.expression(indent)?;
        self.block()
    }

    fn if_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.expression(indent)?;
        self.block()?;
        if self.eat(ElseWord) {
            if self.peek() == Some(IfWord) {
                if self.depth >= MOST_DEPTH {
                    return Err(self.broken("fewer branches"));
                }
                self.depth += 1;
                self.start(IfItem);
                let parsed = self.if_item(indent);
                self.finish();
                self.depth -= 1;
                return parsed;
            }
            self.block()?;
        }
        Ok(())
    }

    fn block(&mut self) -> Parsed {
        self.braces(false)
    }

    /// Statements in braces; those of a function end with its value.
    fn braces(&mut self, of_function: bool) -> Parsed {
        let outside = std::mem::replace(&mut self.in_function, of_function);
        let parsed = self.statements();
        self.in_function = outside;
        parsed
    }

    fn statements(&mut self) -> Parsed {
        if self.peek() != Some(LeftBrace) {
            return Err(self.broken("`{`"));
        }
        if self.depth >= MOST_DEPTH {
            return Err(self.broken("less deeply nested code"));
        }
        self.depth += 1;
        self.start(Block);
        let open = self.here();
        self.bump();
        while self.peek().is_some_and(|kind| kind != RightBrace) {
            self.statement();
        }
        let closed = self.eat(RightBrace);
        if !closed {
            let end = self.length..self.length;
            self.diagnostics
                .push(Diagnostic::error("syntax", end, "`}` is missing at the end of the file").note(open, "this block is not closed"));
        }
        self.finish();
        self.depth -= 1;
        Ok(())
    }

    fn expect_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.expression(indent)?;
        self.eat(Text);
        Ok(())
    }

    fn report_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.name("the report's name")?;
        self.eat(Text);
        self.expect(LeftBrace, "`{`")?;
        self.start(NameList);
        while self.peek() == Some(Ident) {
            self.start(NameRef);
            self.bump();
            // A step of a used file.
            let named = if self.eat(Dot) { self.expect(Ident, "a step of the used file") } else { Ok(()) };
            self.finish();
            if named.is_err() {
                self.finish();
                return named;
            }
            if !self.eat(Comma) {
                break;
            }
        }
        self.finish();
        self.expect(RightBrace, "`,` or `}`")?;
        self.with_clause(indent)
    }

    fn use_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.expect(Text, "the path of a pipeline file in quotes")?;
        if !self.at_word("as") {
            return Err(self.broken("`as` and a name"));
        }
        self.bump();
        self.name("a name for the file")?;
        self.with_clause(indent)
    }

    fn fn_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.name("the function's name")?;
        if self.peek() != Some(LeftParen) {
            return Err(self.broken("`(`"));
        }
        self.start(FnParams);
        self.bump();
        let mut parsed = Ok(());
        while parsed.is_ok() && self.peek() != Some(RightParen) {
            self.start(FnParam);
            parsed = self.fn_param(indent);
            self.finish();
            if parsed.is_ok() && self.peek() != Some(RightParen) && !self.eat(Comma) {
                parsed = Err(self.broken("`,` or `)`"));
            }
        }
        self.eat(RightParen);
        self.finish();
        parsed?;
        self.braces(true)
    }

    fn fn_param(&mut self, indent: usize) -> Parsed {
        self.name("the argument's name")?;
        if self.eat(Colon) {
            self.type_name("a type such as `Responses` or `Number`")?;
        }
        if self.eat(Equal) {
            self.expression(indent)?;
        }
        Ok(())
    }

    fn sweep_item(&mut self, indent: usize) -> Parsed {
        self.bump();
        self.name("the sweep's name")?;
        self.expect(InWord, "`in`")?;
        self.start(SettingList);
        let mut parsed = self.expect(LeftBrace, "`{`");
        while parsed.is_ok() && self.peek() != Some(RightBrace) {
            self.start(WithEntry);
            parsed = self.with_entry(indent);
            self.finish();
            if parsed.is_ok() && self.peek() != Some(RightBrace) && !self.eat(Comma) {
                parsed = Err(self.broken("`,` or `}`"));
            }
        }
        self.eat(RightBrace);
        self.finish();
        parsed?;
        self.block()
    }

    /// Whether here stands the value of a function: an expression where a statement would be.
    fn at_value(&self) -> bool {
        self.in_function && self.peek() == Some(Ident) && matches!(self.peek_nth(1), Some(Dot | LeftParen | LeftBracket | RightBrace))
    }

    /// Whether here stands a word that has a meaning only in this place.
    fn at_word(&self, word: &str) -> bool {
        self.next_token().is_some_and(|token| token.kind == Ident && token.text == word)
    }

    // Expressions, weakest binding first.

    fn expression(&mut self, indent: usize) -> Parsed {
        if self.depth >= MOST_DEPTH {
            return Err(self.broken("a less deeply nested expression"));
        }
        self.depth += 1;
        let parsed = self.binary(indent, 0);
        self.depth -= 1;
        parsed
    }

    /// Operators that bind at least as strongly as `least`, with what stands between them.
    fn binary(&mut self, indent: usize, least: usize) -> Parsed {
        let checkpoint = self.checkpoint();
        self.unary(indent)?;
        while let Some((kind, level)) = self.peek().and_then(|kind| Some((kind, strength(kind)?))) {
            if level < least {
                break;
            }
            self.link()?;
            self.wrap(checkpoint, if kind == DotDot { RangeExpr } else { BinaryExpr });
            self.bump();
            let mut parsed = self.binary(indent, level + 1);
            // `step` is a word of the language only behind a range, and a name everywhere else.
            if kind == DotDot && parsed.is_ok() && self.at_word("step") && self.peek_nth(1) != Some(Equal) {
                self.bump();
                parsed = self.binary(indent, level + 1);
            }
            self.finish();
            parsed?;
        }
        Ok(())
    }

    fn link(&mut self) -> Parsed {
        self.links += 1;
        if self.links > MOST_LINKS { Err(self.broken("a shorter expression")) } else { Ok(()) }
    }

    fn unary(&mut self, indent: usize) -> Parsed {
        if !matches!(self.peek(), Some(Minus | NotWord)) {
            return self.postfix(indent);
        }
        if self.depth >= MOST_DEPTH {
            return Err(self.broken("a less deeply nested expression"));
        }
        self.depth += 1;
        self.start(UnaryExpr);
        let not = self.peek() == Some(NotWord);
        self.bump();
        // `not a > b` is `not (a > b)`, and `-a * b` is `(-a) * b`.
        let parsed = if not { self.binary(indent, COMPARISON) } else { self.unary(indent) };
        self.finish();
        self.depth -= 1;
        parsed
    }

    fn postfix(&mut self, indent: usize) -> Parsed {
        let checkpoint = self.checkpoint();
        self.atom(indent)?;
        loop {
            // A bracket at the beginning of a line that is not indented belongs to no expression.
            if self.ahead(0).is_some_and(|at| self.indentation(at).is_some_and(|width| width <= indent)) {
                return Ok(());
            }
            if matches!(self.peek(), Some(Dot | LeftBracket | LeftParen)) {
                self.link()?;
            }
            match self.peek() {
                Some(Dot) => {
                    self.wrap(checkpoint, FieldExpr);
                    self.bump();
                    let word = self.peek().is_some_and(SyntaxKind::is_word);
                    if word {
                        self.bump();
                    }
                    self.finish();
                    if !word {
                        return Err(self.broken("a name after `.`"));
                    }
                }
                Some(LeftBracket) => {
                    self.wrap(checkpoint, IndexExpr);
                    self.bump();
                    let parsed = if self.eat(Star) { Ok(()) } else { self.expression(indent) };
                    let parsed = parsed.and_then(|()| self.expect(RightBracket, "`]`"));
                    self.finish();
                    parsed?;
                }
                Some(LeftParen) => {
                    self.wrap(checkpoint, CallExpr);
                    let parsed = self.arguments(indent);
                    self.finish();
                    parsed?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn arguments(&mut self, indent: usize) -> Parsed {
        self.start(ArgList);
        let open = self.here();
        self.bump();
        let mut parsed = Ok(());
        loop {
            if self.peek() == Some(RightParen) {
                self.bump();
                break;
            }
            if self.peek().is_none() || self.at_statement_line(indent) {
                let end = self.here();
                self.diagnostics.push(
                    Diagnostic::error("syntax", end, "`)` is missing")
                        .label("a new statement begins here")
                        .note(open, "this `(` is not closed"),
                );
                parsed = Err(Broken);
                break;
            }
            self.start(Arg);
            let one = self.argument(indent);
            self.finish();
            if one.is_err() {
                parsed = one;
                break;
            }
            if self.peek() != Some(RightParen) && !self.eat(Comma) && !self.at_statement_line(indent) && self.peek().is_some() {
                parsed = Err(self.broken("`,` or `)`"));
                break;
            }
        }
        self.finish();
        parsed
    }

    fn argument(&mut self, indent: usize) -> Parsed {
        if self.peek().is_some_and(SyntaxKind::is_word) && self.peek_nth(1) == Some(Equal) {
            self.start(Name);
            self.bump();
            self.finish();
            self.bump();
        }
        self.expression(indent)
    }

    fn atom(&mut self, indent: usize) -> Parsed {
        if self.at_statement_line(indent) {
            return Err(self.broken("a value"));
        }
        match self.peek() {
            Some(Number) => {
                self.number();
                Ok(())
            }
            Some(Text | TrueWord | FalseWord) => {
                self.start(Literal);
                self.bump();
                self.finish();
                Ok(())
            }
            Some(BadText) => {
                let broken = self.broken("text in quotes");
                self.start(Error);
                self.bump();
                self.finish();
                Err(broken)
            }
            Some(LeftBracket) => {
                self.start(ListExpr);
                let parsed = self.list(indent);
                self.finish();
                parsed
            }
            Some(LeftParen) => {
                self.start(ParenExpr);
                self.bump();
                let parsed = self.expression(indent).and_then(|()| self.expect(RightParen, "`)`"));
                self.finish();
                parsed
            }
            // `param.x`, `input`, …: words of the language are names where a value is meant, but not where a statement would begin.
            Some(ParamWord) if self.peek_nth(1) == Some(Dot) => {
                self.start(NameRef);
                self.bump();
                self.finish();
                Ok(())
            }
            Some(Ident) => {
                self.start(NameRef);
                self.bump();
                self.finish();
                Ok(())
            }
            _ => Err(self.broken("a value")),
        }
    }

    fn list(&mut self, indent: usize) -> Parsed {
        self.bump();
        while self.peek() != Some(RightBracket) {
            self.expression(indent)?;
            if self.peek() != Some(RightBracket) && !self.eat(Comma) {
                return Err(self.broken("`,` or `]`"));
            }
        }
        self.bump();
        Ok(())
    }

    /// A number, with its unit when one follows on the same line.
    fn number(&mut self) {
        let checkpoint = self.checkpoint();
        self.push();
        let spaces = usize::from(self.tokens.get(self.at).is_some_and(|token| token.kind == Space));
        let Some(unit) = self.tokens.get(self.at + spaces).copied() else {
            self.wrap(checkpoint, Literal);
            self.finish();
            return;
        };
        let is_unit = unit.kind == Percent || (unit.kind == Ident && UnitQuantity::parse(1.0, unit.text).is_some());
        if is_unit {
            self.wrap(checkpoint, Quantity);
            self.bump();
            self.finish();
            return;
        }
        if unit.kind == Ident && unit.text != "step" {
            // After a number no name can stand: this was meant as a unit.
            let span = unit.start..unit.start + unit.text.len();
            let near = nearest(unit.text, UnitQuantity::all_units()).map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{}` is not a unit", unit.text);
            self.diagnostics.push(Diagnostic::error("unknown-unit", span, message).help_if(near));
            self.wrap(checkpoint, Error);
            self.bump();
            self.finish();
            return;
        }
        self.wrap(checkpoint, Literal);
        self.finish();
    }
}

/// How strongly comparisons bind.
const COMPARISON: usize = 2;

/// How strongly an operator binds.
fn strength(kind: SyntaxKind) -> Option<usize> {
    Some(match kind {
        OrWord => 0,
        AndWord => 1,
        Less | Greater | LessEqual | GreaterEqual | EqualEqual | NotEqual => COMPARISON,
        DotDot => 3,
        Plus | Minus => 4,
        Star | Slash => 5,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = concat!(include_str!("../../pipelines/mouse_v1.nf"), include_str!("../specs/everything.nf"));

    proptest! {
        #[test]
        fn any_text_has_a_tree_that_prints_it_back(text in any::<String>()) {
            prop_assert_eq!(parse(&text).print(), text);
        }

        #[test]
        fn a_damaged_pipeline_prints_back_too(at in 0..WHOLE.len(), remove in 0usize..30, insert in "[a-z(){}\\[\\]=,.\" \n#0-9]{0,8}") {
            let start = (0..=at).rev().find(|at| WHOLE.is_char_boundary(*at)).unwrap_or(0);
            let end = (start + remove..=WHOLE.len()).find(|at| WHOLE.is_char_boundary(*at)).unwrap_or(WHOLE.len());
            let text = format!("{}{insert}{}", &WHOLE[..start], &WHOLE[end..]);
            prop_assert_eq!(parse(&text).print(), text);
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_stack_overflow() {
        for open in [
            "(",
            "[",
            "- ",
            "not ",
            "a(",
            "for x in y {\n",
            "a[",
            "1 + ",
            "a.",
            "a().",
            "fn f(a = ",
            "sweep s in { a = 1 } {\n",
            "1 .. 2 step ",
        ] {
            let text = format!("x = {}", open.repeat(20_000));
            assert_eq!(parse(&text).print(), text);
        }
    }

    #[test]
    fn every_construct_is_read() {
        let parse = parse(include_str!("../specs/everything.nf"));
        assert_eq!(parse.diagnostics, []);
        let kinds: Vec<_> = parse.root().descendants().map(|node| node.kind()).collect();
        for kind in [UseItem, FnItem, FnParam, ValueItem, SweepItem, SettingList, RangeExpr] {
            assert!(kinds.contains(&kind), "{kind:?}");
        }
        assert!(!kinds.contains(&Error));
    }

    #[test]
    fn the_words_step_and_as_are_names_elsewhere() {
        let text = "pipeline p\nstep = a.b(step, as = as)\nx = a.b(step)\n";
        assert_eq!(parse(text).diagnostics, []);
        assert_eq!(parse("pipeline p\nparam x = 1 .. 2\nstep = a.b()\n").diagnostics, []);
    }

    #[test]
    fn every_mistake_is_told_and_what_is_right_is_kept() {
        let text = "pipeline p\nparam a = \nx = f.g(1,\n  b = 2\ny = f.g(]\nz = f.g(1)\n";
        let parse = parse(text);
        assert_eq!(parse.diagnostics.len(), 3, "{:#?}", parse.diagnostics);
        let steps: Vec<_> = parse.root().children().filter(|node| node.kind() == StepItem).map(|node| node.text().to_string()).collect();
        assert!(steps.last().unwrap().starts_with("z = f.g(1)"));
    }
}
