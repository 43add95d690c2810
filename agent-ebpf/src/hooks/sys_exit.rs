//! `sys_exit(regs, ret)`: one look-up for calls that nobody wants, a tail call for the others.

use agent_abi::{
    hook::Hook,
    map::{ABI_COMPAT, ABI_NATIVE, INTEREST_COMPAT_SHIFT, SYSCALLS},
    offset::ABSENT,
};
use aya_ebpf::{
    helpers::generated::bpf_get_current_task, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use crate::{
    global::{BOOT, INTEREST, SYS_EXIT_HANDLERS, counters, frozen, offset},
    read::{Memory, Typed, probe},
};

/// `__X32_SYSCALL_BIT` (arch/x86/include/uapi/asm/unistd.h): x32 shares the native numbers.
const X32_BIT: u64 = 0x4000_0000;

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs: u64 = ctx.arg(0);
    let number = number(regs);
    let Some(&interest) = INTEREST.get(number) else { return 0 };
    if interest == 0 || number >= SYSCALLS {
        return 0;
    }
    let handler = if abi() == ABI_COMPAT { interest >> INTEREST_COMPAT_SHIFT } else { interest } & 0xff;
    if handler == 0 {
        return 0;
    }
    // Calls that nobody wants are not counted: this runs at every call of every task.
    if let Some(counters) = counters(Hook::SysExit) {
        counters.seen += 1;
        counters.handed_on += 1;
    }
    // SAFETY: the handlers are programs of this same hook.
    unsafe { SYS_EXIT_HANDLERS.tail_call(&ctx, handler) };
    if let Some(counters) = counters(Hook::SysExit) {
        counters.handed_on -= 1;
        counters.tail_failed += 1;
    }
    0
}

/// Number of the call that returns.
#[inline(always)]
pub(super) fn number(regs: u64) -> u32 {
    // SAFETY: `pt_regs`, which the verifier knows.
    (unsafe { Typed::read::<u64>(regs, offset!(regs_orig_ax)) } & !X32_BIT) as u32
}

/// Whether the current call is a 32-bit one. `orig_ax` and `cs` do not tell (`int 0x80` from
/// 64-bit code), the thread's status does.
#[inline(always)]
pub(super) fn abi() -> u32 {
    if offset!(task_thread_status) == ABSENT {
        return ABI_NATIVE;
    }
    // SAFETY: the helper returns the current task.
    let task = unsafe { bpf_get_current_task() };
    let status = probe::<u32>(task + u64::from(offset!(task_thread_status)));
    if status & frozen(&BOOT.ts_compat) != 0 { ABI_COMPAT } else { ABI_NATIVE }
}
