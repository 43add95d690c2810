//! The end that appends: gives numbers, writes, and knows whether the disk takes it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use kestrel_proto::v1;
use prost::Message;

use super::{
    EpochId, Item, Lane, PerLane, Shared,
    chunk::Builder,
    gap::{GapRange, Reason},
    lock,
    mark::{Mark, MarkFile, MarkedEpoch, MarkedLane},
    queue::Chunk,
    recover::{self, Recovered},
    state::State,
    store::{Store, StoreError},
};
use crate::pipeline::clock;

/// After a failure the disk is left alone for that long.
const RETRY: Duration = Duration::from_secs(1);

/// The end that appends.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    id: EpochId,
    last: PerLane<u64>,
    last_ns: PerLane<u64>,
    store: Option<Store>,
    mark: Option<MarkFile>,
    /// Of earlier starts, as long as the database was not looked at.
    earlier: Vec<MarkedEpoch>,
    is_recovered: bool,
    /// Not every epoch is in the database yet.
    has_new_epochs: bool,
    retry_at: Option<Instant>,
    /// What people have to be told of the database.
    pub(super) problem: Option<String>,
}

impl Writer {
    /// Reads the mark; the database is opened by the first [`Writer::commit`].
    pub(super) fn new(dir: &Path, id: EpochId) -> (Self, Vec<GapRange>) {
        let _ = std::fs::create_dir_all(dir);
        let (mark, before) = match MarkFile::open(dir) {
            Ok((mark, before)) => (Some(mark), before),
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "cannot note which events were given a number");
                (None, MarkFile::read(dir))
            }
        };
        let gaps = before.as_ref().map(Mark::gaps).unwrap_or_default();
        let writer = Self {
            dir: dir.to_owned(),
            id,
            last: PerLane::default(),
            last_ns: PerLane::default(),
            store: None,
            mark,
            earlier: before.map(|mark| mark.epochs).unwrap_or_default(),
            is_recovered: false,
            has_new_epochs: true,
            retry_at: None,
            problem: None,
        };
        (writer, gaps)
    }

    /// The last number of each lane.
    pub(super) const fn last(&self) -> PerLane<u64> {
        self.last
    }

    /// Numbers events and puts them into chunks. Gives how many were too large, too.
    pub(super) fn number(
        &mut self,
        items: impl Iterator<Item = Item>,
        max_bytes: usize,
    ) -> (Vec<(Lane, Chunk)>, u64) {
        let mut open: PerLane<Option<(Builder, u64)>> = PerLane::default();
        let (mut chunks, mut too_large) = (Vec::new(), 0);
        for item in items {
            if super::chunk::size(&item) > max_bytes {
                too_large += 1;
                continue;
            }
            let Item { lane, at, record, refers } = item;
            let index = lane.index();
            if let Some((builder, from_ns)) = open[index].take_if(|(builder, _)| builder.is_full()) {
                chunks.push((lane, self.close(lane, builder, from_ns, Vec::new())));
            }
            let (builder, _) = open[index].get_or_insert_with(|| (Builder::default(), at.boottime_ns));
            builder.push(record, refers);
            self.last_ns[index] = at.boottime_ns;
        }
        for (lane, open) in Lane::ALL.into_iter().zip(open) {
            if let Some((builder, from_ns)) = open {
                chunks.push((lane, self.close(lane, builder, from_ns, Vec::new())));
            }
        }
        (chunks, too_large)
    }

    fn close(&mut self, lane: Lane, builder: Builder, from_ns: u64, gaps: Vec<GapRange>) -> Chunk {
        let body = builder.finish();
        let first = self.last[lane.index()] + 1;
        let count = body.records.len() as u64;
        self.last[lane.index()] += count;
        let (cost, to_ns) = (body.cost(), self.last_ns[lane.index()]);
        Chunk { first, count, cost, from_ns, to_ns, stored: false, body: Some(Arc::new(body)), gaps }
    }

    // Gaps get numbers of their own as late as can be, so that adjacent ones are told as one.
    fn gap_chunk(&mut self, state: &mut State) -> Option<(Lane, Chunk)> {
        state.gaps_wanted = false;
        let gaps = state.gaps.take();
        if gaps.is_empty() {
            return None;
        }
        let now = clock::now();
        let mut builder = Builder::default();
        for gap in &gaps {
            let record = v1::Record {
                boottime_ns: now.boottime_ns,
                wall_unix_ns: now.wall_ns.cast_signed(),
                event: Some(v1::record::Event::Gap(gap.to_proto())),
            };
            builder.push(record.encode_to_vec().into(), []);
        }
        self.last_ns[Lane::Findings.index()] = now.boottime_ns;
        Some((Lane::Findings, self.close(Lane::Findings, builder, now.boottime_ns, gaps)))
    }

    /// Writes new chunks, and all else that is to be written, and hands them to the other end.
    /// Whether what belongs on disk is there.
    pub(super) fn commit(&mut self, shared: &Shared, mut fresh: Vec<(Lane, Chunk)>) -> bool {
        let is_due = self.retry_at.is_none_or(|at| Instant::now() >= at);
        if is_due && self.store.is_none() {
            self.attach(shared);
        }
        let plan = {
            let mut state = lock(&shared.state);
            if state.gaps_wanted {
                fresh.extend(self.gap_chunk(&mut state));
            }
            let is_open = is_due && self.store.is_some();
            is_open.then(|| state.plan(&fresh, self.has_new_epochs))
        };
        let outcome = match (&mut self.store, &plan) {
            (Some(store), Some(plan)) if !plan.is_empty() => {
                Some(store.write(&plan.epochs, &plan.rows, &plan.cleanup))
            }
            (Some(_), Some(_)) => Some(Ok(())),
            _ => None,
        };
        let is_written = matches!(outcome, Some(Ok(())));
        let failure = outcome.and_then(Result::err);
        let mut state = lock(&shared.state);
        if let Some(plan) = plan {
            if is_written {
                state.written(&plan);
                if state.memory_only.take().is_some() {
                    tracing::info!("events are written to disk again");
                }
                (self.has_new_epochs, self.retry_at) = (false, None);
            } else {
                state.not_written(plan);
            }
        }
        for (lane, mut chunk) in fresh {
            chunk.stored = is_written && lane.is_durable();
            state.push(lane, chunk);
        }
        let mark = self.mark_of(&state, is_written);
        drop(state);
        if let Some(error) = failure {
            self.failed(shared, &error);
        }
        self.note(mark);
        is_written
    }

    /// Makes what was committed outlive power loss.
    pub(super) fn sync(&mut self, shared: &Shared) -> bool {
        let Some(store) = self.store.as_ref().filter(|_| self.retry_at.is_none()) else {
            // The numbers at least.
            if let Some(mark) = &self.mark {
                let _ = mark.sync();
            }
            return false;
        };
        let io = |source| StoreError::Io { step: "sync", path: self.dir.clone(), source };
        match store.sync().map_err(io).and_then(|()| store.shrink()) {
            Ok(()) => true,
            Err(error) => {
                self.failed(shared, &error);
                false
            }
        }
    }

    // Opens the database; what earlier starts left joins the queue.
    fn attach(&mut self, shared: &Shared) {
        // One that cannot be used is set aside, and the next is new.
        for _ in 0..2 {
            let attached = Store::open(&self.dir).and_then(|store| {
                self.take_over(shared, &store)?;
                Ok(store)
            });
            match attached {
                Ok(store) => {
                    self.store = Some(store);
                    return;
                }
                Err(error @ (StoreError::Newer(_) | StoreError::Damaged(_))) => {
                    self.set_aside(shared, &error)
                }
                Err(error) => return self.failed(shared, &error),
            }
        }
    }

    fn take_over(&mut self, shared: &Shared, store: &Store) -> Result<(), StoreError> {
        self.has_new_epochs = true;
        if !self.is_recovered {
            let recovered = recover::recover(&self.dir, store, &self.earlier)?;
            self.recovered(shared, recovered);
        } else if !store.has_epoch(self.id.epoch)? {
            lock(&shared.state).unstore();
        }
        Ok(())
    }

    fn recovered(&mut self, shared: &Shared, recovered: Recovered) {
        lock(&shared.state).recovered(recovered);
        self.is_recovered = true;
        self.earlier.clear();
    }

    fn set_aside(&mut self, shared: &Shared, error: &StoreError) {
        let word = if matches!(error, StoreError::Newer(_)) { "newer" } else { "damaged" };
        self.detach(shared);
        let why = sentence(error);
        let problem = match Store::set_aside(&self.dir, word) {
            Ok(aside) => format!(
                "the outbox's file was set aside as {}, and a new one begun: {why}; events in it are not sent",
                aside.display()
            ),
            Err(error) => {
                format!("the outbox's file cannot be used: {why}; and it cannot be set aside: {error}")
            }
        };
        tracing::error!("{problem}");
        self.problem = Some(problem);
        if self.is_recovered {
            lock(&shared.state).unstore();
        } else {
            // All that is known of what was in it.
            let gaps = recover::missing(&Default::default(), &self.earlier, Reason::Corrupt);
            self.recovered(shared, Recovered { gaps, ..Recovered::default() });
        }
    }

    fn failed(&mut self, shared: &Shared, error: &StoreError) {
        self.retry_at = Some(Instant::now() + RETRY);
        let why = sentence(error);
        let is_disk_unused = {
            let mut state = lock(&shared.state);
            if state.memory_only.is_none() {
                tracing::error!(error = why, "events are kept in memory only");
            }
            state.memory_only = Some(format!("events are kept in memory only: {why}"));
            // Before it was looked at, nothing is known of what is in it.
            self.is_recovered && state.is_disk_unused()
        };
        match error {
            StoreError::Damaged(_) => {
                self.set_aside(shared, error);
                self.retry_at = None;
            }
            // Removing a row takes room too; a file in which nothing is needed goes as a whole.
            StoreError::Full(_) if is_disk_unused => {
                self.detach(shared);
                Store::remove(&self.dir);
            }
            // Room may come, and what is there can be read.
            StoreError::Full(_) => {}
            _ => self.detach(shared),
        }
    }

    fn detach(&mut self, shared: &Shared) {
        self.store = None;
        *lock(&shared.reader) = super::ReadSide::default();
    }

    fn mark_of(&self, state: &State, is_written: bool) -> Mark {
        let lanes = Lane::ALL.map(|lane| {
            let index = lane.index();
            let queue = state.epochs.back().map(|epoch| &epoch.queues[index]);
            let front = queue.and_then(|queue| queue.chunks().front());
            let assigned = self.last[index];
            let floor = queue.and_then(|queue| queue.floor()).unwrap_or(assigned + 1);
            let to_ns = self.last_ns[index];
            MarkedLane { assigned, floor, from_ns: front.map_or(to_ns, |chunk| chunk.from_ns), to_ns }
        });
        let EpochId { epoch, boot_id } = self.id.clone();
        let mut epochs = self.earlier.clone();
        epochs.push(MarkedEpoch { epoch, boot_id, lanes: lanes.to_vec() });
        let gaps = if is_written { Vec::new() } else { state.unwritten_gaps() };
        Mark::new(epochs, &gaps)
    }

    fn note(&self, mark: Mark) {
        if let Some(file) = &self.mark
            && let Err(error) = file.write(mark)
        {
            tracing::debug!(%error, "cannot note which events were given a number");
        }
    }
}

// An error and what it comes from.
fn sentence(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
