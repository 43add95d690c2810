//! What is known of everything that is kept: looked at by both threads, under a lock that nobody
//! holds while it waits for a disk.

use std::{collections::VecDeque, sync::Arc};

use super::{
    EpochId, Lane, LaneStatus, Options, OutboxStatus, OutgoingBatch, PerLane, Watermark,
    chunk::Body,
    gap::{GapRange, Gaps, Reason},
    queue::{Chunk, Queue},
    recover::Recovered,
    store::{Cleanup, Row},
};

/// Of earlier starts; of more, the oldest go.
const MAX_EARLIER_EPOCHS: usize = 64;

/// One epoch.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) id: EpochId,
    pub(super) queues: PerLane<Queue>,
}

impl Epoch {
    pub(super) fn new(id: EpochId) -> Self {
        Self { id, queues: Default::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(Queue::is_empty)
    }
}

/// Numbers since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) appended: PerLane<u64>,
    pub(super) acked: PerLane<u64>,
    pub(super) evicted: PerLane<u64>,
    pub(super) too_large: u64,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// To be known, the oldest first.
    pub(super) epochs: Vec<EpochId>,
    /// Chunks that are not on disk.
    pub(super) rows: Vec<Row>,
    /// What goes.
    pub(super) cleanup: Cleanup,
    // What was in memory only until now: the rest of the rows is new.
    caught_up: usize,
    trims: Vec<(u64, Lane, u64)>,
    gaps_version: u64,
}

impl Plan {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.epochs.is_empty() && self.rows.is_empty() && self.cleanup.is_empty()
    }
}

/// What a batch needs next.
pub(super) enum Next {
    /// A batch.
    Batch(OutgoingBatch),
    /// These numbers are to be read from disk first.
    Read(Wanted),
    /// All is sent.
    Nothing,
}

/// A chunk that is on disk alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) epoch: u64,
    pub(super) lane: Lane,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The state.
#[derive(Debug)]
pub(super) struct State {
    /// The oldest first; the last is the current one.
    pub(super) epochs: VecDeque<Epoch>,
    pub(super) gaps: Gaps,
    /// The uplink has nothing else to send than gaps.
    pub(super) gaps_wanted: bool,
    /// Version of the gaps that is on disk.
    gaps_on_disk: u64,
    /// To be removed from disk with the next write.
    cleanup: Cleanup,
    pub(super) counts: Counts,
    pub(super) memory_only: Option<String>,
    pub(super) options: Options,
}

impl State {
    pub(super) fn new(current: EpochId, options: Options) -> Self {
        Self {
            epochs: VecDeque::from([Epoch::new(current)]),
            gaps: Gaps::default(),
            gaps_wanted: false,
            gaps_on_disk: 0,
            cleanup: Cleanup::default(),
            counts: Counts::default(),
            memory_only: None,
            options,
        }
    }

    /// The queue of an epoch that is kept.
    pub(super) fn queue(&mut self, epoch: u64, lane: Lane) -> Option<&mut Queue> {
        let epoch = self.epochs.iter_mut().find(|each| each.id.epoch == epoch)?;
        Some(&mut epoch.queues[lane.index()])
    }

    /// Adds the newest chunk of the current epoch.
    pub(super) fn push(&mut self, lane: Lane, chunk: Chunk) {
        self.counts.appended[lane.index()] += chunk.count;
        if let Some(current) = self.epochs.back_mut() {
            current.queues[lane.index()].push(chunk);
        }
        self.bound_memory(lane);
        self.forget_empty();
    }

    fn memory(&self, lane: Lane) -> u64 {
        self.epochs.iter().map(|epoch| epoch.queues[lane.index()].totals().memory).sum()
    }

    /// Brings a lane back under its bound: what is on disk is dropped from memory, the newest
    /// first; what is not leaves, the oldest first, and is told.
    pub(super) fn bound_memory(&mut self, lane: Lane) {
        let bound = self.options.memory_bytes[lane.index()];
        for place in (0..self.epochs.len()).rev() {
            let over = self.memory(lane).saturating_sub(bound);
            if over > 0 {
                self.epochs[place].queues[lane.index()].spill(over);
            }
        }
        while self.memory(lane) > bound {
            let evicted = self.epochs.iter_mut().find_map(|epoch| {
                epoch.queues[lane.index()].pop_unstored().map(|chunk| (epoch.id.epoch, chunk))
            });
            let Some((epoch, chunk)) = evicted else { break };
            self.lose(epoch, lane, chunk, Reason::Full);
        }
    }

    // Takes the oldest chunk of a lane out, and tells.
    fn evict_oldest(&mut self, lane: Lane) -> bool {
        let oldest = self
            .epochs
            .iter_mut()
            .find_map(|epoch| epoch.queues[lane.index()].pop().map(|chunk| (epoch.id.epoch, chunk)));
        let Some((epoch, chunk)) = oldest else { return false };
        self.lose(epoch, lane, chunk, Reason::Full);
        true
    }

