//! What a connection has said of processes and containers, and frames that need nothing but
//! themselves.
//!
//! An agent sends a process whole once and by its id after. A frame of the log must be readable
//! without those before it, so what its records refer to is put back in.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use hashbrown::{HashMap, HashSet};
use kestrel_proto::{
    raw,
    v1::{self, record::Event},
};
use prost::Message;

use super::Refusal;

/// Most processes of one connection, as agents know.
const PROCESSES: usize = 65_536;
/// Most containers of one connection, as agents know.
const CONTAINERS: usize = 8192;
/// A connection that remembers so much remembers further processes without their arguments.
const LEAN_BYTES: usize = 24 << 20;
/// Most that a connection remembers.
const CONNECTION_BYTES: usize = 96 << 20;
/// Most that all connections remember.
const ALL_BYTES: usize = 1 << 30;
/// So many processes that have exited or have a newer image are remembered for who comes late.
const RETIRED: usize = 4096;
/// What is put back into one frame before a new one is begun.
const FRAME_BYTES: usize = 4 << 20;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: usize = 64;

/// Start in ticks, tgid, exec id.
type ProcessKey = (u64, u32, u64);

/// Bytes that all connections remember.
#[derive(Debug, Default)]
pub struct Memory(AtomicUsize);

impl Memory {
    /// Now, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// What one connection has said.
#[derive(Debug)]
pub struct Definitions {
    processes: HashMap<ProcessKey, Box<[u8]>>,
    /// The newest image of a process.
    newest: HashMap<(u64, u32), u64>,
    retired: VecDeque<ProcessKey>,
    containers: HashMap<Box<str>, Box<[u8]>>,
    bytes: usize,
    memory: Arc<Memory>,
    /// References to what was never said, since the connection began.
    pub unknown: u64,
}

impl Definitions {
    /// Nothing said yet.
    #[must_use]
    pub fn new(memory: Arc<Memory>) -> Self {
        Self {
            processes: HashMap::new(),
            newest: HashMap::new(),
            retired: VecDeque::new(),
            containers: HashMap::new(),
            bytes: 0,
            memory,
            unknown: 0,
        }
    }

    /// Takes in what a batch says, whether or not its records are new.
    ///
    /// # Errors
    /// When it is more than a connection may say.
    pub fn learn(&mut self, batch: &v1::Batch) -> Result<(), Refusal> {
        if batch.forget {
            self.forget();
        }
        for process in &batch.processes {
            if let Some(key) = process.id.as_ref().and_then(key_of) {
                self.learn_process(key, process);
            }
        }
        for container in &batch.containers {
            let bytes = container.encode_to_vec().into_boxed_slice();
            self.grow(bytes.len() + container.id.len() + ENTRY_BYTES);
            if let Some(former) = self.containers.insert(container.id.as_str().into(), bytes) {
                self.shrink(former.len() + container.id.len() + ENTRY_BYTES);
            }
        }
        if self.processes.len() > PROCESSES || self.containers.len() > CONTAINERS {
            return Err(Refusal::Invalid(format!(
                "more than {PROCESSES} processes or {CONTAINERS} containers without a batch that forgets them"
            )));
        }
        if self.bytes > CONNECTION_BYTES || self.memory.bytes() > ALL_BYTES {
            return Err(Refusal::NoMemory);
        }
        Ok(())
    }

    fn learn_process(&mut self, key: ProcessKey, process: &v1::Process) {
        let bytes = if self.bytes < LEAN_BYTES {
            process.encode_to_vec()
        } else {
            let argv_truncated = process.argv_truncated || !process.argv.is_empty();
            v1::Process { argv: Vec::new(), argv_truncated, ..process.clone() }.encode_to_vec()
        };
        let (start, tgid, exec) = key;
        if let Some(former) = self.newest.insert((start, tgid), exec).filter(|&former| former != exec) {
            self.retire((start, tgid, former));
        }
        self.grow(bytes.len() + ENTRY_BYTES);
        if let Some(former) = self.processes.insert(key, bytes.into_boxed_slice()) {
            self.shrink(former.len() + ENTRY_BYTES);
        }
    }

    /// Nobody but the late speak of it.
    fn retire(&mut self, key: ProcessKey) {
        self.retired.push_back(key);
        if self.retired.len() <= RETIRED {
            return;
        }
        let Some(key) = self.retired.pop_front() else { return };
        if let Some(former) = self.processes.remove(&key) {
            self.shrink(former.len() + ENTRY_BYTES);
        }
        if self.newest.get(&(key.0, key.1)) == Some(&key.2) {
            self.newest.remove(&(key.0, key.1));
        }
    }

