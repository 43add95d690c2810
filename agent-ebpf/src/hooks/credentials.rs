//! Calls that change what a task may do, after they succeeded.

use agent_abi::{
    hook::Hook,
    record::{Credentials, kind},
};
use aya_ebpf::{
    helpers::generated::bpf_get_current_task, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use super::{
    call::{self, argument},
    counted,
};
use crate::{
    read::{self, Probed},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit_credentials(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::Credentials, |counters| {
        let regs: u64 = ctx.arg(0);
        let raw = call::raw_number(regs);
        let abi = call::abi(raw);
        let Some(record) = scratch::large(LargeSlot::SysExit) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: the current task; a large scratch buffer.
        unsafe {
            let task = bpf_get_current_task();
            let credentials = record.cast::<Credentials>();
            let tail = Tail::new(record, size_of::<Credentials>());
            read::fill::<Probed>(task, &raw mut (*credentials).state);
            (*credentials).syscall_abi = u32::from(abi);
            (*credentials).syscall = call::number(raw);
            (*credentials).args = [argument(regs, abi, 0), argument(regs, abi, 1), argument(regs, abi, 2)];
            (*credentials).reserved = 0;
            (*credentials).seccomp_allow = read::allow_bitmap::<Probed>(task, tail);
            ring::send(counters, record, Lane::Critical, kind::CREDENTIALS, 0, tail.end());
        }
    })
}
