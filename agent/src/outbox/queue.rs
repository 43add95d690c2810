//! The chunks of one epoch and lane, from the oldest that is not acknowledged to the newest.

use std::{collections::VecDeque, sync::Arc};

use super::{chunk::Body, gap::GapRange};

/// Chunks that are on disk alone are counted together up to that many bytes.
const MAX_MERGED_BYTES: u64 = 128 << 10;

/// Where records with numbers in a row are.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) first: u64,
    pub(super) count: u64,
    /// What it is counted as, in memory and on disk.
    pub(super) cost: u64,
    /// Boottimes of the first and the last.
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// It is on disk: in one row, or in several if it is not in memory.
    pub(super) stored: bool,
    /// It is in memory.
    pub(super) body: Option<Arc<Body>>,
    /// What its records say, if they are gaps; to be told anew if they are lost.
    pub(super) gaps: Vec<GapRange>,
}

impl Chunk {
    pub(super) const fn last(&self) -> u64 {
        self.first + self.count - 1
    }

    const fn is_on_disk_only(&self) -> bool {
        self.stored && self.body.is_none() && self.gaps.is_empty()
    }
}

/// What is counted of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) events: u64,
    pub(super) memory: u64,
    pub(super) disk: u64,
    pub(super) cost: u64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    /// The next to be sent.
    next: u64,
    /// The last that is acknowledged.
    acked: u64,
    /// The last that ever was here.
    assigned: u64,
    /// What lies before that number is removed from disk.
    trimmed: u64,
    totals: Totals,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            chunks: VecDeque::new(),
            next: 1,
            acked: 0,
            assigned: 0,
            trimmed: 1,
            totals: Totals::default(),
        }
    }
}

impl Queue {
    pub(super) const fn chunks(&self) -> &VecDeque<Chunk> {
        &self.chunks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) const fn acked(&self) -> u64 {
        self.acked
    }

    /// The oldest number that is here.
    pub(super) fn floor(&self) -> Option<u64> {
        self.chunks.front().map(|chunk| chunk.first.max(self.acked + 1))
    }

    /// Numbers that are on disk and not here any more, first and last.
    pub(super) fn to_trim(&self) -> Option<(u64, u64)> {
        let front = self.chunks.front().map_or(self.assigned + 1, |chunk| chunk.first);
        (front > self.trimmed).then(|| (self.trimmed, front - 1))
    }

    /// Everything up to `to` is removed from disk.
    pub(super) fn trimmed_to(&mut self, to: u64) {
        self.trimmed = self.trimmed.max(to + 1);
    }

    /// The newest number that is here.
    pub(super) fn last(&self) -> Option<u64> {
        self.chunks.back().map(Chunk::last)
    }

    /// Events that are here and not acknowledged.
    pub(super) fn events(&self) -> u64 {
        let partly_acked =
            self.chunks.front().map_or(0, |chunk| (self.acked + 1).saturating_sub(chunk.first));
        self.totals.events - partly_acked
    }

    /// Events that were not sent since the last rewind.
    pub(super) fn unsent(&self) -> u64 {
        let unsent = self.chunks.iter().rev().take_while(|chunk| chunk.last() >= self.next);
        unsent.map(|chunk| chunk.last() + 1 - self.next.max(chunk.first)).sum()
    }

    /// Whether some were not sent since the last rewind.
    pub(super) fn has_unsent(&self) -> bool {
        self.last().is_some_and(|last| last >= self.next)
    }

    /// What lies before `floor` is not here any more.
    pub(super) fn begin_at(&mut self, floor: u64) {
        (self.acked, self.assigned, self.next) = (floor - 1, floor - 1, floor);
    }

    /// Adds the newest.
    pub(super) fn push(&mut self, chunk: Chunk) {
        self.totals.add(&chunk);
        self.assigned = self.assigned.max(chunk.last());
        self.chunks.push_back(chunk);
        self.merge_at(self.chunks.len() - 1);
    }

    /// Everything up to `sequence` is at the collector. Gives how many events that frees; numbers
    /// that were never given are not believed.
    pub(super) fn ack(&mut self, sequence: u64) -> u64 {
        let sequence = sequence.min(self.assigned);
        if sequence <= self.acked {
            return 0;
        }
        let before = self.events();
        while self.chunks.front().is_some_and(|front| front.last() <= sequence) {
            self.pop();
        }
        self.acked = sequence;
        self.next = self.next.max(sequence + 1);
        before - self.events()
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.totals.subtract(&chunk);
        Some(chunk)
    }

    /// Takes the oldest that is in memory alone out.
    pub(super) fn pop_unstored(&mut self) -> Option<Chunk> {
        let place = self.chunks.iter().position(|chunk| !chunk.stored)?;
        self.remove(place)
    }

