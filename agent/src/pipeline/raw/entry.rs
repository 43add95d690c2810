//! What a buffer holds: records as they are, and each process and container of them once.

use hashbrown::HashMap;
use zerocopy::IntoBytes as _;

use crate::{
    context::{ARGV_BYTES, Container, EXE_PATH_BYTES, Process, ProcessId},
    pipeline::{
        buffers::Buffer,
        lifecycle::{ContainerEntry, ProcessEntry, kept},
        texts::Texts,
    },
    time::Clock,
};

/// Bytes of a buffer for records. A few with the longest paths fill it early.
const RECORD_BYTES: usize = 128 * 1024;
/// Most bytes of a record that are taken: kernel programs write no longer one (`u16` offsets).
const MAX_RECORD_BYTES: usize = 64 * 1024;
/// Most processes and containers of a buffer, and bytes for their texts.
const DEFINED: usize = 128;
const TEXT_BYTES: usize = 64 * 1024;
const PROCESS_BYTES: usize = EXE_PATH_BYTES + ARGV_BYTES;

const _: () = assert!(MAX_RECORD_BYTES < RECORD_BYTES && PROCESS_BYTES < TEXT_BYTES);

/// A raw event.
#[derive(Clone, Copy, Debug)]
pub struct RawEntry {
    /// When it happened.
    pub at: Clock,
    /// First word of the record, and its bytes.
    record: (u32, u32),
    process: Option<u32>,
    container: Option<u32>,
}

/// A buffer of raw events.
#[derive(Debug)]
pub struct RawBatch {
    entries: Vec<RawEntry>,
    /// Records, each from a word on: decoding wants them aligned.
    words: Vec<u64>,
    processes: Vec<ProcessEntry>,
    by_id: HashMap<(ProcessId, u64), u32>,
    containers: Vec<ContainerEntry>,
    texts: Texts,
}

impl RawBatch {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::with_capacity(super::ENTRIES),
            words: Vec::with_capacity(RECORD_BYTES / size_of::<u64>()),
            processes: Vec::with_capacity(DEFINED),
            by_id: HashMap::with_capacity(DEFINED),
            containers: Vec::with_capacity(DEFINED),
            texts: Texts::with_room(TEXT_BYTES),
        }
    }

    /// The events in the order in which the hot loop met them.
    #[must_use]
    pub fn entries(&self) -> &[RawEntry] {
        &self.entries
    }

    /// The record of an event, as it came.
    #[must_use]
    pub fn record(&self, entry: &RawEntry) -> &[u8] {
        let (word, bytes) = entry.record;
        let words = self.words.get(word as usize..).unwrap_or_default();
        words.as_bytes().get(..bytes as usize).unwrap_or_default()
    }

    /// Whose event it is, where that is known.
    #[must_use]
    pub fn process(&self, entry: &RawEntry) -> Option<&ProcessEntry> {
        self.processes.get(entry.process? as usize)
    }

    /// In which container it happened, where only the cgroup tells.
    #[must_use]
    pub fn container(&self, entry: &RawEntry) -> Option<&ContainerEntry> {
        self.containers.get(entry.container? as usize)
    }

    /// What the pieces of processes are of.
    #[must_use]
    pub const fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Whether another event with a record of so many bytes fits, of whomever.
    pub(super) fn has_room(&self, record_bytes: usize) -> bool {
        self.entries.len() < self.entries.capacity()
            && self.words.capacity() - self.words.len() >= words_of(record_bytes)
            && self.processes.len() < DEFINED
            && self.containers.len() < DEFINED
            && self.texts.has_room(PROCESS_BYTES)
    }

    /// Adds an event: of a process with the image that it has now, or of a container, or of neither.
    pub(crate) fn push(
        &mut self,
        at: Clock,
        record: &[u8],
        process: Option<(&Process, Option<&Container>)>,
        container: Option<&Container>,
    ) {
        let process = process.map(|(process, container)| self.process_of(process, container));
        let container = container.map(|container| self.container_of(container));
        let start = self.words.len();
        self.words.resize(start + words_of(record.len()), 0);
        self.words[start..].as_mut_bytes()[..record.len()].copy_from_slice(record);
        self.entries.push(RawEntry { at, record: (number(start), number(record.len())), process, container });
    }

    fn process_of(&mut self, process: &Process, container: Option<&Container>) -> u32 {
        let key = (process.id, process.state.exec_id);
        if let Some(&index) = self.by_id.get(&key) {
            return index;
        }
        let entry = kept(process, &process.state, container.map(ContainerEntry::from), &mut self.texts);
        let index = number(self.processes.len());
        self.processes.push(entry);
        self.by_id.insert(key, index);
        index
    }

    fn container_of(&mut self, container: &Container) -> u32 {
        let known = self.containers.iter().position(|entry| entry.key == container.key);
        let index = known.unwrap_or_else(|| {
            self.containers.push(container.into());
            self.containers.len() - 1
        });
        number(index)
    }
}

impl Buffer for RawBatch {
    fn events(&self) -> usize {
        self.entries.len()
    }

    fn clear(&mut self) {
        let Self { entries, words, processes, by_id, containers, texts } = self;
        entries.clear();
        words.clear();
        processes.clear();
        by_id.clear();
        containers.clear();
        texts.clear();
    }
}

const fn words_of(bytes: usize) -> usize {
    bytes.div_ceil(size_of::<u64>())
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
