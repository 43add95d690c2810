//! Calls that change what a task may do, after they succeeded.

use agent_abi::{
    hook::Hook,
    map::ABI_COMPAT,
    record::{Credentials, kind},
};
use aya_ebpf::{helpers::generated::bpf_get_current_task, macros::btf_tracepoint, programs::BtfTracePointContext};

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
        let Some(record) = scratch::large(LargeSlot::SysExit) else { return };
        // SAFETY: `pt_regs`, which the verifier knows; the current task; a large scratch buffer.
        unsafe {
            let task = bpf_get_current_task();
            let credentials = record.cast::<Credentials>();
            let mut at = size_of::<Credentials>();
            read::fill::<Probed>(task, &raw mut (*credentials).state);
            let abi = abi();
            (*credentials).syscall_abi = abi;
            (*credentials).syscall = number(regs);
            if abi == ABI_COMPAT {
                (*credentials).args[0] = Typed::read(regs, offset!(regs_bx));
                (*credentials).args[1] = Typed::read(regs, offset!(regs_cx));
            } else {
                (*credentials).args[0] = Typed::read(regs, offset!(regs_di));
                (*credentials).args[1] = Typed::read(regs, offset!(regs_si));
            }
            (*credentials).args[2] = Typed::read(regs, offset!(regs_dx));
            (*credentials).reserved = 0;
            (*credentials).seccomp_allow = read::allow_bitmap::<Probed>(task, record, &mut at);
            ring::send(counters, record, Lane::Critical, kind::CREDENTIALS, 0, at);
        }
    })
}
