//! What goes in, and what comes out.

use bytes::Bytes;

use super::Lane;
use crate::{context::ContainerId, time::Clock};

/// One event on its way in.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its queue.
    pub lane: Lane,
    /// When it happened.
    pub at: Clock,
    /// An encoded `v1::Record`.
    pub record: Bytes,
    /// What the record refers to by id, so that it can be understood wherever it is sent again.
    pub refers: Vec<Definition>,
}

/// A process or a container that records refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Which.
    pub key: DefinitionKey,
    /// An encoded `v1::Process` or `v1::Container`.
    pub body: Bytes,
}

/// What tells definitions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefinitionKey {
    /// A process with one image.
    Process {
        /// Start of the group leader, ticks of 10 ms since boot.
        start_ticks: u64,
        /// Thread group id.
        tgid: u32,
        /// Version of the image.
        exec_id: u64,
    },
    /// A container as it was known at one time.
    Container {
        /// The runtime's id.
        id: ContainerId,
        /// Goes up when its names come; the receiver needs the newest only.
        version: u32,
    },
}

/// What [`super::Outbox::append`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many events got a number.
    pub events: u64,
    /// How many were refused because of their size; see [`super::MAX_RECORD_BYTES`].
    pub too_large: u64,
    /// The last number of each lane so far, 0 where there is none.
    pub last: super::PerLane<u64>,
    /// All that belongs on disk is in files: it outlives a kill, and power loss after the next
    /// [`super::Outbox::sync`].
    pub on_disk: bool,
}

/// Events with numbers in a row, to be sent.
#[derive(Clone, Debug)]
pub struct OutgoingBatch {
    /// Of the outbox that numbered them.
    pub epoch: u64,
    /// Their lane.
    pub lane: Lane,
    /// Number of the first.
    pub first_sequence: u64,
    /// Encoded `v1::Record`s.
    pub records: Vec<Bytes>,
    /// What these records refer to, each once. Those that the connection knows need not be sent.
    pub refers: Vec<Definition>,
    /// Records and definitions.
    pub bytes: usize,
}

impl OutgoingBatch {
    /// Number of the last.
    #[must_use]
    pub const fn last_sequence(&self) -> u64 {
        self.first_sequence + self.records.len() as u64 - 1
    }
}

/// An outbox: one start of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochId {
    /// Random.
    pub epoch: u64,
    /// Boot id of the kernel that its boottimes belong to.
    pub boot_id: String,
}

/// Up to where the collector has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Of the outbox that numbered it.
    pub epoch: u64,
    /// Lane.
    pub lane: Lane,
    /// The last number.
    pub sequence: u64,
}
