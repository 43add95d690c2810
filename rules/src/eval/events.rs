//! Which types of events a condition can hold for.
//!
//! As in libsinsp, only `=`, `!=` and `in` on `evt.type` say something of it, and comparisons of `evt.num` that
//! hold always or never; anything else can be either for every event.

use crate::{
    condition::{Operator, ast::Text},
    field::{EventSet, EventType},
    value::{Scalar, Test},
};

/// The types for which a condition can hold, and those for which it can fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Events {
    pub(super) holds: EventSet,
    fails: EventSet,
}

impl Events {
    /// A condition that says nothing of the type.
    pub(super) fn any() -> Self {
        let all = EventSet::all();
        Self { holds: all, fails: all }
    }

    /// A condition that holds whatever the type is.
    pub(super) fn always() -> Self {
        Self { holds: EventSet::all(), fails: EventSet::EMPTY }
    }

    /// A comparison of the type itself.
    pub(super) fn of(operator: Operator, test: &Test) -> Self {
        if !matches!(operator, Operator::Equal | Operator::NotEqual | Operator::In) {
            return Self::any();
        }
        let (holds, fails): (Vec<_>, Vec<_>) =
            EventType::all().partition(|event| test.holds(&Scalar::from(event.name())));
        Self { holds: holds.into_iter().collect(), fails: fails.into_iter().collect() }
    }

    /// A comparison of the event's number. Events are numbered from 1: `evt.num = 0` never holds, and rules
    /// say it where they mean never.
    pub(super) fn of_number(operator: Operator, literals: &[&Text]) -> Self {
        let numbers: Option<Vec<u64>> = literals.iter().map(|text| text.value.parse().ok()).collect();
        match (operator, numbers.as_deref()) {
            (Operator::In, Some(numbers)) if numbers.iter().all(|number| *number == 0) => {
                Self::always().not()
            }
            (Operator::Equal | Operator::LessOrEqual, Some([0])) => Self::always().not(),
            (Operator::Less, Some([0 | 1])) => Self::always().not(),
            (Operator::NotEqual | Operator::Greater, Some([0])) => Self::always(),
            (Operator::GreaterOrEqual, Some([0 | 1])) => Self::always(),
            _ => Self::any(),
        }
    }

    /// Both hold.
    pub(super) fn and(self, other: &Self) -> Self {
        Self { holds: self.holds.intersection(&other.holds), fails: self.fails.union(&other.fails) }
    }

    /// Either holds.
    pub(super) fn or(self, other: &Self) -> Self {
        Self { holds: self.holds.union(&other.holds), fails: self.fails.intersection(&other.fails) }
    }

    /// It does not hold.
    pub(super) const fn not(self) -> Self {
        Self { holds: self.fails, fails: self.holds }
    }
}
