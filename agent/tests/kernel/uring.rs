//! Operations through an io_uring: each attributed to the process that submits it, with the kernel's
//! own copy of its names, and joined with its result.

use std::{
    ffi::CString,
    fs::File,
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    time::Instant,
};

use agent_abi::{
    hook::Hook,
    interest::ABI_URING,
    record::{PENDING, Syscall, grade, via},
};
use io_uring::{IoUring, Probe, opcode, squeue, types};
use kestrel_agent::{
    decode::{Event, NamedPath, decode},
    syscall::{Family, Only, Wants, name_of},
};
use nix::libc;

use crate::{
    environment::skip,
    loaded::{DEADLINE, Loaded, assert_balanced},
};

const RINGS: [u32; 2] = [1 << 22, 1 << 22];

/// What a record says of an operation.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    name: &'static str,
    result: i64,
    paths: Vec<String>,
    text: Vec<u8>,
    grade: u32,
}

fn wants() -> Wants {
    let mut wants = Wants::posture();
    wants.add_family(Family::Files, Only::default());
    wants.add_family(Family::Network, Only::default());
    wants
}

/// Submits one operation; gives what it returned.
fn run(ring: &mut IoUring, entry: &squeue::Entry) -> i64 {
    // SAFETY: what the entry points to outlives the call, which waits until it is done.
    #[expect(unsafe_code, reason = "the kernel reads through the entry's pointers")]
    unsafe {
        ring.submission().push(entry).unwrap();
    }
    ring.submit_and_wait(1).unwrap();
    i64::from(ring.completion().next().unwrap().result())
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn joined(path: &NamedPath<'_>) -> String {
    let mut whole = Vec::new();
    path.write_to(&mut whole);
    String::from_utf8(whole).unwrap()
}

/// All operations of this process in the bulk ring, each with its result, in the order of submission.
fn seen(loaded: &mut Loaded, count: usize) -> Vec<Seen> {
    let start = Instant::now();
    let mut requests: Vec<(u64, u64, Seen)> = Vec::new();
    loop {
        let end = loaded.programs.bulk.produced();
        loaded.programs.bulk.drain(end, |bytes| {
            let event = decode(bytes).unwrap();
            let at = event.header().boottime_ns;
            let ours = |call: &Syscall| call.abi == ABI_URING && call.task.tgid == std::process::id();
            let checked = |call: &Syscall| {
                assert_eq!((call.via, call.result), (via::URING, PENDING));
                assert_ne!(call.task.leader_start_ns, 0);
                assert_ne!(call.cgroup_id, 0);
                name_of(call).unwrap()
            };
            match event {
                Event::Path(path) if ours(&path.record.call) => {
                    let call = &path.record.call;
                    let to = (path.to.record.grade != grade::NONE).then_some(&path.to);
                    let seen = Seen {
                        name: checked(call),
                        result: PENDING,
                        paths: std::iter::once(&path.from).chain(to).map(joined).collect(),
                        text: path.text.to_vec(),
                        grade: path.from.record.grade,
                    };
                    requests.push((call.args[0], at, seen));
                }
                Event::Plain(plain) if ours(&plain.record.call) => {
                    let call = &plain.record.call;
                    let (name, text) = (checked(call), plain.text.to_vec());
                    let seen = Seen { name, result: PENDING, paths: Vec::new(), text, grade: grade::NONE };
                    requests.push((call.args[0], at, seen));
                }
                Event::Socket(socket) if ours(&socket.record.call) => {
                    let call = &socket.record.call;
                    let (name, text) = (checked(call), socket.given.to_vec());
                    let grade = socket.record.given_grade;
                    requests.push((
                        call.args[0],
                        at,
                        Seen { name, result: PENDING, paths: Vec::new(), text, grade },
                    ));
                }
                Event::UringDone(done) => {
                    let submitted = requests
                        .iter_mut()
                        .find(|(request, at, _)| (*request, *at) == (done.request, done.submitted_ns));
                    if let Some((_, _, seen)) = submitted {
                        assert_eq!(seen.result, PENDING, "done once");
                        seen.result = done.result;
                    }
                }
                _ => {}
            }
        });
        if requests.len() >= count && requests.iter().all(|(_, _, seen)| seen.result != PENDING) {
            return requests.into_iter().map(|(_, _, seen)| seen).collect();
        }
        assert!(start.elapsed() < DEADLINE, "{} of {count}: {requests:?}", requests.len());
        std::thread::yield_now();
    }
}

/// A ring, unless this kernel lets nobody have one.
fn ring(sqpoll: bool) -> Option<IoUring> {
    let mut builder = IoUring::builder();
    if sqpoll {
        builder.setup_sqpoll(100);
    }
    match builder.build(8) {
        Ok(ring) => Some(ring),
        Err(error) => {
            skip(&format!("no io_uring here: {error}"));
            None
        }
    }
}

fn supported(ring: &IoUring, code: u8) -> bool {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).unwrap();
    let supported = probe.is_supported(code);
    if !supported {
        println!("SKIPPED: operation {code}: this kernel has none");
    }
    supported
}

