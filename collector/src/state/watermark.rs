//! How far each outbox of a node got, and what is missing on the way.

use std::collections::BTreeMap;

use prost::Message;

/// Most ranges that are kept of a lane; beyond, the lowest are only counted.
const RANGES: usize = 4096;

/// Numbers from and to, both included, disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds a range; how many numbers had to go for it.
    fn add(&mut self, mut from: u64, mut to: u64) -> u64 {
        if from > to {
            return 0;
        }
        while let Some((&start, &end)) = self.0.range(..=to.saturating_add(1)).next_back() {
            if end.saturating_add(1) < from {
                break;
            }
            self.0.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.0.insert(from, to);
        if self.0.len() <= RANGES {
            return 0;
        }
        self.0.pop_first().map_or(0, |(from, to)| to - from + 1)
    }

    /// Removes what lies in a range; how many numbers that were.
    fn remove(&mut self, from: u64, to: u64) -> u64 {
        let mut removed = 0;
        while let Some((&start, &end)) = self.0.range(..=to).next_back() {
            if end < from {
                break;
            }
            self.0.remove(&start);
            if start < from {
                self.0.insert(start, from - 1);
            }
            if end > to {
                self.0.insert(to + 1, end);
            }
            removed += end.min(to) - start.max(from) + 1;
        }
        removed
    }

    fn numbers(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from + 1).sum()
    }
}

/// One lane of one outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneMark {
    sequence: u64,
    /// Below `sequence`, missing and not explained.
    holes: Ranges,
    /// Above `sequence`, and said to be missing.
    ahead: Ranges,
    /// Not explained, and not kept as ranges any more.
    forgotten: u64,
}

impl LaneMark {
    /// The last number that is there or known to be missing, with all before it there, missing, or
    /// counted by [`Self::unexplained`].
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Numbers that are missing and that no gap explains.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        self.holes.numbers() + self.forgotten
    }

    /// Takes so many events from number `first` on. Says how many of the front are known already.
    pub fn take(&mut self, first: u64, count: u64) -> u64 {
        let Some(last) = first.checked_add(count).and_then(|end| end.checked_sub(1)) else { return count };
        if count == 0 || last <= self.sequence {
            return count;
        }
        let known = (self.sequence + 1).saturating_sub(first);
        if first > self.sequence + 1 {
            let (from, to) = (self.sequence + 1, first - 1);
            self.forgotten += self.holes.add(from, to);
            for (start, end) in
                self.ahead.0.range(..=to).map(|(&start, &end)| (start, end)).collect::<Vec<_>>()
            {
                self.holes.remove(start, end);
            }
        }
        self.ahead.remove(0, last);
        self.sequence = last;
        self.pass_gaps();
        known
    }

    /// Numbers that will never arrive. Says how many of them are not there, and were not said before.
    pub fn gap(&mut self, from: u64, to: u64) -> u64 {
        if from == 0 || from > to || to == u64::MAX {
            return 0;
        }
        let mut missing = self.holes.remove(from, to);
        let above = from.max(self.sequence + 1);
        if above <= to {
            let before = self.ahead.numbers();
            let lost = self.ahead.add(above, to);
            missing += (self.ahead.numbers() + lost).saturating_sub(before);
            self.pass_gaps();
        }
        missing
    }

    /// A gap right behind the last number is as good as its events.
    fn pass_gaps(&mut self) {
        while let Some((&from, &to)) = self.ahead.0.first_key_value() {
            if from > self.sequence + 1 {
                break;
            }
            self.ahead.0.pop_first();
            self.sequence = self.sequence.max(to);
        }
    }

    pub(super) fn store(&self, epoch: u64, lane: i32) -> StoredLane {
        let Self { sequence, holes, ahead, forgotten } = self;
        let flat = |ranges: &Ranges| ranges.0.iter().flat_map(|(&from, &to)| [from, to]).collect();
        StoredLane {
            epoch,
            lane,
            sequence: *sequence,
            holes: flat(holes),
            ahead: flat(ahead),
            forgotten: *forgotten,
        }
    }

    pub(super) fn restore(stored: &StoredLane) -> Self {
        let ranges = |flat: &[u64]| {
            let (pairs, _) = flat.as_chunks::<2>();
            Ranges(pairs.iter().filter(|[from, to]| from <= to).map(|&[from, to]| (from, to)).collect())
        };
        let StoredLane { epoch: _, lane: _, sequence, holes, ahead, forgotten } = stored;
        Self { sequence: *sequence, holes: ranges(holes), ahead: ranges(ahead), forgotten: *forgotten }
    }
}

/// A lane in the snapshot.
#[derive(Clone, PartialEq, Message)]
pub struct StoredLane {
    #[prost(fixed64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(int32, tag = "2")]
    pub(super) lane: i32,
    #[prost(uint64, tag = "3")]
    sequence: u64,
    #[prost(uint64, repeated, tag = "4")]
    holes: Vec<u64>,
    #[prost(uint64, repeated, tag = "5")]
    ahead: Vec<u64>,
    #[prost(uint64, tag = "6")]
    forgotten: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holes_and_gaps() {
        let mut lane = LaneMark::default();
        assert_eq!(lane.take(1, 10), 0);
        assert_eq!(lane.take(5, 10), 6);
        assert_eq!(lane.take(5, 3), 3);
        assert_eq!((lane.sequence(), lane.unexplained()), (14, 0));
        // 15 to 19 are missing; then part of them is explained, with some that are there.
        assert_eq!(lane.take(20, 1), 0);
        assert_eq!(lane.unexplained(), 5);
        assert_eq!(lane.gap(10, 16), 2);
        assert_eq!(lane.unexplained(), 3);
        assert_eq!(lane.gap(10, 16), 0);
        // Said before it is seen.
        assert_eq!(lane.gap(30, 39), 10);
        assert_eq!(lane.sequence(), 20);
        assert_eq!(lane.take(40, 1), 0);
        assert_eq!(lane.unexplained(), 3 + 9);
        assert_eq!(lane.gap(41, 50), 10);
        assert_eq!(lane.sequence(), 50);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u64, u64),
        Gap(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        (1_u64..60, 1_u64..12, any::<bool>()).prop_map(|(at, count, take)| {
            if take { Step::Take(at, count) } else { Step::Gap(at, at + count) }
        })
    }

    proptest! {
        /// Against sets of numbers.
        #[test]
        fn as_a_set_says(steps in prop::collection::vec(step(), 0..40)) {
            let mut lane = LaneMark::default();
            let (mut seen, mut said) = (BTreeSet::new(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Take(first, count) => {
                        // What comes below the mark is dropped, whether or not it is known.
                        let fresh = (first..first + count).filter(|&number| number > lane.sequence()).count();
                        let mark = lane.sequence();
                        prop_assert_eq!(count - lane.take(first, count), fresh as u64);
                        seen.extend((first..first + count).filter(|&number| number > mark));
                    }
                    Step::Gap(from, to) => {
                        let fresh = (from..=to).filter(|number| !seen.contains(number) && !said.contains(number)).count();
                        prop_assert_eq!(lane.gap(from, to), fresh as u64);
                        said.extend(from..=to);
                    }
                }
                let missing =
                    (1..=lane.sequence()).filter(|number| !seen.contains(number) && !said.contains(number)).count();
                prop_assert_eq!(lane.unexplained(), missing as u64);
                prop_assert_eq!(LaneMark::restore(&lane.store(0, 0)), lane.clone());
            }
        }
    }
}
