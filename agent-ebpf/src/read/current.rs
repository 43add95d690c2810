//! What is read of the current task: directly where the kernel gives a pointer that the verifier knows
//! (5.11), else by the helper that reads any address.

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf};

use super::{Memory, Probed, Typed, pointer, probe};
use crate::global::{BOOT, frozen, offset};

/// Reads by the way that this kernel has.
macro_rules! current {
    ($read:ident($($argument:expr),*)) => {
        // SAFETY: both helpers return the current task, the first as one that the verifier knows.
        unsafe {
            if frozen(&BOOT.has_task_btf) != 0 {
                $read::<Typed>(bpf_get_current_task_btf() as u64 $(, $argument)*)
            } else {
                $read::<Probed>(bpf_get_current_task() $(, $argument)*)
            }
        }
    };
}

/// `start_boottime` of the thread group's leader, in nanoseconds.
#[inline(always)]
pub fn current_leader_start() -> u64 {
    #[inline(always)]
    unsafe fn read<M: Memory>(task: u64) -> u64 {
        // SAFETY: fields from the offset table.
        unsafe { M::read(M::read::<u64>(task, offset!(task_group_leader)), offset!(task_start_boottime)) }
    }
    current!(read())
}

/// What tells a 32-bit call.
#[inline(always)]
pub fn current_status() -> u32 {
    #[inline(always)]
    unsafe fn read<M: Memory>(task: u64) -> u32 {
        // SAFETY: a field from the offset table.
        unsafe { M::read(task, offset!(task_thread_status)) }
    }
    current!(read())
}

/// Address of the mount namespace.
#[inline(always)]
pub fn current_mount_ns() -> u64 {
    #[inline(always)]
    unsafe fn read<M: Memory>(task: u64) -> u64 {
        // SAFETY: fields from the offset table.
        unsafe { M::read(M::read::<u64>(task, offset!(task_nsproxy)), offset!(nsproxy_mnt)) }
    }
    current!(read())
}

/// How many tasks share the descriptors.
#[inline(always)]
pub fn current_files_users() -> u32 {
    #[inline(always)]
    unsafe fn read<M: Memory>(task: u64) -> u32 {
        // SAFETY: fields from the offset table.
        unsafe { M::read(M::read::<u64>(task, offset!(task_files)), offset!(files_count)) }
    }
    current!(read())
}

/// The `file` behind a descriptor, or 0.
#[inline(always)]
pub fn current_file(fd: u32) -> u64 {
    #[inline(always)]
    unsafe fn read<M: Memory>(task: u64, fd: u32) -> u64 {
        // SAFETY: fields from the offset table; the helper checks the address of the entry.
        unsafe {
            let table = M::read::<u64>(M::read::<u64>(task, offset!(task_files)), offset!(files_fdt));
            if fd >= M::read::<u32>(table, offset!(fdtable_max_fds)) {
                return 0;
            }
            probe(M::read::<u64>(table, offset!(fdtable_fd)) + 8 * u64::from(fd))
        }
    }
    current!(read(fd))
}

/// Address of `fs_struct`.
#[inline(always)]
pub fn current_fs() -> u64 {
    // SAFETY: the helper returns the current task.
    pointer(unsafe { bpf_get_current_task() }, offset!(task_fs))
}
