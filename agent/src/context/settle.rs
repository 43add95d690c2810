//! Joins the scan with the events.
//!
//! A scan tells of processes in no useful order, so what follows from parents is decided when it
//! has ended: in the order in which the processes began, since a parent began before its children.

use agent_abi::record::{header_flag, task_flag};

use super::{
    ContainerKey, Effect, Origin, ProcessId, SeccompAllow, Stage, Why,
    follow::{Context, set_argv},
    processes::Life,
};
use crate::decode::Exec;

/// How far up a chain of parents is followed.
const ANCESTORS: usize = 64;
/// Threads that differ from their leader, of one scan.
const THREADS: usize = 4096;

impl Context {
    pub(super) fn scan(&mut self, exec: &Exec<'_>, effects: &mut impl FnMut(Effect<'_>)) {
        let record = exec.record;
        let (state, now) = (&record.state, record.header.boottime_ns);
        if state.flags & task_flag::KERNEL_THREAD != 0 {
            return;
        }
        if state.task.tid != state.task.tgid {
            // The iterator gives threads that differ from their leader. Where a workload makes
            // more of them than fit, the others are told when they change.
            if self.threads.len() < THREADS {
                self.threads.push((*state, SeccompAllow::from_record(exec.seccomp_allow), now));
            }
            return;
        }
        let Some(slot) = self.processes.find(ProcessId::of(&state.task)) else {
            let slot = self.adopt(state, now, effects);
            let it = &mut self.processes[slot];
            it.unsettled = true;
            it.scanned = true;
            it.process.seccomp_allow = SeccompAllow::from_record(exec.seccomp_allow);
            // Only /proc tells arguments.
            set_argv(&mut it.process.argv, exec.argv.0);
            self.set_image(slot, exec, now);
            self.place(slot, now, effects);
            return;
        };
        let known = &self.processes[slot];
        if known.life != Life::Live {
            self.processes.counts.late += 1;
            return;
        }
        let told = (known.process.exe.inode, known.process.exe.dev);
        let same_image = match state.exec_id {
            // /proc does not tell the version: the file has to do.
            0 => known.image_mnt == 0 || told == (record.exe.inode, record.exe.dev),
            version if known.image_mnt == 0 => known.process.state.exec_id == version,
            version => known.process.image_exec_id == version,
        };
        if known.image_mnt == 0 && same_image {
            // Met by its credentials or by an unknown parent's fork, so without an image.
            self.set_image(slot, exec, now);
            self.processes[slot].unsettled = true;
        }
        let known = &self.processes[slot];
        if now < known.process.updated_ns {
            self.processes.counts.late += 1;
            return;
        }
        // Nor does /proc tell the filters, and the depth of a user namespace only as 0 or 1.
        let (told, mut state) = (known.process.state, *state);
        let by_proc = state.exec_id == 0;
        if by_proc {
            state.exec_id = told.exec_id;
            state.seccomp_filters = told.seccomp_filters;
            state.securebits = told.securebits;
            if state.ns.user == told.ns.user {
                state.ns.user_level = told.ns.user_level;
            }
            state.comm = told.comm;
            state.parent = if state.parent.tgid == told.parent.tgid { told.parent } else { state.parent };
            state.task = told.task;
        }
        let changed = told != state;
        self.set_state(slot, &state, now);
        if !by_proc && record.header.flags & header_flag::SHRUNK == 0 {
            self.processes[slot].process.seccomp_allow = SeccompAllow::from_record(exec.seccomp_allow);
        }
        if !same_image {
            // Its exec was lost.
            self.set_image(slot, exec, now);
            set_argv(&mut self.processes[slot].process.argv, exec.argv.0);
            self.replaced(slot, Why::Scan, now, effects);
            return;
        }
        let before = self.membership(slot);
        self.place(slot, now, effects);
        if changed && self.membership(slot) == before && before.1 == Stage::Workload {
            self.judge(slot, Why::Scan, effects);
        }
    }

    /// The scan has told of all tasks: decides how they came into their containers, and judges.
    pub fn scan_finished(&mut self, effects: &mut impl FnMut(Effect<'_>)) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for slot in 0..self.processes.used() {
            let it = &self.processes[slot];
            if it.life == Life::Live && it.unsettled {
                order.push((it.process.id, slot));
            }
        }
        order.sort_unstable();
        for &(_, slot) in &order {
            self.settle(slot, effects);
        }
        self.order = order;
        // Only now are the containers' mount namespaces known.
        let now = self.now_ns;
        for slot in 0..self.processes.used() {
            let it = &self.processes[slot];
            if it.life == Life::Live && it.process.container.is_none() {
                self.enter_by_namespace(slot, now, effects);
            }
        }
        self.judge_threads(effects);
    }

    /// Judges the threads that the scan found to differ from their leaders.
    fn judge_threads(&mut self, effects: &mut impl FnMut(Effect<'_>)) {
        for (state, seccomp_allow, now) in std::mem::take(&mut self.threads) {
            let Some(slot) = self.processes.find_live(ProcessId::of(&state.task)) else { continue };
            let process = &self.processes[slot].process;
            let is_current = process.stage == Stage::Workload && process.state.exec_id == state.exec_id;
            if !is_current || now < process.exec_ns {
                continue;
            }
            if let Some(container) = process.container.and_then(|key| self.container(key)) {
                let why = Why::Scan;
                effects(Effect::Judge {
                    process,
                    container,
                    state: &state,
                    seccomp_allow: &seccomp_allow,
                    why,
                });
            }
        }
    }

    fn settle(&mut self, slot: u32, effects: &mut impl FnMut(Effect<'_>)) {
        let it = &mut self.processes[slot];
        it.scanned = false;
        let (id, before) = (it.process.id, (it.process.origin, it.process.stage));
        // While its cgroup is looked up, the next scan has to settle it.
        let Some(key) = it.process.container else { return };
        it.unsettled = false;
        let state = &it.process.state;
        let own_pid_ns = state.ns.pid != 0 && state.ns.pid != self.host.pid_ns;
        let may_be_orphan = !own_pid_ns || state.ns_tgid == 1;
        let parent = it.process.parent.and_then(|parent| self.processes.find(parent));
        let parent = parent.map(|parent| &self.processes[parent].process);

        if let Some(parent) =
            parent.filter(|parent| parent.container == Some(key) && parent.stage == Stage::Workload)
        {
            let origin = parent.origin;
            let process = &mut self.processes[slot].process;
            process.stage = Stage::Workload;
            process.origin = origin;
        } else {
            // An orphan's new parent is the init of its pid namespace, or in the host's pid
            // namespace the runtime's shim; only the latter cannot be told from an exec's.
            let from_outside = parent.is_some_and(|parent| match parent.container {
                None => true,
                // A program of the host that lies in the container's cgroup.
                Some(other) if other == key => parent.stage == Stage::Runtime,
                Some(other) => self.containers.lies_in(key, other),
            });
            self.processes[slot].joined |= from_outside && !may_be_orphan;
            if before.1 == Stage::Runtime && !self.runs_own_image(slot) {
                let now = self.now_ns;
                return self.wait(slot, now);
            }
            let init = self.container(key).and_then(|container| container.init);
            if init.is_some_and(|init| id < init) && self.is_init_by_runtime(key, id) {
                // A later process was met first and taken for the init.
                self.processes[slot].process.stage = Stage::Workload;
                self.correct_init(key, id);
                return self.judge_members(key, Why::Scan, effects);
            }
            if init != Some(id) {
                self.promote(slot);
            }
        }
        let process = &self.processes[slot].process;
        if (process.origin, process.stage) != before {
            self.judge(slot, Why::Scan, effects);
        }
    }

    /// Whether what the runtime told of the init, if it told, allows that it is `id`.
    fn is_init_by_runtime(&self, key: ContainerKey, id: ProcessId) -> bool {
        self.containers.get(key).and_then(|kept| kept.init_pid).is_none_or(|pid| pid == id.tgid)
    }

    /// `init` is the container's init, whatever was thought before: decides anew who was born.
    pub(super) fn correct_init(&mut self, key: ContainerKey, init: ProcessId) {
        let Some(kept) = self.containers.get_mut(key) else { return };
        kept.container.init = Some(init);
        if let Some(slot) = self.processes.find(init) {
            kept.mnt_ns = self.processes[slot].image_mnt;
        }
        let mut next = kept.members.first();
        while let Some(slot) = next {
            next = super::chain::Chain::after(&self.processes.members, slot);
            if let Some(origin) = self.origin_of(slot, key, init) {
                self.processes[slot].process.origin = origin;
            }
        }
    }

    /// By the chain of parents; `None` where that does not tell.
    fn origin_of(&self, slot: u32, key: ContainerKey, init: ProcessId) -> Option<Origin> {
        let mut at = slot;
        for _ in 0..ANCESTORS {
            let it = &self.processes[at];
            if it.process.id == init {
                return Some(Origin::Born);
            }
            let parent = it.process.parent.and_then(|parent| self.processes.find(parent));
            match parent.filter(|&parent| self.processes[parent].process.container == Some(key)) {
                Some(parent) => at = parent,
                None => return it.joined.then_some(Origin::Entered),
            }
        }
        None
    }

    /// Judges every live workload process of a container.
    /// Gives all processes of a container to be judged again: something around them has changed.
    pub fn judge_again(&self, key: ContainerKey, effects: &mut impl FnMut(Effect<'_>)) {
        self.judge_members(key, Why::Named, effects);
    }

    pub(super) fn judge_members(&self, key: ContainerKey, why: Why, effects: &mut impl FnMut(Effect<'_>)) {
        for slot in self.member_slots(key) {
            if self.processes[slot].process.stage == Stage::Workload {
                self.judge(slot, why, effects);
            }
        }
    }
}
