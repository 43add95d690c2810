//! What of the state is to be written to disk, and what follows when it was.

use std::sync::Arc;

use super::{
    EpochId, Lane,
    queue::Chunk,
    state::State,
    store::{Cleanup, Row},
};

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

impl State {
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
