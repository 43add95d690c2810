//! The table of processes: a slab whose slots and buffers are used again.

use hashbrown::HashMap;

use super::{
    Process, ProcessId,
    chain::{Chain, Links, index},
};

/// Longest path of an executable that is kept.
pub const EXE_PATH_BYTES: usize = 512;
/// Most bytes of arguments that are kept.
pub const ARGV_BYTES: usize = 1024;

/// Where a slot stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Free,
    Live,
    /// Kept for a while, so that late events find whom they are about and nobody is born again.
    Exited,
}

/// A process, and what only the tree needs to know of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) process: Process,
    pub(super) life: Life,
    /// Cgroup that it lies in, as last told.
    pub(super) cgroup: u64,
    /// Mount namespace that it was in when its image was told; 0: no image was told.
    pub(super) image_mnt: u32,
    /// Boottime of the record that told its image.
    pub(super) image_ns: u64,
    /// Boottime of the record that told its leader's state.
    pub(super) state_ns: u64,
    /// Mount namespace that counts as outside beside the host's: the one it joined from.
    pub(super) outside_mnt: u32,
    /// It, or the runtime's process that made it, came into the container from outside.
    pub(super) joined: bool,
    /// It is in the container by its mount namespace alone; its cgroup is another's.
    pub(super) by_namespace: bool,
    /// It replaced its image since it joined.
    pub(super) exec_since_joined: bool,
    /// Its parent was not known: the end of a scan decides how it came into its container.
    pub(super) unsettled: bool,
    /// Only the scan has told of it, and has not ended yet.
    pub(super) scanned: bool,
    /// Since when it lies in the container's cgroup unjudged and is to be looked at again; 0: it
    /// is not.
    pub(super) waits_since_ns: u64,
    pub(super) exited_ns: u64,
}

impl Slot {
    fn new() -> Self {
        Self {
            process: Process::nobody(),
            life: Life::Free,
            cgroup: 0,
            image_mnt: 0,
            image_ns: 0,
            state_ns: 0,
            outside_mnt: 0,
            joined: false,
            by_namespace: false,
            exec_since_joined: false,
            unsettled: false,
            scanned: false,
            waits_since_ns: 0,
            exited_ns: 0,
        }
    }

    /// Makes the slot `id`'s; buffers keep their room.
    fn reset(&mut self, id: ProcessId) {
        let Self { process, .. } = self;
        let mut exe_path = std::mem::take(&mut process.exe_path);
        let mut argv = std::mem::take(&mut process.argv);
        exe_path.clear();
        argv.clear();
        let mut fresh = Self::new();
        fresh.process.id = id;
        fresh.process.exe_path = exe_path;
        fresh.process.argv = argv;
        fresh.life = Life::Live;
        *self = fresh;
    }
}

/// Numbers that say where processes went. `inserted` is what the table holds, live and exited, and
/// `released` and `evicted` together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessCounts {
    /// Processes that entered the table.
    pub inserted: u64,
    /// Exited processes that left it after their grace, or for want of room.
    pub released: u64,
    /// Live processes that left it for want of room.
    pub evicted: u64,
    /// Exits of processes that it did not know.
    pub unknown_exits: u64,
    /// Records on processes that had exited, or older than what is known.
    pub late: u64,
}

/// The table.
#[derive(Debug)]
pub(super) struct Processes {
    slots: Vec<Slot>,
    /// Neighbours by age, in `host`, `contained` or `exited`.
    ages: Vec<Links>,
    /// Neighbours in the container's chain of members.
    pub(super) members: Vec<Links>,
    by_id: HashMap<ProcessId, u32>,
    free: Vec<u32>,
    host: Chain,
    contained: Chain,
    exited: Chain,
    limit: usize,
    exited_limit: usize,
    pub(super) counts: ProcessCounts,
}

