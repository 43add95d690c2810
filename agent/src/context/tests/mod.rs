//! A node made of records, and what the hot side makes of it.

mod containers;
mod random;
mod scan;
mod tree;

use agent_abi::record::{self, FileRef, Header, TaskRef, TaskState, file_flag};

use super::{
    Container, ContainerId, ContainerKey, Context, Effect, Host, Limits, Origin, Process, ProcessId, Stage,
    Why,
};
use crate::decode::{Cgroup, CgroupChange, Credentials, Event, Exec, ImageSource, Strings};

const HOST_MNT: u32 = 1;
const HOST_PID: u32 = 2;
const HOST_CGROUP: u64 = 1;
const SECOND: u64 = 1_000_000_000;

/// An effect, without what it borrows.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Judge { tgid: u32, tid: u32, cgroup: u64, origin: Origin, why: Why },
    Replaced(u32),
    Exited(u32),
    Forgotten(u32),
    Container(u64),
    Gone(u64),
    Left(u32, u64),
    NeedName(u64),
    NeedCgroup(u64),
    CgroupKnown(u64, bool),
    CgroupGone(u64, Option<u64>),
}

fn seen(effect: Effect<'_>) -> Seen {
    match effect {
        Effect::Judge { process, container, state, why, .. } => {
            assert_eq!(process.stage, Stage::Workload);
            assert_eq!(process.container, Some(container.key));
            let (tgid, tid) = (process.id.tgid, state.task.tid);
            Seen::Judge { tgid, tid, cgroup: container.key.cgroup, origin: process.origin, why }
        }
        Effect::ImageReplaced { process, .. } => Seen::Replaced(process.id.tgid),
        Effect::ExitedProcess { process, .. } => Seen::Exited(process.id.tgid),
        Effect::ForgottenProcess { process, .. } => Seen::Forgotten(process.id.tgid),
        Effect::ContainerSeen { container } => Seen::Container(container.key.cgroup),
        Effect::ContainerGone { container } => Seen::Gone(container.key.cgroup),
        Effect::LeftContainer { process, container, .. } => Seen::Left(process.id.tgid, container.key.cgroup),
        Effect::CgroupKnown { id, is_host, .. } => Seen::CgroupKnown(id, is_host),
        Effect::CgroupGone { id, container } => {
            Seen::CgroupGone(id, container.map(|container| container.key.cgroup))
        }
        Effect::NeedName { key, .. } => Seen::NeedName(key.cgroup),
        Effect::NeedCgroup { key, .. } => Seen::NeedCgroup(key.cgroup),
    }
}

/// What a task is, for the records that it is told by.
#[derive(Clone, Copy, Debug)]
struct Task {
    pid: u32,
    parent: u32,
    cgroup: u64,
    mnt: u32,
    pid_ns: u32,
    ns_pid: u32,
    exec_id: u64,
}

impl Task {
    fn host(pid: u32, parent: u32) -> Self {
        Self { pid, parent, cgroup: HOST_CGROUP, mnt: HOST_MNT, pid_ns: HOST_PID, ns_pid: pid, exec_id: 0 }
    }

    fn cgroup(self, cgroup: u64) -> Self {
        Self { cgroup, ..self }
    }

    fn mnt(self, mnt: u32) -> Self {
        Self { mnt, ..self }
    }

    fn pid_ns(self, pid_ns: u32, ns_pid: u32) -> Self {
        Self { pid_ns, ns_pid, ..self }
    }

    fn state(self) -> TaskState {
        let mut state = TaskState {
            task: task(self.pid),
            parent: task(self.parent),
            exec_id: self.exec_id,
            cgroup_id: self.cgroup,
            ns_tgid: self.ns_pid,
            ..TaskState::default()
        };
        state.ns.mnt = self.mnt;
        state.ns.pid = self.pid_ns;
        state
    }
}

/// Processes start in the order of their pids here.
fn task(pid: u32) -> TaskRef {
    TaskRef { leader_start_ns: u64::from(pid) * 10_000_000, tgid: pid, tid: pid }
}

fn id(pid: u32) -> ProcessId {
    ProcessId::of(&task(pid))
}

const OWN: u32 = file_flag::IN_TASK_MOUNT_NS | file_flag::OVERLAY;
const ORDINARY: u32 = file_flag::IN_TASK_MOUNT_NS;
const SEALED: u32 = file_flag::MEMFD;

fn container_id(n: u64) -> String {
    format!("{n:064x}")
}

fn container_path(n: u64) -> String {
    format!("/kubepods/besteffort/pod0b6b3b1c-8d1a-4c39-9a50-1d2f3e4a5b6c/{}", container_id(n))
}

struct Node {
    context: Context,
    now: u64,
    seen: Vec<Seen>,
}

impl Node {
    fn new() -> Self {
        Self::with(Limits { processes: 256, containers: 16, cgroups: 64 })
    }

    fn with(limits: Limits) -> Self {
        let host = Host { mnt_ns: HOST_MNT, pid_ns: HOST_PID, hierarchy: 0 };
        let mut node = Self { context: Context::new(limits, host), now: SECOND, seen: Vec::new() };
        node.mkdir(HOST_CGROUP, "/system.slice/containerd.service");
        node
    }

    fn header(&mut self) -> Header {
        self.now += 1000;
        Header { boottime_ns: self.now, ..Header::default() }
    }

    fn apply(&mut self, event: &Event<'_>) {
        let Self { context, seen: all, .. } = self;
        context.apply(event, &mut |effect| all.push(seen(effect)));
    }

