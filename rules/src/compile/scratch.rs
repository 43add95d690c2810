//! What is remembered of an event while it is held against conditions.

use super::Match;

/// Memory for evaluating, used again for each event. A thread has one of its own; it serves any set.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The event's number; what has another one was said of another event.
    pub(super) event: u32,
    /// What nodes are, with the event's number.
    pub(super) nodes: Vec<u32>,
    /// The events for which groups were looked up, and whether their source is pending.
    pub(super) groups: Vec<u32>,
    /// Which patterns of groups the source has.
    pub(super) words: Vec<u64>,
    pub(super) found: Vec<Match>,
}

/// The last number an event has before all is forgotten. Two bits are left for what was found.
const LAST: u32 = u32::MAX >> 2;

impl Scratch {
    /// Begins a new event; there is room for so many nodes, groups and words.
    pub(super) fn begin(&mut self, nodes: usize, groups: usize, words: usize) {
        if self.nodes.len() < nodes {
            self.nodes.resize(nodes, 0);
        }
        if self.groups.len() < groups {
            self.groups.resize(groups, 0);
        }
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        if self.event == LAST {
            self.event = 0;
            self.nodes.fill(0);
            self.groups.fill(0);
        }
        self.event += 1;
        self.found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_numbers_end_all_is_forgotten() {
        let mut scratch = Scratch { event: LAST - 1, ..Scratch::default() };
        scratch.begin(1, 1, 1);
        assert_eq!(scratch.event, LAST);
        scratch.nodes.fill(LAST << 2);
        scratch.begin(1, 1, 1);
        assert_eq!((scratch.event, &*scratch.nodes), (1, &[0][..]));
    }
}
