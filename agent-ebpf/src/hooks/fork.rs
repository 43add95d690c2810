//! `sched_process_fork(parent, child)`: new processes.

use agent_abi::{
    hook::Hook,
    record::{Fork, kind},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::counted;
use crate::{
    read::{self, Typed},
    ring::{self, Lane},
    scratch::{self, SmallSlot},
};

#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::Fork, |counters| {
        let creator: u64 = ctx.arg(0);
        let child: u64 = ctx.arg(1);
        // SAFETY: both are `task_struct` pointers that the verifier knows.
        unsafe {
            if !read::is_leader::<Typed>(child) || read::is_kernel_thread::<Typed>(child) {
                counters.filtered += 1;
                return;
            }
            let Some(record) = scratch::small(SmallSlot::Fork) else {
                counters.errors += 1;
                return;
            };
            let fork = record.cast::<Fork>();
            read::fill::<Typed>(child, &raw mut (*fork).child);
            read::task_ref::<Typed>(creator, &raw mut (*fork).creator);
            ring::send(counters, record, Lane::Critical, kind::FORK, 0, size_of::<Fork>());
        }
    })
}
