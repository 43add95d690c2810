//! Calls on processes and their memory: each of the table is made, and told as it was made.

use std::os::fd::IntoRawFd as _;

use agent_abi::record::file_flag;
use kestrel_agent::syscall::Family;
use nix::libc;

use crate::{
    calls::{enter_own_folder, made_by, of, raw, shared_calls},
    loaded::assert_quiet_sums,
    row::{Arg, End, Expected, Fd, Row, assert_complete, assert_told, make, row},
};

const PLAIN_CALL: Expected = Expected::Plain { pid: 0, target: 0 };
const EXECUTABLE: u64 = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as u64;
const WRITABLE: u64 = (libc::PROT_READ | libc::PROT_WRITE) as u64;
const PRIVATE: u64 = libc::MAP_PRIVATE as u64;
const ANONYMOUS: u64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;

/// A child of the calling thread that waits to be killed.
pub(crate) struct Waiting(pub(crate) i64);

impl Waiting {
    pub(crate) fn new() -> Self {
        let parent = nix::unistd::getpid();
        let child = raw(libc::SYS_clone, &[libc::SIGCHLD as u64]);
        if nix::unistd::getpid() != parent {
            loop {
                raw(libc::SYS_pause, &[]);
            }
        }
        assert!(child > 0);
        Self(child)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        raw(libc::SYS_kill, &[self.0.cast_unsigned(), libc::SIGKILL as u64]);
        raw(libc::SYS_wait4, &[self.0.cast_unsigned(), 0, 0, 0]);
    }
}

#[test]
fn every_call_of_the_table() {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        let path = enter_own_folder();
        std::fs::write("file", [0; 4096]).unwrap();
        let file = std::fs::File::options().read(true).write(true).open("file").unwrap().into_raw_fd();
        let child = Waiting::new();
        let pid = i32::try_from(child.0).unwrap();
        [make(others(pid)), make(own(&path, file))].into_iter().flatten().collect()
    });
    assert_told(&loaded, &made);
    assert_complete(Family::Processes, &made.value);
}

/// On another process.
fn others(pid: i32) -> Vec<Row> {
    let about = Expected::Plain { pid, target: 0 };
    let by_pidfd = Expected::Plain { pid: 0, target: pid.unsigned_abs() };
    // `struct iovec` of a word that parent and child have at the same address.
    let word = Box::leak(Box::new(7u64));
    let vector: Vec<u8> = [of(word), 8].into_iter().flat_map(u64::to_ne_bytes).collect();
    // `siginfo_t` with `si_code` `SI_QUEUE`.
    let info: Vec<u8> = [0i32, 0, -1].into_iter().flat_map(i32::to_ne_bytes).chain([0; 116]).collect();
    let seize = 0x4206;
    vec![
        row!(SYS_ptrace, [seize, pid, 0, 0], End::Any, about.clone()),
        row!(SYS_process_vm_readv, [pid, vector.clone(), 1, vector.clone(), 1, 0], End::Any, about.clone()),
        row!(SYS_process_vm_writev, [pid, vector.clone(), 1, vector, 1, 0], End::Any, about.clone()),
        row!(SYS_pidfd_open, [pid, 0], End::Ok, about.clone()),
        row!(SYS_pidfd_getfd, [Arg::Result("pidfd_open"), 0, 0], End::Any, by_pidfd.clone()),
        row!(SYS_pidfd_send_signal, [Arg::Result("pidfd_open"), 0, 0, 0], End::Ok, by_pidfd),
        row!(SYS_kill, [pid, 0], End::Ok, about.clone()),
        row!(SYS_kill, [-pid, 0], End::Fails(libc::ESRCH), Expected::Plain { pid: -pid, target: 0 }),
        row!(SYS_tkill, [pid, 0], End::Ok, about.clone()),
        row!(SYS_tgkill, [pid, pid, 0], End::Ok, about.clone()),
        row!(SYS_rt_sigqueueinfo, [pid, 0, info.clone()], End::Ok, about.clone()),
        row!(SYS_rt_tgsigqueueinfo, [pid, pid, 0, info], End::Ok, about.clone()),
        row!(SYS_prlimit64, [pid, libc::RLIMIT_CORE, 0, 0], End::Ok, about),
    ]
}