    /// A chunk is gone. What its own records said of gaps is to be told again.
    pub(super) fn lose(&mut self, epoch: u64, lane: Lane, chunk: Chunk, reason: Reason) {
        let acked = self.queue(epoch, lane).map_or(0, |queue| queue.acked());
        let from = chunk.first.max(acked + 1);
        let to = chunk.last();
        if from > to {
            return;
        }
        self.counts.evicted[lane.index()] += to + 1 - from;
        let gap = GapRange { epoch, lane, from, to, reason, from_ns: chunk.from_ns, to_ns: chunk.to_ns };
        self.gaps.add(gap);
        for gap in chunk.gaps {
            self.gaps.add(gap);
        }
    }

    /// Drops epochs of which nothing is left.
    pub(super) fn forget_empty(&mut self) {
        while self.epochs.len() > 1
            && let Some(place) = (0..self.epochs.len() - 1).find(|place| self.epochs[*place].is_empty())
        {
            if let Some(epoch) = self.epochs.remove(place) {
                self.cleanup.epochs.push(epoch.id.epoch);
            }
        }
    }

    /// What is to be written with new chunks; makes room for it.
    pub(super) fn plan(&mut self, fresh: &[(Lane, Chunk)], with_epochs: bool) -> Plan {
        for lane in Lane::ALL.into_iter().filter(|lane| lane.is_durable()) {
            self.make_room(lane, fresh);
        }
        let mut rows = Vec::new();
        // Else all is on disk.
        let may_lag = with_epochs || self.memory_only.is_some();
        for epoch in self.epochs.iter().filter(|_| may_lag) {
            for lane in Lane::ALL.into_iter().filter(|lane| lane.is_durable()) {
                let chunks = epoch.queues[lane.index()].chunks().iter();
                rows.extend(
                    chunks.filter(|chunk| !chunk.stored).filter_map(|chunk| row(epoch.id.epoch, lane, chunk)),
                );
            }
        }
        let caught_up = rows.len();
        let current = self.epochs.back().map_or(0, |current| current.id.epoch);
        let fresh = fresh.iter().filter(|(lane, _)| lane.is_durable());
        rows.extend(fresh.filter_map(|(lane, chunk)| row(current, *lane, chunk)));
        let mut cleanup = std::mem::take(&mut self.cleanup);
        let mut trims = Vec::new();
        for epoch in &self.epochs {
            for lane in Lane::ALL.into_iter().filter(|lane| lane.is_durable()) {
                if let Some((from, to)) = epoch.queues[lane.index()].to_trim() {
                    cleanup.chunks.push((epoch.id.epoch, lane, from, to));
                    trims.push((epoch.id.epoch, lane, to));
                }
            }
        }
        let gaps_version = self.gaps.version();
        cleanup.gaps = (gaps_version != self.gaps_on_disk).then(|| self.gaps.ranges().to_vec());
        let epochs =
            if with_epochs { self.epochs.iter().map(|epoch| epoch.id.clone()).collect() } else { Vec::new() };
        Plan { epochs, rows, cleanup, caught_up, trims, gaps_version }
    }

    fn make_room(&mut self, lane: Lane, fresh: &[(Lane, Chunk)]) {
        let bound = self.options.disk_bytes[lane.index()];
        let new: u64 = fresh.iter().filter(|(other, _)| *other == lane).map(|(_, chunk)| chunk.cost).sum();
        loop {
            let queues = self.epochs.iter().map(|epoch| &epoch.queues[lane.index()]);
            let kept: u64 = queues.map(|queue| queue.totals().cost).sum();
            if kept + new <= bound || !self.evict_oldest(lane) {
                return;
            }
        }
    }

    /// The plan was carried out.
    pub(super) fn written(&mut self, plan: &Plan) {
        for row in &plan.rows[..plan.caught_up] {
            let Row { epoch, lane, first, .. } = *row;
            // It may have left in the meantime.
            if !self.queue(epoch, lane).is_some_and(|queue| queue.stored(first)) {
                self.cleanup.chunks.push((epoch, lane, first, first));
            }
        }
        for (epoch, lane, to) in &plan.trims {
            if let Some(queue) = self.queue(*epoch, *lane) {
                queue.trimmed_to(*to);
            }
        }
        self.gaps_on_disk = plan.gaps_version;
        for lane in Lane::ALL {
            self.bound_memory(lane);
        }
    }

    /// The plan was not carried out.
    pub(super) fn not_written(&mut self, plan: Plan) {
        let Cleanup { epochs, chunks, gaps: _ } = plan.cleanup;
        self.cleanup.epochs.extend(epochs);
        // Trims are found again.
        let is_trim =
            |(epoch, lane, _, to): &(u64, Lane, u64, u64)| plan.trims.contains(&(*epoch, *lane, *to));
        self.cleanup.chunks.extend(chunks.into_iter().filter(|chunk| !is_trim(chunk)));
    }

