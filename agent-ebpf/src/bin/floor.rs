//! Empty programs on the hooks of the agent: what the hooks cost by themselves. Each is named as
//! its tracepoint.
#![no_std]
#![no_main]

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

macro_rules! empty {
    ($($tracepoint:ident = $name:literal,)+) => { $(
        #[btf_tracepoint(function = $name)]
        fn $tracepoint(_: BtfTracePointContext) -> i32 {
            0
        }
    )+ };
}

empty! {
    cgroup_attach_task = "cgroup_attach_task",
    cgroup_mkdir = "cgroup_mkdir",
    cgroup_rmdir = "cgroup_rmdir",
    sched_process_exec = "sched_process_exec",
    sched_process_exit = "sched_process_exit",
    sched_process_fork = "sched_process_fork",
    sys_exit = "sys_exit",
}

/// A panic must not load: the verifier refuses a loop without an end.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
