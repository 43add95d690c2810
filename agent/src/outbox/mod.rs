//! The durable queue on the node: what the collector has not acknowledged.
//!
//! An [`Outbox`] numbers events per lane, keeps them until they are acknowledged, and says which it
//! had to let go. One thread appends, another sends.

mod chunk;
mod gap;
mod item;
mod lane;
mod queue;
mod refuse;
mod state;
mod status;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kestrel_proto::v1;
use prost::Message;
use tokio::sync::Notify;

use self::{
    chunk::Builder,
    queue::Chunk,
    state::{Next, State},
};
pub use self::{
    item::{Appended, Definition, DefinitionKey, EpochId, Item, OutgoingBatch, Watermark},
    lane::{Lane, PerLane},
    status::{LaneStatus, OutboxStatus},
};
use crate::pipeline::clock;

/// A record with what it refers to may not be larger; such a one is counted and dropped.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

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
    // Lock order: writer, then state.
    writer: Mutex<Writer>,
    state: Mutex<State>,
    changed: Notify,
}

// Gives numbers.
#[derive(Debug)]
struct Writer {
    last: PerLane<u64>,
}

impl Outbox {
    /// Opens or makes the queue in the folder `dir`. It never fails: where the disk cannot be used,
    /// events are kept in memory, and [`Opened::problem`] says why.
    #[must_use]
    pub fn open(dir: &Path, options: Options) -> (Self, Opened) {
        let _ = dir;
        let epoch = random();
        let id = EpochId { epoch, boot_id: options.boot_id.clone() };
        let shared = Shared {
            writer: Mutex::new(Writer { last: PerLane::default() }),
            state: Mutex::new(State::new(id, options)),
            changed: Notify::new(),
        };
        (Self { shared: Arc::new(shared) }, Opened { epoch, left: PerLane::default(), problem: None })
    }

    /// Numbers events and keeps them; `items` is empty afterwards. What belongs on disk is in the
    /// page cache when this returns, so that it outlives a kill. Blocks on the disk: for one thread
    /// that may wait.
    pub fn append(&self, items: &mut Vec<Item>) -> Appended {
        let mut writer = lock(&self.shared.writer);
        let mut appended = Appended::default();
        let mut builders: PerLane<Vec<(Builder, u64, u64)>> = PerLane::default();
        for item in items.drain(..) {
            if chunk::size(&item) > MAX_RECORD_BYTES {
                appended.too_large += 1;
                continue;
            }
            appended.events += 1;
            let Item { lane, at, record, refers } = item;
            let chunks = &mut builders[lane.index()];
            if chunks.last().is_none_or(|(builder, ..)| builder.is_full()) {
                chunks.push((Builder::default(), at.boottime_ns, at.boottime_ns));
            }
            if let Some((builder, _, to_ns)) = chunks.last_mut() {
                builder.push(record, refers);
                *to_ns = at.boottime_ns;
            }
        }
        let mut state = lock(&self.shared.state);
        state.counts.too_large += appended.too_large;
        for (lane, chunks) in Lane::ALL.into_iter().zip(builders) {
            for (builder, from_ns, to_ns) in chunks {
                let chunk = writer.number(lane, builder, (from_ns, to_ns), Vec::new());
                state.push(lane, chunk);
            }
        }
        if state.gaps_wanted {
            writer.tell_gaps(&mut state);
        }
        drop(state);
        appended.last = writer.last;
        self.shared.changed.notify_one();
        appended
    }

    /// Makes what was appended outlive power loss. Call it at least once a second, also when nothing
    /// was appended: it removes from disk what was acknowledged. `false`: events are kept in memory
    /// only. Blocks on the disk.
    pub fn sync(&self) -> bool {
        false
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
        let mut state = lock(&self.shared.state);
        if !state.gaps.is_empty() && !state.has_unsent_findings() {
            drop(state);
            match self.shared.writer.try_lock() {
                Ok(mut writer) => writer.tell_gaps(&mut lock(&self.shared.state)),
                Err(_) => lock(&self.shared.state).gaps_wanted = true,
            }
            state = lock(&self.shared.state);
        }
        match state.next(max_bytes) {
            Next::Batch(batch) => Some(batch),
            Next::Read(_) | Next::Nothing => None,
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

impl Writer {
    fn number(
        &mut self,
        lane: Lane,
        builder: Builder,
        (from_ns, to_ns): (u64, u64),
        gaps: Vec<gap::GapRange>,
    ) -> Chunk {
        let body = builder.finish();
        let first = self.last[lane.index()] + 1;
        let count = body.records.len() as u64;
        self.last[lane.index()] += count;
        let cost = body.cost();
        Chunk { first, count, cost, from_ns, to_ns, stored: false, body: Some(Arc::new(body)), gaps }
    }

    // Gaps get numbers of their own, as late as can be, so that adjacent ones are told as one.
    fn tell_gaps(&mut self, state: &mut State) {
        state.gaps_wanted = false;
        let gaps = state.gaps.take();
        if gaps.is_empty() {
            return;
        }
        let now = clock::now();
        let mut builder = Builder::default();
        for gap in &gaps {
            let record = v1::Record {
                boottime_ns: now.boottime_ns,
                wall_unix_ns: now.wall_ns as i64,
                event: Some(v1::record::Event::Gap(gap.to_proto())),
            };
            builder.push(record.encode_to_vec().into(), []);
        }
        let chunk = self.number(Lane::Findings, builder, (now.boottime_ns, now.boottime_ns), gaps);
        state.push(Lane::Findings, chunk);
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
