//! Calls that may not return are seen before they do anything, and again when they do return.

use std::{io, time::Instant};

use agent_abi::{
    hook::Hook,
    interest::{ABI_COMPAT, ABI_NATIVE},
    record::{PENDING, Syscall, via},
};
use kestrel_agent::{
    decode::{Event, decode},
    syscall::{Family, Only, Wants, name_of},
};
use nix::libc;

use crate::{
    compat::int_0x80,
    loaded::{DEADLINE, Loaded, assert_balanced},
};

const RINGS: [u32; 2] = [1 << 22, 1 << 16];
/// `BPF_MAP_CREATE` and `BPF_PROG_LOAD` (include/uapi/linux/bpf.h).
const MAP_CREATE: u64 = 0;
const PROG_LOAD: u64 = 5;

fn wants() -> Wants {
    let mut wants = Wants::posture();
    wants.add_family(Family::System, Only::default());
    wants
}

/// The calls of a thread, in the order in which they were seen: name, ABI, way, first argument and result.
type Seen = (&'static str, u8, u8, u64, i64);

fn seen(loaded: &mut Loaded, tid: u32, expected: &[Seen]) -> Vec<Seen> {
    let mut calls = Vec::new();
    let mut take = |call: &Syscall| {
        let name = name_of(call).unwrap();
        if call.task.tid == tid && expected.iter().any(|(wanted, ..)| *wanted == name) {
            // The exit of a call is seen in one of two ways, by the tier.
            let way = if call.via == via::FEXIT { via::SYS_EXIT } else { call.via };
            calls.push((name, call.abi, way, call.args[0], call.result));
        }
        calls.len() >= expected.len()
    };
    let start = Instant::now();
    let mut is_whole = expected.is_empty();
    // What is missing shows in what there is.
    while !is_whole && start.elapsed() < DEADLINE {
        let critical = &mut loaded.programs.critical;
        critical.drain(critical.produced(), |bytes| {
            is_whole |= match decode(bytes).unwrap() {
                Event::Plain(plain) => take(&plain.record.call),
                Event::File(file) => take(&file.record.call),
                _ => false,
            };
        });
        std::thread::yield_now();
    }
    calls
}

/// Both records of a call, by their ways.
fn both(name: &'static str, abi: u8, first: u64, result: i64) -> [Seen; 2] {
    [(name, abi, via::SYS_ENTER, first, PENDING), (name, abi, via::SYS_EXIT, first, result)]
}

fn error() -> i64 {
    -i64::from(io::Error::last_os_error().raw_os_error().unwrap())
}

/// Makes the calls; gives what is to be seen of them.
fn make_calls() -> Vec<Seen> {
    let mut expected = Vec::new();
    let mut attributes = [0u8; 72];
    // A hash of 4 bytes to 4 bytes.
    for (at, value) in [(0, 1), (4, 4), (8, 4), (12, 1)] {
        attributes[at] = value;
    }
    // SAFETY: a wrong magic number, no file, no name, attributes that are valid for the call.
    #[expect(unsafe_code, reason = "no library makes these calls")]
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_reboot, 1, 2, 3, 0), -1);
        expected.extend(both("reboot", ABI_NATIVE, 1, error()));
        assert_eq!(libc::syscall(libc::SYS_finit_module, 0xffff, c"".as_ptr(), 0), -1);
        expected.extend(both("finit_module", ABI_NATIVE, 0xffff, error()));
        assert_eq!(libc::syscall(libc::SYS_kexec_load, 0, 17, 0, 0), -1);
        expected.extend(both("kexec_load", ABI_NATIVE, 0, error()));
        let map = libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_ptr(), attributes.len());
        assert!(map >= 0, "{}", error());
        expected.extend(both("bpf", ABI_NATIVE, MAP_CREATE, map));
        libc::close(i32::try_from(map).unwrap());
        assert_eq!(libc::syscall(libc::SYS_bpf, PROG_LOAD, attributes.as_ptr(), attributes.len()), -1);
        expected.extend(both("bpf", ABI_NATIVE, PROG_LOAD, error()));
    }
    if has_32_bit_calls() {
        // reboot, as a 32-bit call has it.
        assert_eq!(int_0x80(88, &[1, 2, 3]), -libc::EINVAL);
        expected.extend(both("reboot", ABI_COMPAT, 1, i64::from(-libc::EINVAL)));
    } else {
        println!("SKIPPED: 32-bit calls: this kernel has none");
    }
    // A kernel without a call answers before it asks for anything.
    let absent: Vec<_> = expected
        .iter()
        .filter(|(_, _, way, _, result)| *way == via::SYS_EXIT && *result == -i64::from(libc::ENOSYS))
        .map(|(name, ..)| *name)
        .collect();
    for name in &absent {
        println!("SKIPPED: {name}: this kernel has none");
    }
    // It is seen on its way out alone, or on both ways: that is not the matter here.
    expected.retain(|(name, ..)| !absent.contains(name));
    expected
}

#[test]
fn calls_are_seen_before_they_return() {
    let mut loaded = Loaded::new(RINGS, wants());
    // A thread of its own: this one has loaded programs by the same call.
    let thread = std::thread::spawn(|| (nix::unistd::gettid().as_raw().unsigned_abs(), make_calls()));
    let (tid, expected) = thread.join().unwrap();
    let found = seen(&mut loaded, tid, &expected);
    assert_eq!(found, expected);
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert!(counters[Hook::SysEnter as usize].submitted >= expected.len() as u64 / 2);
}

#[test]
fn what_nobody_wants_is_not_looked_at() {
    let loaded = Loaded::new(RINGS, Wants::posture());
    assert!(loaded.programs.hooks.iter().all(|(hook, _)| *hook != Hook::SysEnter));
}

/// getpid by the 32-bit table.
fn has_32_bit_calls() -> bool {
    int_0x80(20, &[]) == std::process::id().cast_signed()
}