    /// Takes the chunk with just these numbers out, if it is on disk alone.
    pub(super) fn take_on_disk(&mut self, first: u64, last: u64) -> Option<Chunk> {
        let place = self.place_of(first)?;
        let chunk = &self.chunks[place];
        let is_it = chunk.first == first && chunk.last() == last && chunk.stored && chunk.body.is_none();
        is_it.then(|| self.remove(place))?
    }

    fn remove(&mut self, place: usize) -> Option<Chunk> {
        let chunk = self.chunks.remove(place)?;
        self.totals.subtract(&chunk);
        Some(chunk)
    }

    /// Puts chunks where one was taken.
    pub(super) fn put(&mut self, chunks: impl IntoIterator<Item = Chunk>) {
        for chunk in chunks {
            self.totals.add(&chunk);
            let place = self.chunks.partition_point(|other| other.first < chunk.first);
            self.chunks.insert(place, chunk);
        }
    }

    /// Everything is to be sent again.
    pub(super) fn rewind(&mut self) {
        self.next = self.acked + 1;
    }

    /// The chunk that has the next to be sent, and the number.
    pub(super) fn to_send(&self) -> Option<(&Chunk, u64)> {
        let place = self.chunks.partition_point(|chunk| chunk.last() < self.next);
        let chunk = self.chunks.get(place)?;
        Some((chunk, self.next.max(chunk.first)))
    }

    /// `next` is to be sent next.
    pub(super) fn sent_before(&mut self, next: u64) {
        self.next = next;
    }

    /// Drops what is on disk from memory: the newest first, for it is sent last, until `over` bytes
    /// are gone. What is needed next stays.
    pub(super) fn spill(&mut self, over: u64) {
        let target = self.totals.memory.saturating_sub(over);
        let mut place = self.chunks.len();
        while self.totals.memory > target && place > 0 {
            place -= 1;
            let chunk = &mut self.chunks[place];
            if chunk.stored && chunk.gaps.is_empty() && chunk.body.take().is_some() {
                self.totals.memory -= chunk.cost;
                self.merge_at(place);
            }
        }
    }

    /// The chunk that begins with `first` is on disk now. `false`: it is not here any more.
    pub(super) fn stored(&mut self, first: u64) -> bool {
        let Some(chunk) = self.place_of(first).map(|place| &mut self.chunks[place]) else { return false };
        if !chunk.stored {
            chunk.stored = true;
            self.totals.disk += chunk.cost;
        }
        true
    }

    /// Nothing is on disk any more. Gives what was there alone.
    pub(super) fn unstore(&mut self) -> Vec<Chunk> {
        let (kept, lost): (Vec<_>, Vec<_>) = self.chunks.drain(..).partition(|chunk| chunk.body.is_some());
        self.totals = Totals::default();
        self.trimmed = 1;
        for mut chunk in kept {
            chunk.stored = false;
            self.totals.add(&chunk);
            self.chunks.push_back(chunk);
        }
        lost
    }

    fn place_of(&self, sequence: u64) -> Option<usize> {
        let place = self.chunks.partition_point(|chunk| chunk.last() < sequence);
        self.chunks.get(place).is_some_and(|chunk| chunk.first <= sequence).then_some(place)
    }

    // Joins neighbours that are on disk alone, so that many small ones take no room in memory.
    fn merge_at(&mut self, place: usize) {
        for left in [place, place.wrapping_sub(1)] {
            let Some((one, other)) = self.chunks.get(left).zip(self.chunks.get(left.wrapping_add(1))) else {
                continue;
            };
            if one.is_on_disk_only()
                && other.is_on_disk_only()
                && one.last() + 1 == other.first
                && one.cost + other.cost <= MAX_MERGED_BYTES
            {
                let (count, cost, to_ns) = (other.count, other.cost, other.to_ns);
                self.chunks.remove(left + 1);
                let one = &mut self.chunks[left];
                one.count += count;
                one.cost += cost;
                one.to_ns = to_ns;
            }
        }
    }
}

impl Totals {
    fn add(&mut self, chunk: &Chunk) {
        self.events += chunk.count;
        self.cost += chunk.cost;
        self.memory += if chunk.body.is_some() { chunk.cost } else { 0 };
        self.disk += if chunk.stored { chunk.cost } else { 0 };
    }

    fn subtract(&mut self, chunk: &Chunk) {
        self.events -= chunk.count;
        self.cost -= chunk.cost;
        self.memory -= if chunk.body.is_some() { chunk.cost } else { 0 };
        self.disk -= if chunk.stored { chunk.cost } else { 0 };
    }
}
