//! What comes out of records, decoded again.

use agent_abi::{
    ABI_VERSION,
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_URING},
    map::RING_BULK,
    record::{
        self, FileRef, Header, PENDING, PathRef, SocketRef, Span, Syscall, TaskRef, TaskState, file_flag,
        grade, kind, path_flag, socket_flag, via,
    },
};
use proptest::prelude::*;
use prost::Message as _;
use zerocopy::{Immutable, IntoBytes};

use super::*;
use crate::{
    context::{Container, ContainerId, ContainerKey, Enrichment, PendingReason, Process, Runtime, Stage},
    outbox::Item,
    time::Clock,
};

const AT: Clock = Clock { boottime_ns: 5_000, wall_ns: 1_709_210_096_000_000_123 };
const HOSTILE: &[u8] = b"/tmp/\x1b]0;\xff\xfe";
const TASK: TaskRef = TaskRef { leader_start_ns: 110_000_000, tgid: 100, tid: 101 };

/// A record in the making: its fixed part, and the pieces of its tail.
struct Record {
    fixed: usize,
    tail: Vec<u8>,
}

impl Record {
    fn of<T>() -> Self {
        Self { fixed: size_of::<T>(), tail: Vec::new() }
    }

    fn span(&mut self, bytes: &[u8]) -> Span {
        let offset = u16::try_from(self.fixed + self.tail.len()).unwrap();
        self.tail.extend_from_slice(bytes);
        Span { offset, len: u16::try_from(bytes.len()).unwrap() }
    }

    fn header(&self, kind: u16) -> Header {
        let len = u32::try_from(self.fixed + self.tail.len()).unwrap();
        let ring = u16::try_from(RING_BULK).unwrap();
        Header { abi: ABI_VERSION, kind, len, ring, boottime_ns: AT.boottime_ns, ..Header::default() }
    }

    fn bytes(&self, fixed: &(impl IntoBytes + Immutable)) -> Vec<u8> {
        [fixed.as_bytes(), &self.tail].concat()
    }
}

fn call(abi: u8, number: u32) -> Syscall {
    Syscall { abi, number, task: TASK, cgroup_id: 42, ..Syscall::default() }
}

fn process() -> Process {
    Process {
        id: ProcessId { start_ticks: 11, tgid: 100 },
        state: TaskState { exec_id: 3, ..TaskState::default() },
        exe_path: HOSTILE.to_vec(),
        argv: b"app\0--password=hunter2\0".to_vec(),
        stage: Stage::Workload,
        exec_ns: 1,
        updated_ns: 1,
        ..Process::nobody()
    }
}

fn container() -> Container {
    Container {
        key: ContainerKey { hierarchy: 0, cgroup: 42 },
        id: ContainerId::parse(format!("{:064x}", 42).as_bytes()).unwrap(),
        runtime: Runtime::Containerd,
        cgroup_path: Vec::new(),
        pod_uid: None,
        enrichment: Enrichment::Pending(PendingReason::Asked),
        init: None,
        first_seen_ns: 1,
        gone: false,
    }
}

fn export(exporter: &mut Exporter, batch: &RawBatch) -> Vec<Item> {
    let mut events = Vec::new();
    exporter.raw(batch, Lane::Bulk, &mut events);
    events.into_iter().map(|exported| exported.item).collect()
}

fn event(item: &Item) -> Event {
    let record = v1::Record::decode(item.record.clone()).unwrap();
    assert_eq!((record.boottime_ns, item.lane), (item.at.boottime_ns, Lane::Bulk));
    record.event.unwrap()
}

/// The event of a record of a known process.
fn exported(bytes: &[u8]) -> Event {
    let mut batch = RawBatch::new();
    batch.push(AT, bytes, Some((&process(), Some(&container()))), None);
    let items = export(&mut Exporter::new(), &batch);
    assert_eq!(items.len(), 1, "it is a record");
    assert_eq!(items[0].refers.len(), 2, "process and container");
    event(&items[0])
}

