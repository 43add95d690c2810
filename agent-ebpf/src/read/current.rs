//! What is read of the current task: directly where the kernel gives a pointer that the verifier knows
//! (5.11), else like all else.

use agent_abi::record::TaskRef;
use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf};

use super::{Memory, Probed, Typed, pointer, probe, task_cgroup_id, task_ref};
use crate::global::{BOOT, frozen, offset};

/// The current task. To be asked for once in a program: the helper's call costs as much as many loads.
#[derive(Clone, Copy)]
pub struct Current(u64);

/// Reads by the way that this kernel has.
macro_rules! by {
    ($current:expr, $read:ident($($argument:expr),*)) => {
        // SAFETY: the first is a pointer that the verifier knows.
        unsafe {
            if frozen(&BOOT.has_task_btf) != 0 {
                $read::<Typed>($current.0 $(, $argument)*)
            } else {
                $read::<Probed>($current.0 $(, $argument)*)
            }
        }
    };
}

impl Current {
    #[inline(always)]
    pub fn get() -> Self {
        // SAFETY: the helpers have no arguments.
        Self(unsafe {
            if frozen(&BOOT.has_task_btf) != 0 {
                bpf_get_current_task_btf() as u64
            } else {
                bpf_get_current_task() as u64
            }
        })
    }

    /// Address of `task_struct`.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0
    }

    /// Thread group, as the first PID namespace numbers it.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        #[inline(always)]
        unsafe fn read<M: Memory>(task: u64) -> u32 {
            // SAFETY: a field from the offset table.
            unsafe { M::read(task, offset!(task_tgid)) }
        }
        by!(self, read())
    }

    /// Who it is.
    ///
    /// # Safety
    /// `out` is writable.
    #[inline(always)]
    pub unsafe fn task_ref(self, out: *mut TaskRef) {
        by!(self, task_ref(out));
    }

    /// Inode number of the cgroup in the hierarchy that containers live in.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        by!(self, task_cgroup_id())
    }

    /// What tells a 32-bit call.
    #[inline(always)]
    pub fn status(self) -> u32 {
        #[inline(always)]
        unsafe fn read<M: Memory>(task: u64) -> u32 {
            // SAFETY: a field from the offset table.
            unsafe { M::read(task, offset!(task_thread_status)) }
        }
        by!(self, read())
    }

    /// Address of the mount namespace.
    #[inline(always)]
    pub fn mount_ns(self) -> u64 {
        #[inline(always)]
        unsafe fn read<M: Memory>(task: u64) -> u64 {
            // SAFETY: fields from the offset table.
            unsafe { M::read(M::read::<u64>(task, offset!(task_nsproxy)), offset!(nsproxy_mnt)) }
        }
        by!(self, read())
    }

    /// Whether no other task shares its descriptors.
    #[inline(always)]
    pub fn has_own_descriptors(self) -> bool {
        #[inline(always)]
        unsafe fn read<M: Memory>(task: u64) -> u32 {
            // SAFETY: fields from the offset table.
            unsafe { M::read(M::read::<u64>(task, offset!(task_files)), offset!(files_count)) }
        }
        by!(self, read()) == 1
    }

    /// The `file` behind a descriptor, or 0.
    #[inline(always)]
    pub fn file(self, fd: u32) -> u64 {
        #[inline(always)]
        unsafe fn read<M: Memory>(task: u64, fd: u32) -> u64 {
            // SAFETY: fields from the offset table; the address of the entry may be anything.
            unsafe {
                let table = M::read::<u64>(M::read::<u64>(task, offset!(task_files)), offset!(files_fdt));
                if fd >= M::read::<u32>(table, offset!(fdtable_max_fds)) {
                    return 0;
                }
                probe(M::read::<u64>(table, offset!(fdtable_fd)) + 8 * u64::from(fd))
            }
        }
        by!(self, read(fd))
    }

    /// Address of `fs_struct`.
    #[inline(always)]
    pub fn fs(self) -> u64 {
        pointer(self.0, offset!(task_fs))
    }
}
