//! The programs, one file a hook family.

mod call;
mod cgroup;
mod credentials;
mod exec;
mod exit;
mod file;
mod filter;
mod fork;
mod oom;
mod packet;
mod path;
mod plain;
mod signal;
mod socket;
mod socket_state;
mod sys_enter;
mod sys_exit;
mod sysctl;
mod task_scan;
mod uring;

use core::arch::asm;

use agent_abi::hook::{Hook, HookCounters};

use crate::global::counters;

/// Runs `body` with the hook's counters, having counted the run.
#[inline(always)]
fn counted(hook: Hook, body: impl FnOnce(&mut HookCounters)) -> i32 {
    if let Some(counters) = counters(hook) {
        counters.seen += 1;
        body(counters);
    }
    0
}

/// Like [`counted`], for a hook that may run within itself on one CPU (a packet comes in while one
/// goes out): `body` counts for itself, and that is added up in a way that cannot be torn.
#[inline(always)]
fn counted_nested(hook: Hook, body: impl FnOnce(&mut HookCounters)) {
    let Some(counters) = counters(hook) else { return };
    let mut run = HookCounters { seen: 1, ..HookCounters::default() };
    body(&mut run);
    let HookCounters {
        seen,
        submitted,
        lost,
        filtered,
        throttled,
        errors,
        handed_on: _,
        tail_failed: _,
        shrunk: _,
        submitted_bulk,
        lost_bulk,
    } = run;
    add(&raw mut counters.seen, seen);
    add(&raw mut counters.submitted, submitted);
    add(&raw mut counters.lost, lost);
    add(&raw mut counters.filtered, filtered);
    add(&raw mut counters.throttled, throttled);
    add(&raw mut counters.errors, errors);
    add(&raw mut counters.submitted_bulk, submitted_bulk);
    add(&raw mut counters.lost_bulk, lost_bulk);
}

/// Adds to a number of a map in one instruction. The compiler offers no atomics for this target; the
/// instruction is as old as BPF's maps.
#[inline(always)]
fn add(number: *mut u64, amount: u64) {
    if amount != 0 {
        // SAFETY: `number` is a map value.
        unsafe {
            asm!("lock *(u64 *)({number} + 0) += {amount}", number = in(reg) number, amount = in(reg) amount, options(nostack));
        }
    }
}
