//! The hooks that are in force: every call by every way into the kernel, seen once, and adopted by a
//! successor.

use std::{
    fs::File,
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    process::Command,
};

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    interest::{ABI_COMPAT, ABI_NATIVE},
    record::{PENDING, grade, via},
};
use kestrel_agent::{
    decode::Event,
    kernel::Tier,
    syscall::{Family, Only, Wants, all},
};
use nix::libc;

use crate::{
    environment::skip,
    loaded::{DEADLINE, Loaded, assert_balanced, with},
};

const RINGS: [u32; 2] = [1 << 22, 1 << 22];

/// Not called with arguments that mean nothing: a new process, or what has no arguments to refuse.
const UNCALLED: [&str; 4] = ["clone", "fork", "vfork", "rt_sigreturn"];

/// Any argument of which no call knows what to do: it is no address, no descriptor, no process.
const BAD: u64 = u64::MAX - 8191;

/// A native call whose result nobody minds.
fn call_native(number: u32) -> i64 {
    // SAFETY: an address that cannot be read or written is refused by the kernel.
    #[expect(unsafe_code, reason = "calls of which no library knows all")]
    unsafe {
        libc::syscall(i64::from(number), BAD, BAD, BAD, BAD, BAD, BAD)
    }
}

/// The same by the 32-bit way.
#[cfg(target_arch = "x86_64")]
fn call_compat(number: u32) -> i64 {
    i64::from(crate::compat::int_0x80(number, &[BAD as u32; 6]))
}

fn everything() -> Wants {
    let mut wants = Wants::posture();
    for family in [Family::Files, Family::Processes, Family::Network, Family::System] {
        wants.add_family(family, Only::default());
    }
    wants
}

/// Calls that a hook dispatched, whatever became of them.
fn dispatched(counters: &[HookCounters; HOOKS]) -> u64 {
    counters[Hook::SysExit as usize].seen + counters[Hook::Fexit as usize].seen
}

#[test]
fn every_call_is_seen_by_every_way_into_the_kernel() {
    let loaded = Loaded::new(RINGS, everything());
    let absent = loaded.programs.exits.as_ref().map(|exits| exits.absent.clone()).unwrap_or_default();
    let mut unseen = Vec::new();
    for call in all().filter(|call| !UNCALLED.contains(&call.name)) {
        let mut ways: Vec<(u8, u32)> = call.native.map(|number| (ABI_NATIVE, number)).into_iter().collect();
        ways.extend(call.compat.iter().map(|&number| (ABI_COMPAT, number)));
        for (abi, number) in ways {
            // In a process of its own: some of them change it.
            let before = dispatched(&loaded.counters());
            let result = in_a_child(abi, number);
            let seen = dispatched(&loaded.counters()) > before;
            let is_there = result != -i64::from(libc::ENOSYS);
            if !seen && is_there {
                unseen.push(format!("{} ({abi}, {number}): {result}", call.name));
            }
            if is_there && absent.contains(&call.name) && abi == ABI_NATIVE {
                unseen.push(format!("{} is there and said to be absent", call.name));
            }
        }
    }
    assert_eq!(unseen, [""; 0]);
    loaded.detach();
    assert_balanced(&loaded.counters());
}

/// Makes a call in a child and gives its result, by a pipe.
fn in_a_child(abi: u8, number: u32) -> i64 {
    let (read, write) = nix::unistd::pipe().unwrap();
    // SAFETY: the child makes raw calls alone.
    #[expect(unsafe_code, reason = "a call may change the process for good")]
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Child => {
            #[cfg(target_arch = "x86_64")]
            let result = if abi == ABI_COMPAT { call_compat(number) } else { native(number) };
            #[cfg(not(target_arch = "x86_64"))]
            let result = native(number);
            let bytes = result.to_ne_bytes();
            // SAFETY: plain calls.
            unsafe {
                libc::write(write.as_raw_fd(), bytes.as_ptr().cast(), bytes.len());
                libc::_exit(0)
            }
        }
        nix::unistd::ForkResult::Parent { child } => {
            drop(write);
            let mut bytes = [0; 8];
            let count = nix::unistd::read(&read, &mut bytes).unwrap();
            nix::sys::wait::waitpid(child, None).unwrap();
            // Some end the process that makes them.
            if count == bytes.len() { i64::from_ne_bytes(bytes) } else { i64::MIN }
        }
    }
}

/// Its result as the kernel gives it.
fn native(number: u32) -> i64 {
    match call_native(number) {
        -1 => -i64::from(nix::errno::Errno::last_raw()),
        result => result,
    }
}