    /// What it asked for and told, but of cgroups.
    fn take(&mut self) -> Vec<Seen> {
        let mut all = std::mem::take(&mut self.seen);
        all.retain(|seen| !matches!(seen, Seen::CgroupKnown(..) | Seen::CgroupGone(..)));
        all
    }

    /// What it told of cgroups.
    fn take_cgroups(&mut self) -> Vec<Seen> {
        let mut all = std::mem::take(&mut self.seen);
        all.retain(|seen| matches!(seen, Seen::CgroupKnown(..) | Seen::CgroupGone(..)));
        all
    }

    /// Verdicts asked for since, as (tgid, origin, why).
    fn judged(&mut self) -> Vec<(u32, Origin, Why)> {
        let judged = |seen| match seen {
            Seen::Judge { tgid, origin, why, .. } => Some((tgid, origin, why)),
            _ => None,
        };
        self.take().into_iter().filter_map(judged).collect()
    }

    fn fork(&mut self, child: Task) {
        self.fork_by(child, child.parent);
    }

    fn fork_by(&mut self, child: Task, creator: u32) {
        let header = self.header();
        let fork = record::Fork { header, child: child.state(), creator: task(creator) };
        self.apply(&Event::Fork(&fork));
    }

    fn image(&mut self, task: Task, flags: u32, source: ImageSource, header: Header) {
        self.image_of(task.state(), flags, source, header);
    }

    fn image_of(&mut self, state: TaskState, flags: u32, source: ImageSource, header: Header) {
        let exe = FileRef { flags, inode: u64::from(state.task.tgid), ..FileRef::default() };
        let record = record::Exec { header, state, exe, ..record::Exec::default() };
        let argv: &[u8] = if source == ImageSource::Exec { b"sh\0-c\0true\0" } else { b"" };
        self.apply(&Event::Exec(Exec {
            record: &record,
            source,
            exe: b"/bin/sh",
            argv: Strings(argv),
            filename: b"/bin/sh",
            cwd: &[],
            seccomp_allow: None,
        }));
    }

    fn exec(&mut self, task: Task, flags: u32) {
        let header = self.header();
        self.image(task, flags, ImageSource::Exec, header);
    }

    fn scan(&mut self, task: Task, flags: u32) {
        let header = self.header();
        self.image(task, flags, ImageSource::Scan, header);
    }

    fn scan_finished(&mut self) {
        let Self { context, seen: all, .. } = self;
        context.scan_finished(&mut |effect| all.push(seen(effect)));
    }

    fn exit(&mut self, pid: u32) {
        let header = self.header();
        let exit = record::Exit { header, task: task(pid), ..record::Exit::default() };
        self.apply(&Event::Exit(&exit));
    }

    fn credentials(&mut self, state: TaskState) {
        let header = self.header();
        let record = record::Credentials { header, state, ..record::Credentials::default() };
        self.apply(&Event::Credentials(Credentials { record: &record, seccomp_allow: None }));
    }

    fn cgroup(&mut self, change: CgroupChange, cgroup_id: u64, pid: u32, path: &str) {
        let header = self.header();
        let record = record::Cgroup { header, cgroup_id, task: task(pid), ..record::Cgroup::default() };
        self.apply(&Event::Cgroup(Cgroup { record: &record, change, path: path.as_bytes() }));
    }

    fn mkdir(&mut self, cgroup: u64, path: &str) {
        self.cgroup(CgroupChange::Mkdir, cgroup, 1, path);
    }

    fn rmdir(&mut self, cgroup: u64, path: &str) {
        self.cgroup(CgroupChange::Rmdir, cgroup, 1, path);
    }

    fn attach(&mut self, cgroup: u64, pid: u32, path: &str) {
        self.cgroup(CgroupChange::Attach, cgroup, pid, path);
    }

    /// Makes a container.
    fn container(&mut self, cgroup: u64) {
        self.mkdir(cgroup, &container_path(cgroup));
    }

    fn wait(&mut self, nanos: u64) {
        self.now += nanos;
        let Self { context, now, seen: all } = self;
        context.tick(*now, &mut |effect| all.push(seen(effect)));
    }

    fn get(&self, pid: u32) -> &Process {
        self.context.process_by_id(id(pid)).unwrap_or_else(|| panic!("no process {pid}"))
    }

    fn kept(&self, cgroup: u64) -> &Container {
        self.context.container(key(cgroup)).unwrap_or_else(|| panic!("no container {cgroup}"))
    }

    /// What containerd does to start a container, as the kernel tells it: shim 10 forks runc 11,
    /// which makes the init `pid` with `mnt` as its mount namespace.
    fn start(&mut self, cgroup: u64, pid: u32, mnt: u32) -> Task {
        self.container(cgroup);
        self.enter(cgroup, pid, mnt).pid_ns(mnt + 1000, 1)
    }

    /// What runc does to run a process in a container; the last execve is still to come.
    fn enter(&mut self, cgroup: u64, pid: u32, mnt: u32) -> Task {
        if self.context.process_by_id(id(11)).is_none() {
            self.exec(Task::host(11, 10), ORDINARY);
        }
        let runc = Task::host(pid, 11);
        self.fork(runc);
        self.exec(runc, ORDINARY);
        self.attach(cgroup, pid, &container_path(cgroup));
        let runc = runc.cgroup(cgroup);
        self.exec(Task { exec_id: 1, ..runc }, SEALED);
        let init = Task { exec_id: 1, ..runc.mnt(mnt) };
        self.credentials(init.state());
        Task { exec_id: 2, ..init }
    }
}

fn key(cgroup: u64) -> ContainerKey {
    ContainerKey { hierarchy: 0, cgroup }
}

#[test]
fn ids_of_tests_are_ids() {
    assert!(ContainerId::parse(container_id(7).as_bytes()).is_some());
}
