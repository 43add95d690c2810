//! Follows the node's processes and containers, event by event.

use std::collections::VecDeque;

use agent_abi::record::{self, TaskRef, TaskState, file_flag, header_flag, task_flag};

use super::{
    Container, ContainerKey, Effect, Process, ProcessId, SeccompAllow, Stage, Why,
    containers::{CgroupCounts, Cgroups, ContainerCounts, Containers},
    processes::{ARGV_BYTES, EXE_PATH_BYTES, Life, ProcessCounts, Processes},
};
use crate::{
    decode::{Cgroup, CgroupChange, Credentials, Event, Exec, ImageSource},
    syscall,
};

/// How long an exited process is kept for events that come late.
const EXITED_GRACE_NS: u64 = 10_000_000_000;

/// What is kept at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Processes, those in their grace after exit among them.
    pub processes: usize,
    /// Containers.
    pub containers: usize,
    /// Cgroups, those of the host among them.
    pub cgroups: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 65_536, containers: 4096, cgroups: 16_384 }
    }
}

/// What the host is, as process 1 shows it.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Inode number of its mount namespace.
    pub mnt_ns: u32,
    /// Inode number of its pid namespace.
    pub pid_ns: u32,
    /// `hierarchy_id` of the cgroups that containers are: 0 for v2, on v1 that of the pids
    /// controller. Events of other hierarchies are ignored.
    pub hierarchy: u32,
}

/// Sizes and counters, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Live processes held.
    pub live: usize,
    /// Exited processes held.
    pub exited: usize,
    /// Containers held.
    pub containers: usize,
    /// Cgroups held.
    pub cgroups: usize,
    /// Processes that wait for their stage to show.
    pub waiting: usize,
    /// On processes.
    pub process: ProcessCounts,
    /// On containers.
    pub container: ContainerCounts,
    /// On cgroups.
    pub cgroup: CgroupCounts,
}

/// The processes and containers of the node, used by one thread.
#[derive(Debug)]
pub struct Context {
    pub(super) host: Host,
    pub(super) processes: Processes,
    pub(super) containers: Containers,
    pub(super) cgroups: Cgroups,
    /// Processes whose stage has to show, in the order in which they began to wait.
    pub(super) waiting: VecDeque<(u64, ProcessId)>,
    /// Order in which a scan is settled; kept for its room.
    pub(super) order: Vec<(ProcessId, u32)>,
    /// Threads that a scan found to differ from their leaders, and when.
    pub(super) threads: Vec<(TaskState, SeccompAllow, u64)>,
    /// When it was last looked whose names are to be asked for again.
    pub(super) asked_again_ns: u64,
    /// The newest boottime that was met.
    pub(super) now_ns: u64,
}

impl Context {
    /// With empty tables.
    #[must_use]
    pub fn new(limits: Limits, host: Host) -> Self {
        let Limits { processes, containers, cgroups } = limits;
        Self {
            host,
            processes: Processes::new(processes),
            containers: Containers::new(containers),
            cgroups: Cgroups::new(cgroups),
            waiting: VecDeque::new(),
            order: Vec::new(),
            threads: Vec::new(),
            asked_again_ns: 0,
            now_ns: 0,
        }
    }

