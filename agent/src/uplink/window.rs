//! What is sent and not acknowledged, on one connection.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::outbox::{Lane, OutgoingBatch, Watermark};

/// Most bytes on their way.
const MAX_BYTES: usize = 8 << 20;
/// Most batches on their way.
const MAX_BATCHES: usize = 64;

/// A batch on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) epoch: u64,
    pub(super) lane: Lane,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) bytes: usize,
    pub(super) sent: Instant,
}

/// The batches on their way, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    batches: VecDeque<InFlight>,
    bytes: usize,
}

/// The collector acknowledged what it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeverSent;

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether one more batch may go.
    pub(super) fn has_room(&self) -> bool {
        self.batches.len() < MAX_BATCHES && self.bytes < MAX_BYTES
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The batch that waits longest.
    pub(super) fn oldest(&self) -> Option<&InFlight> {
        self.batches.front()
    }

    /// The batch, if it is alone.
    pub(super) fn only(&self) -> Option<&InFlight> {
        self.batches.front().filter(|_| self.batches.len() == 1)
    }

    pub(super) fn sent(&mut self, batch: &OutgoingBatch, now: Instant) {
        self.bytes += batch.bytes;
        self.batches.push_back(InFlight {
            epoch: batch.epoch,
            lane: batch.lane,
            first: batch.first_sequence,
            last: batch.last_sequence(),
            bytes: batch.bytes,
            sent: now,
        });
    }

    /// Takes an ack; it may be of a part of a batch.
    ///
    /// # Errors
    /// When it is of numbers that were not sent: what was not sent must not be dropped.
    pub(super) fn ack(&mut self, watermark: Watermark) -> Result<(), NeverSent> {
        let Watermark { epoch, lane, sequence } = watermark;
        let of_it = |batch: &InFlight| batch.epoch == epoch && batch.lane == lane;
        let newest = self.batches.iter().rev().find(|batch| of_it(batch));
        // An older number, or of nothing on its way: a late or repeated one says nothing new.
        let Some(newest) = newest else { return Ok(()) };
        if sequence > newest.last {
            return Err(NeverSent);
        }
        let bytes = &mut self.bytes;
        self.batches.retain(|batch| {
            let stays = !of_it(batch) || batch.last > sequence;
            if !stays {
                *bytes -= batch.bytes;
            }
            stays
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lane: Lane, first: u64, count: usize, bytes: usize) -> OutgoingBatch {
        let records = vec![bytes::Bytes::new(); count];
        OutgoingBatch { epoch: 7, lane, first_sequence: first, records, refers: Vec::new(), bytes }
    }

    fn ack(lane: Lane, sequence: u64) -> Watermark {
        Watermark { epoch: 7, lane, sequence }
    }

    #[test]
    fn room_is_bounded_by_bytes_and_batches() {
        let (mut window, now) = (Window::default(), Instant::now());
        for number in 0..64 {
            assert!(window.has_room());
            window.sent(&batch(Lane::Findings, number + 1, 1, 10), now);
        }
        assert!(!window.has_room());
        window.ack(ack(Lane::Findings, 1)).unwrap();
        assert!(window.has_room());
        window.sent(&batch(Lane::Bulk, 1, 1, MAX_BYTES), now);
        window.ack(ack(Lane::Findings, 64)).unwrap();
        assert!(!window.has_room());
        window.ack(ack(Lane::Bulk, 1)).unwrap();
        assert_eq!((window.is_empty(), window.bytes()), (true, 0));
    }

    #[test]
    fn acks_are_per_epoch_and_lane_and_cumulative() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.sent(&batch(Lane::Findings, 1, 10, 1), now);
        window.sent(&batch(Lane::Detections, 1, 10, 2), now);
        window.sent(&batch(Lane::Findings, 11, 10, 4), now);
        window.ack(ack(Lane::Findings, 15)).unwrap();
        assert_eq!(window.bytes(), 6);
        assert_eq!(window.oldest().unwrap().lane, Lane::Detections);
        window.ack(Watermark { epoch: 8, ..ack(Lane::Detections, 10) }).unwrap();
        window.ack(ack(Lane::Findings, 20)).unwrap();
        assert_eq!(window.only().unwrap().first, 1);
        assert_eq!(window.ack(ack(Lane::Detections, 11)), Err(NeverSent));
        // Repeated, and of a lane of which nothing is on its way.
        window.ack(ack(Lane::Detections, 0)).unwrap();
        window.ack(ack(Lane::Findings, 20)).unwrap();
        assert_eq!(window.bytes(), 2);
    }
}
