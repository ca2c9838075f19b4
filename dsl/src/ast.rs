//! Statements and expressions as plain values, read off the lossless tree. What is broken is left out; the parser told of it.

use crate::diagnostics::Diagnostic;
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::{SyntaxNode, SyntaxToken};
use neuroflow_stage::Quantity as UnitQuantity;

/// A place in the file, in bytes.
pub type Span = std::ops::Range<usize>;

/// A name with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The name.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operators' words")]
pub enum Operator {
    Or,
    And,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    Equal,
    NotEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name, for a keyword argument.
    pub name: Option<Word>,
    /// Its value.
    pub value: Expr,
}

/// An expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `8`.
    Int(i64),
    /// `0.5`.
    Number(f64),
    /// `50 ms`.
    Quantity(UnitQuantity),
    /// `"text"`, unescaped; `{name}` in it is filled in when it is evaluated.
    Text(String),
    /// `true`, `false`.
    Bool(bool),
    /// `name`.
    Name(String),
    /// `of.field`.
    Field(Box<Expr>, Word),
    /// `of[index]`.
    Index(Box<Expr>, Box<Expr>),
    /// `of[*]`.
    All(Box<Expr>),
    /// `callee(arguments)`.
    Call(Box<Expr>, Vec<Argument>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `a .. b`.
    Range(Box<Expr>, Box<Expr>),
    /// `-a`.
    Negative(Box<Expr>),
    /// `not a`.
    Not(Box<Expr>),
    /// `a < b`.
    Binary(Operator, Box<Expr>, Box<Expr>),
}

/// A statement with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// Its place.
    pub span: Span,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementKind {
    /// `pipeline NAME "title"`.
    Pipeline(Word, Option<String>),
    /// `param NAME: Type = value`.
    Param(Word, Option<Word>, Option<Expr>),
    /// `input NAME = a or b`.
    Input(Word, Vec<Expr>),
    /// `NAME = call -> gives with …`; `gives` is for `exec`.
    Step {
        /// The step's name.
        name: Word,
        /// The call.
        call: Expr,
        /// `-> table("file")`.
        gives: Option<Expr>,
        /// `with …`.
        with: Vec<(Word, Expr)>,
    },
    /// `for NAME in list { … }`.
    For(Word, Expr, Vec<Statement>),
    /// `if cond { … } else { … }`.
    If(Expr, Vec<Statement>, Vec<Statement>),
    /// `expect cond "message"`; the condition as written comes third.
    Expect(Expr, Option<String>, String),
    /// `report NAME "title" { a, b }`.
    Report(Word, Option<String>, Vec<Word>),
    /// A construct that this version does not run.
    Later(Word),
}

/// The statements of a tree. Numbers that are too large are told in `diagnostics`.
pub fn statements(root: &SyntaxNode, diagnostics: &mut Vec<Diagnostic>) -> Vec<Statement> {
    root.children().filter_map(|node| statement(&node, diagnostics)).collect()
}

