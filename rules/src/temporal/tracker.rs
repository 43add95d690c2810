//! What was seen of rules over several events.

use hashlink::LinkedHashMap;

use super::{
    After, Before, By, Count, Mark, Part, Temporal,
    chain::{Chain, Noted},
    key::{Key, Keys},
    tally::Tally,
};
use crate::{
    eval::{Fields, Lineage},
    field::{Field, Reference},
};

/// The longest name of what did a step, in bytes.
const MAX_BY: usize = 64;

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events that were seen, of all rules and keys together. One takes some 24 bytes where it is counted, and
    /// up to 150 where it is a step.
    pub marks: usize,
}

impl Default for Limits {
    /// A few megabytes.
    fn default() -> Self {
        Self { marks: 32_768 }
    }
}

/// Remembers for which keys conditions held.
///
/// It may go on with another set of rules: of a rule that is the same in it, all that was seen counts on.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    keys: Keys,
    /// By key; what was touched last is last.
    seen: LinkedHashMap<Key, Seen>,
    marks: usize,
    evicted: u64,
    naming: Naming,
}

/// A rule as the tracker needs it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) place: usize,
    /// Of its name, its conditions and what must have happened before: it is the same in the next set where none of
    /// that has changed.
    pub(super) id: u64,
    pub(super) before: Before,
}

#[derive(Debug)]
struct Seen {
    weight: usize,
    /// Nothing of it counts after that.
    until_ns: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Tally(Tally),
    Chain(Chain),
}

/// A rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Its place.
    pub place: usize,
    /// What led to it.
    pub why: Why,
}

/// What led to a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// So many were seen.
    Count {
        /// How many.
        count: u32,
        /// The first of them, in nanoseconds of the clock of the events.
        since_ns: u64,
    },
    /// The steps, in order; the last is the event itself.
    Steps(Vec<Mark>),
}

/// The fields that say who did a step.
#[derive(Debug)]
struct Naming(Vec<Reference>);

impl Default for Naming {
    fn default() -> Self {
        let fields = [Field::ProcName, Field::ProcPid, Field::EvtType];
        Self(fields.iter().filter_map(|field| Reference::parse(field.definition().name, None).ok()).collect())
    }
}

impl Naming {
    fn mark<F: Fields + ?Sized>(&self, event: &F, at_ns: u64) -> Mark {
        let mut by = String::new();
        for reference in &self.0 {
            let value = event.field(reference);
            let text = match value.scalars().first() {
                Some(scalar) => String::from_utf8_lossy(&scalar.to_text()).into_owned(),
                None => "<NA>".to_owned(),
            };
            if !by.is_empty() {
                by.push(' ');
            }
            by.extend(text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(MAX_BY));
        }
        by.truncate(by.floor_char_boundary(MAX_BY));
        Mark { at_ns, by: by.into() }
    }
}

impl Tracker {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            keys: Keys::default(),
            seen: LinkedHashMap::new(),
            marks: 0,
            evicted: 0,
            naming: Naming::default(),
        }
    }

    /// Marks that are remembered now.
    #[must_use]
    pub const fn marks(&self) -> usize {
        self.marks
    }

    /// Keys that were forgotten for want of room, while they could still have led to a match.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// A condition of `rules` holds for an event: whether its rule matches now.
    pub fn note<F: Fields + Lineage + ?Sized>(
        &mut self,
        rules: &Temporal,
        part: Part,
        event: &F,
        at_ns: u64,
    ) -> Option<Fired> {
        let rule = rules.rules.get(part.rule)?;
        let why = match &rule.before {
            Before::Count(count) => self.count(count, rule.id, event, at_ns)?,
            Before::After(after) => Why::Steps(self.step(after, rule.id, part, event, at_ns)?),
        };
        Some(Fired { place: rule.place, why })
    }

    fn count<F: Fields + ?Sized>(&mut self, count: &Count, rule: u64, event: &F, at_ns: u64) -> Option<Why> {
        let key = self.keys.values(rule, &count.by, event)?;
        let value = match &count.distinct {
            None => None,
            Some(field) => {
                let [value, _] = self.keys.values(rule, std::slice::from_ref(field), event)?;
                Some(value)
            }
        };
        let within_ns = nanos(count.within);
        let at_least = count.at_least as usize;
        let mut seen = self.take(key, at_ns, || State::Tally(Tally::default()));
        let State::Tally(tally) = &mut seen.state else { return None };
        let since_ns = tally.note(at_ns, value, within_ns, at_least);
        let weight = tally.len();
        match since_ns {
            // It is told once, and counts anew.
            Some(since_ns) => Some(Why::Count { count: weight as u32, since_ns }),
            None => {
                self.put(key, Seen { weight, until_ns: at_ns.saturating_add(within_ns), ..seen }, at_ns);
                None
            }
        }
    }

    fn step<F: Fields + Lineage + ?Sized>(
        &mut self,
        after: &After,
        rule: u64,
        part: Part,
        event: &F,
        at_ns: u64,
    ) -> Option<Vec<Mark>> {
        let mut keys = Vec::new();
        match &after.by {
            By::Fields(fields) => keys.push(self.keys.values(rule, fields, event)?),
            By::Descent => event.lineage(&mut |id| keys.push(self.keys.process(rule, id))),
        }
        if part.step == 0 {
            // It begins with the process itself.
            keys.truncate(1);
        }
        let (steps, within_ns) = (after.steps.len(), nanos(after.within));
        let mut whole = None;
        for key in keys {
            if part.step > 0 && !self.seen.contains_key(&key) {
                continue;
            }
            let mut seen = self.take(key, at_ns, || State::Chain(Chain::new(steps)));
            let State::Chain(chain) = &mut seen.state else { continue };
            match chain.note(part.step, within_ns, || self.naming.mark(event, at_ns), at_ns) {
                // It is told once, and begins anew.
                Noted::Whole(marks) => {
                    whole.get_or_insert(marks);
                }
                Noted::Step => {
                    let until_ns = at_ns.saturating_add(within_ns);
                    self.put(key, Seen { weight: Chain::weight(steps), until_ns, ..seen }, at_ns);
                }
                Noted::Nothing => self.put(key, seen, at_ns),
            }
        }
        whole
    }

    /// What is remembered of a key, which is to be put back.
    fn take(&mut self, key: Key, at_ns: u64, new: impl FnOnce() -> State) -> Seen {
        match self.seen.remove(&key) {
            Some(seen) => {
                self.marks -= seen.weight;
                seen
            }
            None => Seen { weight: 0, until_ns: at_ns, state: new() },
        }
    }

    /// What was touched longest ago goes first where there is no room.
    fn put(&mut self, key: Key, seen: Seen, at_ns: u64) {
        self.marks += seen.weight;
        self.seen.insert(key, seen);
        while let Some((_, oldest)) = self.seen.front() {
            let is_over = oldest.until_ns <= at_ns;
            if !is_over && self.marks <= self.limits.marks {
                return;
            }
            let Some((_, gone)) = self.seen.pop_front() else { return };
            self.marks -= gone.weight;
            self.evicted += u64::from(!is_over);
        }
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
