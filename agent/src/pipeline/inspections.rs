//! When containers are looked into: soon after they start, when they are named, and every so often.
//!
//! Turned by ticks, so a record costs nothing for it. A few a tick: many containers that start at once are
//! looked into one after the other.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::{
    context::{Container, ContainerId, ContainerKey, Context, Origin, ProcessId, Stage},
    time::SECOND,
};

/// Looks asked for in a tick, so that they hold up nothing else.
const PER_TICK: usize = 8;
/// Processes of a container that are looked at.
const PROCESSES: usize = 64;
/// From a container's first sign until it is looked into: most have set up what they do by then.
const SETTLE_NS: u64 = SECOND / 4;
/// Until a container that runs nothing of its own yet, or whose process went meanwhile, is tried again.
const AGAIN_NS: u64 = SECOND / 2;
/// The second look: by then a server listens.
const SECOND_LOOK_NS: u64 = 5 * SECOND;

/// A container to be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectionQuestion {
    /// By its cgroup.
    pub key: ContainerKey,
    /// The runtime's id.
    pub id: ContainerId,
    /// Path of its cgroup below the hierarchy's root.
    pub cgroup_path: Vec<u8>,
    /// Its processes, the init first where that is known, bounded; never none.
    pub processes: Vec<ProcessId>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: u64,
    looked: u32,
}

/// The containers, by when they are due.
#[derive(Debug)]
pub(super) struct Inspections {
    every_ns: u64,
    due: BTreeSet<(u64, ContainerKey)>,
    entries: HashMap<ContainerKey, Entry>,
}

impl Inspections {
    pub(super) fn new(every_ns: u64) -> Self {
        Self { every_ns, due: BTreeSet::new(), entries: HashMap::new() }
    }

    /// A container is there.
    pub(super) fn seen(&mut self, key: ContainerKey, now_ns: u64) {
        if !self.entries.contains_key(&key) {
            self.set(key, now_ns.saturating_add(SETTLE_NS), 0);
        }
    }

    /// Something is known of a container that changes what is said of it.
    pub(super) fn soon(&mut self, key: ContainerKey, now_ns: u64) {
        if let Some(entry) = self.entries.get(&key)
            && entry.due > now_ns
            && entry.looked > 0
        {
            self.set(key, now_ns, entry.looked);
        }
    }

    pub(super) fn gone(&mut self, key: ContainerKey) {
        if let Some(entry) = self.entries.remove(&key) {
            self.due.remove(&(entry.due, key));
        }
    }

    /// The look did not come about.
    pub(super) fn again(&mut self, key: ContainerKey, now_ns: u64) {
        if let Some(entry) = self.entries.get(&key) {
            let due = entry.due.min(now_ns.saturating_add(AGAIN_NS));
            self.set(key, due, entry.looked);
        }
    }

    /// Those that are due, through `ask`, which says whether there was room.
    pub(super) fn tick(
        &mut self,
        context: &Context,
        now_ns: u64,
        mut ask: impl FnMut(InspectionQuestion) -> bool,
    ) {
        for _ in 0..PER_TICK {
            let Some(&(due, key)) = self.due.first() else { return };
            if due > now_ns {
                return;
            }
            let Some(entry) = self.entries.get(&key).copied() else {
                self.due.remove(&(due, key));
                continue;
            };
            let Some(container) = context.container(key).filter(|container| !container.gone) else {
                self.gone(key);
                continue;
            };
            let (next, looked) = if question(context, container).is_some_and(&mut ask) {
                let next = if entry.looked == 0 { SECOND_LOOK_NS } else { self.every_ns };
                (next.min(self.every_ns), entry.looked.saturating_add(1))
            } else {
                (AGAIN_NS, entry.looked)
            };
            self.set(key, now_ns.saturating_add(next), looked);
        }
    }

    fn set(&mut self, key: ContainerKey, due: u64, looked: u32) {
        if let Some(before) = self.entries.insert(key, Entry { due, looked }) {
            self.due.remove(&(before.due, key));
        }
        self.due.insert((due, key));
    }
}

/// `None`: no process runs a program of the container.
fn question(context: &Context, container: &Container) -> Option<InspectionQuestion> {
    let is_workload = |id: &ProcessId| {
        context
            .process_by_id(*id)
            .is_some_and(|process| process.stage == Stage::Workload && process.origin == Origin::Born)
    };
    let mut processes: Vec<_> = context.members(container.key).filter(is_workload).take(PROCESSES).collect();
    // The init, or else the oldest.
    processes.sort_unstable_by_key(|&id| (container.init != Some(id), id));
    (!processes.is_empty()).then(|| InspectionQuestion {
        key: container.key,
        id: container.id,
        cgroup_path: container.cgroup_path.clone(),
        processes,
    })
}
