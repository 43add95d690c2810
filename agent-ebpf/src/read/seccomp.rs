//! What a task's seccomp filters let through.

use agent_abi::{
    offset::ABSENT,
    record::{SECCOMP_BITMAP_BYTES, Span},
};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use super::{Memory, pointer};
use crate::{
    global::{BOOT, frozen, offset},
    scratch::Tail,
};

/// Appends the kernel's bitmap of unconditionally allowed native calls to `tail`. It
/// covers the whole chain of filters (kernel/seccomp.c, `seccomp_cache_prepare`).
///
/// # Safety
/// `task` is a `task_struct` pointer of the kind that `M` reads.
#[inline(always)]
pub unsafe fn allow_bitmap<M: Memory>(task: u64, tail: Tail) -> Span {
    let none = Span { offset: 0, len: 0 };
    if offset!(task_seccomp_filter) == ABSENT || offset!(seccomp_filter_allow) == ABSENT {
        return none;
    }
    let bytes = frozen(&BOOT.seccomp_bitmap_bytes);
    if bytes == 0 || bytes as usize > SECCOMP_BITMAP_BYTES {
        return none;
    }
    // SAFETY: a field of the task, then the helper checks the address; the tail has room.
    unsafe {
        let filter = pointer(task, offset!(task_seccomp_filter));
        if filter == 0 {
            return none;
        }
        let start = tail.start();
        let address = filter + u64::from(offset!(seccomp_filter_allow));
        if bpf_probe_read_kernel(tail.place(start).cast(), bytes, address as *const _) != 0 {
            return none;
        }
        tail.take(start, bytes as usize)
    }
}
