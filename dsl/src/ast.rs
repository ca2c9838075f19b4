//! Statements and expressions as plain values, read off the lossless tree. What is broken is left out; the parser told of it.

use crate::diagnostics::Diagnostic;
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::SyntaxNode;
use crate::tree::{Leaf, Node, below};
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

impl Expr {
    /// Whether two expressions say the same, wherever they stand.
    pub fn says_same(&self, other: &Expr) -> bool {
        use ExprKind as Kind;
        let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_same(b));
        match (&self.kind, &other.kind) {
            (Kind::Field(a, name), Kind::Field(b, other)) => name.text == other.text && a.says_same(b),
            (Kind::Index(a, index), Kind::Index(b, other)) | (Kind::Range(a, index), Kind::Range(b, other)) => {
                a.says_same(b) && index.says_same(other)
            }
            (Kind::All(a), Kind::All(b)) | (Kind::Negative(a), Kind::Negative(b)) | (Kind::Not(a), Kind::Not(b)) => a.says_same(b),
            (Kind::Call(a, arguments), Kind::Call(b, others)) => {
                let name = |argument: &Argument| argument.name.as_ref().map(|name| name.text.clone());
                let same = |(one, other): (&Argument, &Argument)| name(one) == name(other) && one.value.says_same(&other.value);
                a.says_same(b) && arguments.len() == others.len() && arguments.iter().zip(others).all(same)
            }
            (Kind::List(a), Kind::List(b)) => all(a, b),
            (Kind::Steps(a, b, c), Kind::Steps(d, e, f)) => a.says_same(d) && b.says_same(e) && c.says_same(f),
            (Kind::Binary(one, a, b), Kind::Binary(other, c, d)) => one == other && a.says_same(c) && b.says_same(d),
            // What is left holds no place.
            (a, b) => a == b,
        }
    }
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
    /// `a .. b step c`.
    Steps(Box<Expr>, Box<Expr>, Box<Expr>),
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
        /// The output that the bare name means; none for the stage's first. Only the value of a function has one.
        value: Option<Word>,
    },
    /// `for NAME in list { … }`.
    For(Word, Expr, Vec<Statement>),
    /// `if cond { … } else { … }`.
    If(Expr, Vec<Statement>, Vec<Statement>),
    /// `expect cond "message"`; the condition as written comes third.
    Expect(Expr, Option<String>, String),
    /// `report NAME "title" { a, b } with template = "page.html"`.
    Report(Word, Option<String>, Vec<Word>, Vec<(Word, Expr)>),
    /// `use "path" as NAME with …`; the path comes as text and place.
    Use(Word, Word, Vec<(Word, Expr)>),
    /// `fn NAME(…) { … value }`.
    Fn(Function),
    /// `sweep NAME in { a = list } { … }`.
    Sweep(Word, Vec<(Word, Expr)>, Vec<Statement>),
}

/// A function of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: Word,
    /// Its arguments.
    pub params: Vec<FunctionParam>,
    /// Its steps.
    pub body: Vec<Statement>,
    /// Its value.
    pub value: Option<FunctionValue>,
}

/// The value of a function, its last line.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionValue {
    /// A call, a step of the body, or one of that step's outputs.
    pub call: Expr,
    /// `-> table("file")`.
    pub gives: Option<Expr>,
    /// `with …`.
    pub with: Vec<(Word, Expr)>,
}

/// An argument of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParam {
    /// Its name.
    pub name: Word,
    /// Its type, when one is written.
    pub ty: Option<Word>,
    /// Its default.
    pub default: Option<Expr>,
}

/// The statements of a tree. Numbers that are too large are told in `diagnostics`.
pub fn statements(root: &SyntaxNode, diagnostics: &mut Vec<Diagnostic>) -> Vec<Statement> {
    let (green, start) = below(root);
    read(Node::new(&green, start), diagnostics)
}

