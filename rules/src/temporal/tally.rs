//! How often something was seen of late.

use std::collections::VecDeque;

/// What was seen, with what tells it from others, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen: VecDeque<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at_ns: u64,
    /// Of the value that is counted; none where events are.
    value: Option<u64>,
}

impl Tally {
    /// How much it remembers.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Notes one more, and gives since when there are so many within the time, if there are. A value that was
    /// seen before counts once, with its last time.
    pub(super) fn note(
        &mut self,
        at_ns: u64,
        value: Option<u64>,
        within_ns: u64,
        at_least: usize,
    ) -> Option<u64> {
        if value.is_some()
            && let Some(known) = self.seen.iter().position(|seen| seen.value == value)
        {
            let at_ns = at_ns.max(self.seen.get(known).map_or(0, |seen| seen.at_ns));
            self.seen.remove(known);
            self.put(Seen { at_ns, value });
        } else {
            self.put(Seen { at_ns, value });
        }
        let newest_ns = self.seen.back().map_or(at_ns, |seen| seen.at_ns);
        while self.seen.front().is_some_and(|seen| newest_ns - seen.at_ns >= within_ns) {
            self.seen.pop_front();
        }
        let first = self.seen.front()?;
        (self.seen.len() >= at_least).then_some(first.at_ns)
    }

    /// Behind what was before it: events of several CPUs may come a little out of order.
    fn put(&mut self, seen: Seen) {
        let earlier = self.seen.iter().rev().take_while(|other| other.at_ns > seen.at_ns).count();
        self.seen.insert(self.seen.len() - earlier, seen);
    }
}
