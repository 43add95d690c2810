//! `signal_generate(sig, info, task, group, result)`: signals for the agent, which may end it before
//! the call that sends them returns.

use core::ptr::read_volatile;

use agent_abi::{
    hook::Hook,
    record::{Signal, kind},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::counted;
use crate::{
    global::{offset, settings},
    read::{Current, Memory, Typed, probe},
    ring::{self, Lane},
    scratch::{self, SmallSlot},
};

/// `SEND_SIG_NOINFO` and `SEND_SIG_PRIV` stand for the address of an `info` (include/linux/sched/signal.h).
const NO_INFO: u64 = 0;
const PRIVILEGED: u64 = 1;
/// `SI_USER` and `SI_KERNEL` (include/uapi/asm-generic/siginfo.h).
const BY_USER: i32 = 0;
const BY_KERNEL: i32 = 0x80;
/// Of x86 and arm64 (include/uapi/asm-generic/signal.h).
const SIGCHLD: i32 = 17;
/// Of `si_code` in `struct kernel_siginfo`, after `si_signo` and `si_errno`.
const CODE_OFFSET: u64 = 8;

#[btf_tracepoint(function = "signal_generate")]
fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    let (signal, info, target): (i32, u64, u64) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let Some(settings) = settings() else { return 0 };
    let current = Current::get();
    // SAFETY: a map value; a `task_struct` pointer that the verifier knows.
    let (agent, tgid, sender) = unsafe {
        (
            read_volatile(&raw const (*settings).agent_tgid),
            Typed::read::<u32>(target, offset!(task_tgid)),
            current.tgid(),
        )
    };
    // Signals of others are not counted: every exit of a process sends one. Nor does the end of its
    // own children stop the agent.
    if agent == 0 || tgid != agent || sender == agent || signal == SIGCHLD {
        return 0;
    }
    counted(Hook::Signal, |counters| {
        let Some(record) = scratch::small(SmallSlot::Signal) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: the current task; a scratch buffer.
        unsafe {
            let fixed = record.cast::<Signal>();
            current.task_ref(&raw mut (*fixed).task);
            (*fixed).cgroup_id = current.cgroup_id();
            (*fixed).signal = signal as u32;
            (*fixed).code = match info {
                NO_INFO => BY_USER,
                PRIVILEGED => BY_KERNEL,
                info => probe(info + CODE_OFFSET),
            };
            ring::send(counters, record, Lane::Critical, kind::SIGNAL, 0, size_of::<Signal>());
        }
    })
}
