//! How processes come into containers, and when they are the workload.
//!
//! A runtime's init lies in the container's cgroup long before it runs the container's program,
//! with limits that are not yet those of the workload. So a process in a container is
//! [`Stage::Runtime`] and not judged until it replaces its image, in another mount namespace than
//! that from which it came, by a file of its own mount namespace. What it makes from then on is
//! workload too.
//!
//! `nsenter` and its like enter a container's namespaces and stay in their own cgroup. A process of
//! no container that is in the mount namespace of one is a process of that one, entered
//! ([`Context::enter_by_namespace`]).
//!
//! A process that stays outside is not thereby unseen: runc and crun leave the host's mount
//! namespace within milliseconds. One that is still on it, or on a foreign image inside the
//! container, after [`GRACE_NS`] is judged as entered. A runtime that runs from a sealed copy of
//! itself (memfd, unlinked or detached mount) has [`SEALED_GRACE_NS`], since throttling can stop
//! it that long. One that exits earlier is judged at its exit if it replaced its image in the
//! container's cgroup by an ordinary file of the host, which no runtime does.

use agent_abi::record::file_flag;

use super::{
    Container, ContainerKey, Effect, Enrichment, Origin, PendingReason, ProcessId, Stage, Why, cgroup,
    chain::Chain,
    containers::{Kept, Place},
    follow::Context,
    processes::Life,
};

/// How long a process may lie in a container's cgroup on the host's files, unjudged.
const GRACE_NS: u64 = 2_000_000_000;
/// As [`GRACE_NS`], for one whose executable no path leads to.
const SEALED_GRACE_NS: u64 = 30_000_000_000;
/// How long the slow side has to find a cgroup before it is asked again.
const ASK_AGAIN_NS: u64 = 1_000_000_000;

impl Context {
    /// What a new process has from the one that made it.
    pub(super) fn inherit(&mut self, slot: u32, from: Option<u32>, now: u64) {
        let Some(from) = from else {
            self.processes[slot].unsettled = true;
            return;
        };
        let (key, origin, stage, left) = {
            let process = &self.processes[from].process;
            (process.container, process.origin, process.stage, process.left_container)
        };
        let (joined, by_namespace, outside_mnt, unsettled) = {
            let it = &self.processes[from];
            (it.joined, it.by_namespace, it.outside_mnt, it.unsettled)
        };
        let it = &mut self.processes[slot];
        it.joined = joined;
        it.by_namespace = by_namespace;
        it.outside_mnt = outside_mnt;
        it.unsettled = unsettled;
        let Some(key) = key.filter(|&key| self.containers.get(key).is_some()) else { return };
        self.link(slot, key);
        let process = &mut self.processes[slot].process;
        process.origin = origin;
        process.stage = stage;
        process.left_container = left;
        if stage == Stage::Runtime {
            self.wait(slot, now);
        }
    }

    /// Compares where a process lies with whose it is.
    pub(super) fn place(&mut self, slot: u32, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        self.place_in(slot, &[], now, effects);
    }

