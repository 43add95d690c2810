//! Which raw events leave the hot loop, whose they are, and that they hold nobody up.

use agent_abi::{
    ABI_VERSION,
    interest::{ABI_COMPAT, ABI_NATIVE},
    map::{RING_BULK, RING_CRITICAL},
    record::{
        FileCall, OomKill, PathCall, PathRef, PlainCall, SocketCall, SocketRef, SocketState, Span, Syscall,
        grade, kind,
    },
};
use zerocopy::{Immutable, IntoBytes};

use super::*;
use crate::{
    decode::decode,
    pipeline::raw::{BULK_CAPACITY, RARE_CAPACITY, RawBatch, RawEntry},
    telemetry::label::{Queue, QueueDrop},
};

/// `openat`, `ptrace`, `memfd_create` and, of the 32-bit table, `unlink`.
const OPENAT: u32 = 257;
const CONNECT: u32 = 42;
const RENAME: u32 = 82;
const UNLINK: u32 = 87;
pub(super) const PTRACE: u32 = 101;
const UNLINK_32: u32 = 10;

/// A record as the kernel writes one: `tail` behind the fixed part.
pub(super) fn record(fixed: &(impl IntoBytes + Immutable), tail: &[u8]) -> Vec<u64> {
    let bytes = [fixed.as_bytes(), tail].concat();
    let mut words = vec![0; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    words
}

impl Node {
    pub(super) fn raw_header(&mut self, kind: u16, ring: u32, len: usize) -> Header {
        let len = u32::try_from(len).unwrap();
        Header { abi: ABI_VERSION, kind, len, ring: u16::try_from(ring).unwrap(), ..self.header() }
    }

    pub(super) fn call(&mut self, pid: u32, cgroup_id: u64, abi: u8, number: u32) -> Syscall {
        Syscall { number, abi, task: task(pid), cgroup_id, ..Syscall::default() }
    }

    pub(super) fn take(&mut self, record: &[u64], len: usize) {
        self.pipeline.left_record(&record.as_bytes()[..len]);
    }

    pub(super) fn open(&mut self, pid: u32, cgroup_id: u64, path: &[u8]) {
        let len = size_of::<FileCall>() + path.len();
        let mut file = FileCall {
            header: self.raw_header(kind::FILE, RING_BULK, len),
            call: self.call(pid, cgroup_id, ABI_NATIVE, OPENAT),
            ..FileCall::default()
        };
        file.file.path = Span {
            offset: u16::try_from(size_of::<FileCall>()).unwrap(),
            len: u16::try_from(path.len()).unwrap(),
        };
        self.take(&record(&file, path), len);
    }

    pub(super) fn plain(&mut self, pid: u32, cgroup_id: u64, abi: u8, number: u32, ring: u32) {
        let len = size_of::<PlainCall>();
        let plain = PlainCall {
            header: self.raw_header(kind::PLAIN, ring, len),
            call: self.call(pid, cgroup_id, abi, number),
            ..PlainCall::default()
        };
        self.take(&record(&plain, &[]), len);
    }

    /// A record of an exec, with its texts.
    pub(super) fn exec_record(&mut self, state: TaskState) {
        let mut tail = Vec::new();
        let fixed = size_of::<record::Exec>();
        let mut span = |text: &[u8]| {
            let offset = u16::try_from(fixed + tail.len()).unwrap();
            tail.extend_from_slice(text);
            Span { offset, len: u16::try_from(text.len()).unwrap() }
        };
        let exe = FileRef { flags: OWN, inode: 9, path: span(b"/bin/tool"), ..FileRef::default() };
        let (argv, filename, cwd) = (span(b"tool\0--one\0two\0"), span(b"./tool"), span(b"/srv"));
        let len = fixed + tail.len();
        let header = self.raw_header(kind::EXEC, RING_CRITICAL, len);
        let exec = record::Exec { header, state, exe, argv, filename, cwd, ..record::Exec::default() };
        self.take(&record(&exec, &tail), len);
    }

    /// A connection to a peer.
    pub(super) fn connect(&mut self, pid: u32) {
        let len = size_of::<SocketCall>();
        let (mut local, mut peer) = ([0; 16], [0; 16]);
        local[..4].copy_from_slice(&[10, 0, 0, 1]);
        peer[..4].copy_from_slice(&[192, 0, 2, 1]);
        let socket = SocketRef {
            local,
            peer,
            local_port: 40_000,
            peer_port: 443,
            family: 2,
            kind: 1,
            protocol: 6,
            state: 1,
            ..SocketRef::default()
        };
        let call = SocketCall {
            header: self.raw_header(kind::SOCKET, RING_BULK, len),
            call: self.call(pid, CGROUP, ABI_NATIVE, CONNECT),
            socket,
            ..SocketCall::default()
        };
        self.take(&record(&call, &[]), len);
    }

    pub(super) fn rename(&mut self, pid: u32, from: &[u8], to: &[u8]) {
        self.paths(pid, RENAME, from, to);
    }

    pub(super) fn unlink(&mut self, pid: u32, path: &[u8]) {
        self.paths(pid, UNLINK, path, b"");
    }

    fn paths(&mut self, pid: u32, number: u32, from: &[u8], to: &[u8]) {
        let fixed = size_of::<PathCall>();
        let tail = [from, to].concat();
        let at = |offset: usize, name: &[u8]| PathRef {
            name: Span {
                offset: u16::try_from(fixed + offset).unwrap(),
                len: u16::try_from(name.len()).unwrap(),
            },
            grade: grade::USER,
            ..PathRef::default()
        };
        let len = fixed + tail.len();
        let call = PathCall {
            header: self.raw_header(kind::PATH, RING_BULK, len),
            call: self.call(pid, CGROUP, ABI_NATIVE, number),
            from: at(0, from),
            to: at(from.len(), to),
            ..PathCall::default()
        };
        self.take(&record(&call, &tail), len);
    }

    /// What left by both ways: way, kind of the record, process, image, container.
    fn raw(&mut self) -> Vec<String> {
        self.pipeline.end_round();
        let mut told = Vec::new();
        for (way, name) in [(&mut self.raw.rare, "rare"), (&mut self.raw.bulk, "bulk")] {
            while let Some(filled) = way.try_recv() {
                told.extend(filled.entries().iter().map(|entry| format!("{name} {}", words(&filled, entry))));
                drop(filled);
                self.pipeline.end_round();
            }
        }
        told
    }
}

fn words(batch: &RawBatch, entry: &RawEntry) -> String {
    let event = decode(batch.record(entry)).unwrap();
    assert_eq!(event.header().boottime_ns, entry.at.boottime_ns);
    let who = match batch.process(entry) {
        Some(process) => format!(
            "{} {}{}",
            process.id.tgid,
            process.exec_id,
            if process.container.is_some() { " inside" } else { "" }
        ),
        None => format!("-{}", if batch.container(entry).is_some() { " inside" } else { "" }),
    };
    format!("{} {who}", event.header().kind)
}

#[test]
fn an_open_goes_out_with_its_process_and_its_bytes() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    for path in [&b"/etc/\x1b\xff"[..], b"", &[b'x'; 4096]] {
        node.open(100, CGROUP, path);
    }
    node.pipeline.end_round();
    let filled = node.raw.bulk.try_recv().unwrap();
    let paths: Vec<_> = filled
        .entries()
        .iter()
        .map(|entry| {
            let Ok(Event::File(file)) = decode(filled.record(entry)) else { panic!("an open") };
            let process = filled.process(entry).unwrap();
            assert_eq!((process.id.tgid, process.exec_id), (100, 3));
            assert_eq!(filled.texts().bytes(process.argv), b"app\0--password=x\0");
            assert_eq!(process.container.as_ref().unwrap().id.as_str(), id());
            file.path.to_vec()
        })
        .collect();
    assert_eq!(paths, [&b"/etc/\x1b\xff"[..], b"", &[b'x'; 4096]]);
}

