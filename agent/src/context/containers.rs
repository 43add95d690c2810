//! The tables of containers and of the cgroups that lie in them.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{Container, ContainerId, ContainerKey, Enrichment, PendingReason, chain::Chain};

/// How long a container that is gone is kept for its name: what was found in it can still be told under that.
const LINGER_NS: u64 = 30_000_000_000;

/// A container, and what only the tree needs to know of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) container: Container,
    /// The container that it lies in.
    pub(super) outer: Option<ContainerKey>,
    /// Its processes, exited ones in their grace among them.
    pub(super) members: Chain,
    /// Of these, the live ones.
    pub(super) live: usize,
    /// Pid of its init as the runtime tells.
    pub(super) init_pid: Option<u32>,
    /// Mount namespace of its init; 0: not known.
    pub(super) mnt_ns: u32,
    /// When its names are to be asked for again; `None`: not.
    pub(super) ask_again_ns: Option<u64>,
    /// Its end was told.
    pub(super) gone_told: bool,
}

impl Kept {
    /// Whether somebody is asked for its name, or will be.
    pub(super) fn may_be_named(&self) -> bool {
        let reason = match self.container.enrichment {
            Enrichment::Complete(_) => return false,
            Enrichment::Pending(reason) => reason,
        };
        reason != PendingReason::NoRuntime
    }

    fn is_over(&self) -> bool {
        self.container.gone && self.members.len() == 0
    }
}

/// Numbers on the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerCounts {
    /// Containers that entered the table.
    pub inserted: u64,
    /// Containers that left it: gone and empty, or evicted.
    pub removed: u64,
    /// Of these, containers without processes that left it for want of room.
    pub evicted: u64,
    /// Containers that found no room. Each is one that is not watched.
    pub refused: u64,
}

/// The table. A container in it is never evicted while it has processes.
#[derive(Debug)]
pub(super) struct Containers {
    by_key: HashMap<ContainerKey, Kept>,
    by_id: HashMap<ContainerId, ContainerKey>,
    /// Containers that had no process when they came here, oldest first; entries may be stale.
    idle: VecDeque<ContainerKey>,
    /// Gone and empty, kept for their names since then; entries may be stale.
    lingering: VecDeque<(u64, ContainerKey)>,
    limit: usize,
    pub(super) counts: ContainerCounts,
}

