//! The ways to another image.

use std::{ffi::CString, os::unix::fs::PermissionsExt as _, process::Command, thread};

use agent_abi::record::{ARGV_BYTES, exec_truncated, file_flag, grade};
use kestrel_agent::decode::{Event, Exec};
use nix::libc;

use crate::{
    calls::{at, c, raw},
    elf,
    loaded::{Loaded, assert_quiet_sums},
    shared::Shared,
};

/// Programs of a test's own.
struct Programs {
    folder: tempfile::TempDir,
}

impl Programs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        elf::write(folder.path().join("program").to_str().unwrap(), 0);
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Forks a child that runs `body` and then ends, and gives its pid when it has.
fn forked(body: impl FnOnce()) -> u32 {
    let parent = nix::unistd::getpid();
    let child = raw(libc::SYS_clone, &[libc::SIGCHLD as u64]);
    if nix::unistd::getpid() != parent {
        body();
        raw(libc::SYS_exit_group, &[1]);
    }
    assert!(child > 0);
    assert_eq!(raw(libc::SYS_wait4, &[child.cast_unsigned(), 0, 0, 0]), child);
    u32::try_from(child).unwrap()
}

/// Waits for the image of `pid`.
fn image_of(loaded: &mut Loaded, pid: u32, check: impl Fn(&Exec<'_>)) {
    loaded.until(|event| {
        let Event::Exec(exec) = event else { return false };
        exec.record.state.task.tgid == pid && {
            assert_eq!(exec.record.exe.grade, grade::OBJECT);
            check(exec);
            true
        }
    });
    assert_quiet_sums(loaded);
}

#[test]
fn a_script_and_its_interpreter() {
    let programs = Programs::new();
    let (script, program) = (programs.path("script"), programs.path("program"));
    std::fs::write(&script, format!("#!{program} option\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut loaded = Shared::posture();
    let mut child = Command::new(&script).arg("argument").spawn().unwrap();
    assert!(child.wait().unwrap().success());
    image_of(&mut loaded, child.id(), |exec| {
        assert_eq!(exec.exe, program.as_bytes());
        assert_eq!(exec.filename, script.as_bytes());
        let argv: Vec<_> = exec.argv.iter().collect();
        assert_eq!(argv, [program.as_bytes(), b"option", script.as_bytes(), b"argument"]);
    });
}

#[test]
fn execveat_of_a_memfd() {
    let programs = Programs::new();
    let program = std::fs::read(programs.path("program")).unwrap();
    let mut loaded = Shared::posture();
    let (name, empty) = (c("payload"), c(""));
    let argv = [at(&name), 0];
    let pid = forked(|| {
        let fd = raw(libc::SYS_memfd_create, &[at(&name), 0]).cast_unsigned();
        raw(libc::SYS_write, &[fd, program.as_ptr() as u64, program.len() as u64]);
        let flags = libc::AT_EMPTY_PATH as u64;
        raw(libc::SYS_execveat, &[fd, at(&empty), argv.as_ptr() as u64, 0, flags]);
    });
    image_of(&mut loaded, pid, |exec| {
        assert_eq!(exec.exe, b"/memfd:payload");
        assert_eq!(exec.record.exe.flags, file_flag::MEMFD | file_flag::UNLINKED);
        assert!(exec.filename.starts_with(b"/dev/fd/"));
        assert_eq!(exec.argv.iter().collect::<Vec<_>>(), [b"payload"]);
    });
}

/// A thread that is not the leader gets the leader's id.
#[test]
fn an_exec_by_another_thread() {
    let programs = Programs::new();
    let path = c(programs.path("program"));
    let argv = [at(&path), 0];
    let mut loaded = Shared::posture();
    // SAFETY: the child makes threads and calls alone, and no other thread of the tests holds a lock
    // that it needs.
    #[expect(unsafe_code, reason = "a process with threads that ends in another image")]
    let child = i64::from(unsafe { libc::fork() });
    if child == 0 {
        thread::scope(|scope| {
            scope.spawn(|| {
                raw(libc::SYS_execve, &[at(&path), argv.as_ptr() as u64, 0]);
            });
            scope.spawn(|| {
                loop {
                    raw(libc::SYS_pause, &[]);
                }
            });
        });
        raw(libc::SYS_exit_group, &[1]);
    }
    let mut status = 0i32;
    raw(libc::SYS_wait4, &[child.cast_unsigned(), std::ptr::from_mut(&mut status) as u64, 0, 0]);
    assert_eq!(status, 0);
    let pid = u32::try_from(child).unwrap();
    image_of(&mut loaded, pid, |exec| {
        let task = exec.record.state.task;
        assert_eq!((task.tgid, task.tid), (pid, pid));
        assert_ne!(exec.record.old_tid, pid, "the thread had an id of its own");
        assert_eq!(exec.exe, path.as_bytes());
    });
}

#[test]
fn a_process_that_ends_at_once_is_told_from_its_start_to_its_end() {
    let programs = Programs::new();
    let path = programs.path("program");
    let mut loaded = Shared::posture();
    let children: Vec<u32> = (0..50)
        .map(|_| {
            let mut child = Command::new(&path).spawn().unwrap();
            child.wait().unwrap();
            child.id()
        })
        .collect();
    let mut stages = vec![0; children.len()];
    loaded.until(|event| {
        let (pid, stage) = match event {
            Event::Fork(fork) => (fork.child.task.tgid, 0),
            Event::Exec(exec) => {
                let pid = exec.record.state.task.tgid;
                if children.contains(&pid) {
                    assert_eq!(exec.exe, path.as_bytes());
                }
                (pid, 1)
            }
            Event::Exit(exit) => (exit.task.tgid, 2),
            _ => return false,
        };
        if let Some(child) = children.iter().position(|&child| child == pid) {
            assert_eq!(stages[child], stage, "in order, and once");
            stages[child] += 1;
        }
        stages.iter().all(|&stage| stage == 3)
    });
}

#[test]
fn two_megabytes_of_arguments_are_cut_and_marked() {
    let programs = Programs::new();
    let path = c(programs.path("program"));
    let longest: CString = c(vec![b'x'; 128 * 1024 - 1]);
    let argv: Vec<u64> = [at(&path)].into_iter().chain([at(&longest); 16]).chain([0]).collect();
    // A quarter of the stack may be arguments.
    let limit: [u64; 2] = [16 << 20, libc::RLIM_INFINITY];
    let mut loaded = Shared::posture();
    let pid = forked(|| {
        raw(libc::SYS_setrlimit, &[libc::RLIMIT_STACK.into(), limit.as_ptr() as u64]);
        raw(libc::SYS_execve, &[at(&path), argv.as_ptr() as u64, 0]);
    });
    image_of(&mut loaded, pid, |exec| {
        assert_eq!(exec.record.truncated, exec_truncated::ARGV);
        assert_eq!(exec.argv.0.len(), ARGV_BYTES - 1);
        assert!(exec.argv.0.starts_with(path.as_bytes_with_nul()) && exec.argv.0.ends_with(b"xxx"));
    });
}