#[test]
fn nobody_known_is_no_reason_to_drop() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    // Neither process nor cgroup; the cgroup of a container; of the host, of which only files are wanted.
    node.open(900, 77, b"/a");
    node.open(901, CGROUP, b"/b");
    node.open(902, 1, b"/c");
    node.plain(903, 77, ABI_NATIVE, PTRACE, RING_CRITICAL);
    node.plain(904, CGROUP, ABI_NATIVE, PTRACE, RING_CRITICAL);
    node.plain(905, 1, ABI_NATIVE, PTRACE, RING_CRITICAL);
    assert_eq!(node.raw(), ["rare 11 -", "rare 11 - inside", "bulk 8 -", "bulk 8 - inside", "bulk 8 -"]);
}

#[test]
fn streams_are_by_what_a_call_is_about_and_scopes_by_whose_it_is() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    node.exec(TaskState { exec_id: 1, ..state(50, 1, HOST_MNT, 1) }, 0, b"sshd\0");
    // Of the 32-bit table the number is a call on files.
    node.plain(50, 1, ABI_COMPAT, UNLINK_32, RING_BULK);
    node.plain(50, 1, ABI_NATIVE, PTRACE, RING_CRITICAL);
    node.plain(100, CGROUP, ABI_NATIVE, PTRACE, RING_CRITICAL);
    let state = SocketState {
        header: node.raw_header(kind::SOCKET_STATE, RING_BULK, size_of::<SocketState>()),
        cgroup_id: CGROUP,
        ..SocketState::default()
    };
    node.take(&record(&state, &[]), size_of::<SocketState>());
    // Whatever is streamed.
    let kill = OomKill {
        header: node.raw_header(kind::OOM_KILL, RING_BULK, size_of::<OomKill>()),
        task: task(50),
        cgroup_id: 1,
    };
    node.take(&record(&kill, &[]), size_of::<OomKill>());
    assert_eq!(node.raw(), ["rare 11 100 3 inside", "rare 15 50 1", "bulk 11 50 1"]);
}

