//! The programs, one file a hook family.

mod call;
mod cgroup;
mod credentials;
mod exec;
mod exit;
mod fexit;
mod file;
mod filter;
mod fork;
mod lsm;
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

use core::mem::MaybeUninit;

use agent_abi::hook::{Hook, HookCounters};

use crate::{atomic, global::counters, scratch::zero};

/// A handler of system calls, once for each hook that tail-calls it: the kernel refuses programs of
/// another hook. The body is given its counters, registers, result and where it comes from.
macro_rules! handler {
    ($sys_exit:ident, $fexit:ident, $hook:expr, $body:ident) => {
        #[aya_ebpf::macros::btf_tracepoint(function = "sys_exit")]
        fn $sys_exit(ctx: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            if let Some(counters) = $crate::hooks::run($hook) {
                $body(counters, ctx.arg(0), ctx.arg(1), agent_abi::record::via::SYS_EXIT);
            }
            0
        }

        #[aya_ebpf::macros::fexit(function = "handler")]
        fn $fexit(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            if let Some(counters) = $crate::hooks::run($hook) {
                $body(counters, ctx.arg(0), ctx.arg(1), agent_abi::record::via::FEXIT);
            }
            // The program that called this one has entered.
            $crate::nesting::Shared::Fexit.leave();
            0
        }
    };
}
pub(crate) use handler;

/// The hook's counters, having counted the run.
#[inline(always)]
fn run(hook: Hook) -> Option<&'static mut HookCounters> {
    let counters = counters(hook)?;
    counters.seen += 1;
    Some(counters)
}

/// Runs `body` with the hook's counters, having counted the run.
#[inline(always)]
fn counted(hook: Hook, body: impl FnOnce(&mut HookCounters)) -> i32 {
    if let Some(counters) = run(hook) {
        body(counters);
    }
    0
}

/// Like [`counted`], for a hook that may run within itself on one CPU (a packet comes in while one
/// goes out): `body` counts for itself, and that is added up in a way that cannot be torn.
#[inline(always)]
fn counted_nested(hook: Hook, body: impl FnOnce(&mut HookCounters)) {
    let Some(counters) = counters(hook) else { return };
    let mut run = MaybeUninit::<HookCounters>::uninit();
    // SAFETY: plain numbers, all of them written.
    let run = unsafe {
        zero(run.as_mut_ptr());
        run.assume_init_mut()
    };
    run.seen = 1;
    body(run);
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
    } = *run;
    add(&raw mut counters.seen, seen);
    add(&raw mut counters.submitted, submitted);
    add(&raw mut counters.lost, lost);
    add(&raw mut counters.filtered, filtered);
    add(&raw mut counters.throttled, throttled);
    add(&raw mut counters.errors, errors);
    add(&raw mut counters.submitted_bulk, submitted_bulk);
    add(&raw mut counters.lost_bulk, lost_bulk);
}

/// Counts a run of such a hook that has nothing to report.
#[inline(always)]
fn filtered_nested(hook: Hook) {
    if let Some(counters) = counters(hook) {
        add(&raw mut counters.seen, 1);
        add(&raw mut counters.filtered, 1);
    }
}

#[inline(always)]
fn add(number: *mut u64, amount: u64) {
    if amount != 0 {
        // SAFETY: in a map value.
        unsafe { atomic::add(number, amount) };
    }
}
