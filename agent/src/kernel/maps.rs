//! The maps that user space reads and writes, each with its one owner.

use std::path::Path;

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    interest::Interest,
    map::{self, Progress, RING_COUNT},
    uring::Operation,
};
use aya::{
    Ebpf,
    maps::{Array, Map, MapData, MapError, PerCpuArray, PerCpuValues},
};
use thiserror::Error;

use super::calls::Routing;

use crate::syscall::Wants;

/// Why a map is of no use.
#[derive(Debug, Error)]
pub enum MapsError {
    /// The object has no such map.
    #[error("the kernel object has no map {name}")]
    Absent {
        /// Its name.
        name: &'static str,
    },
    /// Calls are wanted that no program is attached for.
    #[error("no program tells of {}: the agent has to start again", .calls.join(", "))]
    Unseen {
        /// Their names.
        calls: Vec<&'static str>,
    },
    /// The kernel refused.
    #[error("cannot use map {name}")]
    Kernel {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
}

pub(super) fn failed(name: &'static str) -> impl Fn(MapError) -> MapsError {
    move |source| MapsError::Kernel { name, source }
}

pub(super) fn take(object: &mut Ebpf, name: &'static str) -> Result<Map, MapsError> {
    object.take_map(name).ok_or(MapsError::Absent { name })
}

/// Words of what is wanted of a number.
const INTEREST_WORDS: usize = size_of::<Interest>() / 8;

/// Words of what is wanted of an operation.
const OPERATION_WORDS: usize = size_of::<Operation>() / 8;

/// What each hook counted. Sums over all CPUs.
pub struct Counters {
    hooks: PerCpuArray<MapData, [u64; HookCounters::COUNT]>,
}

impl Counters {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        Self::new(take(object, map::COUNTERS)?)
    }

    /// Those of another generation.
    pub(super) fn from_pin(path: &Path) -> Result<Self, MapsError> {
        Self::new(Map::PerCpuArray(MapData::from_pin(path).map_err(failed(map::COUNTERS))?))
    }

    fn new(map: Map) -> Result<Self, MapsError> {
        Ok(Self { hooks: map.try_into().map_err(failed(map::COUNTERS))? })
    }

    /// Reads them: the sums over all CPUs.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self) -> Result<[HookCounters; HOOKS], MapsError> {
        let mut sums = [[0; HookCounters::COUNT]; HOOKS];
        for (hook, sum) in Hook::ALL.into_iter().zip(&mut sums) {
            for words in self.words(hook)?.iter() {
                sum.iter_mut().zip(words).for_each(|(sum, word)| *sum += word);
            }
        }
        Ok(sums.map(|words| zerocopy::transmute!(words)))
    }

    /// Those of one hook, by possible CPU.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn of(&self, hook: Hook) -> Result<Vec<HookCounters>, MapsError> {
        Ok(self.words(hook)?.iter().map(|words| zerocopy::transmute!(*words)).collect())
    }

    fn words(&self, hook: Hook) -> Result<PerCpuValues<[u64; HookCounters::COUNT]>, MapsError> {
        self.hooks.get(&(hook as u32), 0).map_err(failed(map::COUNTERS))
    }

    /// Records that each ring had no room for, ever.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn lost(&self) -> Result<[u64; RING_COUNT], MapsError> {
        let mut lost = [0; RING_COUNT];
        for counters in self.read()? {
            lost[map::RING_CRITICAL as usize] += counters.lost - counters.lost_bulk;
            lost[map::RING_BULK as usize] += counters.lost_bulk;
        }
        Ok(lost)
    }
}

/// Next sequence number per (ring, CPU).
pub struct Sequences {
    numbers: PerCpuArray<MapData, u64>,
}

impl Sequences {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        let numbers = take(object, map::SEQUENCES)?.try_into().map_err(failed(map::SEQUENCES))?;
        Ok(Self { numbers })
    }

    /// Per ring, the next number of each possible CPU.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self) -> Result<[Vec<u64>; RING_COUNT], MapsError> {
        let ring = |ring: u32| {
            self.numbers.get(&ring, 0).map(|values| values.to_vec()).map_err(failed(map::SEQUENCES))
        };
        Ok([ring(map::RING_CRITICAL)?, ring(map::RING_BULK)?])
    }
}