impl Containers {
    /// The live container whose mount namespace this is.
    pub(super) fn by_mount_namespace(&self, mnt_ns: u32) -> Option<ContainerKey> {
        let of_this = |kept: &&Kept| kept.mnt_ns == mnt_ns && !kept.container.gone;
        (mnt_ns != 0).then(|| self.by_key.values().find(of_this))?.map(|kept| kept.container.key)
    }

    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            by_id: HashMap::new(),
            idle: VecDeque::new(),
            lingering: VecDeque::new(),
            limit: limit.max(4),
            counts: ContainerCounts::default(),
        }
    }

    pub(super) fn get(&self, key: ContainerKey) -> Option<&Kept> {
        self.by_key.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ContainerKey) -> Option<&mut Kept> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn by_id(&self, id: &ContainerId) -> Option<ContainerKey> {
        self.by_id.get(id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.by_key.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.by_key.values_mut()
    }

    /// Whether `inner` lies in `outer`, at any depth.
    pub(super) fn lies_in(&self, inner: ContainerKey, outer: ContainerKey) -> bool {
        let mut at = inner;
        // Nesting is as deep as a path has ids; the bound is for a cycle that lies could make.
        for _ in 0..16 {
            match self.get(at).and_then(|kept| kept.outer) {
                Some(next) if next == outer => return true,
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }

    /// Whom to drop before another fits. `Err`: the table is full of containers with processes.
    pub(super) fn make_room(&mut self) -> Result<Option<ContainerKey>, Full> {
        if self.by_key.len() < self.limit {
            return Ok(None);
        }
        while let Some(key) = self.idle.pop_front() {
            if self.get(key).is_some_and(|kept| kept.members.len() == 0) {
                self.counts.evicted += 1;
                return Ok(Some(key));
            }
        }
        self.counts.refused += 1;
        Err(Full)
    }

    pub(super) fn insert(&mut self, container: Container, outer: Option<ContainerKey>) {
        let key = container.key;
        // An id that is in use is not taken over: whoever may make cgroups may copy a name.
        let taken = self.by_id(&container.id).and_then(|key| self.get(key));
        if taken.is_none_or(|kept| kept.container.gone) {
            self.by_id.insert(container.id, key);
        }
        self.by_key.insert(
            key,
            Kept {
                container,
                outer,
                members: Chain::EMPTY,
                live: 0,
                init_pid: None,
                mnt_ns: 0,
                ask_again_ns: None,
                gone_told: false,
            },
        );
        self.counts.inserted += 1;
        self.idles(key);
    }

    /// The container has no process: it may be evicted.
    pub(super) fn idles(&mut self, key: ContainerKey) {
        if self.idle.len() >= self.limit * 2 {
            let by_key = &self.by_key;
            let mut seen = hashbrown::HashSet::new();
            self.idle.retain(|key| {
                by_key.get(key).is_some_and(|kept| kept.members.len() == 0) && seen.insert(*key)
            });
        }
        self.idle.push_back(key);
    }

    /// Keeps a container that is gone and empty for its name. It may be evicted.
    pub(super) fn linger(&mut self, key: ContainerKey, now_ns: u64) {
        if self.lingering.len() >= self.limit
            && let Some((_, oldest)) = self.lingering.pop_front()
        {
            self.remove_over(oldest);
        }
        self.lingering.push_back((now_ns, key));
        self.idles(key);
    }

    /// Lets go of those that have their names, or have waited long enough.
    pub(super) fn end_lingering(&mut self, now_ns: u64) {
        while let Some(&(since_ns, key)) = self.lingering.front() {
            let waits = self.get(key).is_some_and(|kept| kept.is_over() && kept.may_be_named());
            if waits && now_ns.saturating_sub(since_ns) < LINGER_NS {
                return;
            }
            self.lingering.pop_front();
            self.remove_over(key);
        }
    }

    fn remove_over(&mut self, key: ContainerKey) {
        if self.get(key).is_some_and(Kept::is_over) {
            self.remove(key);
        }
    }

    pub(super) fn remove(&mut self, key: ContainerKey) -> Option<Container> {
        let kept = self.by_key.remove(&key)?;
        let id = kept.container.id;
        if self.by_id.get(&id) == Some(&key) {
            self.by_id.remove(&id);
        }
        self.counts.removed += 1;
        Some(kept.container)
    }
}

/// No container can leave the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

/// Whose a cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In no container.
    Host,
    /// The container's own cgroup, or one below it.
    In(ContainerKey),
    /// Not known; the slow side was asked then.
    Asked(u64),
}

#[derive(Debug)]
struct Entry {
    place: Place,
    used: bool,
}

/// Numbers on the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupCounts {
    /// Cgroups evicted for want of room; they are asked for again when they are met again.
    pub evicted: u64,
    /// Cgroups that were met without their making having been seen.
    pub asked: u64,
}

/// Cgroups by id, each used since the last sweep spared once (a clock).
#[derive(Debug)]
pub(super) struct Cgroups {
    entries: HashMap<u64, Entry>,
    clock: VecDeque<u64>,
    limit: usize,
    pub(super) counts: CgroupCounts,
}

impl Cgroups {
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.max(16);
        Self {
            entries: HashMap::with_capacity(limit),
            clock: VecDeque::with_capacity(limit),
            limit,
            counts: CgroupCounts::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&mut self, id: u64) -> Option<Place> {
        let entry = self.entries.get_mut(&id)?;
        entry.used = true;
        Some(entry.place)
    }

    /// As [`Self::get`], but it does not count as a use.
    pub(super) fn peek(&self, id: u64) -> Option<Place> {
        self.entries.get(&id).map(|entry| entry.place)
    }

    pub(super) fn set(&mut self, id: u64, place: Place) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.place = place;
            return;
        }
        while self.entries.len() >= self.limit {
            self.turn();
        }
        self.entries.insert(id, Entry { place, used: false });
        self.clock.push_back(id);
    }

    pub(super) fn remove(&mut self, id: u64) {
        if self.entries.remove(&id).is_some() && self.clock.len() > self.limit * 2 {
            let entries = &self.entries;
            self.clock.retain(|id| entries.contains_key(id));
        }
    }

    /// Looks at the oldest entry: it goes, unless it was used since it was last looked at.
    fn turn(&mut self) {
        let Some(id) = self.clock.pop_front() else { return self.entries.clear() };
        match self.entries.get_mut(&id) {
            Some(entry) if entry.used => {
                entry.used = false;
                self.clock.push_back(id);
            }
            Some(_) => {
                self.entries.remove(&id);
                self.counts.evicted += 1;
            }
            None => {}
        }
    }
}
