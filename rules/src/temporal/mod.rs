//! Rules over more than one event: an extension of the language, which stock Falco does not have.
//!
//! A `kestrel_rule` is a rule that also says what must have happened before: its condition held so often
//! within a time (`count`), or other conditions held before it, in order (`after`). Falco skips such an item
//! with the warning `LOAD_UNKNOWN_ITEM`.
//!
//! [`Temporal`] is compiled from such rules and asks which of their conditions hold for an event, as
//! [`Programs`](crate::compile::Programs) do. A [`Tracker`] remembers for which keys they held, and is
//! bounded: what was touched longest ago goes first, and is counted.

mod chain;
mod compiled;
mod key;
mod tally;
mod tracker;

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use crate::{condition::ast::Expr, eval::Condition, field::Reference};

pub use {
    chain::Mark,
    compiled::{Part, Temporal},
    tracker::{Fired, Limits, Tracker, Why},
};

/// The longest time that a rule looks back.
pub const MAX_WITHIN: Duration = Duration::from_hours(1);
/// The most events that a rule counts.
pub const MAX_COUNT: u32 = 1000;
/// The most conditions that must have held before.
pub const MAX_STEPS: usize = 7;
/// The most fields of a key.
pub const MAX_FIELDS: usize = 8;

/// What must have happened before.
#[derive(Debug, Clone)]
pub enum Before {
    /// The rule's own condition held, counting this time.
    Count(Count),
    /// Other conditions held.
    After(After),
}

/// `count`: how often the condition must hold.
#[derive(Debug, Clone)]
pub struct Count {
    /// The rule matches when it held so often; 2 to [`MAX_COUNT`].
    pub at_least: u32,
    /// Within this time.
    pub within: Duration,
    /// For events with the same values of these. One that lacks any is not counted.
    pub by: Vec<Reference>,
    /// Not events are counted, but different values of this.
    pub distinct: Option<Reference>,
}

/// `after`: what must have held before, in order.
#[derive(Debug, Clone)]
pub struct After {
    /// The earlier steps; 1 to [`MAX_STEPS`]. The last step is the rule's own condition.
    pub steps: Vec<Step>,
    /// From the first step to the last.
    pub within: Duration,
    /// Which events belong together.
    pub by: By,
}

/// Which events of a sequence belong together.
#[derive(Debug, Clone)]
pub enum By {
    /// Those of the process of the first step, and of all that descend from it.
    Descent,
    /// Those with the same values of these fields. One that lacks any belongs to none.
    Fields(Vec<Reference>),
}

/// A condition that must have held before.
#[derive(Debug, Clone)]
pub struct Step {
    /// As it was written.
    pub text: String,
    /// With its lists and macros put in.
    pub expr: Expr,
    /// Ready to be evaluated.
    pub condition: Condition,
}

/// As a rule's page has it.
impl Display for Before {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let fields = |by: &[Reference]| by.iter().map(Reference::text).collect::<Vec<_>>().join(", ");
        match self {
            Self::Count(Count { at_least, within, by, distinct }) => {
                write!(f, "at least {at_least}")?;
                if let Some(field) = distinct {
                    write!(f, " values of {}", field.text())?;
                }
                write!(f, " within {within:?}")?;
                if by.is_empty() { Ok(()) } else { write!(f, ", by {}", fields(by)) }
            }
            Self::After(After { steps, within, by }) => {
                let by = match by {
                    By::Descent => "descent".to_owned(),
                    By::Fields(by) => fields(by),
                };
                write!(f, "within {within:?}, by {by}, after")?;
                steps.iter().try_for_each(|step| write!(f, " [{}]", step.expr))
            }
        }
    }
}

impl Before {
    /// The conditions of the earlier steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Count(_) => &[],
            Self::After(after) => &after.steps,
        }
    }

    /// The fields that tell events apart, or are counted.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let (by, distinct) = match self {
            Self::Count(count) => (count.by.as_slice(), count.distinct.as_ref()),
            Self::After(After { by: By::Fields(by), .. }) => (by.as_slice(), None),
            Self::After(After { by: By::Descent, .. }) => (&[][..], None),
        };
        by.iter().chain(distinct)
    }
}
