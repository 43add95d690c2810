//! One program at a time on a CPU, of those that share a buffer and a set of counters.
//!
//! The kernel itself refuses to run a program within itself, but not one at the exit of `open` while
//! one at the exit of `rename` is interrupted, nor an LSM program within itself. On kernels that
//! preempt programs the second one gives up, and is counted like a run that the kernel refuses.

use core::ptr::read_volatile;

use agent_abi::map::{NESTING_FEXIT, NESTING_LSM, Nesting};

use crate::{atomic::add, global::NESTING};

/// As it wraps around.
const MINUS_ONE: u64 = u64::MAX;

/// Programs that share.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum Shared {
    Fexit = NESTING_FEXIT,
    Lsm = NESTING_LSM,
}

impl Shared {
    /// Whether this program may run: then it calls [`Self::leave`] at its end. Of two that ask at
    /// once, each sees the other's mark unless it was there before.
    #[inline(always)]
    pub fn enter(self) -> bool {
        let Some(nesting) = self.nesting() else { return false };
        // SAFETY: a map value.
        unsafe {
            add(&raw mut (*nesting).running, 1);
            if read_volatile(&raw const (*nesting).running) == 1 {
                return true;
            }
            add(&raw mut (*nesting).running, MINUS_ONE);
            add(&raw mut (*nesting).refused, 1);
        }
        false
    }

    /// Lets others run.
    #[inline(always)]
    pub fn leave(self) {
        if let Some(nesting) = self.nesting() {
            // SAFETY: a map value.
            unsafe { add(&raw mut (*nesting).running, MINUS_ONE) };
        }
    }

    #[inline(always)]
    fn nesting(self) -> Option<*mut Nesting> {
        NESTING.get_ptr_mut(self as u32)
    }
}
