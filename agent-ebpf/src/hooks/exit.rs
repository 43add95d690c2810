//! `sched_process_exit(task)`: the end of a process.

use agent_abi::{
    hook::Hook,
    record::{Exit, kind},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::counted;
use crate::{
    global::offset,
    read::{self, Memory, Typed},
    ring::{self, Lane},
    scratch::{self, SmallSlot},
};

#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::Exit, |counters| {
        let task: u64 = ctx.arg(0);
        // SAFETY: a `task_struct` pointer that the verifier knows.
        unsafe {
            if !read::is_group_dead::<Typed>(task) || read::is_kernel_thread::<Typed>(task) {
                counters.filtered += 1;
                return;
            }
            let Some(record) = scratch::small(SmallSlot::Exit) else {
                counters.errors += 1;
                return;
            };
            let exit = record.cast::<Exit>();
            read::task_ref::<Typed>(task, &raw mut (*exit).task);
            (*exit).cgroup_id = read::task_cgroup_id::<Typed>(task);
            let signal = Typed::read::<u64>(task, offset!(task_signal));
            let group = Typed::read::<u32>(signal, offset!(signal_group_exit_code));
            // Set when the group was ended as one (exit_group, a signal), else the thread's own.
            (*exit).status = if group != 0 { group } else { Typed::read(task, offset!(task_exit_code)) };
            (*exit).reserved = 0;
            ring::send(counters, record, Lane::Critical, kind::EXIT, 0, size_of::<Exit>());
        }
    })
}
