//! The checked tree and its evaluation.

use std::sync::Arc;

use super::{Fields, source::Source};
use crate::{
    condition::{Modifier, Operator},
    field::{Field, Reference, Traits},
    value::{Scalar, Test, Truth, Value, compare, is_around},
};

/// A checked condition or a part of one.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Exists(Source),
    /// A side and what the rule says of it.
    Test(Source, Over, Arc<Test>),
    /// Two sides of the event.
    Against(Box<Against>),
    /// `evt.around[middle] = delta`, by the time of the event.
    Around {
        time: Reference,
        middle: u64,
        delta: u64,
    },
}

/// Two sides of the event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Against {
    pub(crate) left: Source,
    pub(crate) over: Over,
    pub(crate) operator: Operator,
    pub(crate) modifier: Option<Modifier>,
    pub(crate) right: Source,
}

/// For which of several values a comparison has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Over {
    /// One of them.
    Some,
    /// All of them; there may be none.
    Every,
    /// All of them, and there is one.
    Both,
}

impl Over {
    /// By the left side and the operator.
    pub(super) fn of(source: &Source, list: bool, operator: Operator) -> Self {
        let is_ends = match source {
            Source::Field(reference) => reference.definition().traits.has(Traits::ENDS),
            _ => false,
        };
        match operator {
            Operator::NotEqual if is_ends => Self::Both,
            Operator::In if list => Self::Every,
            _ => Self::Some,
        }
    }

    pub(crate) fn holds(self, scalars: &[Scalar<'_>], test: impl FnMut(&Scalar<'_>) -> bool) -> bool {
        match self {
            Self::Some => scalars.iter().any(test),
            Self::Every => scalars.iter().all(test),
            Self::Both => !scalars.is_empty() && scalars.iter().all(test),
        }
    }
}

impl Node {
    pub(super) fn evaluate<F: Fields + ?Sized>(&self, event: &F) -> Truth {
        match self {
            Self::And(nodes) => {
                let mut truth = Truth::True;
                for node in nodes {
                    truth = truth.and(node.evaluate(event));
                    if truth == Truth::False {
                        break;
                    }
                }
                truth
            }
            Self::Or(nodes) => {
                let mut truth = Truth::False;
                for node in nodes {
                    truth = truth.or(node.evaluate(event));
                    if truth == Truth::True {
                        break;
                    }
                }
                truth
            }
            Self::Not(node) => !node.evaluate(event),
            Self::Exists(source) => exists(source, &source.value(event)),
            Self::Test(source, over, test) => match source.value(event) {
                Value::Missing => Truth::False,
                Value::Pending if test.is_never() => Truth::False,
                Value::Pending => Truth::Unknown,
                value => over.holds(value.scalars(), |scalar| test.holds(scalar)).into(),
            },
            Self::Against(against) => against.evaluate(event),
            Self::Around { time, middle, delta } => match event.field(time) {
                Value::One(Scalar::UInt(time)) => is_around(time, *middle, *delta).into(),
                Value::Pending => Truth::Unknown,
                _ => Truth::False,
            },
        }
    }
}

/// A list exists though it is empty; of ancestors and ends there must be one.
pub(crate) fn exists(source: &Source, value: &Value<'_>) -> Truth {
    match value {
        Value::Missing => Truth::False,
        Value::Pending => Truth::Unknown,
        Value::One(_) => Truth::True,
        Value::Many(scalars) => {
            let is_list = match source {
                Source::Field(reference) => reference.is_list(),
                _ => true,
            };
            (is_list || !scalars.is_empty()).into()
        }
    }
}

impl Against {
    pub(crate) fn evaluate<F: Fields + ?Sized>(&self, event: &F) -> Truth {
        match (self.left.value(event), self.right.value(event)) {
            (Value::Missing, _) | (_, Value::Missing) => Truth::False,
            (Value::Pending, _) | (_, Value::Pending) => Truth::Unknown,
            (left, right) => {
                self.over.holds(left.scalars(), |scalar| self.one(scalar, right.scalars())).into()
            }
        }
    }

    fn one(&self, left: &Scalar<'_>, right: &[Scalar<'_>]) -> bool {
        let mut holds = right.iter().filter(|right| compare(self.operator, left, right));
        match self.modifier {
            None | Some(Modifier::AnyOf) => holds.next().is_some(),
            Some(Modifier::AllOf) => !right.is_empty() && holds.count() == right.len(),
            Some(Modifier::OneOf) => holds.take(2).count() == 1,
        }
    }
}

/// Whether a source is the type of the event.
pub(crate) fn is_event_type(source: &Source) -> bool {
    matches!(source, Source::Field(reference) if reference.field() == Field::EvtType)
}