fn path_seen(name: &'static str, result: i64, paths: &[&Path], text: &[u8]) -> Seen {
    let paths = paths.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    Seen { name, result, paths, text: text.to_vec(), grade: grade::OBJECT }
}

#[test]
fn names_of_files_and_results() {
    let Some(mut ring) = ring(false) else { return };
    let mut loaded = Loaded::new(RINGS, wants());
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let dir_fd = File::open(dir.path()).unwrap();
    let relative = types::Fd(dir_fd.as_raw_fd());
    let here = types::Fd(libc::AT_FDCWD);
    let (made, sub) = (text(&at("made")), c"sub");
    let mut expected = Vec::new();

    run(&mut ring, &opcode::Nop::new().build());
    let open =
        opcode::OpenAt::new(here, made.as_ptr()).flags(libc::O_CREAT | libc::O_RDWR).mode(0o600).build();
    let fd = run(&mut ring, &open);
    assert!(fd >= 0, "{fd}");
    expected.push(path_seen("openat", fd, &[&at("made")], b""));
    let missing = text(&at("missing"));
    let how = types::OpenHow::new();
    let result = run(&mut ring, &opcode::OpenAt2::new(here, missing.as_ptr(), &raw const how).build());
    assert_eq!(result, i64::from(-libc::ENOENT));
    expected.push(path_seen("openat2", result, &[&at("missing")], b""));
    if supported(&ring, opcode::MkDirAt::CODE) {
        // By io-wq: the thread that carries it out is not the one that asks for it.
        let make = opcode::MkDirAt::new(relative, sub.as_ptr()).build().flags(squeue::Flags::ASYNC);
        assert_eq!(run(&mut ring, &make), 0);
        expected.push(path_seen("mkdirat", 0, &[&at("sub")], b""));
    }
    if supported(&ring, opcode::SymlinkAt::CODE) {
        let link = opcode::SymlinkAt::new(relative, c"/etc/shadow".as_ptr(), c"link".as_ptr()).build();
        assert_eq!(run(&mut ring, &link), 0);
        expected.push(path_seen("symlinkat", 0, &[&at("link")], b"/etc/shadow"));
        let link = opcode::LinkAt::new(here, made.as_ptr(), relative, c"hard".as_ptr()).build();
        assert_eq!(run(&mut ring, &link), 0);
        expected.push(path_seen("linkat", 0, &[&at("made"), &at("hard")], b""));
    }
    if supported(&ring, opcode::RenameAt::CODE) {
        let rename = opcode::RenameAt::new(here, made.as_ptr(), relative, c"moved".as_ptr()).build();
        assert_eq!(run(&mut ring, &rename), 0);
        expected.push(path_seen("renameat", 0, &[&at("made"), &at("moved")], b""));
        let unlink = opcode::UnlinkAt::new(relative, c"moved".as_ptr()).build();
        assert_eq!(run(&mut ring, &unlink), 0);
        expected.push(path_seen("unlinkat", 0, &[&at("moved")], b""));
    }
    if supported(&ring, opcode::SetXattr::CODE) {
        let (name, value) = (c"user.kestrel", b"1");
        let path = text(dir.path());
        let set = opcode::SetXattr::new(name.as_ptr(), value.as_ptr().cast(), path.as_ptr(), 1).build();
        let result = run(&mut ring, &set);
        expected.push(path_seen("setxattr", result, &[dir.path()], b"user.kestrel"));
    }
    assert_eq!(seen(&mut loaded, expected.len()), expected, "and no nop");
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    let [submitted, done] = [Hook::UringSubmit, Hook::UringComplete].map(|hook| counters[hook as usize]);
    assert!(submitted.submitted >= expected.len() as u64 && done.submitted >= expected.len() as u64);
    close(fd);
}

