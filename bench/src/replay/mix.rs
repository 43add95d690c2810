//! A believable node: containers that start as runc starts them, grow to many processes, start
//! short-lived ones, and end.

use agent_abi::record::{
    Capabilities, Cgroup, Credentials, Exec, Exit, FileCall, FileRef, Fork, Ids, Namespaces, PathCall,
    PathRef, SECCOMP_BITMAP_BYTES, Syscall, TaskRef, TaskState, UNMAPPED, file_flag, grade, kind,
};

use super::recording::{CPUS, Recording, Tail};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Containers.
    pub containers: u32,
    /// Processes that live as long as their container.
    pub processes: u32,
    /// Processes per container that end at once.
    pub short_lived: u32,
    /// Every so many containers, one obeys no control; 0: all obey.
    pub lax_every: u32,
}

impl Size {
    /// A busy node.
    pub const NODE: Self = Self { containers: 200, processes: 60, short_lived: 60, lax_every: 8 };
}

/// Records of `setgid`, `setuid`, `capset`, `prctl` and `seccomp`, as runc makes them.
const RUNC_CALLS: [u32; 5] = [106, 105, 126, 157, 317];
/// `setuid`, of a process that drops to a service's user.
const SETUID: u32 = 105;
/// Pids are given to container `c` from `FIRST_PID + c * PIDS`.
const FIRST_PID: u32 = 2_000;
const PIDS: u32 = 4_096;
const HOST_MNT: u32 = 0xf000_0000;
/// The host's own namespaces.
pub(super) const HOST: Namespaces = Namespaces {
    mnt: HOST_MNT,
    pid: 0xefff_fffc,
    net: 0xf000_0098,
    ipc: 0xefff_ffff,
    uts: 0xefff_fffe,
    cgroup: 0xefff_fffb,
    user: 0xefff_fffd,
    user_level: 0,
};
/// Docker's default set.
const DEFAULT_CAPS: u64 = 0xa804_25fb;
/// Every capability of the host.
pub(super) const ALL_CAPS: u64 = 0x1ff_ffff_ffff;
/// Boottime at the first record.
const START_NS: u64 = 3_600_000_000_000;

/// Writes the records of such a node.
#[derive(Debug)]
pub struct Mix {
    recording: Recording,
}

impl Mix {
    /// All records of a node of this size, interleaved over its containers.
    #[must_use]
    pub fn record(size: Size) -> Recording {
        let Size { containers, processes, short_lived, lax_every } = size;
        let mut mix = Self { recording: Recording::starting_at(START_NS) };
        let mut nodes: Vec<Container> =
            (0..containers).map(|index| Container::new(index, lax_every)).collect();
        for container in &mut nodes {
            mix.start(container);
        }
        for _ in 1..processes {
            for container in &mut nodes {
                let worker = mix.fork(container, container.init);
                mix.exec(
                    container,
                    &worker,
                    "/usr/local/bin/worker",
                    &["worker", "--queue=jobs", "--threads=4"],
                );
                if worker.task.tgid.is_multiple_of(3) {
                    mix.credentials(container, &worker, SETUID);
                }
                mix.files(container, &worker);
                container.workers.push(worker);
            }
        }
        for _ in 0..short_lived {
            for container in &mut nodes {
                let health = mix.fork(container, container.init);
                mix.exec(
                    container,
                    &health,
                    "/bin/busybox",
                    &["wget", "-q", "-O-", "http://127.0.0.1:8080/healthz"],
                );
                mix.files(container, &health);
                mix.exit(container, &health, 0);
            }
        }
        for container in &mut nodes {
            mix.end(container);
        }
        mix.recording
    }