/// On the caller.
fn own(path: &[u8], file: i32) -> Vec<Row> {
    let at = |name: &str| [path, name.as_bytes()].concat();
    let named = |name: &str| Expected::Path { from: at(name), to: None };
    let clone = libc::CLONE_NEWUTS | libc::SIGCHLD;
    // `struct clone_args`: flags, five words, and the signal of the end as the fifth.
    let clone_args = [libc::CLONE_NEWIPC as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, 0];
    let clone_args: Vec<u8> = clone_args.into_iter().flat_map(u64::to_ne_bytes).collect();
    let page = anonymous_page();
    let nowhere = -1;
    let mapped =
        Expected::File { fd: Fd::Argument(4), path: at("/file"), flags: file_flag::IN_TASK_MOUNT_NS };
    let memfd = Expected::File {
        fd: Fd::Result,
        path: b"/memfd:payload".to_vec(),
        flags: file_flag::MEMFD | file_flag::UNLINKED,
    };
    let secret = Expected::File { fd: Fd::Result, path: b"/secretmem".to_vec(), flags: 0 };
    vec![
        row!(SYS_execve, ["missing", 0, 0], End::Fails(libc::ENOENT), named("/missing")),
        row!(SYS_execve, ["file", 0, 0], End::Fails(libc::EACCES), named("/file")),
        row!(SYS_execveat, [file, "", 0, 0, libc::AT_EMPTY_PATH], End::Fails(libc::EACCES), named("/file")),
        row!(SYS_clone, [clone, 0, 0, 0, 0], End::Ok, PLAIN_CALL),
        row!(SYS_clone3, [clone_args.clone(), 88], End::Ok, PLAIN_CALL, clone_args),
        row!(SYS_personality, [0xffff_ffffu64], End::Ok, PLAIN_CALL),
        row!(SYS_memfd_create, ["payload", 0], End::Ok, memfd, "payload"),
        row!(SYS_memfd_secret, [0], End::Any, secret),
        row!(SYS_mmap, [0, 4096, EXECUTABLE, PRIVATE, file, 0], End::Ok, mapped),
        row!(SYS_mmap, [0, 4096, EXECUTABLE, ANONYMOUS, file, 0], End::Ok, Expected::NoFile),
        row!(SYS_mprotect, [page, 4096, EXECUTABLE], End::Ok, PLAIN_CALL),
        row!(SYS_pkey_mprotect, [page, 4096, EXECUTABLE, nowhere], End::Any, PLAIN_CALL),
        row!(SYS_userfaultfd, [0], End::Any, PLAIN_CALL),
        row!(SYS_setrlimit, [libc::RLIMIT_CORE, vec![0; 16]], End::Ok, PLAIN_CALL),
        row!(SYS_keyctl, [0, -1, 0], End::Any, PLAIN_CALL),
        row!(SYS_add_key, ["user", "kestrel", b"v".to_vec(), 1, -1], End::Any, PLAIN_CALL, "user"),
        row!(SYS_request_key, ["user", "kestrel-none", 0, 0], End::Any, PLAIN_CALL, "user"),
    ]
}

fn anonymous_page() -> u64 {
    let page = raw(libc::SYS_mmap, &[0, 4096, WRITABLE, ANONYMOUS, u64::MAX, 0]);
    assert!(page > 0);
    page.cast_unsigned()
}

#[test]
fn what_any_program_does_is_silent() {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        drop(Waiting::new());
        let page = anonymous_page();
        assert_eq!(raw(libc::SYS_mprotect, &[page, 4096, WRITABLE]), 0);
        let executable = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        assert_eq!(raw(libc::SYS_mprotect, &[page, 4096, executable]), 0);
        let arguments = [0u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        let parent = nix::unistd::getpid();
        let child = raw(libc::SYS_clone3, &[of(&arguments), 64]);
        if nix::unistd::getpid() != parent {
            raw(libc::SYS_exit_group, &[0]);
        }
        assert!(child > 0);
        raw(libc::SYS_wait4, &[child.cast_unsigned(), 0, 0, 0]);
    });
    for name in ["clone", "clone3", "mmap", "mprotect"] {
        made.assert_silent(name);
    }
    assert_quiet_sums(&loaded);
}

/// The first process of a pid namespace numbers others as that namespace does.
#[test]
fn a_target_is_told_as_the_caller_numbers_it() {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        let parent = nix::unistd::gettid();
        let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
        let child = raw(libc::SYS_clone, &[flags as u64]);
        if nix::unistd::gettid() != parent {
            let inner = Waiting::new();
            let is_second = u64::from(inner.0 != 2);
            raw(libc::SYS_kill, &[2, 0]);
            drop(inner);
            raw(libc::SYS_exit_group, &[is_second]);
        }
        assert!(child > 0, "{child}");
        let mut status = 0i32;
        raw(libc::SYS_wait4, &[child.cast_unsigned(), std::ptr::from_mut(&mut status) as u64, 0, 0]);
        assert_eq!(status, 0, "the inner child is number 2");
        child
    });
    let child = u32::try_from(made.value).unwrap();
    let kills = made.seen.iter().filter(|seen| seen.name == "kill" && seen.call.task.tgid == child);
    let kills: Vec<_> = kills.map(|seen| seen.plain()).collect();
    assert_eq!(kills.len(), 2, "{kills:?}");
    let own = u64::from(kills[0].pid_ns);
    use std::os::linux::fs::MetadataExt as _;
    assert_ne!(own, std::fs::metadata("/proc/self/ns/pid").unwrap().st_ino());
    for kill in kills {
        assert_eq!((kill.target_pid, u64::from(kill.pid_ns)), (2, own));
    }
    assert_quiet_sums(&loaded);
}
