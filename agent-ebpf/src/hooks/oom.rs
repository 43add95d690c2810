//! `mark_victim`: the kernel kills a process for its memory.

use agent_abi::{
    hook::Hook,
    record::{OomKill, TaskRef, kind},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::counted;
use crate::{
    read::{self, Typed},
    ring::{self, Lane},
    scratch::{self, SmallSlot},
};

/// `mark_victim(task, uid)`.
#[btf_tracepoint(function = "mark_victim")]
fn mark_victim(ctx: BtfTracePointContext) -> i32 {
    let victim: u64 = ctx.arg(0);
    // SAFETY: a `task_struct` pointer that the verifier knows.
    killed(|record| unsafe {
        read::task_ref::<Typed>(victim, &raw mut (*record).task);
        (*record).cgroup_id = read::task_cgroup_id::<Typed>(victim);
    })
}

/// `mark_victim(pid)`: of a thread, which is the leader in all but odd cases.
#[btf_tracepoint(function = "mark_victim")]
fn mark_victim_pid(ctx: BtfTracePointContext) -> i32 {
    let pid: i32 = ctx.arg(0);
    // SAFETY: a scratch buffer.
    killed(|record| unsafe {
        (*record).task = TaskRef { leader_start_ns: 0, tgid: pid as u32, tid: pid as u32 };
        (*record).cgroup_id = 0;
    })
}

#[inline(always)]
fn killed(fill: impl FnOnce(*mut OomKill)) -> i32 {
    counted(Hook::OomKill, |counters| {
        let Some(record) = scratch::small(SmallSlot::OomKill) else {
            counters.errors += 1;
            return;
        };
        fill(record.cast());
        // SAFETY: a scratch buffer.
        unsafe { ring::send(counters, record, Lane::Critical, kind::OOM_KILL, 0, size_of::<OomKill>()) };
    })
}