fn actor() -> Option<v1::Actor> {
    let process = Some(v1::ProcessId { start_ticks: 11, tgid: 100, exec_id: Some(3) });
    Some(v1::Actor { process, tid: 101, container_id: None, cgroup: 42 })
}

fn native(name: &str, number: u32, result: i64, args: &[u64]) -> Option<v1::Call> {
    Some(v1::Call {
        name: name.into(),
        number,
        abi: v1::CallAbi::Native.into(),
        via: v1::CallVia::SysExit.into(),
        result: Some(result),
        args: args.to_vec(),
    })
}

fn open(path: &[u8], file: FileRef, call: Syscall, flags: u32, text: &[u8]) -> Vec<u8> {
    let mut record = Record::of::<record::FileCall>();
    let file = FileRef { path: record.span(path), ..file };
    let text = record.span(text);
    let header = record.header(kind::FILE);
    let fixed = record::FileCall { header, call, file, text, open_flags: flags, fd: 3, reserved: 0 };
    record.bytes(&fixed)
}

#[test]
fn an_open() {
    let file = FileRef {
        inode: 9,
        dev: 5,
        mode: 0o100_640,
        uid: 7,
        flags: file_flag::OVERLAY | file_flag::UPPER_LAYER | file_flag::PROC | file_flag::PATH_TRUNCATED,
        grade: grade::FD_RACED,
        ..FileRef::default()
    };
    let args = [0xffff_ff9c, 0x7fff_1000, 2, 0, 0, 0];
    let call = Syscall { args, result: 3, ..call(ABI_NATIVE, 257) };
    let expected = v1::FileEvent {
        actor: actor(),
        call: native("openat", 257, 3, &args[..3]),
        path: HOSTILE.to_vec().into(),
        grade: v1::Grade::FdRaced.into(),
        path_incomplete: true,
        file: Some(v1::File {
            inode: 9,
            dev: 5,
            mode: 0o100_640,
            uid: 7,
            upper_layer: Some(true),
            path_truncated: true,
            ..v1::File::default()
        }),
        file_system: v1::FileSystem::Proc.into(),
        anonymous: false,
        other_mount_namespace: true,
        open: Some(v1::OpenIntent { read: true, write: true, execute: false, flags: 0o100_002 }),
        fd: Some(3),
        text: bytes::Bytes::new(),
    };
    assert_eq!(exported(&open(HOSTILE, file, call, 0o100_002, b"")), Event::File(expected));
}

#[test]
fn what_a_file_is_open_for() {
    let intent = |flags: u32| {
        let file = FileRef { inode: 1, grade: grade::FD, ..FileRef::default() };
        let Event::File(file) = exported(&open(b"/f", file, call(ABI_NATIVE, 2), flags, b"")) else {
            panic!()
        };
        let open = file.open.unwrap();
        (open.read, open.write, open.execute)
    };
    assert_eq!(intent(0), (true, false, false));
    assert_eq!(intent(0o1), (false, true, false));
    assert_eq!(intent(0o2), (true, true, false));
    assert_eq!(intent(0o3), (false, false, false));
    assert_eq!(intent(0o40), (true, false, true));
    assert_eq!(intent(0o10_000_000), (false, false, false));
}

#[test]
fn a_file_that_was_not_read_says_nothing_of_itself() {
    let file = FileRef { flags: file_flag::NOT_READ, ..FileRef::default() };
    let failed = Syscall { result: -2, ..call(ABI_COMPAT, 5) };
    let Event::File(file) = exported(&open(b"", file, failed, 0, b"")) else { panic!() };
    assert_eq!((file.file, file.open, file.other_mount_namespace), (None, None, false));
    assert_eq!(file.grade(), v1::Grade::Unspecified);
    let call = file.call.unwrap();
    assert_eq!((call.name.as_str(), call.abi(), call.result), ("open", v1::CallAbi::Compat, Some(-2)));
}

