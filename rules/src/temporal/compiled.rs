//! The conditions of rules over several events, compiled together.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Before, tracker::Rule};
use crate::{
    compile::{Matching, Needs, Programs, Scratch},
    eval::Fields,
    field::{EventSet, EventType},
    load::CompiledRule,
    value::Truth,
};

/// Rules over several events, ready to be held against each.
#[derive(Debug, Clone)]
pub struct Temporal {
    programs: Programs,
    parts: Vec<Part>,
    pub(super) rules: Vec<Rule>,
}

/// A condition of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Place of its rule, as it was given.
    pub place: usize,
    /// Which rule of the set.
    pub(super) rule: usize,
    /// Which step of it, from 0.
    pub(super) step: usize,
}

impl Temporal {
    /// Compiles those of the rules that say what must have happened before. A match tells of one by the place
    /// that comes with it here.
    #[must_use]
    pub fn new<'r>(rules: impl IntoIterator<Item = (usize, &'r CompiledRule)>) -> Self {
        let (mut parts, mut conditions, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (place, rule) in rules {
            let Some(before) = &rule.before else { continue };
            let steps = before.steps();
            // The last one first: an event that is two steps is so in this order only, and not both at once.
            let own = std::iter::once((steps.len(), &rule.condition));
            let earlier = steps.iter().enumerate().map(|(step, earlier)| (step, &earlier.condition)).rev();
            for (step, condition) in own.chain(earlier) {
                parts.push(Part { place, rule: all.len(), step });
                conditions.push(condition);
            }
            all.push(Rule::new(place, rule, before));
        }
        let programs = Programs::new(conditions.into_iter().enumerate());
        Self { programs, parts, rules: all }
    }

    /// Whether there are such rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Tells of the conditions that hold for an event, or may; see [`Programs::matches`].
    pub fn matches<F: Fields + ?Sized>(
        &self,
        scratch: &mut Scratch,
        event_type: Option<EventType>,
        event: &F,
        mut tell: impl FnMut(Part, Truth),
    ) {
        self.programs.matches(scratch, event_type, event, Matching::All, |found| {
            if let Some(part) = self.parts.get(found.place) {
                tell(*part, found.truth);
            }
        });
    }

    /// The types of events that any condition can hold for.
    #[must_use]
    pub fn wanted_events(&self) -> EventSet {
        self.programs.wanted_events()
    }

    /// What every condition needs of an event of a type; none if no condition can hold for it.
    #[must_use]
    pub fn needs(&self, event_type: EventType) -> Option<&Needs> {
        self.programs.needs(event_type)
    }
}

impl Rule {
    fn new(place: usize, rule: &CompiledRule, before: &Before) -> Self {
        let mut hasher = DefaultHasher::new();
        (&rule.name, rule.expr.to_string(), before.to_string()).hash(&mut hasher);
        Self { place, id: hasher.finish(), before: before.clone() }
    }
}
