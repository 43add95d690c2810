//! `cgroup/sysctl`: writes of kernel parameters. It only watches: every access is let through.

use core::ptr::read_volatile;

use agent_abi::{
    hook::Hook,
    record::{Span, Sysctl, kind},
};
use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_sysctl,
    helpers::generated::{bpf_get_current_task, bpf_sysctl_get_name, bpf_sysctl_get_new_value},
    macros::cgroup_sysctl,
    programs::SysctlContext,
};

use super::counted;
use crate::{
    global::settings,
    read::{self, Probed},
    ring::{self, Lane},
    scratch::{self, SmallSlot},
};

/// The access goes on.
const ALLOW: i32 = 1;
/// Most bytes of a name or a value, its NUL included.
const TEXT: usize = 256;

#[cgroup_sysctl]
fn sysctl(ctx: SysctlContext) -> i32 {
    let access = ctx.as_ptr().cast::<bpf_sysctl>();
    // SAFETY: the context of this kind of program.
    if unsafe { read_volatile(&raw const (*access).write) } != 0 {
        written(access);
    }
    ALLOW
}

#[inline(always)]
fn written(access: *mut bpf_sysctl) {
    counted(Hook::Sysctl, |counters| {
        let Some(record) = scratch::small(SmallSlot::Sysctl) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: the current task; a scratch buffer with room for both texts; the context.
        unsafe {
            let fixed = record.cast::<Sysctl>();
            let task = bpf_get_current_task();
            read::task_ref::<Probed>(task, &raw mut (*fixed).task);
            let agent = settings().map_or(0, |settings| read_volatile(&raw const (*settings).agent_tgid));
            if read_volatile(&raw const (*fixed).task.tgid) == agent {
                counters.filtered += 1;
                return;
            }
            (*fixed).cgroup_id = read::task_cgroup_id::<Probed>(task);
            let start = size_of::<Sysctl>();
            let len = bpf_sysctl_get_name(access, record.add(start).cast(), TEXT as u64, 0);
            let len = text_len(len);
            (*fixed).name = Span { offset: start as u16, len: len as u16 };
            let start = start + len;
            let value = bpf_sysctl_get_new_value(access, record.add(start).cast(), TEXT as u64);
            let len = text_len(value);
            (*fixed).value = Span { offset: start as u16, len: len as u16 };
            ring::send(counters, record, Lane::Critical, kind::SYSCTL, 0, start + len);
        }
    });
}

/// Bytes that a helper has written, from what it returned. What does not fit is cut off.
#[inline(always)]
fn text_len(returned: i64) -> usize {
    const E2BIG: i64 = -7;
    if returned == E2BIG {
        TEXT - 1
    } else if returned < 0 {
        0
    } else {
        returned as usize & (TEXT - 1)
    }
}
