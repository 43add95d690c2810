//! What the buckets of the kernel programs held back: read every second, and given to the hot loop,
//! which knows whose cgroups they are.
//!
//! A bucket counts exactly and never back. One goes when its cgroup is gone, after its last count; or
//! when it was silent for so long that it is full anyway, in case the end of its cgroup was lost.

use std::{collections::HashMap, sync::mpsc::Receiver};

use agent_abi::map::Bucket;

use crate::{
    kernel::{Buckets, MapsError},
    pipeline::{Throttling, clock},
    time::{Clock, SECOND},
};

/// A bucket that nobody took from for so long goes.
const SILENT_NS: u64 = 3600 * SECOND;

/// Where buckets are.
pub(super) trait BucketStore: Send {
    fn read(&self, each: &mut dyn FnMut(u64, Bucket)) -> Result<(), MapsError>;
    fn get(&self, cgroup: u64) -> Result<Option<Bucket>, MapsError>;
    fn remove(&mut self, cgroup: u64) -> Result<(), MapsError>;
}

impl BucketStore for Buckets {
    fn read(&self, each: &mut dyn FnMut(u64, Bucket)) -> Result<(), MapsError> {
        Self::read(self, each)
    }

    fn get(&self, cgroup: u64) -> Result<Option<Bucket>, MapsError> {
        Self::get(self, cgroup)
    }

    fn remove(&mut self, cgroup: u64) -> Result<(), MapsError> {
        Self::remove(self, cgroup)
    }
}

/// Reads the buckets.
pub(super) struct BucketReader<S> {
    store: S,
    /// Cgroups that are gone.
    gone: Receiver<u64>,
    /// What was told of each that ever held something back.
    told: HashMap<u64, u64>,
    since: Clock,
}

impl<S: BucketStore> BucketReader<S> {
    /// `adopted`: the agent before told most of what the buckets hold. What was held back between the
    /// two is in the hooks' counters; whose it was is not told.
    pub(super) fn new(store: S, adopted: bool, gone: Receiver<u64>) -> Result<Self, MapsError> {
        let mut told = HashMap::new();
        store.read(&mut |cgroup, bucket| {
            if adopted && bucket.throttled > 0 {
                told.insert(cgroup, bucket.throttled);
            }
        })?;
        Ok(Self { store, gone, told, since: clock::now() })
    }

    /// What was held back since it last looked; `None`: nothing.
    pub(super) fn look(&mut self, now: Clock) -> Result<Option<Throttling>, MapsError> {
        let mut cgroups = Vec::new();
        // First these: their numbers are final.
        while let Ok(cgroup) = self.gone.try_recv() {
            if let Some(bucket) = self.store.get(cgroup)? {
                let before = self.told.remove(&cgroup).unwrap_or(0);
                if bucket.throttled > before {
                    cgroups.push((cgroup, bucket.throttled - before));
                }
                self.store.remove(cgroup)?;
            }
        }
        let mut silent = Vec::new();
        let Self { store, told, .. } = self;
        store.read(&mut |cgroup, bucket| {
            if bucket.throttled > 0 {
                let before = told.insert(cgroup, bucket.throttled).unwrap_or(0);
                if bucket.throttled > before {
                    cgroups.push((cgroup, bucket.throttled - before));
                }
            }
            if now.boottime_ns.saturating_sub(bucket.filled_ns) >= SILENT_NS {
                silent.push(cgroup);
            }
        })?;
        for cgroup in silent {
            self.store.remove(cgroup)?;
            self.told.remove(&cgroup);
        }
        let from = std::mem::replace(&mut self.since, now);
        Ok((!cgroups.is_empty()).then_some(Throttling { cgroups, from, to: now }))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex, mpsc::sync_channel},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Store(Arc<Mutex<BTreeMap<u64, Bucket>>>);

    impl Store {
        fn hold_back(&self, cgroup: u64, events: u64, filled_ns: u64) {
            let mut buckets = self.0.lock().unwrap();
            let bucket = buckets.entry(cgroup).or_default();
            bucket.throttled += events;
            bucket.filled_ns = filled_ns;
        }

        fn cgroups(&self) -> Vec<u64> {
            self.0.lock().unwrap().keys().copied().collect()
        }
    }

    impl BucketStore for Store {
        fn read(&self, each: &mut dyn FnMut(u64, Bucket)) -> Result<(), MapsError> {
            self.0.lock().unwrap().iter().for_each(|(cgroup, bucket)| each(*cgroup, *bucket));
            Ok(())
        }

        fn get(&self, cgroup: u64) -> Result<Option<Bucket>, MapsError> {
            Ok(self.0.lock().unwrap().get(&cgroup).copied())
        }

        fn remove(&mut self, cgroup: u64) -> Result<(), MapsError> {
            self.0.lock().unwrap().remove(&cgroup);
            Ok(())
        }
    }

    fn at(seconds: u64) -> Clock {
        Clock { boottime_ns: seconds * SECOND, wall_ns: 0 }
    }

    #[test]
    fn what_is_told_adds_up_to_what_the_buckets_counted() {
        let store = Store::default();
        store.hold_back(9, 50, SECOND);
        let (gone, gone_out) = sync_channel(8);
        let mut fresh = BucketReader::new(store.clone(), false, sync_channel(1).1).unwrap();
        assert_eq!(fresh.look(at(1)).unwrap().unwrap().cgroups, [(9, 50)], "from the attach on");
        let mut reader = BucketReader::new(store.clone(), true, gone_out).unwrap();
        let mut sum = 0;
        let mut look = |seconds| {
            let throttling = reader.look(at(seconds)).unwrap();
            let cgroups = throttling.map(|throttling| throttling.cgroups).unwrap_or_default();
            sum += cgroups.iter().map(|(_, events)| events).sum::<u64>();
            cgroups
        };
        assert_eq!(look(1), [], "what was counted before this agent");
        store.hold_back(1, 5, SECOND);
        store.hold_back(2, 0, SECOND);
        assert_eq!(look(2), [(1, 5)]);
        assert_eq!(look(3), []);
        store.hold_back(1, 2, 3 * SECOND);
        store.hold_back(9, 1, 3 * SECOND);
        assert_eq!(look(4), [(1, 2), (9, 1)]);
        // The last of a cgroup that is gone, and its bucket with it.
        store.hold_back(1, 7, 4 * SECOND);
        gone.send(1).unwrap();
        gone.send(77).unwrap();
        assert_eq!(look(5), [(1, 7)]);
        assert_eq!(store.cgroups(), [2, 9]);
        // Its id is given out again.
        store.hold_back(1, 3, 5 * SECOND);
        assert_eq!(look(6), [(1, 3)]);
        // One whose end was lost.
        store.hold_back(2, 4, 6 * SECOND);
        assert_eq!(look(6 + 3600), [(2, 4)]);
        assert_eq!(store.cgroups(), [0; 0]);
        assert_eq!(sum, 5 + 2 + 1 + 7 + 3 + 4);
    }
}