#[test]
fn what_a_runtime_does_before_the_workload_is_not_the_containers() {
    let mut node = Node::new(Processes::Containers);
    node.mkdir(CGROUP, &path());
    let host = state(100, 11, HOST_MNT, 1);
    node.fork(host);
    node.exec(TaskState { exec_id: 1, ..host }, file_flag::IN_TASK_MOUNT_NS, b"runc\0");
    node.cgroup(CgroupChange::Attach, CGROUP, 100, &path());
    node.open(100, CGROUP, b"/a");
    node.plain(100, CGROUP, ABI_NATIVE, PTRACE, RING_CRITICAL);
    assert_eq!(node.raw(), ["bulk 8 100 1"]);
}

#[test]
fn an_image_that_came_later_did_not_do_it() {
    let mut node = Node::new(Processes::Containers);
    let init = node.start(100);
    let before = node.now;
    node.now += 2_000_000;
    node.exec(TaskState { exec_id: 4, ..init }, OWN, b"next\0");
    node.open(100, CGROUP, b"/new");
    // Made before that exec and read after it.
    node.now = before + 1_000_000;
    node.open(100, CGROUP, b"/old");
    // With an image of the runtime's, and before any.
    node.now = before - 3_000;
    node.open(100, CGROUP, b"/runtime");
    node.now = before - 1_000_000_000;
    node.open(100, 1, b"/older");
    assert_eq!(node.raw(), ["bulk 8 100 4 inside", "bulk 8 100 3 inside", "bulk 8 100 2", "bulk 8 100 0"]);
}

#[test]
fn images_are_remembered_for_as_long_as_records_wait() {
    let mut node = Node::new(Processes::All);
    let at = |node: &mut Node, pid: u32, exec_id: u64| {
        node.exec(TaskState { exec_id, ..state(pid, 1, HOST_MNT, 1) }, 0, b"x\0");
        node.now
    };
    let first = at(&mut node, 100, 1);
    for exec_id in 2..5 {
        at(&mut node, 100, exec_id);
    }
    node.now = first;
    node.open(100, 1, b"/a");
    assert_eq!(node.raw(), ["bulk 8 100 2"], "by the time of the open");
    for pid in 200..600 {
        at(&mut node, pid, 1);
        at(&mut node, pid, 2);
    }
    node.now = first;
    node.open(100, 1, b"/a");
    assert_eq!(node.raw(), ["bulk 8 -"]);
}

