//! Exec and scan records say what /proc says.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use agent_abi::record::{TaskState, file_flag};
use kestrel_agent::{
    context::{ProcessId, SeccompAllow},
    decode::{Event, Exec},
    source,
};
use procfs::process::Process;

use crate::{
    environment::{lacks_field, skip},
    loaded::DEADLINE,
    shared::Shared,
};

/// A process that has printed a line and now waits, ended with this value.
struct Waiting(Child);

impl Waiting {
    /// Runs `sh -c 'echo; exec sleep'` behind `wrapper`, so that the last exec is one of `sleep`.
    fn behind(wrapper: &[&str]) -> Self {
        let arguments = [wrapper, &["sh", "-c", "echo ready; exec sleep 1000"]].concat();
        let mut child = Command::new(arguments[0])
            .args(&arguments[1..])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{wrapper:?}");
        Self(child)
    }

    /// Waits for the last exec, of a wrapper that does not fork.
    fn until_sleep(&self) {
        let cmdline = format!("/proc/{}/cmdline", self.0.id());
        let start = Instant::now();
        while std::fs::read(&cmdline).unwrap() != b"sleep\x001000\0" {
            assert!(start.elapsed() < DEADLINE, "the shell stays");
            std::thread::yield_now();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The group holds what the wrapper forked.
        let group = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
        self.0.wait().unwrap();
    }
}

fn assert_as_proc(state: &TaskState) {
    let process = Process::new(state.task.tgid.cast_signed()).unwrap();
    let (stat, status) = (process.stat().unwrap(), process.status().unwrap());
    assert_eq!(ProcessId::of(&state.task).start_ticks, stat.starttime);
    assert_eq!(state.parent.tgid, stat.ppid.unsigned_abs());
    assert_eq!(state.session, stat.session.unsigned_abs());
    assert_eq!(state.tty, stat.tty_nr.unsigned_abs());
    assert_eq!(
        [state.ids.uid, state.ids.euid, state.ids.suid, state.ids.fsuid],
        [status.ruid, status.euid, status.suid, status.fuid]
    );
    assert_eq!(
        [state.ids.gid, state.ids.egid, state.ids.sgid, state.ids.fsgid],
        [status.rgid, status.egid, status.sgid, status.fgid]
    );
    assert_eq!(
        [state.caps.inheritable, state.caps.permitted, state.caps.effective],
        [status.capinh, status.capprm, status.capeff]
    );
    assert_eq!(Some(state.caps.bounding), status.capbnd);
    assert_eq!(Some(state.caps.ambient), status.capamb);
    assert_eq!(Some(u64::from(state.no_new_privs)), status.nonewprivs);
    assert_eq!(Some(state.seccomp_mode), status.seccomp);
    assert_eq!(status.nstgid.unwrap().last().copied(), Some(state.ns_tgid.cast_signed()));
    let namespaces = process.namespaces().unwrap().0;
    for (name, inum) in [
        ("mnt", state.ns.mnt),
        ("pid", state.ns.pid),
        ("net", state.ns.net),
        ("ipc", state.ns.ipc),
        ("uts", state.ns.uts),
        ("cgroup", state.ns.cgroup),
        ("user", state.ns.user),
    ] {
        assert_eq!(u64::from(inum), namespaces[std::ffi::OsStr::new(name)].identifier, "{name}");
    }
}

fn is_sleep(exec: &Exec<'_>) -> bool {
    exec.argv.iter().eq([&b"sleep"[..], b"1000"])
}

#[test]
fn records_of_differently_limited_tasks_say_what_proc_says() {
    let mut loaded = Shared::posture();
    let wrappers: [&[&str]; 5] = [
        &["env"],
        &["setpriv", "--reuid", "1000", "--regid", "1001", "--clear-groups", "--no-new-privs"],
        &[
            "setpriv",
            "--bounding-set",
            "-all,+chown",
            "--inh-caps",
            "-all,+chown",
            "--ambient-caps",
            "-all,+chown",
        ],
        &["setpriv", "--euid", "1002", "--egid", "1003", "--clear-groups"],
        &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--uts", "--ipc", "--mount", "--cgroup"],
    ];
    for wrapper in wrappers {
        let waiting = Waiting::behind(wrapper);
        loaded.until(|event| {
            let Event::Exec(exec) = event else { return false };
            // Those of earlier rounds are dead.
            if !is_sleep(exec) || Process::new(exec.record.state.task.tgid.cast_signed()).is_err() {
                return false;
            }
            assert_as_proc(&exec.record.state);
            if wrapper[0] == "unshare" {
                let ids = exec.record.state.ids;
                assert_eq!([ids.uid, ids.ns_uid, ids.ns_euid], [0, 0, 0]);
                assert_eq!(exec.record.state.ns.user_level, 1);
                assert_eq!(exec.record.state.ns_tgid, 1);
            }
            true
        });
        drop(waiting);
    }
}

#[test]
fn the_scan_says_what_exec_would_have_said() {
    let waiting = Waiting::behind(&["setpriv", "--reuid", "1000", "--clear-groups", "--no-new-privs"]);
    waiting.until_sleep();
    let mut loaded = Shared::posture();
    let mut stream = loaded.programs.scan.open().unwrap().unwrap();
    let (mut found, mut kthreadd) = (0, 0);
    source::scan(&mut stream, |bytes| {
        let Event::Exec(exec) = kestrel_agent::decode::decode(bytes).unwrap() else {
            panic!("a scan record")
        };
        kthreadd += u32::from(exec.record.state.task.tid == 2);
        if exec.record.state.task.tgid == waiting.0.id() {
            assert_as_proc(&exec.record.state);
            let path = exec.exe;
            let proc = std::fs::read_link(format!("/proc/{}/exe", waiting.0.id())).unwrap();
            assert_eq!(path, proc.as_os_str().as_encoded_bytes());
            found += 1;
        }
    })
    .unwrap();
    assert_eq!((found, kthreadd), (1, 1));
}

#[test]
fn life_of_a_process_in_order() {
    let mut loaded = Shared::posture();
    let mut child = Command::new("/bin/true").args(["one", ""]).current_dir("/usr/lib").spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    let mut kinds = Vec::new();
    loaded.until(|event| {
        match event {
            Event::Fork(fork) if fork.child.task.tgid == pid => {
                assert_eq!(fork.creator.tgid, std::process::id());
                kinds.push("fork");
            }
            Event::Exec(exec) if exec.record.state.task.tgid == pid => {
                assert_eq!(exec.argv.iter().collect::<Vec<_>>(), [&b"/bin/true"[..], b"one", b""]);
                assert_eq!(exec.filename, b"/bin/true");
                assert_eq!(exec.record.truncated, 0);
                let (exe, cwd) = (exec.exe, exec.cwd);
                let real = std::fs::canonicalize("/bin/true").unwrap();
                assert_eq!(exe, real.as_os_str().as_encoded_bytes());
                assert_eq!(cwd, b"/usr/lib");
                let file = exec.record.exe;
                let metadata = std::fs::metadata("/bin/true").unwrap();
                use std::os::unix::fs::MetadataExt;
                assert_eq!(
                    (file.inode, file.mode, file.uid),
                    (metadata.ino(), metadata.mode(), metadata.uid())
                );
                assert_eq!(
                    (u64::from(file.dev >> 20), u64::from(file.dev & 0xf_ffff)),
                    (nix::sys::stat::major(metadata.dev()), nix::sys::stat::minor(metadata.dev()))
                );
                assert_eq!(file.flags, file_flag::IN_TASK_MOUNT_NS);
                kinds.push("exec");
            }
            Event::Exit(exit) if exit.task.tgid == pid => {
                assert_eq!(exit.status, 0);
                kinds.push("exit");
            }
            _ => {}
        }
        kinds.last() == Some(&"exit")
    });
    assert_eq!(kinds, ["fork", "exec", "exit"]);
}

#[test]
fn a_memfd_and_a_cut_argv_are_marked() {
    let mut loaded = Shared::posture();
    let memfd = nix::sys::memfd::memfd_create(c"payload", nix::sys::memfd::MFdFlags::empty()).unwrap();
    let mut file = std::fs::File::from(memfd);
    std::io::copy(&mut std::fs::File::open("/bin/true").unwrap(), &mut file).unwrap();
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut child = Command::new(path).arg("x".repeat(6000)).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    loaded.until(|event| {
        let Event::Exec(exec) = event else { return false };
        if exec.record.state.task.tgid != pid {
            return false;
        }
        let flags = exec.record.exe.flags;
        assert_ne!(flags & file_flag::MEMFD, 0);
        assert_ne!(flags & file_flag::UNLINKED, 0);
        assert_eq!(flags & file_flag::IN_TASK_MOUNT_NS, 0);
        assert_eq!(exec.exe, b"/memfd:payload");
        assert_ne!(exec.record.truncated & agent_abi::record::exec_truncated::ARGV, 0);
        assert_eq!(exec.argv.0.len(), agent_abi::record::ARGV_BYTES - 1);
        true
    });
}

#[test]
fn a_task_without_a_filter_has_no_bitmap() {
    let mut loaded = Shared::posture();
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    loaded.until(|event| {
        let Event::Exec(exec) = event else { return false };
        exec.record.state.task.tgid == pid && {
            assert_eq!(SeccompAllow::from_record(exec.seccomp_allow), SeccompAllow::NONE);
            true
        }
    });
}

/// An overlay with one program in its lower and one in its upper layer, unmounted at the end.
struct Overlay {
    merged: PathBuf,
    _folder: tempfile::TempDir,
}

impl Overlay {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str| folder.path().join(name);
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(part(name)).unwrap();
        }
        std::fs::copy("/bin/true", part("lower").join("of-the-image")).unwrap();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            part("lower").display(),
            part("upper").display(),
            part("work").display()
        );
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(part("merged"))
            .status();
        assert!(mounted.unwrap().success());
        let overlay = Self { merged: part("merged"), _folder: folder };
        std::fs::copy("/bin/true", overlay.merged.join("dropped")).unwrap();
        overlay
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.merged).status().unwrap().success());
    }
}

#[test]
fn a_program_in_the_writable_layer_is_told_from_one_of_the_image() {
    let overlay = Overlay::mount();
    if lacks_field("ovl_inode.__upperdentry") {
        skip("this kernel does not tell how an overlay's inodes are laid out");
        return;
    }
    let mut loaded = Shared::posture();
    for (name, layer) in [("of-the-image", 0), ("dropped", file_flag::UPPER_LAYER)] {
        let path = overlay.merged.join(name);
        let mut child = Command::new(&path).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        loaded.until(|event| {
            let Event::Exec(exec) = event else { return false };
            exec.record.state.task.tgid == pid && {
                let flags = exec.record.exe.flags;
                assert_ne!(flags & file_flag::OVERLAY, 0, "{name}");
                assert_eq!(flags & file_flag::UPPER_LAYER, layer, "{name}");
                assert_eq!(exec.exe, path.as_os_str().as_encoded_bytes());
                true
            }
        });
    }
}
