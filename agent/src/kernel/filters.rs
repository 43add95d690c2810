//! The maps that the programs look at before they make a record, and what they counted there. All
//! may change while programs run.

use agent_abi::{
    landmark,
    map::{self, Bucket, Executable, LANDMARK_SETS, PREFIX_BYTES},
};
use aya::{
    Ebpf,
    maps::{
        Array, HashMap, MapData, MapError,
        lpm_trie::{Key, LpmTrie},
    },
    sys::SyscallError,
};

use super::{
    maps::{MapsError, failed, take},
    switches::Switches,
};
use crate::filter::{Filter, Landmarks, MarkError, MarkStore, PathPrefix};

type PrefixKey = Key<[u8; PREFIX_BYTES]>;
/// [`landmark::Landmarks`].
type LandmarkWords = [u64; size_of::<landmark::Landmarks>() / 8];

/// What is left out by path and by executable, and how much a cgroup may send.
pub struct Filters {
    switches: Switches,
    executables: HashMap<MapData, [u64; 2], u32>,
    prefixes: LpmTrie<MapData, [u8; PREFIX_BYTES], u32>,
    landmarks: Array<MapData, LandmarkWords>,
}

impl Filters {
    pub(super) fn take(object: &mut Ebpf, switches: Switches) -> Result<Self, MapsError> {
        let executables = take(object, map::MUTED_EXECUTABLES)?;
        let prefixes = take(object, map::PREFIXES)?;
        let landmarks = take(object, map::LANDMARKS)?;
        Ok(Self {
            switches,
            landmarks: landmarks.try_into().map_err(failed(map::LANDMARKS))?,
            executables: executables.try_into().map_err(failed(map::MUTED_EXECUTABLES))?,
            prefixes: prefixes.try_into().map_err(failed(map::PREFIXES))?,
        })
    }

    /// Changes what the running programs leave out. For a moment old and new hold together.
    ///
    /// # Errors
    /// When the kernel refuses, or there are more than find room.
    pub fn set(&mut self, filter: &Filter) -> Result<(), MapsError> {
        let Filter { limit, executables, prefixes, landmarks } = filter;
        self.set_prefixes(prefixes)?;
        self.set_landmarks(landmarks)?;
        self.set_executables(executables)?;
        self.switches.set_limit(*limit);
        Ok(())
    }

    /// Into the set that does not count, which then does.
    fn set_landmarks(&mut self, wanted: &Landmarks) -> Result<(), MapsError> {
        let words: LandmarkWords = zerocopy::transmute!(*wanted.table());
        let set = (self.switches.landmarks() + 1) % LANDMARK_SETS as u32;
        self.landmarks.set(set, words, 0).map_err(failed(map::LANDMARKS))?;
        self.switches.set_landmarks(set);
        Ok(())
    }

    fn set_executables(&mut self, wanted: &[Executable]) -> Result<(), MapsError> {
        let failed = failed(map::MUTED_EXECUTABLES);
        let wanted: Vec<[u64; 2]> =
            wanted.iter().map(|executable| zerocopy::transmute!(*executable)).collect();
        let known = self.executables.keys().collect::<Result<Vec<_>, _>>().map_err(&failed)?;
        for stale in known.iter().filter(|key| !wanted.contains(key)) {
            gone(self.executables.remove(stale)).map_err(&failed)?;
        }
        for key in &wanted {
            self.executables.insert(key, 1, 0).map_err(&failed)?;
        }
        self.switches.set_muted_executables(u32::try_from(wanted.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn set_prefixes(&mut self, wanted: &[PathPrefix]) -> Result<(), MapsError> {
        let failed = failed(map::PREFIXES);
        let all = PathPrefix::all();
        // Where only some are left out, the others are wanted; without any no file is.
        let only_left_out = !wanted.is_empty() && wanted.iter().all(|prefix| !prefix.is_wanted());
        let others = only_left_out.then_some(&all);
        let wanted: Vec<_> = others.into_iter().chain(wanted).map(PathPrefix::entry).collect();
        let known = self.prefixes.keys().collect::<Result<Vec<_>, _>>().map_err(&failed)?;
        for (bits, bytes, value) in &wanted {
            self.prefixes.insert(&PrefixKey::new(*bits, *bytes), *value, 0).map_err(&failed)?;
        }
        let is_wanted = |key: &PrefixKey| {
            wanted.iter().any(|(bits, bytes, _)| (key.prefix_len(), key.data()) == (*bits, *bytes))
        };
        for stale in known.iter().filter(|key| !is_wanted(key)) {
            gone(self.prefixes.remove(stale)).map_err(&failed)?;
        }
        Ok(())
    }
}

/// That it is not there any more is what was wanted.
fn gone(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(error) if errno(&error) == Some(nix::libc::ENOENT) => Ok(()),
        result => result,
    }
}

fn errno(error: &MapError) -> Option<i32> {
    match error {
        MapError::SyscallError(SyscallError { io_error, .. }) => io_error.raw_os_error(),
        MapError::KeyNotFound => Some(nix::libc::ENOENT),
        _ => None,
    }
}

/// The marks on cgroups.
pub struct CgroupMap {
    switches: Switches,
    marks: HashMap<MapData, u64, u32>,
}

impl CgroupMap {
    /// Without the marks of the agent before: whether they hold is not known, and a cgroup without one
    /// passes.
    pub(super) fn take(object: &mut Ebpf, switches: Switches) -> Result<Self, MapsError> {
        let failed = failed(map::CGROUPS);
        let mut marks: HashMap<_, u64, u32> = take(object, map::CGROUPS)?.try_into().map_err(&failed)?;
        let known = marks.keys().collect::<Result<Vec<_>, _>>().map_err(&failed)?;
        for cgroup in known {
            gone(marks.remove(&cgroup)).map_err(&failed)?;
        }
        switches.forget_cgroup_flags();
        Ok(Self { switches, marks })
    }
}

impl MarkStore for CgroupMap {
    fn set(&mut self, cgroup: u64, flags: u32) -> Result<(), MarkError> {
        self.switches.add_cgroup_flags(flags);
        self.marks.insert(cgroup, flags, 0).map_err(|error| match errno(&error) {
            Some(nix::libc::E2BIG) => MarkError::Full,
            _ => MarkError::Refused,
        })
    }

    fn remove(&mut self, cgroup: u64) {
        // One that is not there is removed.
        let _ = self.marks.remove(&cgroup);
    }
}

/// What cgroups may still send, and what of theirs was held back.
pub struct Buckets {
    buckets: HashMap<MapData, u64, [u64; 3]>,
}

impl Buckets {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        Ok(Self { buckets: take(object, map::BUCKETS)?.try_into().map_err(failed(map::BUCKETS))? })
    }

    /// All of them, by cgroup. One that is made meanwhile may be missing.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self, mut each: impl FnMut(u64, Bucket)) -> Result<(), MapsError> {
        for entry in self.buckets.iter() {
            let (cgroup, words) = entry.map_err(failed(map::BUCKETS))?;
            each(cgroup, zerocopy::transmute!(words));
        }
        Ok(())
    }

    /// That of one cgroup.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn get(&self, cgroup: u64) -> Result<Option<Bucket>, MapsError> {
        match self.buckets.get(&cgroup, 0) {
            Ok(words) => Ok(Some(zerocopy::transmute!(words))),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(failed(map::BUCKETS)(error)),
        }
    }

    /// Removes that of a cgroup that is gone, or silent for long.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&mut self, cgroup: u64) -> Result<(), MapsError> {
        gone(self.buckets.remove(&cgroup)).map_err(failed(map::BUCKETS))
    }
}