#[test]
fn paths_are_absolute_and_what_was_given_stays() {
    let mut record = Record::of::<record::PathCall>();
    let from = PathRef {
        base: record.span(b"/srv"),
        name: record.span(b"../\x1b\xff"),
        grade: grade::USER,
        flags: path_flag::BASE_TRUNCATED | path_flag::NAME_TRUNCATED,
    };
    let to = PathRef {
        base: record.span(b"/"),
        name: record.span(b"/b"),
        grade: grade::USER,
        ..PathRef::default()
    };
    let header = record.header(kind::PATH);
    let call = call(ABI_NATIVE, 82);
    let fixed = record::PathCall { header, call, from, to, ..record::PathCall::default() };
    let expected = v1::PathEvent {
        actor: actor(),
        call: native("rename", 82, 0, &[]),
        from: Some(v1::NamedPath {
            path: b"/\x1b\xff"[..].into(),
            name: b"../\x1b\xff"[..].into(),
            grade: v1::Grade::User.into(),
            incomplete: true,
            name_incomplete: true,
        }),
        to: Some(v1::NamedPath {
            path: b"/b"[..].into(),
            grade: v1::Grade::User.into(),
            ..v1::NamedPath::default()
        }),
        text: bytes::Bytes::new(),
    };
    assert_eq!(exported(&record.bytes(&fixed)), Event::Path(expected));
}

fn plain(call: Syscall, text: &[u8], target: TaskRef, target_pid: i32) -> v1::CallEvent {
    let mut record = Record::of::<record::PlainCall>();
    let text = record.span(text);
    let header = record.header(kind::PLAIN);
    let fixed = record::PlainCall { header, call, target, target_pid, pid_ns: 77, text, reserved: 0 };
    let Event::Call(event) = exported(&record.bytes(&fixed)) else { panic!("a call") };
    event
}

#[test]
fn a_call_says_whom_it_is_about() {
    let seen =
        Syscall { args: [16, 7, 0, 0, 0, 0], result: PENDING, via: via::SYS_ENTER, ..call(ABI_NATIVE, 101) };
    let by_number = plain(seen, b"", TaskRef::default(), -7);
    assert_eq!((by_number.target, by_number.target_pid, by_number.target_pid_namespace), (None, -7, 77));
    let call_of = by_number.call.unwrap();
    assert_eq!((call_of.result, call_of.via(), call_of.args), (None, v1::CallVia::SysEnter, vec![16, 7]));
    let by_pidfd = plain(call(ABI_NATIVE, 438), b"", TASK, 0);
    assert_eq!(by_pidfd.target, Some(v1::ProcessId { start_ticks: 11, tgid: 100, exec_id: None }));
    assert_eq!(by_pidfd.target_pid_namespace, 0);
}

#[test]
fn no_secret_and_no_structure_of_the_callers_leaves() {
    let module = plain(call(ABI_NATIVE, 175), b"debug=1 password=hunter2", TaskRef::default(), 0);
    assert_eq!(module.text, b"debug=1 password=[redacted]"[..]);
    let load = Syscall { args: [5, 1, 128, 0, 0, 0], ..call(ABI_NATIVE, 321) };
    let bpf = plain(load, &[0x41; 128], TaskRef::default(), 0);
    assert_eq!(bpf.text.len(), 0);
    assert_eq!(bpf.bpf.unwrap().command, "prog_load");
    let mut args = 0x1000_0000_u64.to_ne_bytes().to_vec();
    args.resize(88, 0x41);
    let clone = plain(call(ABI_NATIVE, 435), &args, TaskRef::default(), 0);
    assert_eq!((clone.text.len(), clone.clone_flags), (0, Some(0x1000_0000)));
    let how =
        open(b"/f", FileRef { grade: grade::FD, ..FileRef::default() }, call(ABI_NATIVE, 437), 0, &[9; 24]);
    let Event::File(file) = exported(&how) else { panic!() };
    assert_eq!(file.text.len(), 0);
    let unknown = plain(call(ABI_NATIVE, 999), HOSTILE, TaskRef::default(), 0);
    assert_eq!((unknown.call.unwrap().name, &unknown.text[..]), (String::new(), HOSTILE));
}

