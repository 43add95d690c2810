//! Patterns of one source, looked for all at once.

mod contains;
mod exact;
mod rows;
mod trie;

use std::ops::{ControlFlow, Range};

use self::{contains::Contains, exact::Exact, trie::Trie};
use super::{
    dag::{Pattern, SourceId},
    scratch::Scratch,
};
use crate::{
    eval::{Fields, Presence, Source},
    field::{Reference, Traits},
    value::{Scalar, Truth, Value},
};

/// How a group looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Exact,
    Start,
    End,
    Inside,
}

impl Way {
    pub(super) const fn of(pattern: &Pattern) -> Self {
        match pattern {
            Pattern::Equal(_) | Pattern::NotEqual(_) | Pattern::Among(_) => Self::Exact,
            Pattern::StartsWith(_) => Self::Start,
            Pattern::EndsWith(_) => Self::End,
            Pattern::Contains(_) => Self::Inside,
        }
    }
}

/// Some patterns of a group: bits of one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Bits {
    pub(super) group: u32,
    /// Among the words of the group.
    pub(super) word: u32,
    pub(super) mask: u64,
}

/// A group under way.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) source: SourceId,
    pub(super) way: Way,
    pub(super) patterns: Vec<Pattern>,
}

/// A group of patterns. Which of them the source has is kept as a row of bits.
#[derive(Debug, Clone)]
pub(super) struct Group {
    source: Source,
    /// The field, where it can have several values: then one of them is enough.
    several: Option<Reference>,
    /// Among the words of the scratch.
    words: Range<usize>,
    look: Look,
}

#[derive(Debug, Clone)]
enum Look {
    Exact(Exact),
    Start(Trie),
    End(Trie),
    Inside(Contains),
}

impl Group {
    /// From a draft; its words begin at `first`.
    pub(super) fn new(draft: &Draft, source: &Source, first: usize) -> Self {
        let width = draft.patterns.len().div_ceil(64);
        let look = match draft.way {
            Way::Exact => Look::Exact(Exact::new(&draft.patterns, width)),
            Way::Start => Look::Start(Trie::new(&draft.patterns, width)),
            Way::End => Look::End(Trie::new(&draft.patterns, width)),
            Way::Inside => Look::Inside(Contains::new(&draft.patterns)),
        };
        let several = match source {
            Source::Field(reference) if is_several(reference) => Some(reference.clone()),
            _ => None,
        };
        Self { source: source.clone(), several, words: first..first + width, look }
    }

    pub(super) const fn width(&self) -> usize {
        self.words.end - self.words.start
    }

    /// Whether the source has one of some patterns of this group, the `place`th.
    #[inline]
    pub(super) fn truth<F: Fields + ?Sized>(&self, bits: Bits, event: &F, scratch: &mut Scratch) -> Truth {
        let place = bits.group as usize;
        let mut state = scratch.groups.get(place).copied().unwrap_or_default();
        if state >> 1 != scratch.event {
            state = scratch.event << 1 | u32::from(self.look_up(event, &mut scratch.words));
            if let Some(kept) = scratch.groups.get_mut(place) {
                *kept = state;
            }
        }
        if state & 1 == 1 {
            return Truth::Unknown;
        }
        let word = scratch.words.get(self.words.start + bits.word as usize);
        word.is_some_and(|word| word & bits.mask != 0).into()
    }

    /// Writes down which patterns the source has; whether that is pending.
    #[inline(never)]
    fn look_up<F: Fields + ?Sized>(&self, event: &F, words: &mut [u64]) -> bool {
        let Some(words) = words.get_mut(self.words.clone()) else { return false };
        // Mostly it is one, for which a call costs more than the work.
        if let [word] = words {
            *word = 0;
        } else {
            words.fill(0);
        }
        if let Some(reference) = &self.several {
            let mut take = |scalar: &Scalar<'_>| {
                self.look.add(scalar, words);
                ControlFlow::Continue(())
            };
            return event.each(reference, &mut take) == Presence::Pending;
        }
        match self.source.value(event) {
            Value::Missing => false,
            Value::Pending => true,
            Value::One(scalar) => {
                self.look.add(&scalar, words);
                false
            }
            Value::Many(scalars) => {
                scalars.iter().for_each(|scalar| self.look.add(scalar, words));
                false
            }
        }
    }
}

impl Look {
    fn add(&self, scalar: &Scalar<'_>, words: &mut [u64]) {
        match (self, scalar) {
            (Self::Exact(exact), Scalar::Text(text)) => exact.add(Some(text), words),
            (Self::Exact(exact), _) => exact.add(None, words),
            (Self::Start(trie), Scalar::Text(text)) => trie.add(text.iter(), words),
            (Self::End(trie), Scalar::Text(text)) => trie.add(text.iter().rev(), words),
            (Self::Inside(contains), Scalar::Text(text)) => contains.add(text, words),
            _ => {}
        }
    }
}

/// Whether a field can have several values.
pub(super) fn is_several(reference: &Reference) -> bool {
    reference.is_each_ancestor() || reference.is_list() || reference.definition().traits.has(Traits::ENDS)
}

/// Sets a bit of a row.
fn set(words: &mut [u64], bit: usize) {
    if let Some(word) = words.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}