    /// As runc does it: into the cgroup, out of the host's namespaces, limits, then the program.
    fn start(&mut self, container: &mut Container) {
        let shim = task(1_000, START_NS - 60_000_000_000);
        self.cgroup(container, kind::CGROUP_MKDIR, shim);
        let mut init = self.fork(container, shim);
        container.init = init.task;
        self.cgroup(container, kind::CGROUP_ATTACH, init.task);
        init.ns = HOST;
        set_caps(&mut init, ALL_CAPS);
        self.exec(container, &init, "/runc", &["/proc/self/exe", "init"]);
        init.ns = container.namespaces();
        for call in RUNC_CALLS {
            match call {
                105 | 106 => init.ids = container.ids(),
                126 => set_caps(&mut init, container.caps()),
                157 => init.no_new_privs = u32::from(!container.lax),
                _ => (init.seccomp_mode, init.seccomp_filters) = container.seccomp(),
            }
            self.credentials(container, &init, call);
        }
        init.exec_id += 1;
        self.exec(
            container,
            &init,
            "/usr/local/bin/app",
            &["app", "--listen=:8080", "--config=/etc/app/config.yaml"],
        );
        container.exec_id = init.exec_id + 1;
        container.workers.push(init);
    }

    fn end(&mut self, container: &mut Container) {
        for worker in std::mem::take(&mut container.workers).iter().rev() {
            self.exit(container, worker, 15);
        }
        self.cgroup(container, kind::CGROUP_RMDIR, task(1_000, START_NS - 60_000_000_000));
    }

    fn fork(&mut self, container: &mut Container, creator: TaskRef) -> TaskState {
        let child = container.process(creator, self.recording.now());
        self.recording.push(
            container.cpu(),
            kind::FORK,
            Fork { child, creator, ..Fork::default() },
            &Tail::new(),
        );
        child
    }

    fn exec(&mut self, container: &Container, state: &TaskState, path: &str, argv: &[&str]) {
        let mut tail = Tail::new();
        let exe = FileRef {
            inode: 1_000 + path.len() as u64,
            dev: 0x30 + container.index,
            mode: 0o100_755,
            flags: if state.ns.mnt == HOST_MNT {
                0
            } else {
                file_flag::OVERLAY | file_flag::IN_TASK_MOUNT_NS
            },
            path: tail.add(path.as_bytes()),
            ..FileRef::default()
        };
        let exec = Exec {
            state: TaskState { exec_id: state.exec_id + 1, comm: comm(path), ..*state },
            exe,
            cwd: tail.add(b"/srv/app"),
            seccomp_allow: if state.seccomp_mode == 0 { tail.add(&[]) } else { tail.add(&ALLOWED) },
            filename: tail.add(path.as_bytes()),
            argv: tail.add_strings(argv.iter().copied()),
            ..Exec::default()
        };
        self.recording.push(container.cpu(), kind::EXEC, exec, &tail);
    }

    /// As a program starts: its libraries and its configuration, and a file that it makes and removes.
    fn files(&mut self, container: &Container, state: &TaskState) {
        const OPENAT: u32 = 257;
        const UNLINK: u32 = 87;
        let call = |number: u32, result: i64| Syscall {
            number,
            result,
            task: state.task,
            cgroup_id: state.cgroup_id,
            ..Syscall::default()
        };
        for path in ["/etc/ld.so.cache", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/etc/app/config.yaml"] {
            let mut tail = Tail::new();
            let file = FileRef {
                inode: 2_000 + path.len() as u64,
                dev: 0x30 + container.index,
                mode: 0o100_644,
                flags: file_flag::OVERLAY | file_flag::IN_TASK_MOUNT_NS,
                path: tail.add(path.as_bytes()),
                grade: grade::FD,
                ..FileRef::default()
            };
            let record = FileCall { call: call(OPENAT, 3), file, fd: 3, ..FileCall::default() };
            self.recording.push(container.cpu(), kind::FILE, record, &tail);
        }
        let mut tail = Tail::new();
        let from = PathRef {
            base: tail.add(b"/srv/app"),
            name: tail.add(b"../../tmp/app.lock"),
            grade: grade::USER,
            flags: 0,
        };
        let record = PathCall { call: call(UNLINK, 0), from, ..PathCall::default() };
        self.recording.push(container.cpu(), kind::PATH, record, &tail);
    }