fn close(fd: i64) {
    nix::unistd::close(RawFd::try_from(fd).unwrap()).unwrap();
}

#[test]
fn addresses_of_connections_and_datagrams() {
    let Some(mut ring) = ring(false) else { return };
    let mut loaded = Loaded::new(RINGS, wants());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = |port: u16| libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let bytes = |port: u16| {
        let mut bytes = vec![2, 0];
        bytes.extend(port.to_be_bytes());
        bytes.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    };
    let len = 16;
    let stream = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::empty(),
        None,
    )
    .unwrap();
    let (tcp, udp) = (listener.local_addr().unwrap().port(), receiver.local_addr().unwrap().port());
    let to = address(tcp);
    let connect = opcode::Connect::new(types::Fd(stream.as_raw_fd()), (&raw const to).cast(), len).build();
    assert_eq!(run(&mut ring, &connect), 0);
    let mut expected = vec![("connect", 0, bytes(tcp))];
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = address(udp);
    let data = libc::iovec { iov_base: c"hello".as_ptr().cast_mut().cast(), iov_len: 5 };
    // SAFETY: a plain structure, of which zero is a value.
    #[expect(unsafe_code, reason = "it has private padding")]
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw const to).cast_mut().cast();
    message.msg_namelen = len;
    message.msg_iov = (&raw const data).cast_mut();
    message.msg_iovlen = 1;
    let send = opcode::SendMsg::new(types::Fd(sender.as_raw_fd()), &raw const message).build();
    assert_eq!(run(&mut ring, &send), 5);
    expected.push(("sendmsg", 5, bytes(udp)));
    // A send to an address by itself: 6.0.
    if supported(&ring, opcode::SendZc::CODE) {
        let send = opcode::Send::new(types::Fd(sender.as_raw_fd()), c"again".as_ptr().cast(), 5)
            .dest_addr((&raw const to).cast())
            .dest_addr_len(len)
            .build();
        assert_eq!(run(&mut ring, &send), 5);
        expected.push(("send", 5, bytes(udp)));
    }
    let seen = seen(&mut loaded, expected.len());
    let found: Vec<_> = seen.iter().map(|seen| (seen.name, seen.result, seen.text.clone())).collect();
    assert_eq!(found, expected);
    assert!(seen.iter().all(|seen| [grade::OBJECT, grade::USER].contains(&seen.grade)), "{seen:?}");
    loaded.detach();
    assert_balanced(&loaded.counters());
}

#[test]
fn a_kernel_thread_that_submits_is_the_process_whose_ring_it_is() {
    let Some(mut ring) = ring(true) else { return };
    let mut loaded = Loaded::new(RINGS, wants());
    let name = text(Path::new("/etc/hostname-that-is-not-there"));
    // Without a call that enters the kernel: the thread polls for it.
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr()).build();
    let result = run(&mut ring, &open);
    assert_eq!(result, i64::from(-libc::ENOENT));
    let expected = path_seen("openat", result, &[Path::new("/etc/hostname-that-is-not-there")], b"");
    assert_eq!(seen(&mut loaded, 1), [expected]);
}

#[test]
fn what_nobody_wants_is_not_reported() {
    let Some(mut ring) = ring(false) else { return };
    let mut wants = Wants::posture();
    wants.add_hook(Hook::UringSubmit);
    wants.add_hook(Hook::UringComplete);
    let loaded = Loaded::new(RINGS, wants);
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/".as_ptr()).build();
    let fd = run(&mut ring, &open);
    close(fd);
    loaded.detach();
    let counters = loaded.counters();
    assert_eq!(counters[Hook::UringSubmit as usize].seen, 0);
    assert_eq!(counters[Hook::UringComplete as usize].seen, 0);
}
