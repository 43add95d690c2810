//! Conditions against the table of fields, with every mistake at the place it was written.

use super::{
    macros::{Macros, Written},
    report::{ErrorCode, Failure, Trail},
};
use crate::{
    condition::ast::{Expr, ExprKind},
    eval::{CheckError, Checker, Condition, Problem},
    field::FieldError,
};

/// A mistake in what a condition or an output speaks of.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) failure: Failure,
    /// Whether `skip-if-unknown-filter` makes it a warning.
    pub(super) is_unknown: bool,
}

impl From<Failure> for Mistake {
    fn from(failure: Failure) -> Self {
        Self { failure, is_unknown: false }
    }
}

/// Whether a field or an event does not exist, rather than being used in a wrong way.
pub(super) const fn is_unknown(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::UnknownEventType(_)
            | Problem::Field(
                FieldError::Unknown(_)
                    | FieldError::UnknownEventType(_)
                    | FieldError::UnknownEventArgument(_)
            )
    )
}

/// Checks a condition whose macros have been put in. `written` is where a mistake is looked for.
pub(super) fn check(
    expanded: &Expr,
    written: &Written,
    macros: &Macros<'_>,
    checker: &mut Checker,
) -> Result<Condition, Mistake> {
    checker.check(expanded).map_err(|error| {
        let (error, trail) = locate(&written.expr, written, macros).unwrap_or((error, written.trail.clone()));
        let is_unknown = is_unknown(&error.problem);
        Mistake { failure: Failure::new(ErrorCode::CompileCondition, error.to_string(), &trail), is_unknown }
    })
}

/// The first comparison that is wrong by itself.
fn locate(expr: &Expr, within: &Written, macros: &Macros<'_>) -> Option<(CheckError, Trail)> {
    match &expr.kind {
        ExprKind::And(parts) | ExprKind::Or(parts) => {
            parts.iter().find_map(|part| locate(part, within, macros))
        }
        ExprKind::Not(inner) => locate(inner, within, macros),
        ExprKind::Macro(name) => macros.written(name).and_then(|named| locate(&named.expr, named, macros)),
        ExprKind::Exists(_) | ExprKind::Compare(_) => Condition::check(expr).err().map(|error| {
            let trail = within.trail_to(error.span);
            (error, trail)
        }),
    }
}