    fn credentials(&mut self, container: &Container, state: &TaskState, syscall: u32) {
        let mut tail = Tail::new();
        let seccomp_allow = if state.seccomp_mode == 0 { tail.add(&[]) } else { tail.add(&ALLOWED) };
        let record = Credentials { state: *state, syscall, seccomp_allow, ..Credentials::default() };
        self.recording.push(container.cpu(), kind::CREDENTIALS, record, &tail);
    }

    fn exit(&mut self, container: &Container, state: &TaskState, status: u32) {
        let exit = Exit { task: state.task, cgroup_id: state.cgroup_id, status, ..Exit::default() };
        self.recording.push(container.cpu(), kind::EXIT, exit, &Tail::new());
    }

    fn cgroup(&mut self, container: &Container, kind: u16, task: TaskRef) {
        let mut tail = Tail::new();
        let path = tail.add(container.path.as_bytes());
        let record = Cgroup { cgroup_id: container.cgroup_id(), task, path, ..Cgroup::default() };
        self.recording.push(container.cpu(), kind, record, &tail);
    }
}

/// What a default profile allows: most, but not all.
const ALLOWED: [u8; SECCOMP_BITMAP_BYTES] = {
    let mut bits = [0xff; SECCOMP_BITMAP_BYTES];
    // mount, ptrace, kexec_load, bpf and their neighbours.
    bits[165 / 8] = 0;
    bits[101 / 8] = 0;
    bits[246 / 8] = 0;
    bits[321 / 8] = 0;
    bits
};

struct Container {
    index: u32,
    lax: bool,
    path: String,
    init: TaskRef,
    workers: Vec<TaskState>,
    pids: u32,
    /// `exec_id` of the process that forks next: a child begins with its creator's.
    exec_id: u64,
}

impl Container {
    fn new(index: u32, lax_every: u32) -> Self {
        // Hex digits that differ from one container to the next in every place.
        let seed = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id: String = (0..4).map(|part| format!("{:016x}", seed.rotate_left(part * 13))).collect();
        let pod = format!("{:08x}-0000-4000-8000-{index:012x}", seed >> 32);
        Self {
            index,
            lax: lax_every != 0 && index.is_multiple_of(lax_every),
            path: format!("/kubepods/besteffort/pod{pod}/{id}"),
            init: TaskRef::default(),
            workers: Vec::new(),
            pids: 0,
            exec_id: 1,
        }
    }

    fn cpu(&self) -> usize {
        self.index as usize % CPUS
    }

    fn cgroup_id(&self) -> u64 {
        10_000 + u64::from(self.index)
    }

    fn ids(&self) -> Ids {
        let id = if self.lax { 0 } else { 1_000 };
        Ids {
            uid: id,
            gid: id,
            suid: id,
            sgid: id,
            euid: id,
            egid: id,
            fsuid: id,
            fsgid: id,
            ns_uid: id,
            ns_euid: id,
        }
    }

    fn caps(&self) -> u64 {
        if self.lax { DEFAULT_CAPS } else { 0 }
    }

    fn seccomp(&self) -> (u32, u32) {
        if self.lax { (0, 0) } else { (2, 1) }
    }

    fn namespaces(&self) -> Namespaces {
        let first = 0xf100_0000 + self.index * 8;
        Namespaces {
            mnt: first,
            pid: first + 1,
            ipc: first + 2,
            uts: first + 3,
            cgroup: first + 4,
            net: first + 5,
            ..HOST
        }
    }

    fn process(&mut self, parent: TaskRef, now_ns: u64) -> TaskState {
        let tgid = FIRST_PID + self.index * PIDS + self.pids % PIDS;
        self.pids += 1;
        let (seccomp_mode, seccomp_filters) = self.seccomp();
        let mut state = TaskState {
            task: task(tgid, now_ns),
            parent,
            cgroup_id: self.cgroup_id(),
            ids: self.ids(),
            ns: self.namespaces(),
            ns_tgid: self.pids,
            ns_tid: self.pids,
            session: FIRST_PID + self.index * PIDS,
            no_new_privs: u32::from(!self.lax),
            seccomp_mode,
            seccomp_filters,
            login_uid: UNMAPPED,
            exec_id: self.exec_id,
            comm: comm("app"),
            ..TaskState::default()
        };
        set_caps(&mut state, self.caps());
        state
    }
}

