//! The kinds of nodes and tokens, and the lossless tree that they make (rowan).

/// A node or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "the names are the grammar's words")]
pub enum SyntaxKind {
    // Tokens.
    Space,
    Newline,
    Comment,
    Ident,
    Number,
    Text,
    BadText,
    Bad,
    DotDot,
    Arrow,
    LessEqual,
    GreaterEqual,
    EqualEqual,
    NotEqual,
    Dot,
    Comma,
    Colon,
    Equal,
    Less,
    Greater,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    PipelineWord,
    ParamWord,
    InputWord,
    ForWord,
    InWord,
    IfWord,
    ElseWord,
    ExpectWord,
    ReportWord,
    WithWord,
    OrWord,
    AndWord,
    NotWord,
    TrueWord,
    FalseWord,
    UseWord,
    FnWord,
    SweepWord,
    // Nodes.
    File,
    PipelineItem,
    ParamItem,
    InputItem,
    StepItem,
    ForItem,
    IfItem,
    ExpectItem,
    ReportItem,
    UseItem,
    FnItem,
    SweepItem,
    ValueItem,
    FnParams,
    FnParam,
    SettingList,
    Block,
    WithClause,
    WithEntry,
    NameList,
    Name,
    TypeName,
    Literal,
    Quantity,
    NameRef,
    FieldExpr,
    IndexExpr,
    CallExpr,
    ArgList,
    Arg,
    ListExpr,
    ParenExpr,
    UnaryExpr,
    BinaryExpr,
    RangeExpr,
    Error,
}

use SyntaxKind::*;

impl SyntaxKind {
    /// The keyword that a word is.
    pub fn keyword(word: &str) -> Option<SyntaxKind> {
        Some(match word {
            "pipeline" => PipelineWord,
            "param" => ParamWord,
            "input" => InputWord,
            "for" => ForWord,
            "in" => InWord,
            "if" => IfWord,
            "else" => ElseWord,
            "expect" => ExpectWord,
            "report" => ReportWord,
            "with" => WithWord,
            "or" => OrWord,
            "and" => AndWord,
            "not" => NotWord,
            "true" => TrueWord,
            "false" => FalseWord,
            "use" => UseWord,
            "fn" => FnWord,
            "sweep" => SweepWord,
            _ => return None,
        })
    }

    /// Whether it is a word with letters: keywords may be used as names of fields and arguments.
    pub fn is_word(self) -> bool {
        self == Ident || (self >= PipelineWord && self <= SweepWord)
    }

    /// Whether it separates without meaning.
    pub fn is_trivia(self) -> bool {
        matches!(self, Space | Newline | Comment)
    }

    /// Whether a statement can begin with it (a step begins with a name and `=`).
    pub fn begins_statement(self) -> bool {
        matches!(self, PipelineWord | ParamWord | InputWord | ForWord | IfWord | ExpectWord | ReportWord | UseWord | FnWord | SweepWord)
    }
}

/// The language, for rowan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nf {}

/// Every kind, in the order of their numbers.
const ALL: &[SyntaxKind] = &[
    Space,
    Newline,
    Comment,
    Ident,
    Number,
    Text,
    BadText,
    Bad,
    DotDot,
    Arrow,
    LessEqual,
    GreaterEqual,
    EqualEqual,
    NotEqual,
    Dot,
    Comma,
    Colon,
    Equal,
    Less,
    Greater,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    PipelineWord,
    ParamWord,
    InputWord,
    ForWord,
    InWord,
    IfWord,
    ElseWord,
    ExpectWord,
    ReportWord,
    WithWord,
    OrWord,
    AndWord,
    NotWord,
    TrueWord,
    FalseWord,
    UseWord,
    FnWord,
    SweepWord,
    File,
    PipelineItem,
    ParamItem,
    InputItem,
    StepItem,
    ForItem,
    IfItem,
    ExpectItem,
    ReportItem,
    UseItem,
    FnItem,
    SweepItem,
    ValueItem,
    FnParams,
    FnParam,
    SettingList,
    Block,
    WithClause,
    WithEntry,
    NameList,
    Name,
    TypeName,
    Literal,
    Quantity,
    NameRef,
    FieldExpr,
    IndexExpr,
    CallExpr,
    ArgList,
    Arg,
    ListExpr,
    ParenExpr,
    UnaryExpr,
    BinaryExpr,
    RangeExpr,
    Error,
];

impl rowan::Language for Nf {
    type Kind = SyntaxKind;

    fn kind_from_raw(raw: rowan::SyntaxKind) -> SyntaxKind {
        ALL.get(raw.0 as usize).copied().unwrap_or(Error)
    }

    fn kind_to_raw(kind: SyntaxKind) -> rowan::SyntaxKind {
        rowan::SyntaxKind(kind as u16)
    }
}

/// A node of the lossless tree.
pub type SyntaxNode = rowan::SyntaxNode<Nf>;
/// A token of the lossless tree.
pub type SyntaxToken = rowan::SyntaxToken<Nf>;
/// A node or a token.
pub type SyntaxElement = rowan::SyntaxElement<Nf>;

#[cfg(test)]
mod tests {
    use super::*;
    use rowan::Language;

    #[test]
    fn every_kind_comes_back_from_its_number() {
        for kind in ALL {
            assert_eq!(Nf::kind_from_raw(Nf::kind_to_raw(*kind)), *kind);
        }
    }
}
