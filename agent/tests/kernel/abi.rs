//! The other two doors into the kernel that any 64-bit program has: `int 0x80`, and x32's numbers.

use agent_abi::{
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_X32},
    record::{PENDING, file_flag, via},
};
use nix::libc;

use crate::{
    calls::{Made, What, at, c, enter_own_folder, made_by, raw, shared_calls},
    compat::{Low, int_0x80},
    loaded::assert_quiet_sums,
    processes::Waiting,
};

/// `__X32_SYSCALL_BIT` (arch/x86/include/uapi/asm/unistd.h).
const X32: i64 = 0x4000_0000;

/// A 32-bit call that was made: its name, its number, and what the record has to say.
struct Compat {
    name: &'static str,
    number: u32,
    arguments: Vec<u32>,
    from: &'static str,
    to: &'static str,
    result: i64,
}

#[test]
fn calls_by_the_32_bit_door() {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        let path = enter_own_folder();
        let mut low = Low::new();
        let mut name = |name: &str| low.put(name.as_bytes());
        let child = Waiting::new();
        let pid = u32::try_from(child.0).unwrap();
        let (cwd, none) = ((-100i32).cast_unsigned(), u32::MAX);
        let (creates, mode) = (libc::O_CREAT.cast_unsigned() | 2, 0o600);
        let calls: [(&str, u32, Vec<u32>, &str, &str); 14] = [
            ("open", 5, vec![name("a"), creates, mode], "/a", ""),
            ("open", 5, vec![name("missing"), 0], "/missing", ""),
            ("openat", 295, vec![cwd, name("b"), creates, mode], "/b", ""),
            ("creat", 8, vec![name("c"), mode], "/c", ""),
            ("mkdir", 39, vec![name("d"), 0o700], "/d", ""),
            ("rename", 38, vec![name("a"), name("d/a")], "/a", "/d/a"),
            ("renameat2", 353, vec![cwd, name("b"), cwd, name("d/b"), 1], "/b", "/d/b"),
            ("unlink", 10, vec![name("c")], "/c", ""),
            ("unlinkat", 301, vec![cwd, name("d/a"), 0], "/d/a", ""),
            ("chmod", 15, vec![name("d"), 0o755], "/d", ""),
            // The 64-bit mask takes two arguments.
            ("fanotify_mark", 339, vec![none, 1, 2, 0, cwd, name("d")], "/d", ""),
            ("kill", 37, vec![pid, 0], "", ""),
            ("ptrace", 26, vec![0x4206, pid, 0, 0], "", ""),
            ("process_vm_readv", 347, vec![pid, 0, 0, 0, 0, 0], "", ""),
        ];
        let calls = calls.map(|(name, number, arguments, from, to)| {
            let result = i64::from(int_0x80(number, &arguments));
            Compat { name, number, arguments, from, to, result }
        });
        (path, pid, calls)
    });
    let (path, pid, calls) = &made.value;
    let at = |name: &str| if name.is_empty() { Vec::new() } else { [&path[..], name.as_bytes()].concat() };
    let mut told = made.own().filter(|seen| seen.call.abi == ABI_COMPAT);
    for call in calls {
        let Compat { name, number, arguments, from, to, result } = call;
        let seen = told.next().unwrap_or_else(|| panic!("{name} was not told"));
        assert_eq!((seen.name, seen.call.number), (*name, *number));
        let mut whole = [0; 6];
        for (value, argument) in whole.iter_mut().zip(arguments) {
            *value = u64::from(*argument);
        }
        let by_lsm = *result >= 0 && made.way.is_by_lsm(name, &whole);
        assert_eq!(
            (seen.call.args, seen.call.result),
            (whole, if by_lsm { PENDING } else { *result }),
            "{name}"
        );
        assert_eq!(seen.call.via == via::LSM, by_lsm, "{name}");
        match &seen.what {
            What::File { record, path } => {
                assert!(*result >= 0, "{name}");
                assert_eq!((path, record.file.grade), (&at(from), made.way.grade(name, &whole)), "{name}");
                assert_eq!(record.file.flags, file_flag::IN_TASK_MOUNT_NS, "{name}");
            }
            What::Path { from: told, to: told_to } => {
                assert_eq!((&told.path, &told_to.path), (&at(from), &at(to)), "{name}");
            }
            What::Plain { record } => assert_eq!(record.target_pid.cast_unsigned(), *pid, "{name}"),
        }
    }
    assert!(told.next().is_none());
    assert_quiet_sums(&loaded);
}

#[test]
fn memory_mapped_with_the_arguments_in_memory() {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        let mut low = Low::new();
        let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).cast_unsigned();
        let mut arguments = |protection: u32| {
            let words = [0, 4096, protection, anonymous, u32::MAX, 0];
            low.put_words(&words)
        };
        let (writable, executable) = (arguments(3), arguments(7));
        // Addresses above 2 GiB look negative.
        for arguments in [writable, executable] {
            assert!(!(-4095..=0).contains(&int_0x80(90, &[arguments])));
        }
        executable
    });
    let seen = made.one("old_mmap");
    assert_eq!((seen.call.abi, seen.call.args[0]), (ABI_COMPAT, u64::from(made.value)));
    assert_eq!(seen.text[8..12], 7u32.to_ne_bytes());
    assert_quiet_sums(&loaded);
}

#[test]
fn calls_by_x32_numbers_are_what_they_are() {
    let mut loaded = shared_calls();
    let made: Made<[i64; 4]> = made_by(&mut loaded, || {
        let name = c("/proc/self/status");
        let nobody = 4_000_000;
        [
            raw(X32 | libc::SYS_open, &[at(&name), 0]),
            raw(X32 | libc::SYS_kill, &[nobody, 0]),
            raw(X32 | 521, &[0x4206, nobody]),
            // Without the bit x32's own numbers are nobody's; natively 521 was never a call.
            raw(521, &[0x4206, nobody]),
        ]
    });
    let told: Vec<_> = made.own().filter(|seen| seen.call.abi == ABI_X32).collect();
    if made.way.has_exits() && made.value[0] == -i64::from(libc::ENOSYS) {
        // No function of the kernel runs, so there is no exit of one.
        println!("x32 calls are refused here, and not told");
        assert_eq!(told.len(), 0, "{told:?}");
        assert_quiet_sums(&loaded);
        return;
    }
    assert_eq!(told.iter().map(|seen| seen.name).collect::<Vec<_>>(), ["open", "kill", "ptrace"]);
    let results: Vec<_> = told.iter().map(|seen| seen.call.result).collect();
    assert_eq!(results[1..], made.value[1..3]);
    match made.value[0] {
        fd if fd >= 0 => {
            println!("x32 calls are served here: {results:?}");
            assert_eq!(results[0], if made.way.opens_by_lsm { PENDING } else { fd });
            assert_ne!(told[0].file().0.file.flags & file_flag::PROC, 0);
        }
        error => {
            println!("x32 calls are refused here, and told as failed: {results:?}");
            assert_eq!((error, results[0]), (-i64::from(libc::ENOSYS), error));
            assert_eq!(told[0].paths().0.path, b"/proc/self/status");
        }
    }
    let native = made.own().filter(|seen| seen.name == "ptrace" && seen.call.abi == ABI_NATIVE);
    assert_eq!(native.count(), 0);
    assert_quiet_sums(&loaded);
}
