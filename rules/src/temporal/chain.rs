//! How far a sequence has come.

use std::sync::Arc;

/// One step that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, in nanoseconds of the clock of the events.
    pub at_ns: u64,
    /// By what: name and pid of the process, and the event.
    pub by: Box<str>,
}

/// A step, and those before it.
#[derive(Debug)]
struct Link {
    mark: Mark,
    first_ns: u64,
    before: Option<Arc<Link>>,
}

/// For each step but the last, the way to it that began last.
#[derive(Debug)]
pub(super) struct Chain {
    steps: Box<[Option<Arc<Link>>]>,
}

impl Chain {
    /// Nothing was seen of so many steps before the last.
    pub(super) fn new(steps: usize) -> Self {
        Self { steps: (0..steps).map(|_| None).collect() }
    }

    /// Marks that can be remembered: of each way a whole one.
    pub(super) fn weight(steps: usize) -> usize {
        steps * (steps + 1) / 2
    }

    /// The steps before `step` were seen in order within the time: what is seen now goes on from them.
    pub(super) fn note(
        &mut self,
        step: usize,
        within_ns: u64,
        mark: impl FnOnce() -> Mark,
        at_ns: u64,
    ) -> Noted {
        let before = match step.checked_sub(1) {
            None => None,
            Some(before) => match self.steps.get(before).cloned().flatten() {
                Some(link) if link.mark.at_ns <= at_ns && at_ns - link.first_ns < within_ns => Some(link),
                _ => return Noted::Nothing,
            },
        };
        let first_ns = before.as_ref().map_or(at_ns, |link| link.first_ns);
        let link = Arc::new(Link { mark: mark(), first_ns, before });
        match self.steps.get_mut(step) {
            None => Noted::Whole(link.marks()),
            Some(known) => {
                // One that began later stays in time for longer.
                if known.as_ref().is_none_or(|known| known.first_ns <= first_ns) {
                    *known = Some(link);
                }
                Noted::Step
            }
        }
    }
}

/// What came of a step.
#[derive(Debug)]
pub(super) enum Noted {
    /// The one before it was not seen.
    Nothing,
    /// It is one more.
    Step,
    /// It is the last: all of them, in order.
    Whole(Vec<Mark>),
}

impl Link {
    fn marks(&self) -> Vec<Mark> {
        let mut marks: Vec<Mark> = std::iter::successors(Some(self), |link| link.before.as_deref())
            .map(|link| link.mark.clone())
            .collect();
        marks.reverse();
        marks
    }
}
