//! Opened files, looked up behind the returned descriptor.

use agent_abi::{
    hook::Hook,
    record::{Open, file_flag, kind},
};
use aya_ebpf::{
    helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use super::counted;
use crate::{
    global::{offset, settings},
    read::{self, Probed, pointer, probe},
    ring::{self, Lane},
    scratch::{self, LargeSlot},
};

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit_open(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::Open, |counters| {
        let fd: i64 = ctx.arg(1);
        if fd < 0 || by_agent() {
            counters.filtered += 1;
            return;
        }
        let Some(record) = scratch::large(LargeSlot::SysExit) else { return };
        // SAFETY: the current task, every address checked by the helper that reads it; a large
        // scratch buffer.
        unsafe {
            let task = bpf_get_current_task();
            let open = record.cast::<Open>();
            let mut at = size_of::<Open>();
            read::task_ref::<Probed>(task, &raw mut (*open).task);
            (*open).cgroup_id = read::task_cgroup_id::<Probed>(task);
            let table = pointer(pointer(task, offset!(task_files)), offset!(files_fdt));
            let size = probe::<u32>(table + u64::from(offset!(fdtable_max_fds)));
            let file = if (fd as u64) < u64::from(size) {
                probe::<u64>(pointer(table, offset!(fdtable_fd)) + 8 * fd as u64)
            } else {
                0
            };
            let mount_ns = pointer(pointer(task, offset!(task_nsproxy)), offset!(nsproxy_mnt));
            read::describe(file, mount_ns, &raw mut (*open).file, record, &mut at, true);
            (*open).fd = fd as i32;
            (*open).open_flags = probe(file + u64::from(offset!(file_flags)));
            if file == 0 {
                // Another thread has closed it since.
                (*open).file.flags |= file_flag::RACED;
            }
            ring::send(counters, record, Lane::Bulk, kind::OPEN, 0, at);
        }
    })
}

/// The agent's own opens are not news to it.
#[inline(always)]
fn by_agent() -> bool {
    // SAFETY: the helper has no arguments; a map value.
    settings().is_some_and(|settings| unsafe {
        (bpf_get_current_pid_tgid() >> 32) as u32 == (*settings).agent_tgid
    })
}