    /// Takes in what earlier starts left.
    pub(super) fn recovered(&mut self, recovered: Recovered) {
        let Recovered { epochs, gaps } = recovered;
        for epoch in epochs.into_iter().rev() {
            self.epochs.push_front(epoch);
        }
        for gap in gaps {
            self.gaps.add(gap);
        }
        while self.epochs.len() > MAX_EARLIER_EPOCHS + 1
            && let Some(mut oldest) = self.epochs.pop_front()
        {
            for lane in Lane::ALL {
                while let Some(chunk) = oldest.queues[lane.index()].pop() {
                    self.lose(oldest.id.epoch, lane, chunk, Reason::Full);
                }
            }
            self.cleanup.epochs.push(oldest.id.epoch);
        }
        self.forget_empty();
    }

    /// The file is gone: what was in it alone is lost, the rest is to be written anew.
    pub(super) fn unstore(&mut self) {
        self.cleanup = Cleanup::default();
        // No version: they are to be written.
        self.gaps_on_disk = u64::MAX;
        for place in 0..self.epochs.len() {
            let epoch = self.epochs[place].id.epoch;
            for lane in Lane::ALL {
                for chunk in self.epochs[place].queues[lane.index()].unstore() {
                    self.lose(epoch, lane, chunk, Reason::Corrupt);
                }
            }
        }
        self.forget_empty();
    }

    /// Whether nothing that is needed is on disk alone.
    pub(super) fn is_disk_unused(&self) -> bool {
        self.epochs.iter().flat_map(|epoch| &epoch.queues).all(|queue| queue.totals().disk == 0)
    }

    /// Gaps that a database which cannot be written does not have.
    pub(super) fn unwritten_gaps(&self) -> Vec<GapRange> {
        let chunks = self.epochs.iter().flat_map(|epoch| &epoch.queues).flat_map(Queue::chunks);
        let numbered = chunks.filter(|chunk| !chunk.stored).flat_map(|chunk| &chunk.gaps);
        self.gaps.ranges().iter().chain(numbered).copied().collect()
    }

    /// See [`super::Outbox::ack`].
    pub(super) fn ack(&mut self, watermark: Watermark) {
        let Watermark { epoch, lane, sequence } = watermark;
        if let Some(queue) = self.queue(epoch, lane) {
            let acked = queue.ack(sequence);
            self.counts.acked[lane.index()] += acked;
            self.forget_empty();
        }
    }

    /// Everything that is kept is to be sent again.
    pub(super) fn rewind(&mut self) {
        for queue in self.epochs.iter_mut().flat_map(|epoch| &mut epoch.queues) {
            queue.rewind();
        }
    }

    /// Whether something is to be written that does not wait for the next event.
    pub(super) fn needs_commit(&self) -> bool {
        let queues = || self.epochs.iter().flat_map(|epoch| &epoch.queues[..Lane::Bulk.index()]);
        self.gaps_wanted
            || self.memory_only.is_some()
            || !self.cleanup.is_empty()
            || self.gaps.version() != self.gaps_on_disk
            || queues().any(|queue| queue.to_trim().is_some())
    }

