//! Events that the collector will not take.

use super::{
    Lane, Outbox, Watermark,
    gap::{GapRange, Reason},
    lock,
};

impl Outbox {
    /// The collector refuses this event, the oldest of its lane that is not acknowledged, for good:
    /// it is dropped, and a gap says so.
    pub fn refuse(&self, epoch: u64, lane: Lane, sequence: u64) {
        let mut state = lock(&self.shared.state);
        let Some(queue) = state.queue(epoch, lane) else { return };
        let Some(chunk) = queue.chunks().front().filter(|_| queue.floor() == Some(sequence)) else { return };
        let (from_ns, to_ns) = (chunk.from_ns, chunk.to_ns);
        let reason = Reason::Refused;
        let gap = GapRange { epoch, lane, from: sequence, to: sequence, reason, from_ns, to_ns };
        state.gaps.add(gap);
        state.ack(Watermark { epoch, lane, sequence });
        state.counts.acked[lane.index()] -= 1;
        drop(state);
        self.shared.changed.notify_one();
    }
}
