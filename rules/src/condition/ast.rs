//! The syntax tree of a condition. Every node knows the bytes it was read from.

use super::{Modifier, Operator, Transformer};

/// A range of bytes of the text that was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// From `start` up to, without, `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// A condition or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// What a condition can say.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// Each of them holds; two or more.
    And(Vec<Expr>),
    /// At least one of them holds; two or more.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// The condition of the macro of this name.
    Macro(String),
    /// The left side has a value.
    Exists(Operand),
    /// Two sides compared.
    Compare(Box<Comparison>),
}

/// Two sides and how they are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What the event has.
    pub left: Operand,
    /// How to compare.
    pub operator: Operator,
    /// Over which of the right values; only with operators of [`Shape::Text`](super::Shape::Text).
    pub modifier: Option<Modifier>,
    /// What to compare with.
    pub right: Right,
    /// Where operator and modifier stand.
    pub operator_span: Span,
}

/// A value that depends on the event.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A field as it is.
    Field(Field),
    /// A transformer over fields.
    Call(Call),
}

impl Operand {
    /// Where it stands.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Field(field) => field.span,
            Self::Call(call) => call.span,
        }
    }
}

/// A field of the event: `proc.aname[2]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its dotted name as it was written; `evt.arg.name` is not taken apart here.
    pub name: String,
    /// What stands in brackets after it.
    pub argument: Option<String>,
    /// Where it stands, with its argument.
    pub span: Span,
}

/// A transformer and what it is applied to.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which one.
    pub transformer: Transformer,
    /// What is in its parentheses; at least one.
    pub arguments: Vec<Argument>,
    /// From its name to its closing parenthesis.
    pub span: Span,
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// A field, or another transformer.
    Operand(Operand),
    /// A quoted text or a number.
    Literal(Text),
    /// A list in parentheses; it may be empty.
    List(Vec<Argument>),
}

/// What stands right of an operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Right {
    /// One value; a list operator takes it as a list of one.
    Value(Text),
    /// Values in parentheses; there may be none.
    List(List),
    /// A value of the event: `val(field)`, or a transformer.
    Operand(Operand),
}

/// Values in parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// The values.
    pub items: Vec<Text>,
    /// Where it stands, with its parentheses.
    pub span: Span,
}

/// A value as text, without its quotes and with escapes resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The value.
    pub value: String,
    /// Where it stands, with its quotes.
    pub span: Span,
}
