//! Programs that are kept from one test to the next that wants the same: to have them verified and attached anew
//! takes an emulated processor seconds.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use agent_abi::map::RING_COUNT;
use aya::programs::links::PinnedLink;
use kestrel_agent::syscall::Wants;

use crate::loaded::{Loaded, pinned_links};

/// Those of the test before. One set and no more: each makes all that is done slower.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    ring_bytes: [u32; RING_COUNT],
    wants: Wants,
    loaded: Loaded,
    /// Attached for as long as these are open, so that nothing is left when the tests end.
    _links: Vec<PinnedLink>,
}

impl Kept {
    fn new(ring_bytes: [u32; RING_COUNT], wants: Wants) -> Self {
        let loaded = Loaded::new(ring_bytes, wants.clone());
        let links =
            pinned_links(&loaded.pin_dir).iter().map(|pin| PinnedLink::from_pin(pin).unwrap()).collect();
        loaded.unpin();
        Self { ring_bytes, wants, loaded, _links: links }
    }
}

/// Programs that are a test's own while this is, with empty rings; their counters go on.
pub(crate) struct Shared(MutexGuard<'static, Option<Kept>>);

impl Shared {
    pub(crate) fn new(ring_bytes: [u32; RING_COUNT], wants: Wants) -> Self {
        // A test that failed with them has not broken them.
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| (kept.ring_bytes, &kept.wants) != (ring_bytes, &wants)) {
            *kept = None;
            *kept = Some(Kept::new(ring_bytes, wants));
        }
        let mut shared = Self(kept);
        let programs = &mut shared.programs;
        programs.switches.set_agent(0);
        for ring in [&mut programs.critical, &mut programs.bulk] {
            ring.drain(ring.produced(), |_| {});
        }
        shared
    }

    /// Those that want what posture does.
    pub(crate) fn posture() -> Self {
        Self::new([1 << 22, 1 << 16], Wants::posture())
    }
}

/// Detaches those that are kept and not in use.
pub(crate) fn release() {
    let kept = match KEPT.try_lock() {
        Ok(kept) => Some(kept),
        Err(TryLockError::Poisoned(kept)) => Some(kept.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    if let Some(mut kept) = kept {
        *kept = None;
    }
}

impl Deref for Shared {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.0.as_ref().unwrap().loaded
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Loaded {
        &mut self.0.as_mut().unwrap().loaded
    }
}