    /// Batches with the same records, each with all that it refers to: one, unless that is a lot.
    pub fn complete(&mut self, batch: v1::Batch) -> Vec<v1::Batch> {
        let v1::Batch { epoch, lane, first_sequence, processes, containers, forget: _, records } = batch;
        let begin = |first_sequence| v1::Batch { epoch, lane, first_sequence, ..v1::Batch::default() };
        let mut there = There {
            processes: processes.iter().filter_map(|process| process.id.as_ref().and_then(key_of)).collect(),
            containers: containers.iter().map(|container| container.id.as_str().into()).collect(),
            bytes: 0,
        };
        let mut frame = v1::Batch {
            processes,
            containers,
            records: Vec::with_capacity(records.len()),
            ..begin(first_sequence)
        };
        let theirs = frame.processes.iter().filter_map(|process| process.container_id.as_deref());
        let missing: HashSet<String> =
            theirs.filter(|&id| !there.containers.contains(id)).map(str::to_owned).collect();
        for id in &missing {
            self.put_container(id, &mut frame, &mut there);
        }
        let mut frames = Vec::new();
        for (sequence, record) in (first_sequence..).zip(records) {
            if there.bytes > FRAME_BYTES {
                frames.push(std::mem::replace(&mut frame, begin(sequence)));
                there = There::default();
            }
            self.put_back(&record, &mut frame, &mut there);
            frame.records.push(record);
        }
        frames.push(frame);
        frames
    }

    fn put_back(&mut self, record: &v1::Record, frame: &mut v1::Batch, there: &mut There) {
        let Some(event) = &record.event else { return };
        let process = match event {
            Event::Exec(exec) => exec.process.as_ref(),
            Event::Exit(exit) => exit.process.as_ref(),
            Event::Credentials(change) => change.process.as_ref(),
            Event::Detection(detection) => detection.process.as_ref(),
            event => raw::refers(event).0,
        };
        if let Some(key) = process.and_then(key_of)
            && !self.put_process(key, frame, there)
        {
            self.unknown += 1;
        }
        match event {
            Event::Exit(exit) => {
                if let Some(key) = exit.process.as_ref().and_then(key_of) {
                    self.retire(key);
                }
            }
            Event::Detection(v1::Detection { container_id: Some(id), .. })
            | Event::Throttled(v1::Throttled { container_id: Some(id), .. })
            | Event::ContainerStarted(v1::ContainerStarted { container_id: id, .. })
            | Event::ContainerNamed(v1::ContainerNamed { container_id: id })
            | Event::ContainerGone(v1::ContainerGone { container_id: id }) => {
                self.unknown += u64::from(!self.put_container(id, frame, there));
            }
            // It has what is to be known of them itself; they are put in where they are known.
            Event::Finding(finding) => {
                self.put_container(&finding.container_id, frame, there);
                for instance in &finding.instances {
                    if let Some(key) = instance.process.as_ref().and_then(key_of) {
                        self.put_process(key, frame, there);
                    }
                    self.put_container(&instance.container_id, frame, there);
                }
            }
            event => {
                if let Some(id) = raw::refers(event).1 {
                    self.unknown += u64::from(!self.put_container(id, frame, there));
                }
            }
        }
    }

    fn put_process(&self, key: ProcessKey, frame: &mut v1::Batch, there: &mut There) -> bool {
        if there.processes.contains(&key) {
            return true;
        }
        let Some(bytes) = self.processes.get(&key) else { return false };
        // Our own encoding, so it decodes.
        let Ok(process) = v1::Process::decode(&**bytes) else { return false };
        there.processes.insert(key);
        there.bytes += bytes.len();
        if let Some(id) = &process.container_id {
            self.put_container(id, frame, there);
        }
        frame.processes.push(process);
        true
    }

    fn put_container(&self, id: &str, frame: &mut v1::Batch, there: &mut There) -> bool {
        if there.containers.contains(id) {
            return true;
        }
        let Some(bytes) = self.containers.get(id) else { return false };
        let Ok(container) = v1::Container::decode(&**bytes) else { return false };
        there.containers.insert(id.into());
        there.bytes += bytes.len();
        frame.containers.push(container);
        true
    }

