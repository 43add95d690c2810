//! Empty programs on the hooks of the agent: what the hooks cost by themselves. Each is named as the
//! pin of the agent's hook.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_tracepoint, cgroup_skb, cgroup_sysctl},
    programs::{BtfTracePointContext, SkBuffContext, SysctlContext},
};

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
    cgroup_release = "cgroup_release",
    cgroup_rename = "cgroup_rename",
    cgroup_rmdir = "cgroup_rmdir",
    inet_sock_set_state = "inet_sock_set_state",
    io_uring_complete = "io_uring_complete",
    io_uring_submit = "io_uring_submit_req",
    mark_victim = "mark_victim",
    sched_process_exec = "sched_process_exec",
    sched_process_exit = "sched_process_exit",
    sched_process_fork = "sched_process_fork",
    signal_generate = "signal_generate",
    sys_enter = "cap_capable",
    sys_exit = "sys_exit",
}

/// Lets every packet through.
#[cgroup_skb]
fn cgroup_skb_ingress(_: SkBuffContext) -> i32 {
    1
}

/// As above.
#[cgroup_skb]
fn cgroup_skb_egress(_: SkBuffContext) -> i32 {
    1
}

/// Lets every write happen.
#[cgroup_sysctl]
fn cgroup_sysctl(_: SysctlContext) -> i32 {
    1
}

/// A panic must not load: the verifier refuses a loop without an end.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
