//! Raw events on their way out of the hot loop: calls, sockets, packets, and what the kernel does.
//!
//! A record goes as it is, so that the loop does no more than copy it; whoever reads it decodes it
//! again. Beside it go its process and its container, each once a buffer.
//!
//! There are two ways, each with its own buffers, so that neither a flood of raw events can hold up
//! what processes and containers do ([`super::lifecycle`]), nor a flood of opens the rare calls:
//!
//! | way | what |
//! |---|---|
//! | `rare` | records of the critical ring, kills for memory, signals for the agent, kernel parameters |
//! | `bulk` | everything else |

mod entry;
mod narrow;
mod outlet;
mod streams;

pub use self::{
    entry::{RawBatch, RawEntry},
    narrow::Narrow,
    outlet::RawSender,
    streams::RawStreams,
};
use super::buffers::{self, Bounds, Filled, Receiver};

/// Buffers of rare events.
const RARE_BATCHES: usize = 8;
/// Buffers of rare events until somebody reads: what a ring may hold at start is not lost.
const RARE_START_BATCHES: usize = 48;
/// Buffers of bulk events.
const BULK_BATCHES: usize = 16;
/// Entries of a buffer.
const ENTRIES: usize = 512;

/// Rare events that all buffers hold together.
pub const RARE_CAPACITY: usize = RARE_BATCHES * ENTRIES;
/// Bulk events that all buffers hold together.
pub const BULK_CAPACITY: usize = BULK_BATCHES * ENTRIES;

/// A buffer that was handed over.
pub type FilledRaw = Filled<RawBatch>;

/// The reading ends.
pub struct RawReceivers {
    /// Of rare events.
    pub rare: Receiver<RawBatch>,
    /// Of bulk events.
    pub bulk: Receiver<RawBatch>,
}

/// Makes the buffers. Without `streams` nobody wants any of it; `narrow` where the
/// kernel sends more than they want.
#[must_use]
pub fn channel(streams: Option<RawStreams>, narrow: Option<Narrow>) -> (RawSender, RawReceivers) {
    let (rare, rare_out) = buffers::channel(bounds("queue rare", RARE_BATCHES, RARE_START_BATCHES));
    let (bulk, bulk_out) = buffers::channel(bounds("queue bulk", BULK_BATCHES, BULK_BATCHES));
    (RawSender::new(rare, bulk, streams, narrow), RawReceivers { rare: rare_out, bulk: bulk_out })
}

const fn bounds(at: &'static str, buffers: usize, start_buffers: usize) -> Bounds<RawBatch> {
    Bounds { at, buffers, start_buffers, entries: ENTRIES, make: || Box::new(RawBatch::new()) }
}
