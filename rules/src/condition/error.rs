//! What can be wrong with the text of a condition.

use thiserror::Error;

/// A mistake in a condition and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct ParseError {
    /// The byte at which the parser stopped.
    pub at: usize,
    /// What it stumbled over.
    pub kind: ParseErrorKind,
}

/// What the parser stumbled over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseErrorKind {
    /// There is nothing but blanks.
    #[error("the condition is empty")]
    Empty,
    /// Something else was expected.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A comparison without a known operator.
    #[error("expected a valid check operator: one of {0}")]
    Operator(String),
    /// A transformer that does not exist, or has no field in it.
    #[error("expected {0}, or a field with a valid transformer: one of {1}")]
    Value(&'static str, String),
    /// Something follows what would be a whole condition.
    #[error("unexpected token after '{0}', expecting 'or', 'and'")]
    Trailing(String),
    /// A quote that does not end.
    #[error("missing end quote")]
    UnclosedQuote,
    /// A backslash before a character that it does not escape.
    #[error("unsupported string escape sequence: \\{0}")]
    Escape(char),
    /// Parentheses, negations or transformers go too deep.
    #[error("exceeded max depth limit of {0}")]
    Depth(usize),
    /// The text is too long.
    #[error("the condition has {0} bytes, the limit is {1}")]
    Length(usize, usize),
}
