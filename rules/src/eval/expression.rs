//! Values by themselves, as outputs ask for them.

use super::{CheckError, Checker, Fields, check::Check, depth::Depth, source::Source};
use crate::{
    condition::ast::Operand,
    field::Reference,
    value::{Scalar, Value},
};

/// A field, or transformers over fields, that exists.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Source,
    is_list: bool,
    references: Vec<Reference>,
    text: String,
}

impl Expression {
    /// Checks a value.
    ///
    /// # Errors
    ///
    /// When a field does not exist, or a transformer does not take it.
    pub fn check(operand: &Operand) -> Result<Self, CheckError> {
        let mut references = Vec::new();
        let mut checker = Checker::default();
        let mut check = Check { references: &mut references, checker: &mut checker };
        let (source, shape) = check.operand(operand, Depth::default())?;
        Ok(Self { source, is_list: shape.list, references, text: operand.to_string() })
    }

    /// How it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields it asks for.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// What the event has for it, as it reads in an output; none when that is missing or not yet known.
    /// Bytes that are no text are replaced.
    pub fn print<F: Fields + ?Sized>(&self, event: &F) -> Option<String> {
        let print = |scalar: &Scalar<'_>| String::from_utf8_lossy(&scalar.to_text()).into_owned();
        let printed = |scalars: &[Scalar<'_>]| scalars.iter().map(print).collect::<Vec<_>>();
        match self.source.value(event) {
            Value::Missing | Value::Pending => None,
            Value::One(scalar) => Some(print(&scalar)),
            // libsinsp prints lists in parentheses.
            Value::Many(scalars) if self.is_list => Some(format!("({})", printed(&scalars).join(","))),
            Value::Many(scalars) => Some(printed(&scalars).join(" ")),
        }
    }
}