fn statement(node: &SyntaxNode, diagnostics: &mut Vec<Diagnostic>) -> Option<Statement> {
    let mut expressions = || node.children().filter_map(|child| expr(&child, diagnostics)).collect::<Vec<_>>();
    let kind = match node.kind() {
        PipelineItem => StatementKind::Pipeline(name(node)?, text_of(node)),
        ParamItem => {
            let ty = child(node, TypeName).map(|ty| Word { text: one_line(&ty.text().to_string()).replace(' ', ""), span: span(&ty) });
            StatementKind::Param(name(node)?, ty, expressions().into_iter().next())
        }
        InputItem => StatementKind::Input(name(node)?, expressions()),
        StepItem => {
            let mut values = expressions().into_iter();
            let (call, gives) = (values.next()?, values.next());
            let mut with = Vec::new();
            for entry in child(node, WithClause).iter().flat_map(|clause| clause.children()).filter(|child| child.kind() == WithEntry) {
                if let (Some(key), Some(value)) = (name(&entry), entry.children().find_map(|child| expr(&child, diagnostics))) {
                    with.push((key, value));
                }
            }
            StatementKind::Step { name: name(node)?, call, gives, with }
        }
        ForItem => {
            let list = expressions().into_iter().next()?;
            StatementKind::For(name(node)?, list, child(node, Block).map(|block| statements(&block, diagnostics)).unwrap_or_default())
        }
        IfItem => {
            let condition = expressions().into_iter().next()?;
            let mut blocks = node.children().filter(|child| child.kind() == Block);
            let (then, otherwise) = (blocks.next(), blocks.next());
            let mut read = |block: Option<SyntaxNode>| block.map(|block| statements(&block, diagnostics)).unwrap_or_default();
            let then = read(then);
            let otherwise = match node.children().find(|child| child.kind() == IfItem) {
                Some(branch) => statement(&branch, diagnostics).into_iter().collect(),
                None => read(otherwise),
            };
            StatementKind::If(condition, then, otherwise)
        }
        ExpectItem => {
            let condition = expressions().into_iter().next()?;
            let written = node.children().next().map(|child| one_line(&child.text().to_string())).unwrap_or_default();
            StatementKind::Expect(condition, text_of(node), written)
        }
        ReportItem => {
            let names = child(node, NameList)?.children().filter_map(|item| word(&token(&item, Ident)?)).collect();
            StatementKind::Report(name(node)?, text_of(node), names)
        }
        LaterItem => {
            let first = node.children_with_tokens().find_map(|element| element.into_token())?;
            StatementKind::Later(word(&first)?)
        }
        _ => return None,
    };
    Some(Statement { kind, span: span(node) })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The node's place without trivia at its ends.
fn span(node: &SyntaxNode) -> Span {
    let tokens = || node.descendants_with_tokens().filter_map(|element| element.into_token()).filter(|token| !token.kind().is_trivia());
    let start = tokens().next().map_or(usize::from(node.text_range().start()), |token| usize::from(token.text_range().start()));
    let end = tokens().last().map_or(start, |token| usize::from(token.text_range().end()));
    start..end
}

fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

fn token(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxToken> {
    node.children_with_tokens().filter_map(|element| element.into_token()).find(|token| token.kind() == kind)
}

fn word(token: &SyntaxToken) -> Option<Word> {
    let range = token.text_range();
    Some(Word { text: token.text().to_owned(), span: usize::from(range.start())..usize::from(range.end()) })
}

fn first_word(node: &SyntaxNode) -> Option<Word> {
    node.children_with_tokens()
        .filter_map(|element| element.into_token())
        .find(|token| token.kind().is_word())
        .and_then(|token| word(&token))
}

fn name(node: &SyntaxNode) -> Option<Word> {
    first_word(&child(node, Name)?)
}

fn text_of(node: &SyntaxNode) -> Option<String> {
    token(node, Text).map(|token| unescape(token.text()))
}

/// The text inside quotes.
fn unescape(quoted: &str) -> String {
    if let Some(body) = quoted.strip_prefix("\"\"\"").and_then(|body| body.strip_suffix("\"\"\"")) {
        return body.to_owned();
    }
    let body = quoted.strip_prefix('"').and_then(|body| body.strip_suffix('"')).unwrap_or(quoted);
    let mut text = String::with_capacity(body.len());
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('u') => {
                    let rest = characters.as_str();
                    let code = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(code, _)| code);
                    match code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?)) {
                        Some(character) => {
                            text.push(character);
                            characters = rest[code.map_or(0, str::len) + 2..].chars();
                        }
                        None => text.push('u'),
                    }
                }
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