fn read(block: Node<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Statement> {
    block.children().filter_map(|node| statement(node, diagnostics)).collect()
}

fn statement(node: Node<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Statement> {
    let mut expressions = || node.children().filter_map(|child| expr(child, diagnostics)).collect::<Vec<_>>();
    let kind = match node.kind() {
        PipelineItem => StatementKind::Pipeline(name(node)?, text_of(node)),
        ParamItem => {
            let ty = type_name(node);
            StatementKind::Param(name(node)?, ty, expressions().into_iter().next())
        }
        InputItem => StatementKind::Input(name(node)?, expressions()),
        StepItem => {
            let mut values = expressions().into_iter();
            let (call, gives) = (values.next()?, values.next());
            let with = entries(node.child(WithClause), diagnostics);
            StatementKind::Step { name: name(node)?, call, gives, with, value: None }
        }
        ForItem => {
            let list = expressions().into_iter().next()?;
            StatementKind::For(name(node)?, list, node.child(Block).map(|block| read(block, diagnostics)).unwrap_or_default())
        }
        IfItem => {
            let condition = expressions().into_iter().next()?;
            let mut blocks = node.children().filter(|child| child.kind() == Block);
            let (then, otherwise) = (blocks.next(), blocks.next());
            let then = then.map(|block| read(block, diagnostics)).unwrap_or_default();
            let otherwise = match node.children().find(|child| child.kind() == IfItem) {
                Some(branch) => statement(branch, diagnostics).into_iter().collect(),
                None => otherwise.map(|block| read(block, diagnostics)).unwrap_or_default(),
            };
            StatementKind::If(condition, then, otherwise)
        }
        ExpectItem => {
            let condition = expressions().into_iter().next()?;
            let written = node.children().next().map(|child| one_line(&child.text())).unwrap_or_default();
            StatementKind::Expect(condition, text_of(node), written)
        }
        ReportItem => {
            let names = node.child(NameList)?.children().map(|item| {
                let tokens = item.tokens();
                let text = tokens.filter(|token| !token.kind().is_trivia()).map(|token| token.text().to_owned()).collect();
                Word { text, span: item.span() }
            });
            let names = names.collect();
            StatementKind::Report(name(node)?, text_of(node), names, entries(node.child(WithClause), diagnostics))
        }
        UseItem => {
            let place = node.token(Text)?.span();
            let path = Word { text: text_of(node)?, span: place };
            StatementKind::Use(path, name(node)?, entries(node.child(WithClause), diagnostics))
        }
        FnItem => {
            let params = node.child(FnParams).into_iter().flat_map(Node::children);
            let mut param = |param: Node<'_>| {
                let default = param.children().filter(|child| child.kind() != Name).find_map(|child| expr(child, diagnostics));
                Some(FunctionParam { name: name(param)?, ty: type_name(param), default })
            };
            let params = params.filter(|child| child.kind() == FnParam).filter_map(&mut param).collect();
            let block = node.child(Block)?;
            let value = block.child(ValueItem).and_then(|value| {
                let mut parts = value.children().filter_map(|child| expr(child, diagnostics)).collect::<Vec<_>>().into_iter();
                let (call, gives) = (parts.next()?, parts.next());
                Some(FunctionValue { call, gives, with: entries(value.child(WithClause), diagnostics) })
            });
            StatementKind::Fn(Function { name: name(node)?, params, body: read(block, diagnostics), value })
        }
        SweepItem => {
            let settings = entries(node.child(SettingList), diagnostics);
            StatementKind::Sweep(name(node)?, settings, node.child(Block).map(|block| read(block, diagnostics)).unwrap_or_default())
        }
        _ => return None,
    };
    Some(Statement { kind, span: node.span() })
}

/// The `key = value` entries of a clause.
fn entries(clause: Option<Node<'_>>, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Word, Expr)> {
    let mut found = Vec::new();
    for entry in clause.iter().flat_map(|clause| clause.children()).filter(|child| child.kind() == WithEntry) {
        if let (Some(key), Some(value)) = (name(entry), entry.children().find_map(|child| expr(child, diagnostics))) {
            found.push((key, value));
        }
    }
    found
}

fn type_name(node: Node<'_>) -> Option<Word> {
    node.child(TypeName).map(|ty| Word { text: one_line(&ty.text()).replace(' ', ""), span: ty.span() })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn word(token: Leaf<'_>) -> Word {
    Word { text: token.text().to_owned(), span: token.span() }
}

fn first_word(node: Node<'_>) -> Option<Word> {
    node.tokens().find(|token| token.kind().is_word()).map(word)
}

fn name(node: Node<'_>) -> Option<Word> {
    first_word(node.child(Name)?)
}

fn text_of(node: Node<'_>) -> Option<String> {
    node.token(Text).map(|token| unescape(token.text()))
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

fn expr(node: Node<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Expr> {
    let mut inner = || node.children().filter_map(|child| expr(child, diagnostics)).collect::<Vec<_>>().into_iter();
    let kind = match node.kind() {
        Literal => literal(node, diagnostics)?,
        Quantity => {
            let number: f64 = node.token(Number)?.text().replace('_', "").parse().ok()?;
            let unit = node.tokens().find(|token| matches!(token.kind(), Ident | Percent))?;
            ExprKind::Quantity(UnitQuantity::parse(number, unit.text())?)
        }
        NameRef => ExprKind::Name(first_word(node)?.text),
        FieldExpr => ExprKind::Field(Box::new(inner().next()?), first_word(node)?),
        IndexExpr => {
            let mut parts = inner();
            let of = Box::new(parts.next()?);
            match parts.next() {
                Some(index) => ExprKind::Index(of, Box::new(index)),
                None if node.token(Star).is_some() => ExprKind::All(of),
                None => return None,
            }
        }
        CallExpr => {
            let callee = inner().next()?;
            let mut arguments = Vec::new();
            for argument in node.child(ArgList)?.children().filter(|child| child.kind() == Arg) {
                if let Some(value) = argument.children().filter(|child| child.kind() != Name).find_map(|child| expr(child, diagnostics)) {
                    arguments.push(Argument { name: name(argument), value });
                }
            }
            ExprKind::Call(Box::new(callee), arguments)
        }
        ListExpr => ExprKind::List(inner().collect()),
        ParenExpr => return inner().next(),
        RangeExpr => {
            let mut parts = inner();
            let (start, end) = (Box::new(parts.next()?), Box::new(parts.next()?));
            match parts.next() {
                Some(step) => ExprKind::Steps(start, end, Box::new(step)),
                None => ExprKind::Range(start, end),
            }
        }
        UnaryExpr => {
            let not = node.token(NotWord).is_some();
            let of = Box::new(inner().next()?);
            if not { ExprKind::Not(of) } else { ExprKind::Negative(of) }
        }
        BinaryExpr => {
            let operator = node.tokens().find_map(|token| operator(token.kind()))?;
            let mut parts = inner();
            ExprKind::Binary(operator, Box::new(parts.next()?), Box::new(parts.next()?))
        }
        _ => return None,
    };
    Some(Expr { kind, span: node.span() })
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

fn literal(node: Node<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<ExprKind> {
    let token = node.tokens().find(|token| !token.kind().is_trivia())?;
    Some(match token.kind() {
        Text => ExprKind::Text(unescape(token.text())),
        TrueWord => ExprKind::Bool(true),
        FalseWord => ExprKind::Bool(false),
        Number => {
            let text = token.text().replace('_', "");
            if text.contains(['.', 'e', 'E']) {
                match text.parse::<f64>() {
                    Ok(value) if value.is_finite() => ExprKind::Number(value),
                    _ => return too_large(token, diagnostics),
                }
            } else {
                match text.parse::<i64>() {
                    Ok(value) => ExprKind::Int(value),
                    Err(_) => return too_large(token, diagnostics),
                }
            }
        }
        _ => return None,
    })
}

fn too_large(token: Leaf<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<ExprKind> {
    let place = word(token);
    diagnostics.push(Diagnostic::error("syntax", place.span, format!("the number {} is too large", place.text)));
    None
}
