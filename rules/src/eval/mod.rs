//! Conditions checked against the table of fields, and what they are of an event.
//!
//! This evaluates the tree as it was written: for one condition, and as what the compiled form
//! ([`compile`](crate::compile)) is held against.

mod check;
mod checker;
mod depth;
mod error;
mod events;
mod expression;
mod node;
mod source;

pub use checker::Checker;
pub use error::{CheckError, Problem};
pub use expression::Expression;

pub(crate) use node::{Against, Node, Over, exists, is_event_type};
pub(crate) use source::Source;

use std::ops::ControlFlow;

use self::events::Events;
use crate::{
    condition::ast::Expr,
    field::{EventSet, Reference},
    value::{Scalar, Truth, Value},
};

/// An event, as its fields.
pub trait Fields {
    /// What the event has for a field. Numbers come as [`Scalar::Int`](crate::value::Scalar::Int) or
    /// [`Scalar::UInt`](crate::value::Scalar::UInt), addresses and networks as
    /// [`Scalar::Address`](crate::value::Scalar::Address); `fd.ip` and its kin, and fields of ancestors
    /// without a number, as [`Value::Many`].
    fn field(&self, reference: &Reference) -> Value<'_>;

    /// Hands over what the event has for a field that can have several values, one by one, until `take` has
    /// enough. Who can do so without a list of them should: this is asked for each event.
    fn each(&self, reference: &Reference, take: &mut dyn FnMut(&Scalar<'_>) -> ControlFlow<()>) -> Presence {
        match self.field(reference) {
            Value::Missing => Presence::Missing,
            Value::Pending => Presence::Pending,
            value => {
                let _ = value.scalars().iter().try_for_each(take);
                Presence::There
            }
        }
    }
}

/// Who did what an event tells of.
pub trait Lineage {
    /// Hands over what identifies its process, and those that it descends from, the nearest first. No two
    /// processes have the same number, as far as is known.
    fn lineage(&self, take: &mut dyn FnMut(u64));
}

/// Whether an event has anything for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing.
    Missing,
    /// Not yet known.
    Pending,
    /// Values; of a list it may be none.
    There,
}

/// A condition whose fields, operators and values fit together. Its values are read once.
#[derive(Debug, Clone)]
pub struct Condition {
    pub(crate) root: Node,
    events: Events,
    references: Vec<Reference>,
}

impl Condition {
    /// Checks a condition in which no macro is left, by itself; see [`Checker::check`].
    ///
    /// # Errors
    ///
    /// For what Falco refuses when it loads.
    pub fn check(expr: &Expr) -> Result<Self, CheckError> {
        Checker::default().check(expr)
    }

    /// Whether it holds for an event.
    #[must_use]
    pub fn evaluate<F: Fields + ?Sized>(&self, event: &F) -> Truth {
        self.root.evaluate(event)
    }

    /// The types of events it can hold for, by what it says of `evt.type`.
    #[must_use]
    pub const fn events(&self) -> &EventSet {
        &self.events.holds
    }

    /// The fields it asks for, each once, in the order they stand.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }
}
