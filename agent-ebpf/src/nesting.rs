//! One program at a time on a CPU, of those that share a buffer and a set of counters.
//!
//! The kernel itself refuses to run a program within itself, but not one at the exit of `open` while
//! one at the exit of `rename` is interrupted, nor an LSM program within itself. On kernels that
//! preempt programs the second one gives up, and is counted like a run that the kernel refuses.

use core::{arch::asm, ptr::read_volatile};

use agent_abi::map::{NESTING_FEXIT, NESTING_LSM, Nesting};

use crate::global::NESTING;

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
            add(&raw mut (*nesting).running, -1);
            add(&raw mut (*nesting).refused, 1);
        }
        false
    }

    /// Lets others run.
    #[inline(always)]
    pub fn leave(self) {
        if let Some(nesting) = self.nesting() {
            // SAFETY: a map value.
            unsafe { add(&raw mut (*nesting).running, -1) };
        }
    }

    #[inline(always)]
    fn nesting(self) -> Option<*mut Nesting> {
        NESTING.get_ptr_mut(self as u32)
    }
}

/// Adds to a number that other programs add to as well. The compiler offers no atomics for this
/// target; the instruction is as old as BPF's maps.
///
/// # Safety
/// `number` is a map value.
#[inline(always)]
pub unsafe fn add(number: *mut u64, value: i64) {
    // SAFETY: as the caller's.
    unsafe {
        asm!("lock *(u64 *)({number} + 0) += {value}", number = in(reg) number, value = in(reg) value, options(nostack));
    }
}
