//! Numbers that several programs, or several CPUs, add to.

use core::arch::asm;

/// Adds to a number of a map in one instruction, wrapping around. The compiler offers no atomics for
/// this target; the instruction is as old as BPF's maps.
///
/// # Safety
/// `number` is in a map value.
#[inline(always)]
pub unsafe fn add(number: *mut u64, amount: u64) {
    // SAFETY: as the caller's.
    unsafe {
        asm!("lock *(u64 *)({number} + 0) += {amount}", number = in(reg) number, amount = in(reg) amount, options(nostack));
    }
}