/// Reads the bulk ring until `each` says that it has seen enough.
fn bulk_until(loaded: &mut Loaded, mut each: impl FnMut(&Event<'_>) -> bool) {
    let start = std::time::Instant::now();
    let mut done = false;
    while !done {
        assert!(start.elapsed() < DEADLINE, "the event did not come");
        let end = loaded.programs.bulk.produced();
        loaded.programs.bulk.drain(end, |bytes| {
            let event = kestrel_agent::decode::decode(bytes).unwrap();
            done = done || each(&event);
        });
        std::thread::yield_now();
    }
}

#[test]
fn an_open_is_one_event_whichever_hook_tells_of_it() {
    let mut loaded = Loaded::new(RINGS, with(Family::Files, Only::default()));
    let by_lsm = loaded.has(Hook::LsmOpen);
    let path = std::env::temp_dir().join(format!("kestrel-tier-{}", std::process::id()));
    File::create(&path).unwrap().write_all(b"x").unwrap();
    let opened = File::open(&path).unwrap();
    // SAFETY: a NUL-terminated path.
    #[expect(unsafe_code, reason = "O_PATH, which no library has")]
    let by_path = unsafe { libc::open(c"/proc".as_ptr(), libc::O_PATH) };
    assert!(by_path >= 0);
    nix::unistd::close(by_path).unwrap();
    assert!(File::open("/does/not/exist").is_err());
    std::fs::remove_file(&path).unwrap();

    let name = path.to_str().unwrap().as_bytes();
    let pid = std::process::id();
    let (mut creates, mut opens, mut paths, mut failed) = (0, 0, 0, 0);
    bulk_until(&mut loaded, |event| match event {
        Event::File(file) if file.record.call.task.tgid == pid => {
            let record = file.record;
            let told = via_of(by_lsm, record.call.via);
            if file.path == name {
                assert!(told, "{record:?}");
                if by_lsm {
                    assert_eq!((record.call.result, record.fd), (PENDING, -1));
                    assert_eq!(record.file.grade, grade::OBJECT);
                } else {
                    assert_eq!(i64::from(record.fd), record.call.result);
                }
                match record.open_flags & libc::O_ACCMODE as u32 {
                    0 => opens += 1,
                    _ => creates += 1,
                }
            } else if file.path == b"/proc" {
                assert_ne!(record.call.via, via::LSM, "no LSM hook runs for O_PATH");
                paths += 1;
            }
            false
        }
        Event::Path(path) if path.record.call.task.tgid == pid => {
            if path.from.name == b"/does/not/exist" {
                failed += 1;
            }
            path.from.name == name
        }
        _ => false,
    });
    drop(opened);
    assert_eq!((creates, opens, paths, failed), (1, 1, 1, 1));
}

fn via_of(by_lsm: bool, via: u8) -> bool {
    if by_lsm { via == via::LSM } else { via == via::SYS_EXIT || via == via::FEXIT }
}

#[test]
fn a_connect_is_told_of_with_the_address_that_the_kernel_has() {
    let mut loaded = Loaded::new(RINGS, with(Family::Network, Only::default()));
    if !loaded.has(Hook::LsmConnect) {
        skip("the LSM hook is of the enhanced tier");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    let pid = std::process::id();
    bulk_until(&mut loaded, |event| {
        let Event::Socket(socket) = event else { return false };
        let record = socket.record;
        if record.call.via != via::LSM || record.call.task.tgid != pid {
            return false;
        }
        assert_eq!((record.call.result, record.given_grade), (PENDING, grade::OBJECT));
        assert_eq!(record.call.number, 42);
        let [f0, f1, p0, p1, a, b, c, d, ..] = *socket.given else { panic!("a short address") };
        assert_eq!(u16::from_ne_bytes([f0, f1]), libc::AF_INET as u16);
        u16::from_be_bytes([p0, p1]) == port && [a, b, c, d] == [127, 0, 0, 1]
    });
}

#[test]
fn an_exec_that_fails_late_is_told_of_with_its_file() {
    let mut loaded = Loaded::new(RINGS, with(Family::Processes, Only::default()));
    if !loaded.has(Hook::LsmExec) {
        skip("the LSM hook is of the enhanced tier");
        return;
    }
    Command::new("/bin/true").status().unwrap();
    bulk_until(&mut loaded, |event| {
        let Event::File(file) = event else { return false };
        let record = file.record;
        let is_it = record.call.via == via::LSM && *file.text == *b"/bin/true";
        if is_it {
            assert_eq!((record.call.number, record.call.result), (59, PENDING));
            assert_eq!(record.file.grade, grade::OBJECT);
            assert!(file.path.ends_with(b"/true") || file.path.ends_with(b"/busybox"));
        }
        is_it
    });
}

#[test]
fn a_successor_takes_over_programs_at_the_exits() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    if loaded.programs.tier.tier == Tier::Portable {
        skip("programs at the exits are of the enhanced tier");
        return;
    }
    let functions = loaded.programs.exits.as_ref().unwrap().functions;
    assert!(functions > 20, "{functions}");
    for _ in 0..2 {
        loaded.restart();
        assert!(loaded.programs.adopted);
        assert_eq!(loaded.programs.exits.as_ref().unwrap().functions, functions);
    }
    let seen = dispatched(&loaded.counters());
    std::thread::spawn(|| nix::sys::prctl::set_no_new_privs().unwrap()).join().unwrap();
    assert!(dispatched(&loaded.counters()) > seen);
    let removed = loaded.programs.links.removed();
    assert_eq!(removed, None);
}
