//! Records in memory, as they lie in a ring: one after the other, aligned to 8 bytes.

use std::ops::Range;

use agent_abi::{
    ABI_VERSION,
    map::RING_CRITICAL,
    record::{
        Cgroup, Credentials, Exec, Exit, FileCall, Fork, Header, PathCall, Span, Syscall, TaskRef, TaskState,
        kind,
    },
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// CPUs that the records are from.
pub(super) const CPUS: usize = 8;
/// Time from one record to the next.
const STEP_NS: u64 = 2_000;
/// A tick of /proc: process ids count in these.
const TICK_NS: u64 = 10_000_000;
/// Between the cgroup ids of one pass and those of the next.
const CGROUPS: u64 = 1 << 24;

/// A fixed part: it starts with a header and names tasks and cgroups.
pub(super) trait Fixed: IntoBytes + FromBytes + Immutable + KnownLayout + Copy {
    fn header(&mut self) -> &mut Header;
    /// Moves what it names on, by this much time.
    fn advance(&mut self, shift_ns: u64);
}

impl Fixed for Fork {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_state(&mut self.child, shift_ns);
        advance_task(&mut self.creator, shift_ns);
    }
}

impl Fixed for Exec {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_state(&mut self.state, shift_ns);
    }
}

impl Fixed for Credentials {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_state(&mut self.state, shift_ns);
    }
}

impl Fixed for Exit {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_task(&mut self.task, shift_ns);
        self.cgroup_id += CGROUPS;
    }
}

impl Fixed for FileCall {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_call(&mut self.call, shift_ns);
    }
}

impl Fixed for PathCall {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_call(&mut self.call, shift_ns);
    }
}

impl Fixed for Cgroup {
    fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    fn advance(&mut self, shift_ns: u64) {
        advance_task(&mut self.task, shift_ns);
        self.cgroup_id += CGROUPS;
    }
}

fn advance_state(state: &mut TaskState, shift_ns: u64) {
    advance_task(&mut state.task, shift_ns);
    advance_task(&mut state.parent, shift_ns);
    state.cgroup_id += CGROUPS;
}

fn advance_call(call: &mut Syscall, shift_ns: u64) {
    advance_task(&mut call.task, shift_ns);
    call.cgroup_id += CGROUPS;
}

fn advance_task(task: &mut TaskRef, shift_ns: u64) {
    task.leader_start_ns += shift_ns;
}

/// Records of a stretch of time that ends as it began: what was started in it ends in it.
#[derive(Debug, Default)]
pub struct Recording {
    words: Vec<u64>,
    places: Vec<Range<usize>>,
    /// Records per CPU, and so the sequence number that follows.
    counts: [u64; CPUS],
    start_ns: u64,
}

impl Recording {
    /// An empty one that starts at this boottime.
    #[must_use]
    pub(super) fn starting_at(start_ns: u64) -> Self {
        Self { start_ns, ..Self::default() }
    }

    /// The records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.words.as_bytes();
        self.places.iter().map(|place| &bytes[place.clone()])
    }

    /// Number of records.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.places.iter().map(Range::len).sum()
    }

    /// Boottime of the record that comes next.
    pub(super) fn now(&self) -> u64 {
        self.start_ns + self.places.len() as u64 * STEP_NS
    }

    /// Adds a record made on `cpu`.
    pub(super) fn push<T: Fixed>(&mut self, cpu: usize, kind: u16, mut fixed: T, tail: &Tail<T>) {
        let len = size_of::<T>() + tail.bytes.len();
        *fixed.header() = Header {
            abi: ABI_VERSION,
            kind,
            len: len as u32,
            cpu: cpu as u16,
            ring: RING_CRITICAL as u16,
            flags: 0,
            sequence: self.counts[cpu],
            boottime_ns: self.now(),
        };
        self.counts[cpu] += 1;
        let start = self.words.len() * 8;
        self.words.resize(self.words.len() + len.div_ceil(8), 0);
        let (front, back) = self.words.as_mut_bytes()[start..start + len].split_at_mut(size_of::<T>());
        front.copy_from_slice(fixed.as_bytes());
        back.copy_from_slice(&tail.bytes);
        self.places.push(start..start + len);
    }

    /// Makes it the recording of the stretch of time that follows: later, with the sequence numbers
    /// that follow, of other processes in other cgroups.
    pub fn advance(&mut self) {
        let shift_ns = (self.now() - self.start_ns).next_multiple_of(TICK_NS);
        let bytes = self.words.as_mut_bytes();
        for place in &self.places {
            let record = &mut bytes[place.clone()];
            let Ok((header, _)) = Header::mut_from_prefix(record) else { continue };
            header.sequence += self.counts[usize::from(header.cpu)];
            header.boottime_ns += shift_ns;
            match header.kind {
                kind::FORK => advance::<Fork>(record, shift_ns),
                kind::EXEC => advance::<Exec>(record, shift_ns),
                kind::EXIT => advance::<Exit>(record, shift_ns),
                kind::CREDENTIALS => advance::<Credentials>(record, shift_ns),
                kind::FILE => advance::<FileCall>(record, shift_ns),
                kind::PATH => advance::<PathCall>(record, shift_ns),
                _ => advance::<Cgroup>(record, shift_ns),
            }
        }
        self.start_ns += shift_ns;
    }
}

fn advance<T: Fixed>(record: &mut [u8], shift_ns: u64) {
    if let Ok((fixed, _)) = T::mut_from_prefix(record) {
        fixed.advance(shift_ns);
    }
}

/// What follows a fixed part of type `T`.
#[derive(Debug)]
pub(super) struct Tail<T> {
    bytes: Vec<u8>,
    fixed: std::marker::PhantomData<T>,
}

impl<T> Tail<T> {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), fixed: std::marker::PhantomData }
    }

    /// Bytes as they are.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Span {
        let offset = size_of::<T>() + self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span { offset: offset as u16, len: bytes.len() as u16 }
    }

    /// NUL-terminated strings.
    pub(super) fn add_strings<'a>(&mut self, strings: impl IntoIterator<Item = &'a str>) -> Span {
        let bytes: Vec<u8> = strings.into_iter().flat_map(|string| string.bytes().chain([0])).collect();
        self.add(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(recording: &Recording) -> Exit {
        let record = recording.records().next().unwrap();
        Exit::read_from_bytes(record).unwrap()
    }

    #[test]
    fn a_later_pass_goes_on_where_this_one_ends() {
        let mut recording = Recording::starting_at(1_000_000_000);
        let task = TaskRef { leader_start_ns: 900_000_000, tgid: 7, tid: 7 };
        for _ in 0..3 {
            recording.push(2, kind::EXIT, Exit { task, cgroup_id: 5, ..Exit::default() }, &Tail::new());
        }
        let before = one(&recording);
        recording.advance();
        let after = one(&recording);
        assert_eq!((before.header.sequence, after.header.sequence), (0, 3));
        assert_eq!(after.header.boottime_ns, before.header.boottime_ns + TICK_NS);
        assert_eq!(after.task.leader_start_ns, task.leader_start_ns + TICK_NS);
        assert_eq!((after.task.tgid, after.cgroup_id), (7, 5 + CGROUPS));
        assert_eq!((recording.count(), recording.bytes()), (3, 3 * 64));
    }

    #[test]
    fn spans_point_into_the_tail() {
        let mut tail = Tail::<Exec>::new();
        assert_eq!(tail.add(b"/usr/bin/app"), Span { offset: 304, len: 12 });
        assert_eq!(tail.add(b"x"), Span { offset: 316, len: 1 });
    }
}
