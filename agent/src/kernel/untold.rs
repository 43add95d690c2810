//! The map [`map::UNTOLD`], mapped into memory: a store there costs nothing and outlives a kill.

use std::sync::atomic::{AtomicU64, Ordering};

use agent_abi::map::{self, Untold};

use super::mapped::{Mapped, Words};

/// How far what was read is told, shared with whoever follows. Each word is written by one thread.
#[repr(C)]
#[derive(Debug, Default)]
pub struct UntoldWords {
    told_ns: AtomicU64,
    read_ns: AtomicU64,
}

const _: () = assert!(size_of::<UntoldWords>() == size_of::<Untold>());

// SAFETY: atomics, as long as the map's value.
#[expect(unsafe_code, reason = "shared with whoever follows")]
unsafe impl Words for UntoldWords {
    const MAP: &'static str = map::UNTOLD;
}

impl UntoldWords {
    /// Both words.
    #[must_use]
    pub fn get(&self) -> Untold {
        Untold {
            told_ns: self.told_ns.load(Ordering::Acquire),
            read_ns: self.read_ns.load(Ordering::Acquire),
        }
    }

    /// What was read of before this is told.
    pub fn told(&self, told_ns: u64) {
        self.told_ns.store(told_ns, Ordering::Release);
    }

    /// Records of before this are read next.
    pub fn read(&self, read_ns: u64) {
        self.read_ns.store(read_ns, Ordering::Release);
    }
}

impl AsRef<Self> for UntoldWords {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The map.
pub type UntoldMap = Mapped<UntoldWords>;