#[test]
fn the_agents_own_children_and_unwanted_streams_are_silent() {
    let mut node = Node::new(Processes::All);
    let own = std::process::id();
    node.exec(TaskState { exec_id: 1, ..state(500, own, HOST_MNT, 1) }, 0, b"canary\0");
    node.open(500, 1, b"/a");
    assert!(node.raw().is_empty());
}

#[test]
fn a_flood_of_raw_events_loses_itself_alone_and_says_so() {
    let mut node = Node::new(Processes::Containers);
    let init = node.start(100);
    assert_eq!(node.told(), ["started", "exec 100 3"]);
    let from = node.now + 1000 * (BULK_CAPACITY as u64 + 1);
    for _ in 0..BULK_CAPACITY + 7 {
        node.open(100, CGROUP, b"/f");
    }
    let to = node.now;
    // Full as they are, what the container does goes out, and so do the rare.
    node.plain(100, CGROUP, ABI_NATIVE, PTRACE, RING_CRITICAL);
    let child = TaskState { exec_id: 3, ..state(101, 100, CONTAINER_MNT, CGROUP) };
    node.fork(child);
    node.exec(TaskState { exec_id: 4, ..child }, OWN, b"sh\0");
    node.exit(init.task.tgid, 9);
    assert_eq!(node.told(), ["exec 101 4", "exit 100 9"]);
    assert_eq!(node.raw.rare.try_recv().unwrap().entries().len(), 1);
    node.pipeline.tick(node.now + 2_000_000_000);
    let dropped = &node.telemetry.queues.dropped;
    assert_eq!(dropped.of(Queue::Bulk, QueueDrop::Full).get(), 7);
    assert_eq!(dropped.of(Queue::Rare, QueueDrop::Full).get(), 0);
    assert_eq!(dropped.of(Queue::Lifecycle, QueueDrop::Full).get(), 0);
    while let Ok(outgoing) = node.changes.try_recv() {
        assert!(!matches!(outgoing, Outgoing::Lost(_)), "told when there is room, not before");
    }
    drop(node.raw.bulk.try_recv().unwrap());
    node.pipeline.end_round();
    let Ok(Outgoing::Lost(lost)) = node.changes.try_recv() else { panic!("a loss") };
    assert_eq!((lost.at, lost.lost), ("queue bulk", 7));
    assert_eq!((lost.from.boottime_ns, lost.to.boottime_ns), (from, to));
    assert_eq!(node.raw().len(), BULK_CAPACITY - BULK_CAPACITY / 16);
}

#[test]
fn a_flood_of_rare_events_is_counted_too() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    // Somebody reads: no more buffers are made.
    assert!(node.raw().is_empty());
    for _ in 0..RARE_CAPACITY + 3 {
        node.plain(100, CGROUP, ABI_NATIVE, PTRACE, RING_CRITICAL);
    }
    assert_eq!(node.told(), ["started", "exec 100 3"]);
    assert_eq!(node.raw().len(), RARE_CAPACITY);
    node.pipeline.end_round();
    let mut lost =
        std::iter::from_fn(|| node.changes.try_recv().ok()).filter_map(|outgoing| match outgoing {
            Outgoing::Lost(lost) => Some((lost.at, lost.lost)),
            _ => None,
        });
    assert_eq!(lost.next(), Some(("queue rare", 3)));
}

#[test]
fn a_buffer_holds_many_processes_and_the_longest_records() {
    let mut node = Node::new(Processes::All);
    for pid in 100..400 {
        node.exec(TaskState { exec_id: 1, ..state(pid, 1, HOST_MNT, 1) }, 0, &[b'x'; 4096]);
        node.open(pid, 1, &[b'y'; 4096]);
        node.told();
    }
    let raw = node.raw();
    assert_eq!(raw.len(), 300);
    assert!(raw.iter().zip(100..).all(|(told, pid)| *told == format!("bulk 8 {pid} 1")), "{raw:?}");
}
