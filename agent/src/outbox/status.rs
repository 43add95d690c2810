//! How full an outbox is.

use super::{Lane, PerLane};

/// How an outbox is, all its epochs together.
#[derive(Clone, Debug)]
pub struct OutboxStatus {
    /// Its lanes, in the order of [`Lane::ALL`].
    pub lanes: PerLane<LaneStatus>,
    /// Why nothing is written to disk for now, as a sentence; `None`: all is on disk.
    pub memory_only: Option<String>,
    /// Events that were not sent since the last [`super::Outbox::resume`].
    pub unsent: u64,
    /// Events that were refused because of their size, since the start.
    pub too_large: u64,
    /// Outboxes of which something is left, this one included.
    pub epochs: usize,
}

/// How a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Which.
    pub lane: Lane,
    /// Events that are not acknowledged.
    pub events: u64,
    /// What they take, with the room for keeping them.
    pub bytes: u64,
    /// More of them are evicted, the oldest first.
    pub capacity_bytes: u64,
    /// Of these, in memory.
    pub memory_bytes: u64,
    /// Boottime of the oldest of this boot.
    pub oldest_boottime_ns: Option<u64>,
    /// Events that got a number since the start.
    pub appended: u64,
    /// Events that were acknowledged since the start.
    pub acked: u64,
    /// Events that left for want of room, or because they could not be read back, since the start.
    pub evicted: u64,
}
