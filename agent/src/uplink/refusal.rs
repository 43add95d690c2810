//! What to do when the collector refuses a message: find the event it does not like, and go on with
//! the others.
//!
//! The collector does not say which message it was. So the first refusal makes the agent careful: it
//! sends one batch, waits for its ack, sends the next. A batch that is refused then is sent again in
//! smaller parts, down to one event. One that is refused alone several times is given up.

use super::window::{InFlight, Window};

/// Refusals of an event alone before it is given up: with the pauses between them, a collector that
/// refuses everything costs few events until somebody looks.
const TIMES: u32 = 3;
/// By how much parts get smaller, and larger again.
const FACTOR: usize = 4;

/// How far the search is.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Most bytes of a batch while careful.
    limit: Option<usize>,
    /// The event that was refused alone, and how often.
    alone: Option<(InFlight, u32)>,
}

impl Refusals {
    /// One batch at a time, and nothing else.
    pub(super) const fn is_careful(&self) -> bool {
        self.limit.is_some()
    }

    /// Most bytes of a batch.
    pub(super) fn limit(&self, most: usize) -> usize {
        self.limit.map_or(most, |limit| limit.min(most))
    }

    /// The collector refused something while this was on its way. The event to be given up.
    pub(super) fn refused(&mut self, window: &Window, most: usize) -> Option<InFlight> {
        // Nothing of the outbox was on its way.
        let oldest = window.oldest()?;
        if self.limit.is_none() {
            self.limit = Some(most);
            return None;
        }
        let batch = window.only().copied().unwrap_or(*oldest);
        if batch.first < batch.last {
            self.limit = Some((batch.bytes / FACTOR).max(1));
            return None;
        }
        let before = self.alone.filter(|(before, _)| is_same(before, &batch)).map_or(0, |(_, times)| times);
        if before + 1 < TIMES {
            self.alone = Some((batch, before + 1));
            return None;
        }
        self.alone = None;
        Some(batch)
    }

    /// The collector took a batch.
    pub(super) fn acked(&mut self, most: usize) {
        if let Some(limit) = self.limit {
            // From very few bytes on: a batch has at least one event.
            let wider = limit.max(64).saturating_mul(FACTOR);
            self.limit = (wider < most).then_some(wider);
        }
    }
}

fn is_same(one: &InFlight, other: &InFlight) -> bool {
    (one.epoch, one.lane, one.first) == (other.epoch, other.lane, other.first)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::outbox::{Lane, OutgoingBatch};

    const MOST: usize = 256 << 10;

    fn window(first: u64, count: usize) -> Window {
        let mut window = Window::default();
        window.sent(
            &OutgoingBatch {
                epoch: 1,
                lane: Lane::Findings,
                first_sequence: first,
                records: vec![Bytes::new(); count],
                refers: Vec::new(),
                bytes: count * 100,
            },
            Instant::now(),
        );
        window
    }

    #[test]
    fn a_batch_is_cut_until_the_event_is_alone() {
        let mut refusals = Refusals::default();
        // Not about a batch.
        assert!(refusals.refused(&Window::default(), MOST).is_none() && !refusals.is_careful());
        assert!(refusals.refused(&window(1, 256), MOST).is_none());
        assert_eq!((refusals.is_careful(), refusals.limit(MOST)), (true, MOST));
        assert!(refusals.refused(&window(1, 256), MOST).is_none());
        assert_eq!(refusals.limit(MOST), 6400);
        assert!(refusals.refused(&window(1, 64), MOST).is_none());
        refusals.refused(&window(1, 16), MOST);
        refusals.refused(&window(1, 4), MOST);
        assert_eq!(refusals.limit(MOST), 100);
        assert!(refusals.refused(&window(1, 1), MOST).is_none());
        assert!(refusals.refused(&window(1, 1), MOST).is_none());
        assert_eq!(refusals.refused(&window(1, 1), MOST).unwrap().first, 1);
    }

    #[test]
    fn what_is_taken_makes_it_bold_again() {
        let mut refusals = Refusals::default();
        refusals.refused(&window(1, 1), MOST);
        for number in [1, 2, 1] {
            // Another event starts the count anew.
            assert!(refusals.refused(&window(number, 1), MOST).is_none());
        }
        refusals.limit = Some(1);
        let mut acks = 0;
        while refusals.is_careful() {
            refusals.acked(MOST);
            acks += 1;
        }
        assert_eq!((acks, refusals.limit(MOST)), (6, MOST));
    }
}
