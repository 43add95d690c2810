//! Up to where each outbox' events are here.

use std::ops::RangeInclusive;

use hashbrown::HashMap;
use kestrel_proto::v1::{self, Lane};

/// Watermarks of one node: per outbox and lane the last number that is here.
#[derive(Clone, Debug, Default)]
pub struct Watermarks(HashMap<(u64, Lane), u64>);

/// What is to be done with numbered events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// So many of them, from the front, are here already.
    pub known: usize,
    /// Numbers before them that never came.
    pub hole: Option<RangeInclusive<u64>>,
}

impl Watermarks {
    /// The last number that is here; 0 where there is none.
    #[must_use]
    pub fn of(&self, epoch: u64, lane: Lane) -> u64 {
        self.0.get(&(epoch, lane)).copied().unwrap_or_default()
    }

    /// What is new of `count` events from `first` on.
    #[must_use]
    pub fn offer(&self, epoch: u64, lane: Lane, first: u64, count: usize) -> Offer {
        let watermark = self.of(epoch, lane);
        let known = (watermark + 1).saturating_sub(first);
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(count);
        let hole = (first > watermark + 1).then(|| watermark + 1..=first - 1);
        Offer { known, hole }
    }

    /// Everything up to `sequence` is here.
    pub fn advance(&mut self, epoch: u64, lane: Lane, sequence: u64) {
        let watermark = self.0.entry((epoch, lane)).or_default();
        *watermark = sequence.max(*watermark);
    }

    /// Forgets the outboxes that are not listed.
    pub fn retain(&mut self, epochs: &[u64]) {
        self.0.retain(|(epoch, _), _| epochs.contains(epoch));
    }

    /// As agents are told.
    #[must_use]
    pub fn to_proto(&self) -> Vec<v1::Watermark> {
        let told = |(&(epoch, lane), &sequence): (&(u64, Lane), &u64)| v1::Watermark {
            epoch,
            lane: lane.into(),
            sequence,
        };
        self.0.iter().map(told).collect()
    }

    /// From what was told.
    pub fn extend(&mut self, watermarks: &[v1::Watermark]) {
        for watermark in watermarks {
            self.advance(watermark.epoch, watermark.lane(), watermark.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_here_is_dropped_from_the_front() {
        let mut here = Watermarks::default();
        assert_eq!(here.offer(1, Lane::Findings, 1, 5), Offer { known: 0, hole: None });
        here.advance(1, Lane::Findings, 5);
        assert_eq!(here.offer(1, Lane::Findings, 1, 5), Offer { known: 5, hole: None });
        assert_eq!(here.offer(1, Lane::Findings, 4, 5), Offer { known: 2, hole: None });
        assert_eq!(here.offer(1, Lane::Findings, 6, 5), Offer { known: 0, hole: None });
        // Another outbox or lane.
        assert_eq!(here.offer(2, Lane::Findings, 1, 5), Offer { known: 0, hole: None });
        assert_eq!(here.offer(1, Lane::Bulk, 1, 5), Offer { known: 0, hole: None });
    }

    #[test]
    fn a_hole_is_named() {
        let mut here = Watermarks::default();
        assert_eq!(here.offer(1, Lane::Bulk, 4, 1), Offer { known: 0, hole: Some(1..=3) });
        here.advance(1, Lane::Bulk, 10);
        assert_eq!(here.offer(1, Lane::Bulk, 12, 1), Offer { known: 0, hole: Some(11..=11) });
    }

    #[test]
    fn outboxes_that_are_no_more_are_forgotten() {
        let mut here = Watermarks::default();
        here.advance(1, Lane::Bulk, 10);
        here.advance(2, Lane::Bulk, 11);
        here.retain(&[2]);
        assert_eq!((here.of(1, Lane::Bulk), here.of(2, Lane::Bulk)), (0, 11));
    }

    proptest! {
        /// However batches are repeated, cut and overlapped: each number is taken once, in order.
        #[test]
        fn each_number_is_taken_once(batches in proptest::collection::vec((1_u64..60, 1_usize..20), 1..60)) {
            let mut here = Watermarks::default();
            let mut taken = Vec::new();
            for (first, count) in batches {
                let offer = here.offer(9, Lane::Detections, first, count);
                taken.extend((first..).take(count).skip(offer.known));
                here.advance(9, Lane::Detections, first + count as u64 - 1);
            }
            prop_assert!(taken.is_sorted_by(|a, b| a < b), "{taken:?}");
        }
    }
}