fn expr(node: &SyntaxNode, diagnostics: &mut Vec<Diagnostic>) -> Option<Expr> {
    let mut inner = || node.children().filter_map(|child| expr(&child, diagnostics)).collect::<Vec<_>>().into_iter();
    let kind = match node.kind() {
        Literal => literal(node, diagnostics)?,
        Quantity => {
            let number: f64 = token(node, Number)?.text().replace('_', "").parse().ok()?;
            let unit = node.children_with_tokens().filter_map(|e| e.into_token()).find(|token| matches!(token.kind(), Ident | Percent))?;
            ExprKind::Quantity(UnitQuantity::parse(number, unit.text())?)
        }
        NameRef => ExprKind::Name(first_word(node)?.text),
        FieldExpr => ExprKind::Field(Box::new(inner().next()?), first_word(node)?),
        IndexExpr => {
            let mut parts = inner();
            let of = Box::new(parts.next()?);
            match parts.next() {
                Some(index) => ExprKind::Index(of, Box::new(index)),
                None if token(node, Star).is_some() => ExprKind::All(of),
                None => return None,
            }
        }
        CallExpr => {
            let callee = inner().next()?;
            let mut arguments = Vec::new();
            for argument in child(node, ArgList)?.children().filter(|child| child.kind() == Arg) {
                if let Some(value) = argument.children().filter(|child| child.kind() != Name).find_map(|child| expr(&child, diagnostics)) {
                    arguments.push(Argument { name: name(&argument), value });
                }
            }
            ExprKind::Call(Box::new(callee), arguments)
        }
        ListExpr => ExprKind::List(inner().collect()),
        ParenExpr => return inner().next(),
        RangeExpr => {
            let mut parts = inner();
            ExprKind::Range(Box::new(parts.next()?), Box::new(parts.next()?))
        }
        UnaryExpr => {
            let not = token(node, NotWord).is_some();
            let of = Box::new(inner().next()?);
            if not { ExprKind::Not(of) } else { ExprKind::Negative(of) }
        }
        BinaryExpr => {
            let operator =
                node.children_with_tokens().filter_map(|element| element.into_token()).find_map(|token| operator(token.kind()))?;
            let mut parts = inner();
            ExprKind::Binary(operator, Box::new(parts.next()?), Box::new(parts.next()?))
        }
        _ => return None,
    };
    Some(Expr { kind, span: span(node) })
}

fn operator(kind: SyntaxKind) -> Option<Operator> {
    Some(match kind {
        OrWord => Operator::Or,
        AndWord => Operator::And,
        Less => Operator::Less,
        Greater => Operator::Greater,
        LessEqual => Operator::LessEqual,
        GreaterEqual => Operator::GreaterEqual,
        EqualEqual => Operator::Equal,
        NotEqual => Operator::NotEqual,
        Plus => Operator::Add,
        Minus => Operator::Subtract,
        Star => Operator::Multiply,
        Slash => Operator::Divide,
        _ => return None,
    })
}

fn literal(node: &SyntaxNode, diagnostics: &mut Vec<Diagnostic>) -> Option<ExprKind> {
    let token = node.children_with_tokens().filter_map(|element| element.into_token()).find(|token| !token.kind().is_trivia())?;
    Some(match token.kind() {
        Text => ExprKind::Text(unescape(token.text())),
        TrueWord => ExprKind::Bool(true),
        FalseWord => ExprKind::Bool(false),
        Number => {
            let text = token.text().replace('_', "");
            if text.contains(['.', 'e', 'E']) {
                match text.parse::<f64>() {
                    Ok(value) if value.is_finite() => ExprKind::Number(value),
                    _ => return too_large(&token, diagnostics),
                }
            } else {
                match text.parse::<i64>() {
                    Ok(value) => ExprKind::Int(value),
                    Err(_) => return too_large(&token, diagnostics),
                }
            }
        }
        _ => return None,
    })
}

fn too_large(token: &SyntaxToken, diagnostics: &mut Vec<Diagnostic>) -> Option<ExprKind> {
    let place = word(token)?;
    diagnostics.push(Diagnostic::error("syntax", place.span, format!("the number {} is too large", place.text)));
    None
}