fn socket_ref() -> SocketRef {
    let mut socket = SocketRef {
        cookie: 6,
        inode: 8,
        local_port: 41_000,
        peer_port: 443,
        family: 2,
        kind: 1,
        protocol: 6,
        state: 2,
        net_ns: 4,
        ..SocketRef::default()
    };
    socket.local[..4].copy_from_slice(&[10, 0, 0, 7]);
    socket.peer[..4].copy_from_slice(&[203, 0, 113, 9]);
    socket
}

fn inet(ip: &str, port: u32) -> Option<v1::Address> {
    Some(v1::Address { family: 2, ip: ip.into(), port, ..v1::Address::default() })
}

fn socket() -> v1::Socket {
    v1::Socket {
        family: v1::SocketFamily::Inet.into(),
        r#type: v1::SocketType::Stream.into(),
        protocol: 6,
        local: inet("10.0.0.7", 41_000),
        peer: inet("203.0.113.9", 443),
        state: v1::TcpState::SynSent.into(),
        cookie: 6,
        inode: 8,
        network_namespace: 4,
        path: bytes::Bytes::new(),
    }
}

fn connect(socket: SocketRef, given: &[u8], path: &[u8]) -> v1::SocketEvent {
    let mut record = Record::of::<record::SocketCall>();
    let (given, path) = (record.span(given), record.span(path));
    let header = record.header(kind::SOCKET);
    let call = Syscall { result: -115, ..call(ABI_NATIVE, 42) };
    let (grade, given_grade) = (grade::FD, grade::USER);
    let fixed = record::SocketCall { header, call, socket, given, path, grade, given_grade };
    let Event::Socket(event) = exported(&record.bytes(&fixed)) else { panic!("a call on a socket") };
    event
}

#[test]
fn a_connect() {
    let given = [&2_u16.to_ne_bytes()[..], &443_u16.to_be_bytes(), &[203, 0, 113, 10], &[0; 8]].concat();
    let expected = v1::SocketEvent {
        actor: actor(),
        call: native("connect", 42, -115, &[]),
        socket: Some(socket()),
        grade: v1::Grade::Fd.into(),
        given: inet("203.0.113.10", 443),
        given_grade: v1::Grade::User.into(),
    };
    assert_eq!(connect(socket_ref(), &given, b""), expected);
    let raced = SocketRef { flags: socket_flag::RACED, ..socket_ref() };
    assert_eq!(connect(raced, &given, b"").grade(), v1::Grade::FdRaced);
    assert_eq!(connect(SocketRef { flags: socket_flag::NOT_READ, ..raced }, &given, b"").socket, None);
}

#[test]
fn addresses_of_all_families_and_those_cut_short() {
    let given = |family: u16, rest: &[u8]| {
        let bytes = [&family.to_ne_bytes()[..], rest].concat();
        connect(socket_ref(), &bytes, b"").given.unwrap()
    };
    let six = given(10, &[&8080_u16.to_be_bytes()[..], &[0; 4], &[0; 15], &[1], &[0; 4]].concat());
    assert_eq!((six.ip.as_str(), six.port), ("::1", 8080));
    assert_eq!(given(1, b"/run/\x1b.sock\0junk").path, b"/run/\x1b.sock"[..]);
    assert_eq!(given(1, b"\0abstract\0x").path, b"\0abstract\0x"[..]);
    let vsock = given(40, &[&[0; 2][..], &22_u32.to_ne_bytes(), &3_u32.to_ne_bytes()].concat());
    assert_eq!((vsock.cid, vsock.port), (Some(3), 22));
    assert_eq!(given(2, &[1]), v1::Address { family: 2, ..v1::Address::default() });
    assert_eq!(given(999, HOSTILE), v1::Address { family: 999, ..v1::Address::default() });
    assert_eq!(connect(socket_ref(), &[2], b"").given, None);
    let unix = SocketRef { family: 1, kind: 5, ..SocketRef::default() };
    let held = connect(unix, b"", b"\0x").socket.unwrap();
    assert_eq!((held.path, held.local, held.peer), (b"\0x"[..].into(), None, None));
}