/// Runs given up because another program was interrupted.
pub(super) struct NestingMap {
    slots: PerCpuArray<MapData, [u64; 2]>,
}

impl NestingMap {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        Ok(Self { slots: take(object, map::NESTING)?.try_into().map_err(failed(map::NESTING))? })
    }

    /// How many, by the hook of those that share. Sums over all CPUs.
    pub(super) fn read(&self) -> impl Iterator<Item = (Hook, u64)> {
        let shared = [(Hook::Fexit, map::NESTING_FEXIT), (Hook::LsmOpen, map::NESTING_LSM)];
        shared.into_iter().filter_map(|(hook, slot)| {
            let values = self.slots.get(&slot, 0).ok()?;
            Some((hook, values.iter().map(|[_, refused]| refused).sum()))
        })
    }
}

/// Word for the agent that follows this one.
pub struct ProgressMap {
    progress: Array<MapData, [u64; 1 + RING_COUNT]>,
}

impl ProgressMap {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        Self::new(take(object, map::PROGRESS)?)
    }

    /// That of another generation.
    pub(super) fn from_pin(path: &Path) -> Result<Self, MapsError> {
        Self::new(Map::Array(MapData::from_pin(path).map_err(failed(map::PROGRESS))?))
    }

    fn new(map: Map) -> Result<Self, MapsError> {
        Ok(Self { progress: map.try_into().map_err(failed(map::PROGRESS))? })
    }

    /// How far the reader came: right after the start, the one before.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn get(&self) -> Result<Progress, MapsError> {
        let [alive_ns, critical, bulk] = self.progress.get(&0, 0).map_err(failed(map::PROGRESS))?;
        Ok(Progress { alive_ns, reported_lost: [critical, bulk] })
    }

    /// Leaves word.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set(&mut self, progress: Progress) -> Result<(), MapsError> {
        let Progress { alive_ns, reported_lost: [critical, bulk] } = progress;
        self.progress.set(0, [alive_ns, critical, bulk], 0).map_err(failed(map::PROGRESS))
    }
}

/// Which calls are wanted, by number.
pub struct InterestTable {
    interest: Array<MapData, [u64; INTEREST_WORDS]>,
    routing: Routing,
}

impl InterestTable {
    pub(super) fn take(object: &mut Ebpf, routing: Routing) -> Result<Self, MapsError> {
        let interest = take(object, map::INTEREST)?.try_into().map_err(failed(map::INTEREST))?;
        Ok(Self { interest, routing })
    }

    /// Changes what the running programs look for.
    ///
    /// # Errors
    /// When the kernel refuses; or where only the exits of the calls that were wanted first have
    /// programs, and others are wanted now: the table is set all the same.
    pub fn set(&mut self, wants: &Wants) -> Result<(), MapsError> {
        let mut table = wants.table();
        self.routing.apply(&mut table);
        let unseen = self.routing.unseen(wants, &table);
        for (number, wanted) in (0..).zip(table) {
            let words: [u64; INTEREST_WORDS] = zerocopy::transmute!(wanted);
            self.interest.set(number, words, 0).map_err(failed(map::INTEREST))?;
        }
        if unseen.is_empty() { Ok(()) } else { Err(MapsError::Unseen { calls: unseen }) }
    }
}

pub(super) fn set_operations(object: &mut Ebpf, table: &[Operation]) -> Result<(), MapsError> {
    let map = object.map_mut(map::URING).ok_or(MapsError::Absent { name: map::URING })?;
    let mut operations: Array<_, [u64; OPERATION_WORDS]> = map.try_into().map_err(failed(map::URING))?;
    for (opcode, &operation) in (0..).zip(table) {
        let words: [u64; OPERATION_WORDS] = zerocopy::transmute!(operation);
        operations.set(opcode, words, 0).map_err(failed(map::URING))?;
    }
    Ok(())
}
