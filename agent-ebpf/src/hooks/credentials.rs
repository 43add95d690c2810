//! Calls that change what a task may do, after they succeeded.

use agent_abi::{
    hook::Hook,
    map::ABI_COMPAT,
    record::{Credentials, kind},
};
use aya_ebpf::{
    helpers::generated::bpf_get_current_task, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use super::{
    counted,
    sys_exit::{abi, number},
};
use crate::{
    global::offset,
    read::{self, Memory, Probed, Typed},
    ring::{self, Lane},
    scratch::{self, LargeSlot},
};

/// Highest return value that is an error number.
const MAX_ERRNO: i64 = -4095;

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit_credentials(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::Credentials, |counters| {
        let regs: u64 = ctx.arg(0);
        let returned: i64 = ctx.arg(1);
        if (MAX_ERRNO..0).contains(&returned) {
            counters.filtered += 1;
            return;
        }
        let abi = abi();
        let number = number(regs);
        // SAFETY: `pt_regs`, which the verifier knows.
        let (first, second, third): (u64, u64, u64) = unsafe {
            if abi == ABI_COMPAT {
                (
                    Typed::read(regs, offset!(regs_bx)),
                    Typed::read(regs, offset!(regs_cx)),
                    Typed::read(regs, offset!(regs_dx)),
                )
            } else {
                (
                    Typed::read(regs, offset!(regs_di)),
                    Typed::read(regs, offset!(regs_si)),
                    Typed::read(regs, offset!(regs_dx)),
                )
            }
        };
        if is_prctl(abi, number) && !changes_limits(first as u32) {
            counters.filtered += 1;
            return;
        }
        let Some(record) = scratch::large(LargeSlot::SysExit) else { return };
        // SAFETY: the current task; a large scratch buffer.
        unsafe {
            let task = bpf_get_current_task();
            let credentials = record.cast::<Credentials>();
            let mut at = size_of::<Credentials>();
            read::fill::<Probed>(task, &raw mut (*credentials).state);
            (*credentials).syscall_abi = abi;
            (*credentials).syscall = number;
            (*credentials).args = [first, second, third];
            (*credentials).reserved = 0;
            (*credentials).seccomp_allow = read::allow_bitmap::<Probed>(task, record, &mut at);
            ring::send(counters, record, Lane::Critical, kind::CREDENTIALS, 0, at);
        }
    })
}

/// `prctl` (arch/x86/entry/syscalls).
#[inline(always)]
fn is_prctl(abi: u32, number: u32) -> bool {
    number == if abi == ABI_COMPAT { 172 } else { 157 }
}

/// Options that change what a task may do (include/uapi/linux/prctl.h). The others, `PR_SET_NAME`
/// before all, are called by every thread.
#[inline(always)]
fn changes_limits(option: u32) -> bool {
    const PR_SET_SECCOMP: u32 = 22;
    const PR_CAPBSET_DROP: u32 = 24;
    const PR_SET_SECUREBITS: u32 = 28;
    const PR_SET_NO_NEW_PRIVS: u32 = 38;
    const PR_CAP_AMBIENT: u32 = 47;
    matches!(
        option,
        PR_SET_SECCOMP | PR_CAPBSET_DROP | PR_SET_SECUREBITS | PR_SET_NO_NEW_PRIVS | PR_CAP_AMBIENT
    )
}