    /// Whether something is to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        let mut queues = self.epochs.iter().flat_map(|epoch| &epoch.queues);
        !self.gaps.is_empty() || queues.any(Queue::has_unsent)
    }

    /// Whether a findings lane has something to send.
    pub(super) fn has_unsent_findings(&self) -> bool {
        self.epochs.iter().any(|epoch| epoch.queues[Lane::Findings.index()].has_unsent())
    }

    /// The next batch, of `max_bytes` or one record.
    pub(super) fn next(&mut self, max_bytes: usize) -> Next {
        for lane in Lane::ALL {
            for place in 0..self.epochs.len() {
                let epoch = &mut self.epochs[place];
                let queue = &mut epoch.queues[lane.index()];
                let Some((chunk, first)) = queue.to_send() else { continue };
                if chunk.body.is_none() {
                    let (first, last) = (chunk.first, chunk.last());
                    return Next::Read(Wanted { epoch: epoch.id.epoch, lane, first, last });
                }
                let batch = collect(queue, epoch.id.epoch, lane, first, max_bytes);
                queue.sent_before(batch.last_sequence() + 1);
                self.bound_memory(lane);
                return Next::Batch(batch);
            }
        }
        Next::Nothing
    }

    /// What was read from disk for `wanted`, if that is still kept.
    pub(super) fn loaded(&mut self, wanted: Wanted, chunks: Vec<Chunk>) {
        let Wanted { epoch, lane, first, last } = wanted;
        let Some(queue) = self.queue(epoch, lane) else { return };
        let Some(old) = queue.take_on_disk(first, last) else { return };
        let mut next = old.first;
        let mut missing = Vec::new();
        let mut whole = Vec::new();
        for chunk in chunks {
            // Of numbers that overlap, the first count.
            if chunk.first < next || chunk.last() > last {
                continue;
            }
            if chunk.first > next {
                missing.push((next, chunk.first - 1));
            }
            next = chunk.last() + 1;
            whole.push(chunk);
        }
        if next <= last {
            missing.push((next, last));
        }
        queue.put(whole);
        for (from, to) in missing {
            let (from_ns, to_ns) = (old.from_ns, old.to_ns);
            let lost = Chunk {
                first: from,
                count: to + 1 - from,
                cost: 0,
                from_ns,
                to_ns,
                stored: true,
                body: None,
                gaps: Vec::new(),
            };
            self.lose(epoch, lane, lost, Reason::Corrupt);
            self.cleanup.chunks.push((epoch, lane, from, to));
        }
        self.forget_empty();
    }

    pub(super) fn status(&self) -> OutboxStatus {
        let boot_id = self.epochs.back().map(|current| &current.id.boot_id);
        let lanes = Lane::ALL.map(|lane| {
            let index = lane.index();
            let queues = || self.epochs.iter().map(|epoch| &epoch.queues[index]);
            let this_boot = self.epochs.iter().filter(|epoch| Some(&epoch.id.boot_id) == boot_id);
            let oldest = this_boot.filter_map(|epoch| epoch.queues[index].chunks().front());
            LaneStatus {
                lane,
                events: queues().map(Queue::events).sum(),
                bytes: queues().map(|queue| queue.totals().cost).sum(),
                capacity_bytes: self.capacity(lane),
                memory_bytes: self.memory(lane),
                oldest_boottime_ns: oldest.map(|chunk| chunk.from_ns).min(),
                appended: self.counts.appended[index],
                acked: self.counts.acked[index],
                evicted: self.counts.evicted[index],
            }
        });
        let queues = self.epochs.iter().flat_map(|epoch| &epoch.queues);
        OutboxStatus {
            lanes,
            memory_only: self.memory_only.clone(),
            unsent: queues.map(Queue::unsent).sum(),
            too_large: self.counts.too_large,
            epochs: self.epochs.len(),
        }
    }

    fn capacity(&self, lane: Lane) -> u64 {
        let Options { memory_bytes, disk_bytes, .. } = &self.options;
        let is_on_disk = lane.is_durable() && self.memory_only.is_none();
        if is_on_disk { disk_bytes[lane.index()] } else { memory_bytes[lane.index()] }
    }
}

fn row(epoch: u64, lane: Lane, chunk: &Chunk) -> Option<Row> {
    Some(Row {
        epoch,
        lane,
        first: chunk.first,
        cost: chunk.cost,
        from_ns: chunk.from_ns,
        to_ns: chunk.to_ns,
        is_gaps: !chunk.gaps.is_empty(),
        body: Arc::clone(chunk.body.as_ref()?),
    })
}

// Records with numbers in a row from `first` on, as far as they are in memory.
fn collect(queue: &Queue, epoch: u64, lane: Lane, first: u64, max_bytes: usize) -> OutgoingBatch {
    let mut batch = OutgoingBatch {
        epoch,
        lane,
        first_sequence: first,
        records: Vec::new(),
        refers: Vec::new(),
        bytes: 0,
    };
    let mut known = hashbrown::HashSet::new();
    let mut next = first;
    let begin = queue.chunks().partition_point(|chunk| chunk.last() < first);
    for chunk in queue.chunks().range(begin..) {
        let Some(body) = &chunk.body else { break };
        // A hole: numbers in a batch are in a row.
        if chunk.first > next {
            break;
        }
        if !take(&mut batch, &mut known, body, (next - chunk.first) as usize, max_bytes) {
            break;
        }
        next = chunk.last() + 1;
    }
    batch
}

// Whether all of the chunk's records from `from` on found room.
fn take(
    batch: &mut OutgoingBatch,
    known: &mut hashbrown::HashSet<super::DefinitionKey>,
    body: &Arc<Body>,
    from: usize,
    max_bytes: usize,
) -> bool {
    for index in from..body.records.len() {
        let record = &body.records[index];
        let new: Vec<_> = body.refers(index).filter(|definition| !known.contains(&definition.key)).collect();
        let size = record.len() + new.iter().map(|definition| definition.body.len()).sum::<usize>();
        if batch.bytes + size > max_bytes && !batch.records.is_empty() {
            return false;
        }
        batch.bytes += size;
        batch.records.push(record.clone());
        for definition in new {
            if known.insert(definition.key) {
                batch.refers.push(definition.clone());
            }
        }
    }
    true
}