/// The last component of a path, cut as the kernel cuts it.
fn comm(path: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    let name = path.rsplit('/').next().unwrap_or_default();
    for (place, byte) in comm[..15].iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    comm
}

fn set_caps(state: &mut TaskState, caps: u64) {
    state.caps = Capabilities { permitted: caps, effective: caps, bounding: caps, ..Capabilities::default() };
}

fn task(tgid: u32, leader_start_ns: u64) -> TaskRef {
    TaskRef { leader_start_ns, tgid, tid: tgid }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use kestrel_agent::{
        context::ProcessId,
        decode::{CgroupChange, Event, decode},
    };
    use proptest::prelude::*;

    use super::*;

    /// Replays as a reader would, checking what the kernel guarantees.
    fn check(recording: &Recording, sequences: &mut BTreeMap<u16, u64>) -> (usize, usize) {
        let mut alive = HashSet::new();
        let mut cgroups = HashSet::new();
        let mut time = 0;
        let mut execs = 0;
        for record in recording.records() {
            let event = decode(record).unwrap();
            let header = event.header();
            assert!(header.boottime_ns > time);
            time = header.boottime_ns;
            let next = sequences.entry(header.cpu).or_default();
            assert_eq!(header.sequence, *next);
            *next += 1;
            match event {
                Event::Fork(fork) => assert!(alive.insert(ProcessId::of(&fork.child.task))),
                Event::Exec(exec) => {
                    execs += 1;
                    assert!(alive.contains(&ProcessId::of(&exec.record.state.task)));
                    assert!(exec.argv.iter().count() >= 2);
                    assert_eq!(exec.exe, exec.filename);
                }
                Event::Credentials(credentials) => {
                    assert!(alive.contains(&ProcessId::of(&credentials.record.state.task)))
                }
                Event::Exit(exit) => assert!(alive.remove(&ProcessId::of(&exit.task))),
                Event::Cgroup(cgroup) => {
                    let id = cgroup.record.cgroup_id;
                    match cgroup.change {
                        CgroupChange::Mkdir => assert!(cgroups.insert(id)),
                        CgroupChange::Rmdir => assert!(cgroups.remove(&id)),
                        CgroupChange::Attach => assert!(cgroups.contains(&id)),
                        CgroupChange::Rename | CgroupChange::Release => unreachable!(),
                    }
                    assert_eq!(cgroup.path.rsplit(|&byte| byte == b'/').next().unwrap().len(), 64);
                }
                Event::File(file) => {
                    assert!(alive.contains(&ProcessId::of(&file.record.call.task)));
                    assert!(file.path.starts_with(b"/"));
                }
                Event::Path(paths) => {
                    let mut path = Vec::new();
                    paths.from.write_to(&mut path);
                    assert_eq!(path, b"/tmp/app.lock");
                }
                _ => unreachable!(),
            }
        }
        assert!(alive.is_empty() && cgroups.is_empty());
        (recording.count(), execs)
    }

    proptest! {
        #[test]
        fn any_size_ends_as_it_began_and_goes_on(containers in 1..12u32, processes in 1..9u32, short_lived in 0..9u32) {
            let size = Size { containers, processes, short_lived, lax_every: 3 };
            let mut recording = Mix::record(size);
            let mut sequences = BTreeMap::new();
            let first = check(&recording, &mut sequences);
            let born = containers * (processes + short_lived);
            prop_assert_eq!(first.1, (born + containers) as usize);
            recording.advance();
            prop_assert_eq!(check(&recording, &mut sequences), first);
        }
    }
}
