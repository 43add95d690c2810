//! Why a condition is refused.

use crate::{
    condition::{Operator, Transformer, ast::Span},
    field::{FieldError, Kind},
    value::{TestError, Unsupported},
};

/// What is wrong with a condition, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct CheckError {
    /// Where.
    pub span: Span,
    /// What.
    #[source]
    pub problem: Problem,
}

/// What can be wrong with a condition.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// A macro that was not put in place.
    #[error("filter error: unexpected identifier '{0}'")]
    Macro(String),
    /// The condition is nested too deep.
    #[error("filter error: exceeded max depth")]
    Depth,
    /// Expressions of `regex` take too much memory together.
    #[error("all regex patterns together are too large")]
    Expressions,
    /// A name is no field, or its argument does not fit.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The operator or a value does not fit the field.
    #[error(transparent)]
    Test(#[from] TestError),
    /// `evt.type` is compared with a name that no event has.
    #[error("unknown event type {0}")]
    UnknownEventType(String),
    /// `evt.type` stands in a transformer: then nothing says which events the condition is for.
    #[error("event code search does not support `evt.type` checks with transformers")]
    EventTypeTransformed,
    /// `evt.type` is compared with another field.
    #[error("right-hand field comparisons on `evt.type` checks are not supported by event code search")]
    EventTypeAgainstField,
    /// The field takes no transformer.
    #[error("field '{0}' does not support transformers")]
    NotTransformable(String),
    /// The transformer does not take such values.
    #[error("can't add field transformer: type '{kind}' is not supported by '{transformer}' transformer")]
    TransformerKind {
        /// Which transformer.
        transformer: Transformer,
        /// What it was given.
        kind: Kind,
    },
    /// The transformer takes other arguments.
    #[error("{transformer}() {expected}")]
    TransformerArguments {
        /// Which transformer.
        transformer: Transformer,
        /// What it takes.
        expected: &'static str,
    },
    /// The field is not compared with another.
    #[error("field '{0}' doesn't support right-hand side fields")]
    NoRightField(String),
    /// The field does not stand on the right.
    #[error("field '{0}' can't be used as a right-hand side field")]
    NotRight(String),
    /// The operator takes no field on its right.
    #[error("operator '{0}' doesn't support right-hand side fields")]
    OperatorAgainstField(Operator),
    /// The two sides are of different kinds.
    #[error("field has type '{left}'{} while the right-hand side field has incompatible type '{right}'{}",
        if *left_list { " (list)" } else { "" }, if *right_list { " (list)" } else { "" })]
    Kinds {
        /// What stands left.
        left: Kind,
        /// Whether it is a list.
        left_list: bool,
        /// What stands right.
        right: Kind,
        /// Whether it is a list.
        right_list: bool,
    },
    /// `evt.around` with another operator than `=`.
    #[error("evt.around supports only '=' comparison operator")]
    Around,
}

impl Problem {
    /// This, there.
    pub(super) const fn at(self, span: Span) -> CheckError {
        CheckError { span, problem: self }
    }
}

impl From<Unsupported> for Problem {
    fn from(error: Unsupported) -> Self {
        Self::Test(error.into())
    }
}
