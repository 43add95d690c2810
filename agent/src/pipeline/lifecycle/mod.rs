//! What processes and containers do, on its way out of the hot loop.
//!
//! The loop fills buffers that were made at start and are used again, so that it neither allocates
//! nor waits. A buffer is handed over at the end of a round if the other side has none left to
//! read, else when it is full: a slow reader gets few full buffers instead of many empty ones. With
//! no free buffer an event is counted, and the count is told as a [`Lost`] when there is room again.
//! Only at start, before anybody reads, more buffers are made: the rings may be full of what
//! happened while no agent ran.

mod entry;
mod outlet;

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

pub use self::{
    entry::{Activity, ContainerEntry, Entry, LifecycleBatch, Piece, ProcessEntry},
    outlet::{LifecycleSender, Lost, Processes},
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

struct Shared {
    free: ArrayQueue<Box<LifecycleBatch>>,
    filled: ArrayQueue<Box<LifecycleBatch>>,
    /// A buffer was handed over, or the sender is gone.
    changed: Notify,
    closed: AtomicBool,
    /// Somebody reads.
    is_read: AtomicBool,
}

/// Makes the buffers.
#[must_use]
pub fn channel(processes: Processes) -> (LifecycleSender, LifecycleReceiver) {
    let shared = Arc::new(Shared {
        free: ArrayQueue::new(BATCHES),
        filled: ArrayQueue::new(START_BATCHES),
        changed: Notify::new(),
        closed: AtomicBool::new(false),
        is_read: AtomicBool::new(false),
    });
    for _ in 0..BATCHES {
        // There is room for all of them.
        let _ = shared.free.push(new_batch());
    }
    (LifecycleSender::new(Arc::clone(&shared), processes), LifecycleReceiver { shared })
}

fn new_batch() -> Box<LifecycleBatch> {
    Box::new(LifecycleBatch::with_room(ENTRIES, BYTES))
}

/// The reading end.
pub struct LifecycleReceiver {
    shared: Arc<Shared>,
}

impl LifecycleReceiver {
    /// The next buffer, once there is one; `None` when the hot loop has ended and all were read.
    /// May be dropped while it waits; nothing is lost by that.
    pub async fn recv(&mut self) -> Option<Filled> {
        loop {
            let closed = self.shared.closed.load(Ordering::Acquire);
            if let Some(filled) = self.try_recv() {
                return Some(filled);
            }
            if closed {
                return None;
            }
            self.shared.changed.notified().await;
        }
    }

    /// The next buffer, if there is one.
    pub fn try_recv(&mut self) -> Option<Filled> {
        self.shared.is_read.store(true, Ordering::Relaxed);
        let batch = self.shared.filled.pop()?;
        Some(Filled { batch: Some(batch), shared: Arc::clone(&self.shared) })
    }
}

/// A buffer that was handed over; goes back when it is dropped.
pub struct Filled {
    batch: Option<Box<LifecycleBatch>>,
    shared: Arc<Shared>,
}

impl Deref for Filled {
    type Target = LifecycleBatch;

    fn deref(&self) -> &LifecycleBatch {
        self.batch.as_deref().expect("it is there until it is dropped")
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        if let Some(mut batch) = self.batch.take() {
            // Here, so that names that nobody else holds are freed here and not in the hot loop.
            batch.clear();
            // One of those that were made at start goes.
            let _ = self.shared.free.push(batch);
        }
    }
}
