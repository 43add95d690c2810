//! What earlier starts left: their chunks keep epoch and boot id, and are sent again under these.

use std::{collections::VecDeque, path::Path, sync::Arc};

use kestrel_proto::v1;
use prost::Message;

use super::{
    Lane,
    chunk::Body,
    gap::{GapRange, Reason},
    mark::MarkedEpoch,
    queue::Chunk,
    state::Epoch,
    store::{Head, Reader, Store, StoreError},
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// The oldest first.
    pub(super) epochs: VecDeque<Epoch>,
    /// Gaps that were not told yet.
    pub(super) gaps: Vec<GapRange>,
}

/// Reads what is in the database, without the bodies.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn recover(dir: &Path, store: &Store, marked: &[MarkedEpoch]) -> Result<Recovered, StoreError> {
    let reader = Reader::open(dir)?;
    let mut recovered = Recovered { epochs: VecDeque::new(), gaps: store.gaps()? };
    for id in store.epochs()? {
        let mut epoch = Epoch::new(id);
        let mark = marked.iter().find(|mark| mark.epoch == epoch.id.epoch);
        for lane in Lane::ALL {
            // What lies before was acknowledged or told as a gap.
            let floor = mark.and_then(|mark| mark.lane(lane)).map_or(1, |mark| mark.floor.max(1));
            epoch.queues[lane.index()].begin_at(floor);
            let mut next = 1;
            for head in store.heads(epoch.id.epoch, lane)? {
                let end = head.first.saturating_add(head.count);
                // Of numbers that overlap, the first count.
                if !is_sane(&head) || head.first < next || end <= floor {
                    continue;
                }
                next = end;
                let gaps =
                    if head.is_gaps { read_gaps(&reader, epoch.id.epoch, lane, head)? } else { Vec::new() };
                epoch.queues[lane.index()].push(chunk(head, None, gaps));
            }
        }
        recovered.epochs.push_back(epoch);
    }
    recovered.gaps.extend(missing(&recovered.epochs, marked, Reason::NotOnDisk));
    Ok(recovered)
}

// A file may hold anything.
fn is_sane(head: &Head) -> bool {
    head.first < 1 << 60 && (1..1 << 20).contains(&head.count) && head.cost < 1 << 40
}

/// What was given a number and is not on disk, as far as the marks tell.
pub(super) fn missing(epochs: &VecDeque<Epoch>, marked: &[MarkedEpoch], reason: Reason) -> Vec<GapRange> {
    let mut gaps = Vec::new();
    for mark in marked {
        let epoch = epochs.iter().find(|epoch| epoch.id.epoch == mark.epoch);
        for lane in Lane::ALL {
            let Some(numbers) = mark.lane(lane) else { continue };
            let newest = epoch.and_then(|epoch| epoch.queues[lane.index()].chunks().back());
            let from = newest.map_or(0, |chunk| chunk.last() + 1).max(numbers.floor.max(1));
            let from_ns = newest.map_or(numbers.from_ns, |chunk| chunk.to_ns);
            let (to, to_ns) = (numbers.assigned, numbers.to_ns);
            if from <= to {
                gaps.push(GapRange { epoch: mark.epoch, lane, from, to, reason, from_ns, to_ns });
            }
        }
    }
    gaps
}

/// A chunk that is on disk.
pub(super) fn chunk(head: Head, body: Option<Body>, gaps: Vec<GapRange>) -> Chunk {
    let Head { first, count, cost, from_ns, to_ns, is_gaps: _ } = head;
    Chunk { first, count, cost, from_ns, to_ns, stored: true, body: body.map(Arc::new), gaps }
}

// The ranges that a chunk of gaps names: if it has to go, they are told anew.
fn read_gaps(reader: &Reader, epoch: u64, lane: Lane, head: Head) -> Result<Vec<GapRange>, StoreError> {
    let chunks = reader.chunks(epoch, lane, (head.first, head.first))?;
    Ok(chunks.iter().flat_map(|(_, body)| gaps(body)).collect())
}

/// The ranges that records name.
pub(super) fn gaps(body: &Body) -> Vec<GapRange> {
    let events = body.records.iter().filter_map(|record| v1::Record::decode(record.clone()).ok()?.event);
    events
        .filter_map(|event| match event {
            v1::record::Event::Gap(gap) => GapRange::from_proto(&gap),
            _ => None,
        })
        .collect()
}
