//! What processes and containers do, on its way out of the hot loop.

mod entry;
mod outlet;

use super::buffers::{self, Bounds, Filled, Receiver};

pub(crate) use self::outlet::{is_of, kept};
pub use self::{
    entry::{Activity, ContainerEntry, Entry, LifecycleBatch, ProcessEntry},
    outlet::{LifecycleSender, Processes},
};

/// Buffers that stay.
const BATCHES: usize = 16;
/// Buffers until somebody reads.
const START_BATCHES: usize = 96;
/// Entries of a buffer.
const ENTRIES: usize = 512;
/// Bytes of a buffer for texts. A few entries with the longest texts fill it early.
const BYTES: usize = 128 * 1024;

/// Events that all buffers that stay hold together.
pub const CAPACITY: usize = BATCHES * ENTRIES;

/// The reading end.
pub type LifecycleReceiver = Receiver<LifecycleBatch>;
/// A buffer that was handed over.
pub type FilledLifecycle = Filled<LifecycleBatch>;

/// Makes the buffers.
#[must_use]
pub fn channel(processes: Processes) -> (LifecycleSender, LifecycleReceiver) {
    let (writer, receiver) = buffers::channel(Bounds {
        at: "queue lifecycle",
        buffers: BATCHES,
        start_buffers: START_BATCHES,
        entries: ENTRIES,
        make: || Box::new(LifecycleBatch::with_room(ENTRIES, BYTES)),
    });
    (LifecycleSender::new(writer, processes), receiver)
}
