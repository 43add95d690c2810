//! The way to the collector, and whether the agent sees at all.

use super::{
    cell::{Cell, Cells, Latency},
    label::{NameWaitEnd, OutboxLane, UplinkEnd, UplinkPressure},
};
use crate::outbox::OutboxStatus;

/// Events that wait for their container's names before they go to the outbox. `taken` is `events`
/// and the sum of `ended`.
#[derive(Debug, Default)]
pub struct NameWait {
    /// Events that wait now.
    pub events: Cell,
    /// What they take.
    pub bytes: Cell,
    /// Events whose container's names were asked for.
    pub taken: Cell,
    /// Those of them that went on, by why.
    pub ended: Cells<NameWaitEnd>,
}

/// The outbox, as last sampled.
#[derive(Debug, Default)]
pub struct Outbox {
    pub(super) events: Cells<OutboxLane>,
    pub(super) bytes: Cells<OutboxLane>,
    pub(super) capacity: Cells<OutboxLane>,
    pub(super) appended: Cells<OutboxLane>,
    pub(super) acked: Cells<OutboxLane>,
    pub(super) evicted: Cells<OutboxLane>,
    pub(super) too_large: Cell,
    pub(super) memory_only: Cell,
    /// Events that the collector refused, and that were given up.
    pub refused: Cells<OutboxLane>,
}

impl Outbox {
    /// Takes over what it says of itself.
    pub fn sample(&self, status: &OutboxStatus) {
        for lane in &status.lanes {
            let label = OutboxLane::from(lane.lane);
            self.events.of(label).set(lane.events);
            self.bytes.of(label).set(lane.bytes);
            self.capacity.of(label).set(lane.capacity_bytes);
            self.appended.of(label).set(lane.appended);
            self.acked.of(label).set(lane.acked);
            self.evicted.of(label).set(lane.evicted);
        }
        self.too_large.set(status.too_large);
        self.memory_only.set(u64::from(status.memory_only.is_some()));
    }
}

/// The uplink.
#[derive(Debug, Default)]
pub struct Uplink {
    /// 1 while the collector has welcomed the agent.
    pub connected: Cell,
    /// Times it did.
    pub opened: Cell,
    /// Connections that ended or did not come about.
    pub ended: Cells<UplinkEnd>,
    /// Batches that were sent; again, too.
    pub batches: Cells<OutboxLane>,
    /// Events in them.
    pub events: Cells<OutboxLane>,
    /// Their bytes before compression.
    pub bytes: Cells<OutboxLane>,
    /// Bytes that are sent and not acknowledged.
    pub in_flight: Cell,
    /// Pauses that the collector asked for.
    pub pressure: Cells<UplinkPressure>,
    /// From a batch to its ack.
    pub ack_latency: Latency,
}

/// The program that the agent runs to see whether it sees it.
#[derive(Debug, Default)]
pub struct Canary {
    /// Times it ran.
    pub runs: Cell,
    /// Times it was not seen.
    pub failures: Cell,
    /// 1 while it is not seen.
    pub failing: Cell,
    /// From its exec to its record.
    pub latency: Latency,
}