impl Processes {
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.clamp(16, u32::MAX as usize / 2);
        Self {
            slots: Vec::new(),
            ages: Vec::new(),
            members: Vec::new(),
            by_id: HashMap::with_capacity(limit),
            free: Vec::new(),
            host: Chain::EMPTY,
            contained: Chain::EMPTY,
            exited: Chain::EMPTY,
            limit,
            exited_limit: (limit / 8).max(8),
            counts: ProcessCounts::default(),
        }
    }

    pub(super) fn find(&self, id: ProcessId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn find_live(&self, id: ProcessId) -> Option<u32> {
        self.find(id).filter(|&slot| self[slot].life == Life::Live)
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn live(&self) -> usize {
        self.host.len() + self.contained.len()
    }

    pub(super) fn exited(&self) -> usize {
        self.exited.len()
    }

    /// Slots ever used; the ones below are to be looked at with their [`Life`].
    pub(super) fn used(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Who has to leave before another process fits: exited ones first, then the host's, the
    /// longest silent first.
    pub(super) fn victim(&self) -> Option<u32> {
        if self.by_id.len() < self.limit {
            return None;
        }
        self.exited.first().or_else(|| self.host.first()).or_else(|| self.contained.first())
    }

    /// The exited process that has to leave now: for want of room, or because its grace ended.
    pub(super) fn released(&self, exited_before_ns: u64) -> Option<u32> {
        let first = self.exited.first()?;
        let over = self.exited.len() > self.exited_limit || self[first].exited_ns < exited_before_ns;
        over.then_some(first)
    }

    /// Adds a live process. The table has room and does not know it.
    pub(super) fn insert(&mut self, id: ProcessId) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new());
            self.ages.push(Links::FREE);
            self.members.push(Links::FREE);
            self.used() - 1
        });
        self.slots[index(slot)].reset(id);
        self.by_id.insert(id, slot);
        self.host.push(&mut self.ages, slot);
        self.counts.inserted += 1;
        slot
    }

    /// Takes out a process that is in no container's chain any more.
    pub(super) fn remove(&mut self, slot: u32) {
        self.unage(slot);
        let Slot { process, life, .. } = &mut self.slots[index(slot)];
        match life {
            Life::Live => self.counts.evicted += 1,
            Life::Exited => self.counts.released += 1,
            Life::Free => {}
        }
        *life = Life::Free;
        self.by_id.remove(&process.id);
        self.free.push(slot);
    }

    /// Marks a live process as ended.
    pub(super) fn exit(&mut self, slot: u32, now_ns: u64) {
        self.unage(slot);
        let it = &mut self.slots[index(slot)];
        it.life = Life::Exited;
        it.exited_ns = now_ns;
        self.exited.push(&mut self.ages, slot);
    }

    /// A live process said something, or changed between host and container: it is the youngest.
    pub(super) fn touch(&mut self, slot: u32, contained: Option<super::ContainerKey>) {
        if self[slot].life != Life::Live {
            return;
        }
        self.unage(slot);
        self.slots[index(slot)].process.container = contained;
        let chain = if contained.is_some() { &mut self.contained } else { &mut self.host };
        chain.push(&mut self.ages, slot);
    }

    fn unage(&mut self, slot: u32) {
        let Slot { process, life, .. } = &self.slots[index(slot)];
        let chain = match life {
            Life::Free => return,
            Life::Exited => &mut self.exited,
            Life::Live if process.container.is_some() => &mut self.contained,
            Life::Live => &mut self.host,
        };
        chain.remove(&mut self.ages, slot);
    }

    /// Gives `child` the image of `creator`.
    pub(super) fn copy_image(&mut self, child: u32, creator: u32) {
        let Ok([child, creator]) = self.slots.get_disjoint_mut([index(child), index(creator)]) else {
            return;
        };
        child.process.exe = creator.process.exe;
        child.process.exe_path.clone_from(&creator.process.exe_path);
        child.process.argv.clone_from(&creator.process.argv);
        child.process.exec_ns = creator.process.exec_ns;
        child.image_mnt = creator.image_mnt;
        child.image_ns = creator.image_ns;
        child.process.image_exec_id = creator.process.image_exec_id;
    }
}

impl std::ops::Index<u32> for Processes {
    type Output = Slot;

    fn index(&self, slot: u32) -> &Slot {
        &self.slots[index(slot)]
    }
}

impl std::ops::IndexMut<u32> for Processes {
    fn index_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[index(slot)]
    }
}
