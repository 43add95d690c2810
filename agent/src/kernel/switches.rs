//! The map [`map::SETTINGS`]: what may change while the programs run. Each word is stored by itself, so
//! that who writes one leaves the others alone.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering, fence},
};

use agent_abi::map::{self, Settings};
use aya::Ebpf;

use super::{
    mapped::{Mapped, Words},
    maps::MapsError,
};
use crate::filter::Limit;

/// [`Settings`], word by word.
#[repr(C)]
#[derive(Debug)]
pub(super) struct SettingsWords {
    agent_tgid: AtomicU32,
    reader_sleeps: AtomicU32,
    bulk_rate: AtomicU32,
    bulk_burst: AtomicU32,
    muted_executables: AtomicU32,
    cgroup_flags: AtomicU32,
    landmarks: AtomicU32,
    reserved: AtomicU32,
}

const _: () = assert!(size_of::<SettingsWords>() == size_of::<Settings>());

// SAFETY: atomics, as long as the map's value.
#[expect(unsafe_code, reason = "the programs read it, and clear one word")]
unsafe impl Words for SettingsWords {
    const MAP: &'static str = map::SETTINGS;
}

/// The switches of the running programs, for all who turn one.
#[derive(Clone, Debug)]
pub struct Switches {
    map: Arc<Mapped<SettingsWords>>,
}

impl Switches {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        Ok(Self { map: Arc::new(Mapped::take(object)?) })
    }

    fn words(&self) -> &SettingsWords {
        (*self.map).as_ref()
    }

    /// The agent's thread group: its own calls are no news.
    pub fn set_agent(&self, tgid: u32) {
        self.words().agent_tgid.store(tgid, Ordering::Relaxed);
    }

    /// Whether the next record is to wake the reader. Whoever looks at the rings after this sees all
    /// records of programs that did not see it.
    pub fn set_reader_sleeps(&self, sleeps: bool) {
        self.words().reader_sleeps.store(u32::from(sleeps), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) fn set_limit(&self, limit: Option<Limit>) {
        let (rate, burst) = limit.map_or((0, 0), |Limit { rate, burst }| (rate.get(), burst.get()));
        // With the old rate for a moment, but never with a rate and no burst.
        if rate == 0 {
            self.words().bulk_rate.store(0, Ordering::Release);
        }
        self.words().bulk_burst.store(burst, Ordering::Release);
        self.words().bulk_rate.store(rate, Ordering::Release);
    }

    pub(super) fn set_muted_executables(&self, number: u32) {
        self.words().muted_executables.store(number, Ordering::Release);
    }

    /// Which set of landmarks counts.
    pub(super) fn landmarks(&self) -> u32 {
        self.words().landmarks.load(Ordering::Acquire)
    }

    /// That this one does.
    pub(super) fn set_landmarks(&self, set: u32) {
        self.words().landmarks.store(set, Ordering::Release);
    }

    /// That no cgroup is marked.
    pub(super) fn forget_cgroup_flags(&self) {
        self.words().cgroup_flags.store(0, Ordering::Release);
    }

    /// That some cgroup has these flags.
    pub(super) fn add_cgroup_flags(&self, flags: u32) {
        self.words().cgroup_flags.fetch_or(flags, Ordering::Release);
    }
}
