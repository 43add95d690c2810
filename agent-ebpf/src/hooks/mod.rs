//! The programs, one file a hook family.

mod call;
mod cgroup;
mod credentials;
mod exec;
mod exit;
mod file;
mod filter;
mod fork;
mod oom;
mod path;
mod plain;
mod signal;
mod sys_enter;
mod sys_exit;
mod sysctl;
mod task_scan;
mod uring;

use agent_abi::hook::{Hook, HookCounters};

use crate::global::counters;

/// Runs `body` with the hook's counters, having counted the run.
#[inline(always)]
fn counted(hook: Hook, body: impl FnOnce(&mut HookCounters)) -> i32 {
    if let Some(counters) = counters(hook) {
        counters.seen += 1;
        body(counters);
    }
    0
}
