//! What the kernel programs know of cgroups: that one is the host's, or muted.
//!
//! The hot loop writes the marks itself, as it learns of cgroups: an update of a map is a call that
//! waits for nothing (a spin lock of one bucket), cgroups come and go seldom, and the mark is there
//! before the next record is read. A queue to another thread would only add a way to be late.
//!
//! A cgroup without a mark passes: what is not known is not the host's.

use agent_abi::map::{CGROUP_ENTRIES, cgroup_flag};
use hashbrown::HashMap;

/// Why a mark was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkError {
    /// There is no room.
    Full,
    /// The kernel refused.
    Refused,
}

/// Where the marks are kept.
pub trait MarkStore: Send {
    /// Sets the flags of a cgroup.
    ///
    /// # Errors
    /// When there is no room, or the kernel refuses.
    fn set(&mut self, cgroup: u64, flags: u32) -> Result<(), MarkError>;

    /// Removes a mark, if there is one.
    fn remove(&mut self, cgroup: u64);
}

/// Numbers on the marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkCounts {
    /// Cgroups that are marked.
    pub marked: u64,
    /// Marks that found no room: the events of these cgroups are sent and looked at in vain.
    pub full: u64,
    /// Marks that the kernel refused.
    pub refused: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    flags: u32,
    /// The round of scans in which the cgroup was last met.
    round: u32,
}

/// The marks, and which there should be.
pub struct CgroupMarks {
    store: Box<dyn MarkStore>,
    /// Paths below the hierarchy, without a slash at the end.
    muted: Vec<Vec<u8>>,
    /// No more than found room in the store.
    marks: HashMap<u64, Mark>,
    round: u32,
    full: u64,
    refused: u64,
}

impl CgroupMarks {
    /// Without any mark. `muted`: paths of cgroups whose raw events nobody wants, nor of those below.
    #[must_use]
    pub fn new(store: Box<dyn MarkStore>, muted: Vec<Vec<u8>>) -> Self {
        let marks = HashMap::with_capacity(CGROUP_ENTRIES);
        Self { store, muted, marks, round: 0, full: 0, refused: 0 }
    }

    /// A cgroup is there, at this path.
    pub fn known(&mut self, cgroup: u64, path: &[u8], is_host: bool) {
        let host = if is_host { cgroup_flag::HOST } else { 0 };
        let muted = if self.is_muted(path) { cgroup_flag::MUTED } else { 0 };
        let flags = host | muted;
        let Self { store, marks, round, .. } = self;
        if let Some(mark) = marks.get_mut(&cgroup)
            && mark.flags == flags
        {
            mark.round = *round;
            return;
        }
        if flags == 0 {
            return self.gone(cgroup);
        }
        match store.set(cgroup, flags) {
            Ok(()) => drop(marks.insert(cgroup, Mark { flags, round: *round })),
            Err(MarkError::Full) => self.full += 1,
            Err(MarkError::Refused) => self.refused += 1,
        }
    }

    /// A cgroup was removed.
    pub fn gone(&mut self, cgroup: u64) {
        if self.marks.remove(&cgroup).is_some() {
            self.store.remove(cgroup);
        }
    }

    /// A scan has met all cgroups that are there. A mark whose cgroup two scans did not meet goes:
    /// its removal was lost.
    pub fn scanned(&mut self) {
        let Self { store, marks, round, .. } = self;
        marks.retain(|cgroup, mark| {
            let is_met = round.wrapping_sub(mark.round) < 2;
            if !is_met {
                store.remove(*cgroup);
            }
            is_met
        });
        *round = round.wrapping_add(1);
    }

    /// Numbers, for metrics.
    #[must_use]
    pub fn counts(&self) -> MarkCounts {
        MarkCounts { marked: self.marks.len() as u64, full: self.full, refused: self.refused }
    }

    fn is_muted(&self, path: &[u8]) -> bool {
        let below = |muted: &Vec<u8>| {
            path.strip_prefix(&muted[..]).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        self.muted.iter().any(below)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Store(Arc<Mutex<HashMap<u64, u32>>>);

    impl MarkStore for Store {
        fn set(&mut self, cgroup: u64, flags: u32) -> Result<(), MarkError> {
            let mut map = self.0.lock().unwrap();
            if map.len() == 3 && !map.contains_key(&cgroup) {
                return Err(MarkError::Full);
            }
            map.insert(cgroup, flags);
            Ok(())
        }

        fn remove(&mut self, cgroup: u64) {
            self.0.lock().unwrap().remove(&cgroup);
        }
    }

    fn marks(muted: &[&str]) -> (CgroupMarks, Store) {
        let store = Store::default();
        let muted = muted.iter().map(|path| path.as_bytes().to_vec()).collect();
        (CgroupMarks::new(Box::new(store.clone()), muted), store)
    }

    fn flags(store: &Store, cgroup: u64) -> Option<u32> {
        store.0.lock().unwrap().get(&cgroup).copied()
    }

    #[test]
    fn the_hosts_are_marked_and_containers_are_not() {
        let (mut marks, store) = marks(&[]);
        marks.known(1, b"/system.slice", true);
        marks.known(2, b"/kubepods/x", false);
        assert_eq!((flags(&store, 1), flags(&store, 2)), (Some(cgroup_flag::HOST), None));
        // It turned out to be a container's.
        marks.known(1, b"/system.slice", false);
        assert_eq!(flags(&store, 1), None);
    }

    #[test]
    fn a_muted_path_mutes_what_is_below_and_not_what_begins_alike() {
        let (mut marks, store) = marks(&["/backup"]);
        marks.known(1, b"/backup", false);
        marks.known(2, b"/backup/job", true);
        marks.known(3, b"/backups", false);
        assert_eq!(flags(&store, 1), Some(cgroup_flag::MUTED));
        assert_eq!(flags(&store, 2), Some(cgroup_flag::MUTED | cgroup_flag::HOST));
        assert_eq!(flags(&store, 3), None);
    }

    #[test]
    fn a_full_store_is_counted_and_has_room_again_when_a_cgroup_goes() {
        let (mut marks, store) = marks(&[]);
        for cgroup in 1..=4 {
            marks.known(cgroup, b"/h", true);
        }
        assert_eq!(marks.counts(), MarkCounts { marked: 3, full: 1, refused: 0 });
        marks.gone(1);
        marks.known(4, b"/h", true);
        assert_eq!(flags(&store, 4), Some(cgroup_flag::HOST));
        assert_eq!(marks.counts().marked, 3);
    }

    #[test]
    fn what_two_scans_do_not_meet_goes() {
        let (mut marks, store) = marks(&[]);
        marks.known(1, b"/h", true);
        marks.known(2, b"/h", true);
        for _ in 0..3 {
            marks.known(2, b"/h", true);
            marks.scanned();
        }
        assert_eq!((flags(&store, 1), flags(&store, 2)), (None, Some(cgroup_flag::HOST)));
    }
}
