//! What happens to cgroups: made, removed, renamed, released, joined.

use agent_abi::{
    hook::{Hook, HookCounters},
    record::{CGROUP_PATH_BYTES, Cgroup, Span, kind},
};
use aya_ebpf::{
    helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel_str},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use super::counted;
use crate::{
    read::{self, Memory, Probed, Typed},
    ring::{self, Lane},
    scratch::{self, SmallSlot},
};

#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    by_current(&ctx, Hook::CgroupMkdir, SmallSlot::CgroupMkdir, kind::CGROUP_MKDIR)
}

#[btf_tracepoint(function = "cgroup_rmdir")]
fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    by_current(&ctx, Hook::CgroupRmdir, SmallSlot::CgroupRmdir, kind::CGROUP_RMDIR)
}

#[btf_tracepoint(function = "cgroup_rename")]
fn cgroup_rename(ctx: BtfTracePointContext) -> i32 {
    by_current(&ctx, Hook::CgroupRename, SmallSlot::CgroupRename, kind::CGROUP_RENAME)
}

#[btf_tracepoint(function = "cgroup_release")]
fn cgroup_release(ctx: BtfTracePointContext) -> i32 {
    by_current(&ctx, Hook::CgroupRelease, SmallSlot::CgroupRelease, kind::CGROUP_RELEASE)
}

/// What the current task did to a cgroup (or the kernel in its place: it releases in a worker).
#[inline(always)]
fn by_current(ctx: &BtfTracePointContext, hook: Hook, slot: SmallSlot, kind: u16) -> i32 {
    counted(hook, |counters| {
        // SAFETY: the helper returns the current task; the arguments of these tracepoints.
        unsafe { report::<Probed>(counters, slot, kind, ctx.arg(0), ctx.arg(1), bpf_get_current_task()) }
    })
}

#[btf_tracepoint(function = "cgroup_attach_task")]
fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::CgroupAttach, |counters| {
        let task: u64 = ctx.arg(2);
        // SAFETY: the arguments of this tracepoint.
        unsafe {
            report::<Typed>(
                counters,
                SmallSlot::CgroupAttach,
                kind::CGROUP_ATTACH,
                ctx.arg(0),
                ctx.arg(1),
                task,
            )
        }
    })
}

/// # Safety
/// `cgroup` is a pointer that the verifier knows, `task` one of the kind that `M` reads.
#[inline(always)]
unsafe fn report<M: Memory>(
    counters: &mut HookCounters,
    slot: SmallSlot,
    kind: u16,
    cgroup: u64,
    path: u64,
    task: u64,
) {
    // SAFETY: as the caller's; the path has a fixed place in the small buffer.
    unsafe {
        let Some(hierarchy) = read::cgroup_in_hierarchy(cgroup) else {
            counters.filtered += 1;
            return;
        };
        let Some(record) = scratch::small(slot) else {
            counters.errors += 1;
            return;
        };
        let fixed = record.cast::<Cgroup>();
        (*fixed).cgroup_id = read::cgroup_id::<Typed>(cgroup);
        (*fixed).hierarchy = hierarchy;
        read::task_ref::<M>(task, &raw mut (*fixed).task);
        let start = size_of::<Cgroup>();
        let len =
            bpf_probe_read_kernel_str(record.add(start).cast(), CGROUP_PATH_BYTES as u32, path as *const _);
        let len = if len > 0 { (len as usize - 1) & (CGROUP_PATH_BYTES - 1) } else { 0 };
        (*fixed).path = Span { offset: start as u16, len: len as u16 };
        ring::send(counters, record, Lane::Critical, kind, 0, start + len);
    }
}