    /// As [`Self::place`], where `path` is that of its cgroup if it is known.
    pub(super) fn place_in(
        &mut self,
        slot: u32,
        path: &[u8],
        now: u64,
        effects: &mut impl FnMut(Effect<'_>),
    ) {
        let it = &self.processes[slot];
        let (id, tgid, current) = (it.cgroup, it.process.id.tgid, it.process.container);
        let Some(target) = self.place_of(id, tgid, now, effects) else {
            self.processes.touch(slot, current);
            return;
        };
        match (current, target) {
            (None, None) => {
                // Whoever its parent is: what it makes comes from outside.
                self.processes[slot].unsettled = false;
                self.processes[slot].scanned = false;
                self.processes.touch(slot, None);
                self.enter_by_namespace(slot, now, effects);
            }
            (None, Some(new)) => self.join(slot, new, 0, now, effects),
            (Some(_), None) if self.processes[slot].by_namespace => self.processes.touch(slot, current),
            (Some(old), Some(new)) if old == new => {
                self.processes[slot].process.left_container = false;
                self.processes.touch(slot, current);
            }
            (Some(old), Some(new)) if self.containers.lies_in(new, old) => {
                let from = self.processes[slot].process.state.ns.mnt;
                self.unlink(slot, effects);
                self.join(slot, new, from, now, effects);
            }
            (Some(_), target) if self.processes[slot].process.stage == Stage::Runtime => {
                // It never was the container's: a runtime's process on its way.
                self.unlink(slot, effects);
                if let Some(new) = target {
                    self.join(slot, new, 0, now, effects);
                }
            }
            (Some(old), _) => {
                self.processes.touch(slot, current);
                let process = &mut self.processes[slot].process;
                if std::mem::replace(&mut process.left_container, true) {
                    return;
                }
                let process = &self.processes[slot].process;
                if let Some(container) = self.container(old) {
                    effects(Effect::LeftContainer { process, container, into: path });
                }
            }
        }
    }

    /// Takes a process of no container into the one whose mount namespace it is in.
    pub(super) fn enter_by_namespace(&mut self, slot: u32, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        let mnt_ns = self.processes[slot].process.state.ns.mnt;
        if mnt_ns == self.host.mnt_ns {
            return;
        }
        if let Some(key) = self.containers.by_mount_namespace(mnt_ns) {
            self.join(slot, key, 0, now, effects);
            self.processes[slot].by_namespace = true;
        }
    }

    /// The container that a cgroup lies in; `None` while that is not known.
    fn place_of(
        &mut self,
        id: u64,
        tgid: u32,
        now: u64,
        effects: &mut impl FnMut(Effect<'_>),
    ) -> Option<Option<ContainerKey>> {
        if id == 0 {
            return None;
        }
        match self.cgroups.get(id) {
            Some(Place::Host) => return Some(None),
            Some(Place::In(key)) if self.containers.get(key).is_some() => return Some(Some(key)),
            Some(Place::Asked(asked)) if now.saturating_sub(asked) < ASK_AGAIN_NS => return None,
            Some(Place::In(_) | Place::Asked(_)) | None => {}
        }
        self.cgroups.set(id, Place::Asked(now));
        self.cgroups.counts.asked += 1;
        effects(Effect::NeedCgroup {
            key: ContainerKey { hierarchy: self.host.hierarchy, cgroup: id },
            tgid,
        });
        None
    }

    /// A process comes into a container from outside it.
    fn join(
        &mut self,
        slot: u32,
        key: ContainerKey,
        outside_mnt: u32,
        now: u64,
        effects: &mut impl FnMut(Effect<'_>),
    ) {
        self.link(slot, key);
        let entered = self.containers.get(key).is_some_and(|kept| kept.container.init.is_some());
        let it = &mut self.processes[slot];
        // Of one whose parent is not known, the scan says how it came.
        it.joined = !it.unsettled;
        it.by_namespace = false;
        it.outside_mnt = outside_mnt;
        it.exec_since_joined = false;
        it.process.stage = Stage::Runtime;
        it.process.left_container = false;
        it.process.origin = if entered && it.joined { Origin::Entered } else { Origin::Born };
        if !it.scanned {
            self.show_stage(slot, Why::Joined, now, effects);
        }
    }

    /// Judges a process if it runs the container's files, or makes it wait until it does.
    pub(super) fn show_stage(&mut self, slot: u32, why: Why, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        if self.runs_own_image(slot) {
            self.promote(slot);
            self.judge(slot, why, effects);
        } else {
            self.wait(slot, now);
        }
    }

    /// Whether its image lies in the mount namespace that it was in at exec, and that one is not
    /// the one it came from.
    pub(super) fn runs_own_image(&self, slot: u32) -> bool {
        let it = &self.processes[slot];
        // Without knowledge of the file, the namespace has to do.
        let own = it.process.exe.flags & (file_flag::IN_TASK_MOUNT_NS | file_flag::NOT_READ) != 0;
        own && !self.outside(slot, it.image_mnt)
    }

    /// Whether `mnt` is a mount namespace that the process came from.
    pub(super) fn outside(&self, slot: u32, mnt: u32) -> bool {
        let it = &self.processes[slot];
        if mnt == 0 || mnt == self.host.mnt_ns || (it.outside_mnt != 0 && mnt == it.outside_mnt) {
            return true;
        }
        let mut at = it.process.container;
        for _ in 0..16 {
            at = at.and_then(|key| self.outer(key));
            let Some(outer) = at.and_then(|key| self.container(key)) else { return false };
            let init = outer.init.and_then(|init| self.process_by_id(init));
            if init.is_some_and(|init| init.state.ns.mnt == mnt) {
                return true;
            }
        }
        false
    }

    /// The process is the workload from now on.
    pub(super) fn promote(&mut self, slot: u32) {
        let it = &mut self.processes[slot];
        it.process.stage = Stage::Workload;
        let Some(kept) = it.process.container.and_then(|key| self.containers.get_mut(key)) else { return };
        let first = match kept.init_pid {
            Some(pid) => pid == it.process.id.tgid,
            None => kept.container.init.is_none(),
        };
        it.process.origin = if it.joined && !first { Origin::Entered } else { Origin::Born };
        if !first {
            return;
        }
        kept.mnt_ns = it.image_mnt;
        let (key, id) = (kept.container.key, it.process.id);
        if kept.container.init.replace(id).is_some_and(|known| known != id) {
            // Another was taken for it before the runtime told.
            self.correct_init(key, id);
        }
    }

    /// Looks at the process again after its grace. One that waits already does not begin anew, or
    /// it could put the end off for ever.
    pub(super) fn wait(&mut self, slot: u32, now: u64) {
        let it = &mut self.processes[slot];
        if it.waits_since_ns == 0 {
            it.waits_since_ns = now.max(1);
            self.waiting.push_back((now, it.process.id));
        }
    }

    /// Nothing could be read for a while: what shows the stage of those that wait may still come.
    pub fn wait_anew(&mut self, now_ns: u64) {
        for (looked_ns, _) in &mut self.waiting {
            *looked_ns = now_ns;
        }
    }

    /// Judges the processes that have waited long enough.
    pub(super) fn end_waits(&mut self, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        for _ in 0..self.waiting.len() {
            let Some(&(looked_ns, id)) = self.waiting.front() else { return };
            // Whoever makes processes wait in masses makes them wait less.
            let crowded = self.waiting.len() > self.processes.limit();
            let slot = self.processes.find_live(id);
            let since = slot.map_or(0, |slot| self.processes[slot].waits_since_ns);
            let is_short = now.saturating_sub(looked_ns) < GRACE_NS;
            if is_short && now.saturating_sub(since) < SEALED_GRACE_NS && !crowded {
                return;
            }
            self.waiting.pop_front();
            let Some(slot) = slot else { continue };
            self.processes[slot].waits_since_ns = 0;
            let it = &self.processes[slot];
            if it.scanned || it.process.stage == Stage::Workload || it.process.container.is_none() {
                continue;
            }
            let foreign = it.image_mnt != 0 && !self.outside(slot, it.image_mnt);
            if !foreign && !self.outside(slot, it.process.state.ns.mnt) {
                // The runtime's init, ready and not yet told to start.
                continue;
            }
            if sealed(it.process.exe.flags) && now.saturating_sub(since) < SEALED_GRACE_NS && !crowded {
                self.processes[slot].waits_since_ns = since;
                self.waiting.push_back((now, id));
                continue;
            }
            self.enter(slot, effects);
        }
    }

    /// Since when the longest waiting process waits for its stage to show; if it ended, something of
    /// it might still have been judged.
    #[must_use]
    pub fn waits_since(&self) -> Option<u64> {
        let waiting = self.waiting.iter().filter_map(|&(_, id)| self.processes.find_live(id));
        let since = waiting
            .map(|slot| &self.processes[slot])
            .filter(|it| it.process.stage == Stage::Runtime && it.process.container.is_some())
            .map(|it| it.waits_since_ns);
        since.filter(|&since| since != 0).min()
    }

    pub(super) fn judge_before_exit(&mut self, slot: u32, effects: &mut impl FnMut(Effect<'_>)) {
        let it = &self.processes[slot];
        let lingers = it.process.container.is_some()
            && it.process.stage == Stage::Runtime
            && it.exec_since_joined
            && !sealed(it.process.exe.flags)
            && it.process.exe.flags & file_flag::NOT_READ == 0
            && self.outside(slot, it.process.state.ns.mnt);
        if lingers {
            self.enter(slot, effects);
        }
    }

    /// A process that is not the container's own but lies in its cgroup is judged.
    fn enter(&mut self, slot: u32, effects: &mut impl FnMut(Effect<'_>)) {
        let process = &mut self.processes[slot].process;
        process.stage = Stage::Workload;
        process.origin = Origin::Entered;
        self.judge(slot, Why::Lingers, effects);
    }

    /// Takes in the path of a cgroup that an event told.
    pub(super) fn learn(&mut self, id: u64, path: &[u8], now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        self.place_cgroup(id, path, now, effects);
        self.tell_cgroup(id, path, effects);
    }

    fn tell_cgroup(&mut self, id: u64, path: &[u8], effects: &mut impl FnMut(Effect<'_>)) {
        let is_host = self.cgroups.get(id) == Some(Place::Host);
        effects(Effect::CgroupKnown { id, path, is_host });
    }

    fn place_cgroup(&mut self, id: u64, path: &[u8], now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        let Some(found) = cgroup::container_in(path) else {
            self.cgroups.set(id, Place::Host);
            return;
        };
        if found.own(path) {
            self.see(id, &found, now, effects);
            return;
        }
        let key = self.containers.by_id(&found.id);
        let same_path = |container: &&Container| container.cgroup_path == found.root;
        if let Some(container) = key.and_then(|key| self.container(key)).filter(same_path) {
            self.cgroups.set(id, Place::In(container.key));
        } else {
            // The container's own cgroup was not seen; whoever lies in this one has it looked up.
            self.cgroups.remove(id);
        }
    }

    /// What the slow side found on a cgroup: its path and, if that lies in a container, the id of
    /// the container's own cgroup. `path` is `None` for a cgroup that is no more. Also takes what
    /// a walk of the hierarchy finds.
    pub fn cgroup_found(
        &mut self,
        key: ContainerKey,
        path: Option<&[u8]>,
        root: Option<u64>,
        effects: &mut impl FnMut(Effect<'_>),
    ) {
        let (Some(path), true) = (path, key.hierarchy == self.host.hierarchy) else { return };
        let (id, now) = (key.cgroup, self.now_ns);
        if !self.knows_cgroup(id) {
            self.place_cgroup(id, path, now, effects);
        }
        if !self.knows_cgroup(id)
            && let (Some(found), Some(root)) = (cgroup::container_in(path), root)
        {
            self.see(root, &found, now, effects);
            if let Some(place @ Place::In(_)) = self.cgroups.get(root) {
                self.cgroups.set(id, place);
            }
        }
        self.tell_cgroup(id, path, effects);
        for slot in 0..self.processes.used() {
            let it = &self.processes[slot];
            if it.life == Life::Live && it.cgroup == id {
                self.place_in(slot, path, now, effects);
            }
        }
    }

    /// The container that a cgroup is of, or lies in.
    #[must_use]
    pub fn container_of_cgroup(&self, id: u64) -> Option<&Container> {
        let own = ContainerKey { hierarchy: self.host.hierarchy, cgroup: id };
        match self.cgroups.peek(id) {
            Some(Place::In(key)) => self.container(key),
            Some(Place::Host) => None,
            // The table of cgroups has forgotten it.
            Some(Place::Asked(_)) | None => self.container(own),
        }
    }

    pub(super) fn knows_cgroup(&mut self, id: u64) -> bool {
        matches!(self.cgroups.get(id), Some(Place::Host | Place::In(_)))
    }

    /// Whether a cgroup is known to be a container's own, or below it.
    pub(super) fn is_in_container(&mut self, id: u64) -> bool {
        matches!(self.cgroups.get(id), Some(Place::In(_)))
    }

    /// A container by its own cgroup.
    fn see(&mut self, id: u64, found: &cgroup::InPath<'_>, now: u64, effects: &mut impl FnMut(Effect<'_>)) {
        let key = ContainerKey { hierarchy: self.host.hierarchy, cgroup: id };
        if let Some(known) = self.container(key) {
            if known.id == found.id {
                self.cgroups.set(id, Place::In(key));
                return;
            }
            // The id of a cgroup whose removal was lost was given out again.
            self.discard(key, effects);
        }
        match self.containers.make_room() {
            Ok(Some(victim)) => self.discard(victim, effects),
            Ok(None) => {}
            Err(_full) => return,
        }
        let outer = cgroup::container_in(cgroup::above(found.root))
            .and_then(|outer| self.containers.by_id(&outer.id));
        let container = Container {
            key,
            id: found.id,
            runtime: found.runtime,
            cgroup_path: found.root.to_vec(),
            pod_uid: found.pod_uid(),
            enrichment: Enrichment::Pending(PendingReason::Asked),
            init: None,
            first_seen_ns: now,
            gone: false,
        };
        effects(Effect::ContainerSeen { container: &container });
        effects(Effect::NeedName { key, id: container.id, runtime: container.runtime });
        self.containers.insert(container, outer);
        self.ask_later(key, now);
        self.cgroups.set(id, Place::In(key));
    }

    /// A cgroup of the hierarchy of interest was removed. Also for what a walk of the hierarchy
    /// does not find any more.
    pub fn cgroup_gone(&mut self, id: u64, effects: &mut impl FnMut(Effect<'_>)) {
        effects(Effect::CgroupGone { id, container: self.container_of_cgroup(id) });
        self.cgroups.remove(id);
        let key = ContainerKey { hierarchy: self.host.hierarchy, cgroup: id };
        let Some(kept) = self.containers.get_mut(key) else { return };
        if std::mem::replace(&mut kept.container.gone, true) {
            return;
        }
        if kept.live == 0 && !kept.gone_told {
            kept.gone_told = true;
            effects(Effect::ContainerGone { container: &kept.container });
        }
        if kept.members.len() == 0 {
            self.leave(key);
        }
    }

    /// A container is gone, and no process of it is kept.
    fn leave(&mut self, key: ContainerKey) {
        if self.containers.get(key).is_some_and(Kept::may_be_named) {
            self.containers.linger(key, self.now_ns);
        } else {
            self.containers.remove(key);
        }
    }

    /// Drops a container that is not there any more, and what it holds on to.
    fn discard(&mut self, key: ContainerKey, effects: &mut impl FnMut(Effect<'_>)) {
        while let Some(slot) = self.containers.get(key).and_then(|kept| kept.members.first()) {
            self.unlink(slot, effects);
        }
        if let Some(kept) = self.containers.get_mut(key)
            && !std::mem::replace(&mut kept.gone_told, true)
        {
            kept.container.gone = true;
            effects(Effect::ContainerGone { container: &kept.container });
        }
        self.containers.remove(key);
        self.cgroups.remove(key.cgroup);
    }

    pub(super) fn link(&mut self, slot: u32, key: ContainerKey) {
        if let Some(kept) = self.containers.get_mut(key) {
            kept.members.push(&mut self.processes.members, slot);
            kept.live += 1;
            self.processes.touch(slot, Some(key));
        }
    }

    /// Takes a process, live or exited, out of its container's members.
    pub(super) fn unlink(&mut self, slot: u32, effects: &mut impl FnMut(Effect<'_>)) {
        let Some(key) = self.processes[slot].process.container else { return };
        let live = self.processes[slot].life == Life::Live;
        if live {
            self.processes.touch(slot, None);
        } else {
            self.processes[slot].process.container = None;
        }
        let Some(kept) = self.containers.get_mut(key) else { return };
        kept.members.remove(&mut self.processes.members, slot);
        kept.live -= usize::from(live);
        if kept.members.len() > 0 {
            return;
        }
        if !kept.container.gone {
            self.containers.idles(key);
            return;
        }
        if !std::mem::replace(&mut kept.gone_told, true) {
            effects(Effect::ContainerGone { container: &kept.container });
        }
        self.leave(key);
    }

    /// The live processes of a container, in the order in which they came.
    pub fn members(&self, key: ContainerKey) -> impl Iterator<Item = ProcessId> {
        self.member_slots(key).map(|slot| self.processes[slot].process.id)
    }

    pub(super) fn member_slots(&self, key: ContainerKey) -> impl Iterator<Item = u32> {
        let first = self.containers.get(key).and_then(|kept| kept.members.first());
        std::iter::successors(first, |&slot| Chain::after(&self.processes.members, slot))
            .filter(|&slot| self.processes[slot].life == Life::Live)
    }
}

/// Whether no path leads to the executable: a sealed copy, as runtimes make of themselves.
pub(super) const fn sealed(flags: u32) -> bool {
    flags & (file_flag::MEMFD | file_flag::UNLINKED) != 0
        || flags & (file_flag::IN_TASK_MOUNT_NS | file_flag::NOT_READ) == 0
}
