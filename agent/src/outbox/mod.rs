//! The durable queue on the node: what the collector has not acknowledged.
//!
//! An [`Outbox`] numbers events per lane, keeps them until they are acknowledged, and says which it
//! had to let go. One thread appends, another sends.
//!
//! What holds:
//! - After [`Outbox::append`] with `on_disk`, findings and detections outlive a kill; after
//!   [`Outbox::sync`] also power loss. The next start sends them under their old epoch.
//! - Every number that was given is acknowledged, here, or named by a gap in the findings lane. After
//!   a kill that is so as far as `outbox.mark` could be written (see `mark.rs`): events of a full
//!   disk and of the lane bulk are named as gaps, those of a disk that was read-only all along are
//!   not. After power loss, numbers that were given and not synced may be unknown to the next start.
//! - Lanes share no room: each has bounds of its own, in memory and on disk. When its memory is full,
//!   what is on disk leaves memory and is read back; when there is no more room, the oldest go, and
//!   a gap says so. A gap that has to go is told again.
//! - A gap may name numbers that the collector has: they were sent, and not acknowledged in time.

mod chunk;
mod gap;
mod item;
mod lane;
mod mark;
mod queue;
mod recover;
mod refuse;
mod state;
mod status;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub use self::{
    item::{Appended, Definition, DefinitionKey, EpochId, Item, OutgoingBatch, Watermark},
    lane::{Lane, PerLane},
    status::{LaneStatus, OutboxStatus},
};
use self::{
    queue::Chunk,
    state::{Next, State, Wanted},
    store::Reader,
    writer::Writer,
};

/// A record with what it refers to may not be larger; such a one is counted and dropped.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// A part of the disk that cannot be read is given up after that time.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// How much is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Boot id of the running kernel.
    pub boot_id: String,
    /// Bytes in memory, by lane.
    pub memory_bytes: PerLane<u64>,
    /// Bytes on disk, by lane; [`Lane::Bulk`] is not kept there.
    pub disk_bytes: PerLane<u64>,
}

impl Options {
    /// The defaults: 8, 32 and 16 MiB in memory, 64 and 256 MiB on disk.
    #[must_use]
    pub fn new(boot_id: &str) -> Self {
        Self {
            boot_id: boot_id.to_owned(),
            memory_bytes: [8 << 20, 32 << 20, 16 << 20],
            disk_bytes: [64 << 20, 256 << 20, 0],
        }
    }
}

/// What [`Outbox::open`] found.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The epoch of this start.
    pub epoch: u64,
    /// Events that earlier starts left, by lane.
    pub left: PerLane<u64>,
    /// What is wrong, as a sentence.
    pub problem: Option<String>,
}

/// A handle; clones share the queue.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    // Lock order: writer, reader, state. The state is never locked while a disk is waited for.
    writer: Mutex<Writer>,
    reader: Mutex<ReadSide>,
    state: Mutex<State>,
    changed: Notify,
    dir: PathBuf,
}

// The end that reads back.
#[derive(Debug, Default)]
struct ReadSide {
    reader: Option<Reader>,
    failing_since: Option<Instant>,
}

impl Outbox {
    /// Opens or makes the queue in the folder `dir`, which nobody else may use. It never fails: where
    /// the disk cannot be used, events are kept in memory, and [`Opened::problem`] says why.
    #[must_use]
    pub fn open(dir: &Path, options: Options) -> (Self, Opened) {
        let epoch = random();
        let id = EpochId { epoch, boot_id: options.boot_id.clone() };
        let (writer, gaps) = Writer::new(dir, id.clone());
        let mut state = State::new(id, options);
        for gap in gaps {
            state.gaps.add(gap);
        }
        let shared = Arc::new(Shared {
            writer: Mutex::new(writer),
            reader: Mutex::default(),
            state: Mutex::new(state),
            changed: Notify::new(),
            dir: dir.to_owned(),
        });
        let mut writer = lock(&shared.writer);
        writer.commit(&shared, Vec::new());
        let problem = writer.problem.take();
        drop(writer);
        let state = lock(&shared.state);
        let left = state.status().lanes.map(|lane| lane.events);
        let problem = state.memory_only.clone().or(problem);
        drop(state);
        (Self { shared }, Opened { epoch, left, problem })
    }