    fn forget(&mut self) {
        self.processes.clear();
        self.newest.clear();
        self.retired.clear();
        self.containers.clear();
        self.shrink(self.bytes);
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.memory.0.fetch_add(bytes, Relaxed);
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.memory.0.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Definitions {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.bytes, Relaxed);
    }
}

/// What a frame has in it.
#[derive(Default)]
struct There {
    processes: HashSet<ProcessKey>,
    containers: HashSet<Box<str>>,
    /// Put back from memory.
    bytes: usize,
}

/// Without an exec id any image is meant, and none can be put in.
fn key_of(id: &v1::ProcessId) -> Option<ProcessKey> {
    Some((id.start_ticks, id.tgid, id.exec_id?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(tgid: u32, exec_id: u64) -> v1::ProcessId {
        v1::ProcessId { start_ticks: 7, tgid, exec_id: Some(exec_id) }
    }

    fn process(tgid: u32, exec_id: u64, container: &str) -> v1::Process {
        v1::Process {
            id: Some(id(tgid, exec_id)),
            argv: vec![vec![b'x'; 100].into()],
            container_id: Some(container.to_owned()),
            ..v1::Process::default()
        }
    }

    fn exit(tgid: u32, exec_id: u64) -> v1::Record {
        let exit = v1::Exit { process: Some(id(tgid, exec_id)), status: 0 };
        v1::Record { event: Some(Event::Exit(exit)), ..v1::Record::default() }
    }

    fn batch(processes: Vec<v1::Process>, records: Vec<v1::Record>) -> v1::Batch {
        let containers = if processes.is_empty() {
            vec![]
        } else {
            vec![v1::Container { id: "c".into(), ..Default::default() }]
        };
        v1::Batch { first_sequence: 1, processes, containers, records, ..v1::Batch::default() }
    }

    fn take(definitions: &mut Definitions, batch: v1::Batch) -> Vec<v1::Batch> {
        definitions.learn(&batch).unwrap();
        definitions.complete(batch)
    }

    #[test]
    fn what_was_said_before_is_put_back() {
        let mut definitions = Definitions::new(Arc::default());
        let first = take(&mut definitions, batch(vec![process(1, 1, "c")], vec![exit(9, 9)]));
        assert_eq!(first[0].processes.len(), 1);
        assert_eq!(definitions.unknown, 1);

        let second = take(&mut definitions, batch(vec![], vec![exit(1, 1), exit(1, 1)]));
        assert_eq!(second[0].processes, [process(1, 1, "c")]);
        assert_eq!(second[0].containers.len(), 1);
        assert_eq!(definitions.unknown, 1);
    }

    #[test]
    fn the_exited_and_the_replaced_are_kept_for_a_while() {
        let memory = Arc::<Memory>::default();
        let mut definitions = Definitions::new(Arc::clone(&memory));
        for tgid in 0..20_000 {
            take(
                &mut definitions,
                batch(vec![process(tgid, 1, "c"), process(tgid, 2, "c")], vec![exit(tgid, 2)]),
            );
        }
        assert!(definitions.processes.len() <= RETIRED + 1, "{}", definitions.processes.len());
        assert!(definitions.newest.len() <= RETIRED + 1);
        assert!(memory.bytes() < 4 << 20, "{}", memory.bytes());
        assert_eq!(definitions.unknown, 0);
        drop(definitions);
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn forgetting_forgets() {
        let mut definitions = Definitions::new(Arc::default());
        take(&mut definitions, batch(vec![process(1, 1, "c")], vec![]));
        let frames = take(&mut definitions, v1::Batch { forget: true, ..batch(vec![], vec![exit(1, 1)]) });
        assert!(frames[0].processes.is_empty());
        assert_eq!(definitions.unknown, 1);
    }

    #[test]
    fn more_than_agents_may_say_is_refused() {
        let mut definitions = Definitions::new(Arc::default());
        let many = (0..=u32::try_from(PROCESSES).unwrap()).map(|tgid| process(tgid, 1, "c")).collect();
        assert!(matches!(definitions.learn(&batch(many, vec![])), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn long_arguments_do_not_fill_the_memory() {
        let mut definitions = Definitions::new(Arc::default());
        for tgid in 0..40_000 {
            let argv = vec![vec![b'x'; 4000].into()];
            let process = v1::Process { argv, ..process(tgid, 1, "c") };
            definitions.learn(&batch(vec![process], vec![])).unwrap();
        }
        assert!(definitions.bytes < 2 * LEAN_BYTES, "{}", definitions.bytes);
        let frames = definitions.complete(batch(vec![], vec![exit(39_999, 1)]));
        assert!(frames[0].processes[0].argv_truncated);
    }

    #[test]
    fn a_frame_does_not_grow_without_bound() {
        let mut definitions = Definitions::new(Arc::default());
        for tgid in 0..1000 {
            let argv = vec![vec![b'x'; 10_000].into()];
            definitions.learn(&batch(vec![v1::Process { argv, ..process(tgid, 1, "c") }], vec![])).unwrap();
        }
        let frames = definitions.complete(batch(vec![], (0..1000).map(|tgid| exit(tgid, 1)).collect()));
        assert!(frames.len() > 1);
        let mut next = 1;
        for frame in &frames {
            assert_eq!(frame.first_sequence, next);
            assert_eq!(frame.processes.len(), frame.records.len());
            next += frame.records.len() as u64;
        }
        assert_eq!(next, 1001);
    }
}