    /// Takes one event in.
    pub fn apply(&mut self, event: &Event<'_>, effects: &mut impl FnMut(Effect<'_>)) {
        self.now_ns = self.now_ns.max(event.header().boottime_ns);
        match event {
            Event::Fork(fork) => self.fork(fork, effects),
            Event::Exec(exec) => match exec.source {
                ImageSource::Exec => self.exec(exec, effects),
                ImageSource::Scan => self.scan(exec, effects),
            },
            Event::Exit(exit) => self.exit(exit, effects),
            Event::Cgroup(cgroup) => self.cgroup(cgroup, effects),
            Event::Credentials(credentials) => self.credentials(credentials, effects),
            // They change nothing here; whose they are is asked with `process`.
            Event::File(_)
            | Event::Path(_)
            | Event::Plain(_)
            | Event::Socket(_)
            | Event::SocketState(_)
            | Event::Packet(_)
            | Event::OomKill(_)
            | Event::Signal(_)
            | Event::UringDone(_)
            | Event::Sysctl(_) => {}
        }
    }

    /// The process of a task, also for a while after its exit.
    #[must_use]
    pub fn process(&self, task: &TaskRef) -> Option<&Process> {
        self.process_by_id(ProcessId::of(task))
    }

    /// The process `id`, also for a while after its exit.
    #[must_use]
    pub fn process_by_id(&self, id: ProcessId) -> Option<&Process> {
        self.processes.find(id).map(|slot| &self.processes[slot].process)
    }

    /// Whether the process of a task is known and has not ended.
    #[must_use]
    pub fn is_live(&self, task: &TaskRef) -> bool {
        self.processes.find_live(ProcessId::of(task)).is_some()
    }

    /// The container `key`.
    #[must_use]
    pub fn container(&self, key: ContainerKey) -> Option<&Container> {
        self.containers.get(key).map(|kept| &kept.container)
    }

    /// The container that `key` lies in (kind, Docker in Docker).
    #[must_use]
    pub fn outer(&self, key: ContainerKey) -> Option<ContainerKey> {
        self.containers.get(key)?.outer
    }

    /// All containers.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().map(|kept| &kept.container)
    }

    /// All live processes.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        (0..self.processes.used())
            .map(|slot| &self.processes[slot])
            .filter(|slot| slot.life == Life::Live)
            .map(|slot| &slot.process)
    }

    /// Sizes and counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            live: self.processes.live(),
            exited: self.processes.exited(),
            containers: self.containers.len(),
            cgroups: self.cgroups.len(),
            waiting: self.waiting.len(),
            process: self.processes.counts,
            container: self.containers.counts,
            cgroup: self.cgroups.counts,
        }
    }

    fn fork(&mut self, fork: &record::Fork, effects: &mut impl FnMut(Effect<'_>)) {
        let state = &fork.child;
        let now = fork.header.boottime_ns;
        if state.flags & task_flag::KERNEL_THREAD != 0 {
            return;
        }
        let id = ProcessId::of(&state.task);
        if let Some(slot) = self.processes.find(id) {
            // A scan, or a record that overtook this one, was first.
            self.processes.counts.late += 1;
            let parent = ProcessId::of(&state.parent);
            self.processes[slot].process.parent.get_or_insert(parent);
            return;
        }
        let creator = ProcessId::of(&fork.creator);
        let slot = self.insert(id, effects);
        // Looked up after the insertion, which may have dropped it.
        let creator = self.processes.find(creator);
        self.set_state(slot, state, now);
        self.processes[slot].process.parent = Some(ProcessId::of(&state.parent));
        if let Some(creator) = creator {
            self.processes.copy_image(slot, creator);
            let creator = &self.processes[creator].process;
            let same_filters = creator.state.seccomp_filters == state.seccomp_filters
                && creator.state.seccomp_mode == state.seccomp_mode;
            let allow = if same_filters { creator.seccomp_allow } else { SeccompAllow::NONE };
            self.processes[slot].process.seccomp_allow = allow;
        }
        self.inherit(slot, creator, now);
        let before = self.membership(slot);
        self.place(slot, now, effects);
        if self.membership(slot) == before && before.1 == Stage::Workload {
            self.judge(slot, Why::Fork, effects);
        }
        self.release(now);
    }

    fn exec(&mut self, exec: &Exec<'_>, effects: &mut impl FnMut(Effect<'_>)) {
        let state = &exec.record.state;
        let now = exec.record.header.boottime_ns;
        let Some(slot) = self.live(state, now, effects) else { return };
        let known = &mut self.processes[slot];
        if now < known.image_ns {
            // A scan saw this very image before its record came, but not its arguments.
            if known.process.state.exec_id == state.exec_id && known.process.argv.is_empty() {
                set_argv(&mut known.process.argv, exec.argv.0);
            }
            self.processes.counts.late += 1;
            return;
        }
        // A change of credentials after this exec may have overtaken its record.
        let overtaken = now < known.state_ns && known.process.state.exec_id == state.exec_id;
        if !overtaken {
            self.set_state(slot, state, now);
        }
        self.set_image(slot, exec, now);
        self.processes[slot].scanned = false;
        let process = &mut self.processes[slot].process;
        process.exec_ns = now;
        set_argv(&mut process.argv, exec.argv.0);
        if exec.record.header.flags & header_flag::SHRUNK == 0 && !overtaken {
            process.seccomp_allow = SeccompAllow::from_record(exec.seccomp_allow);
        }
        self.replaced(slot, Why::Exec, now, effects);
    }

    /// What follows from a new image.
    pub(super) fn replaced(&mut self, slot: u32, why: Why, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        let before = self.membership(slot);
        self.place(slot, now, effects);
        if self.membership(slot) != before {
            // Joining has judged it, or made it wait.
            return;
        }
        match before {
            (None, _) => {}
            (Some(_), Stage::Workload) => {
                let process = &self.processes[slot].process;
                if let Some(container) = process.container.and_then(|key| self.container(key)) {
                    effects(Effect::ImageReplaced { process, container });
                }
                self.judge(slot, why, effects);
            }
            (Some(_), Stage::Runtime) => {
                self.processes[slot].exec_since_joined = true;
                self.show_stage(slot, why, now, effects);
            }
        }
    }

    fn exit(&mut self, exit: &record::Exit, effects: &mut impl FnMut(Effect<'_>)) {
        let now = exit.header.boottime_ns;
        let id = ProcessId::of(&exit.task);
        match self.processes.find(id) {
            Some(slot) if self.processes[slot].life == Life::Live => self.end(slot, now, effects),
            Some(_) => self.processes.counts.late += 1,
            None => {
                // Kept as exited, so that a record that comes late does not bring it to life.
                self.processes.counts.unknown_exits += 1;
                let slot = self.insert(id, effects);
                self.processes[slot].cgroup = exit.cgroup_id;
                self.processes.exit(slot, now);
            }
        }
        self.release(now);
    }

    /// A live process has ended.
    pub(super) fn end(&mut self, slot: u32, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        self.judge_before_exit(slot, effects);
        let process = &self.processes[slot].process;
        let key = process.container;
        if let Some(container) = key.and_then(|key| self.container(key)) {
            effects(Effect::ExitedProcess { process, container });
        }
        self.processes.exit(slot, now);
        if let Some(kept) = key.and_then(|key| self.containers.get_mut(key)) {
            kept.live = kept.live.saturating_sub(1);
            if kept.container.gone && kept.live == 0 && !kept.gone_told {
                kept.gone_told = true;
                effects(Effect::ContainerGone { container: &kept.container });
            }
        }
    }

    fn credentials(&mut self, credentials: &Credentials<'_>, effects: &mut impl FnMut(Effect<'_>)) {
        let record = credentials.record;
        let state = &record.state;
        let now = record.header.boottime_ns;
        let Some(slot) = self.live(state, now, effects) else { return };
        let known = &self.processes[slot];
        if state.exec_id < known.process.state.exec_id {
            // Of an image that is gone.
            self.processes.counts.late += 1;
            return;
        }
        let allow = SeccompAllow::from_record(credentials.seccomp_allow);
        let shrunk = record.header.flags & header_flag::SHRUNK != 0;
        let leader = state.task.tid == state.task.tgid;
        if leader && now >= known.state_ns {
            self.set_state(slot, state, now);
            if !shrunk {
                self.processes[slot].process.seccomp_allow = allow;
            }
        } else if !leader {
            let it = &mut self.processes[slot];
            it.process.updated_ns = it.process.updated_ns.max(now);
            it.cgroup = state.cgroup_id;
            if synchronises_threads(record) {
                // The leader has the caller's filters now, and its no_new_privs.
                it.process.state.seccomp_mode = state.seccomp_mode;
                it.process.state.seccomp_filters = state.seccomp_filters;
                it.process.state.no_new_privs |= state.no_new_privs;
                it.process.seccomp_allow = allow;
            }
        }
        let before = self.membership(slot);
        self.place(slot, now, effects);
        if self.membership(slot) != before || before.0.is_none() {
            return;
        }
        if before.1 == Stage::Runtime {
            // It may have changed its namespaces.
            return self.wait(slot, now);
        }
        let process = &self.processes[slot].process;
        if let Some(container) = process.container.and_then(|key| self.container(key)) {
            let why = Why::Credentials;
            effects(Effect::Judge { process, container, state, seccomp_allow: &allow, why });
            if !leader && synchronises_threads(record) {
                self.judge(slot, why, effects);
            }
        }
    }

    fn cgroup(&mut self, cgroup: &Cgroup<'_>, effects: &mut impl FnMut(Effect<'_>)) {
        let record = cgroup.record;
        if record.hierarchy != self.host.hierarchy {
            return;
        }
        let (id, now) = (record.cgroup_id, record.header.boottime_ns);
        match cgroup.change {
            CgroupChange::Mkdir => self.learn(id, cgroup.path, now, effects),
            // Its id stays, and with it whose it is: a name that says otherwise hides nobody.
            CgroupChange::Rename if self.is_in_container(id) => {}
            CgroupChange::Rename => self.learn(id, cgroup.path, now, effects),
            CgroupChange::Rmdir | CgroupChange::Release => self.cgroup_gone(id, effects),
            CgroupChange::Attach => {
                if !cgroup.path.is_empty() && !self.knows_cgroup(id) {
                    self.learn(id, cgroup.path, now, effects);
                }
                // One that is not known tells its cgroup with its next record.
                let Some(slot) = self.processes.find_live(ProcessId::of(&record.task)) else { return };
                self.processes[slot].cgroup = id;
                let process = &mut self.processes[slot].process;
                process.updated_ns = process.updated_ns.max(now);
                self.place_in(slot, cgroup.path, now, effects);
            }
        }
    }

    /// The live process of a task, made known if it was not seen to be made; `None` where it has
    /// ended and this comes late.
    fn live(&mut self, state: &TaskState, now: u64, effects: &mut impl FnMut(Effect<'_>)) -> Option<u32> {
        match self.processes.find(ProcessId::of(&state.task)) {
            Some(slot) if self.processes[slot].life != Life::Live => {
                self.processes.counts.late += 1;
                None
            }
            Some(slot) => Some(slot),
            None => Some(self.adopt(state, now, effects)),
        }
    }

    /// A process that was not seen to be made, with what its parent gives it.
    pub(super) fn adopt(&mut self, state: &TaskState, now: u64, effects: &mut impl FnMut(Effect<'_>)) -> u32 {
        let slot = self.insert(ProcessId::of(&state.task), effects);
        let parent = ProcessId::of(&state.parent);
        self.set_state(slot, state, now);
        // A thread's state stands in for the leader's until that one speaks.
        self.processes[slot].state_ns = if state.task.tid == state.task.tgid { now } else { 0 };
        self.processes[slot].process.parent = Some(parent);
        let parent = self.processes.find(parent);
        self.inherit(slot, parent, now);
        slot
    }

    pub(super) fn insert(&mut self, id: ProcessId, effects: &mut impl FnMut(Effect<'_>)) -> u32 {
        while let Some(victim) = self.processes.victim() {
            let it = &self.processes[victim];
            if it.life == Life::Live
                && let Some(container) = it.process.container.and_then(|key| self.container(key))
            {
                effects(Effect::ForgottenProcess { process: &it.process, container });
            }
            self.drop_slot(victim, effects);
        }
        self.processes.insert(id)
    }

    /// Lets go of exited processes whose grace has ended.
    pub(super) fn release(&mut self, now: u64) {
        while let Some(slot) = self.processes.released(now.saturating_sub(EXITED_GRACE_NS)) {
            // Its container was told gone, if it is, when its last live process ended.
            self.drop_slot(slot, &mut |_| {});
        }
    }

    fn drop_slot(&mut self, slot: u32, effects: &mut impl FnMut(Effect<'_>)) {
        self.unlink(slot, effects);
        self.processes.remove(slot);
    }

    pub(super) fn set_state(&mut self, slot: u32, state: &TaskState, now: u64) {
        let it = &mut self.processes[slot];
        it.process.state = *state;
        it.process.updated_ns = it.process.updated_ns.max(now);
        it.state_ns = now;
        it.cgroup = state.cgroup_id;
    }

    pub(super) fn set_image(&mut self, slot: u32, exec: &Exec<'_>, now: u64) {
        let it = &mut self.processes[slot];
        it.image_mnt = exec.record.state.ns.mnt;
        it.image_ns = now;
        it.process.image_exec_id = exec.record.state.exec_id;
        it.process.exe = exec.record.exe;
        it.process.exe_path.clear();
        // The leaf says most; a path without its front is marked as the kernel marks it.
        let cut = exec.exe.len().saturating_sub(EXE_PATH_BYTES);
        if cut > 0 {
            it.process.exe.flags |= file_flag::PATH_TRUNCATED;
        }
        it.process.exe_path.extend_from_slice(&exec.exe[cut..]);
    }

    pub(super) fn judge(&self, slot: u32, why: Why, effects: &mut impl FnMut(Effect<'_>)) {
        let process = &self.processes[slot].process;
        let Some(container) = process.container.and_then(|key| self.container(key)) else { return };
        let (state, seccomp_allow) = (&process.state, &process.seccomp_allow);
        effects(Effect::Judge { process, container, state, seccomp_allow, why });
    }

    /// What an event may have changed, to see whether it did.
    pub(super) fn membership(&self, slot: u32) -> (Option<ContainerKey>, Stage) {
        let process = &self.processes[slot].process;
        (process.container, process.stage)
    }
}

/// Replaces `argv` by at most [`ARGV_BYTES`] of `bytes`.
pub(super) fn set_argv(argv: &mut Vec<u8>, bytes: &[u8]) {
    argv.clear();
    argv.extend_from_slice(&bytes[..bytes.len().min(ARGV_BYTES)]);
}

/// Whether the call was `seccomp` with `SECCOMP_FILTER_FLAG_TSYNC`, which changes all threads.
fn synchronises_threads(record: &record::Credentials) -> bool {
    const SET_MODE_FILTER: u64 = 1;
    const TSYNC: u64 = 1;
    let [operation, flags, _] = record.args;
    let call = u8::try_from(record.syscall_abi).ok().and_then(|abi| syscall::find(abi, record.syscall));
    call.is_some_and(|call| call.name == "seccomp") && operation == SET_MODE_FILTER && flags & TSYNC != 0
}