    /// Numbers events and keeps them; `items` is empty afterwards. What belongs on disk is in the
    /// page cache when this returns, so that it outlives a kill. Blocks on the disk: for one thread
    /// that may wait.
    pub fn append(&self, items: &mut Vec<Item>) -> Appended {
        let mut writer = lock(&self.shared.writer);
        let count = items.len() as u64;
        let (chunks, too_large) = writer.number(items.drain(..), MAX_RECORD_BYTES);
        lock(&self.shared.state).counts.too_large += too_large;
        let on_disk = writer.commit(&self.shared, chunks);
        let last = writer.last();
        drop(writer);
        self.shared.changed.notify_one();
        Appended { events: count - too_large, too_large, last, on_disk }
    }

    /// Makes what was appended outlive power loss. Call it at least once a second, also when nothing
    /// was appended: it removes from disk what was acknowledged. `false`: events are kept in memory
    /// only. Blocks on the disk.
    pub fn sync(&self) -> bool {
        let mut writer = lock(&self.shared.writer);
        let is_needed = lock(&self.shared.state).needs_commit();
        if is_needed {
            writer.commit(&self.shared, Vec::new());
        }
        let is_synced = writer.sync(&self.shared);
        if lock(&self.shared.state).gaps_wanted {
            writer.commit(&self.shared, Vec::new());
        }
        drop(writer);
        if lock(&self.shared.state).has_unsent() {
            self.shared.changed.notify_one();
        }
        is_synced
    }

    /// Every outbox of which something is here, the current one last.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochId> {
        lock(&self.shared.state).epochs.iter().map(|epoch| epoch.id.clone()).collect()
    }

    /// Begins a connection: what the collector has is dropped, everything else is to be sent again.
    pub fn resume(&self, watermarks: &[Watermark]) {
        let mut state = lock(&self.shared.state);
        for watermark in watermarks {
            state.ack(*watermark);
        }
        state.rewind();
    }

    /// The next events to be sent: of the highest lane first, of the oldest epoch first; at least
    /// one, and more up to `max_bytes` with what they refer to. `None`: all is sent, until
    /// [`Outbox::changed`] says otherwise. May read from disk.
    #[must_use]
    pub fn next_batch(&self, max_bytes: usize) -> Option<OutgoingBatch> {
        self.tell_gaps();
        loop {
            // A statement of its own: the lock ends with it.
            let next = lock(&self.shared.state).next(max_bytes);
            match next {
                Next::Batch(batch) => return Some(batch),
                Next::Nothing => return None,
                Next::Read(wanted) => {
                    let chunks = self.shared.read(wanted)?;
                    lock(&self.shared.state).loaded(wanted, chunks);
                }
            }
        }
    }

    // When there is nothing else to send in the findings lane, gaps get their numbers.
    fn tell_gaps(&self) {
        let mut state = lock(&self.shared.state);
        if state.gaps.is_empty() || state.has_unsent_findings() {
            return;
        }
        state.gaps_wanted = true;
        drop(state);
        // Else the thread that has it does it.
        if let Ok(mut writer) = self.shared.writer.try_lock() {
            writer.commit(&self.shared, Vec::new());
        }
    }

    /// Everything up to `sequence` is on the collector's disk.
    pub fn ack(&self, epoch: u64, lane: Lane, sequence: u64) {
        lock(&self.shared.state).ack(Watermark { epoch, lane, sequence });
    }

    /// Waits until there may be something new to send. For one waiter; a change that came before the
    /// call counts.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> OutboxStatus {
        lock(&self.shared.state).status()
    }
}

impl Shared {
    // Reads chunks back from disk; `None`: not now.
    fn read(&self, wanted: Wanted) -> Option<Vec<Chunk>> {
        let Wanted { epoch, lane, first, last } = wanted;
        let mut side = lock(&self.reader);
        let read = match side.reader.take().map_or_else(|| Reader::open(&self.dir), Ok) {
            Ok(reader) => reader.chunks(epoch, lane, (first, last)).map(|chunks| (reader, chunks)),
            Err(error) => Err(error),
        };
        match read {
            Ok((reader, chunks)) => {
                *side = ReadSide { reader: Some(reader), failing_since: None };
                let chunks = chunks.into_iter().map(|(head, body)| {
                    let gaps = if head.is_gaps { recover::gaps(&body) } else { Vec::new() };
                    recover::chunk(head, Some(body), gaps)
                });
                Some(chunks.collect())
            }
            Err(error) => {
                tracing::warn!(%error, "a part of the outbox cannot be read back");
                // What stays unreadable may not hold up the rest.
                let since = *side.failing_since.get_or_insert_with(Instant::now);
                (since.elapsed() > READ_PATIENCE).then(Vec::new)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// From the OS; never 0, which means no outbox.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // Fails only before the kernel's pool is ready, and then waits.
    while rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) != Ok(8) {}
    u64::from_le_bytes(bytes).max(1)
}
