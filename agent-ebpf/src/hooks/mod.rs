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
mod path;
mod plain;
mod sys_exit;
mod task_scan;

use agent_abi::hook::{Hook, HookCounters};

use crate::global::counters;

/// A handler of system calls, once for each hook that tail-calls it: the kernel refuses programs of
/// another hook. The body is given registers, result and where it comes from.
macro_rules! handler {
    ($sys_exit:ident, $fexit:ident, $body:ident) => {
        #[aya_ebpf::macros::btf_tracepoint(function = "sys_exit")]
        fn $sys_exit(ctx: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            $body(ctx.arg(0), ctx.arg(1), agent_abi::record::via::SYS_EXIT)
        }

        #[aya_ebpf::macros::fexit(function = "handler")]
        fn $fexit(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            $body(ctx.arg(0), ctx.arg(1), agent_abi::record::via::FEXIT);
            // The program that called this one has entered.
            $crate::nesting::Shared::Fexit.leave();
            0
        }
    };
}
pub(crate) use handler;

/// Runs `body` with the hook's counters, having counted the run.
#[inline(always)]
fn counted(hook: Hook, body: impl FnOnce(&mut HookCounters)) -> i32 {
    if let Some(counters) = counters(hook) {
        counters.seen += 1;
        body(counters);
    }
    0
}