#[test]
fn states_and_packets_are_of_their_containers_and_no_payload_leaves() {
    let state = record::SocketState {
        header: Record::of::<record::SocketState>().header(kind::SOCKET_STATE),
        socket: socket_ref(),
        cgroup_id: 42,
        from: 2,
        to: 99,
    };
    let mut record = Record::of::<record::Packet>();
    let payload = record.span(b"GET /?token=hunter2 HTTP/1.1");
    let packet = record::Packet {
        header: record.header(kind::PACKET),
        socket: socket_ref(),
        cgroup_id: 42,
        egress: 1,
        length: 900,
        payload,
        reserved: 0,
    };
    let mut batch = RawBatch::new();
    batch.push(AT, state.as_bytes(), None, Some(&container()));
    batch.push(AT, &record.bytes(&packet), None, Some(&container()));
    let items = export(&mut Exporter::new(), &batch);
    let container_id = Some(format!("{:064x}", 42));
    let expected = v1::SocketStateEvent {
        socket: Some(socket()),
        from: v1::TcpState::SynSent.into(),
        to: 99,
        cgroup: 42,
        container_id: container_id.clone(),
    };
    assert_eq!(event(&items[0]), Event::SocketState(expected));
    let expected = v1::PacketEvent {
        socket: Some(socket()),
        egress: true,
        length: 900,
        payload: v1::Payload::Http.into(),
        cgroup: 42,
        container_id,
        ..v1::PacketEvent::default()
    };
    assert_eq!(event(&items[1]), Event::Packet(expected));
    assert!(items.iter().all(|item| item.refers.len() == 1));
    assert!(!items[1].record.windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn what_the_kernel_does() {
    let kill = record::OomKill {
        header: Record::of::<record::OomKill>().header(kind::OOM_KILL),
        task: TASK,
        cgroup_id: 42,
    };
    assert_eq!(exported(kill.as_bytes()), Event::OomKill(v1::OomKill { victim: actor() }));
    let signal = record::Signal {
        header: Record::of::<record::Signal>().header(kind::SIGNAL),
        task: TASK,
        cgroup_id: 42,
        signal: 9,
        code: -6,
    };
    let expected = v1::AgentSignal { actor: actor(), signal: 9, code: -6 };
    assert_eq!(exported(signal.as_bytes()), Event::AgentSignal(expected));
    let mut record = Record::of::<record::Sysctl>();
    let (name, value) = (record.span(b"kernel/core_pattern"), record.span(HOSTILE));
    let header = record.header(kind::SYSCTL);
    let sysctl = record::Sysctl { header, task: TASK, cgroup_id: 42, name, value };
    let expected =
        v1::SysctlWrite { actor: actor(), name: b"kernel/core_pattern"[..].into(), value: HOSTILE.into() };
    assert_eq!(exported(&record.bytes(&sysctl)), Event::Sysctl(expected));
}

#[test]
fn whoever_is_not_known_goes_by_its_ids() {
    let file = FileRef { grade: grade::FD, ..FileRef::default() };
    let mut batch = RawBatch::new();
    batch.push(AT, &open(b"/f", file, call(ABI_NATIVE, 2), 0, b""), None, None);
    batch.push(AT, &open(b"/f", file, call(ABI_NATIVE, 2), 0, b""), None, Some(&container()));
    let nobody = Syscall { task: TaskRef::default(), ..call(ABI_NATIVE, 2) };
    batch.push(AT, &open(b"/f", file, nobody, 0, b""), None, None);
    let items = export(&mut Exporter::new(), &batch);
    let actors: Vec<_> = items
        .iter()
        .map(|item| match event(item) {
            Event::File(file) => file.actor.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    let process = Some(v1::ProcessId { start_ticks: 11, tgid: 100, exec_id: None });
    let unknown = v1::Actor { process, tid: 101, container_id: None, cgroup: 42 };
    let inside = v1::Actor { container_id: Some(format!("{:064x}", 42)), ..unknown.clone() };
    assert_eq!(actors, [unknown, inside, v1::Actor { cgroup: 42, ..v1::Actor::default() }]);
    assert_eq!(items.iter().map(|item| item.refers.len()).collect::<Vec<_>>(), [0, 1, 0]);
}

fn ended(submitted_ns: u64) -> record::UringDone {
    let header = Record::of::<record::UringDone>().header(kind::URING_DONE);
    record::UringDone { header, submitted_ns, request: 0xabc, result: -2 }
}

#[test]
fn the_end_of_an_operation_is_joined_to_it_where_that_is_known() {
    let submit = Syscall { via: via::URING, result: PENDING, ..call(ABI_URING, 18) };
    let bytes = open(b"/f", FileRef::default(), submit, 0, b"");
    let mut batch = RawBatch::new();
    batch.push(AT, &bytes, Some((&process(), None)), None);
    batch.push(AT, ended(AT.boottime_ns).as_bytes(), None, None);
    batch.push(AT, ended(AT.boottime_ns + 1).as_bytes(), None, None);
    // Another at that very moment: which of them ends cannot be told.
    batch.push(AT, &bytes, Some((&process(), None)), None);
    batch.push(AT, ended(AT.boottime_ns).as_bytes(), None, None);
    let items = export(&mut Exporter::new(), &batch);
    let ends: Vec<_> = items
        .iter()
        .filter_map(|item| match event(item) {
            Event::UringDone(done) => Some((done.call.map(|call| call.name), done.actor.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(Some("openat".into()), true), (None, false), (None, false)]);
    assert_eq!(items[1].refers, items[0].refers);
    let Event::UringDone(done) = event(&items[2]) else { panic!() };
    let expected = v1::UringDone {
        result: -2,
        submitted_boottime_ns: AT.boottime_ns + 1,
        request: 0xabc,
        ..v1::UringDone::default()
    };
    assert_eq!(done, expected);
}

#[test]
fn operations_that_never_end_are_forgotten() {
    let mut operations = Operations::default();
    for at_ns in 0..10_000 {
        operations.submitted(at_ns, &v1::Actor::default(), &v1::Call::default(), &[]);
    }
    assert!(operations.len() <= 1025);
    assert!(operations.done(&ended(9_999)).0.call.is_some());
    assert!(operations.done(&ended(1)).0.call.is_none());
}

#[test]
fn a_process_is_defined_once_and_its_secrets_are_not() {
    let file = FileRef { grade: grade::FD, ..FileRef::default() };
    let mut batch = RawBatch::new();
    for _ in 0..3 {
        let bytes = open(b"/f", file, call(ABI_NATIVE, 2), 0, b"");
        batch.push(AT, &bytes, Some((&process(), Some(&container()))), None);
    }
    let items = export(&mut Exporter::new(), &batch);
    let body = |index: usize| items[index].refers[0].body.clone();
    assert_eq!(body(0).as_ptr(), body(2).as_ptr());
    assert!(!body(0).windows(7).any(|window| window == b"hunter2"));
    assert_eq!(v1::Process::decode(body(0)).unwrap().exe, HOSTILE);
}

proptest! {
    /// Whatever a record says goes out or does not; the bounds of the contract hold.
    #[test]
    fn any_record_makes_one_event_or_none(
        kind in 1_u16..=20,
        body in prop::collection::vec(any::<u8>(), 0..700),
        abi in 0_u8..4,
        number in 0_u32..500,
    ) {
        let mut bytes = [Header::default().as_bytes(), &body].concat();
        let len = u32::try_from(bytes.len()).unwrap();
        let header = Header { abi: ABI_VERSION, kind, len, ring: 1, boottime_ns: 5_000, ..Header::default() };
        bytes[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        // A call of the table, so that its text is looked at.
        if bytes.len() > 96 {
            bytes[88..92].copy_from_slice(&number.to_ne_bytes());
            bytes[92] = abi;
        }
        let mut batch = RawBatch::new();
        batch.push(AT, &bytes, None, None);
        let items = export(&mut Exporter::new(), &batch);
        prop_assert!(items.len() <= 1);
        for item in &items {
            prop_assert!(item.record.len() < 8 * 1024);
            v1::Record::decode(item.record.clone()).unwrap();
        }
    }
}
