//! `iter/task`: what already runs, in the records that exec makes.

use agent_abi::{
    hook::Hook,
    offset::ABSENT,
    record::{Exec, kind},
};
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_seq_write};

use super::{counted, exec::image};
use crate::{
    global::offset,
    read::{self, Memory, Typed},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

/// Longest record: a mask, so that the verifier sees the bound.
const LEN_MASK: usize = 0x3fff;

/// `struct bpf_iter__task` (kernel/bpf/task_iter.c).
#[repr(C)]
pub struct TaskIterator {
    /// `struct bpf_iter_meta`, whose first field is the `seq_file`.
    meta: u64,
    /// Null after the last task.
    task: u64,
}

#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
fn task_scan(ctx: *mut TaskIterator) -> i32 {
    // SAFETY: the verifier knows the layout of the context and its pointers.
    let (meta, task) = unsafe {
        (core::ptr::read_volatile(&raw const (*ctx).meta), core::ptr::read_volatile(&raw const (*ctx).task))
    };
    if task == 0 {
        return 0;
    }
    counted(Hook::TaskScan, |counters| {
        // SAFETY: a `task_struct` pointer that the verifier knows; a large scratch buffer.
        unsafe {
            if !is_wanted(task) {
                counters.filtered += 1;
                return;
            }
            let Some(record) = scratch::large(LargeSlot::TaskScan) else {
                counters.errors += 1;
                return;
            };
            let exec = record.cast::<Exec>();
            let tail = Tail::new(record, size_of::<Exec>());
            // Before anything is read: what an event tells meanwhile is newer.
            let boottime_ns = bpf_ktime_get_boot_ns();
            image(task, exec, tail, true);
            if read::exec_id::<Typed>(task) != (*exec).state.exec_id {
                // Half of this is of the image before. The record of the exec tells all of it.
                counters.filtered += 1;
                return;
            }
            let len = tail.end();
            ring::stamp(record, Lane::Critical, kind::SCAN, 0, len, 0);
            (*exec).header.boottime_ns = boottime_ns;
            let sequence_file = Typed::read::<u64>(meta, 0);
            if bpf_seq_write(sequence_file as *mut _, record.cast(), (len & LEN_MASK) as u32) == 0 {
                counters.submitted += 1;
            } else {
                counters.lost += 1;
            }
        }
    });
    0
}

/// Processes, threads that differ from their leader, and of the kernel's own threads the first,
/// which has the host's namespaces.
#[inline(always)]
unsafe fn is_wanted(task: u64) -> bool {
    const KTHREADD: u32 = 2;
    // SAFETY: fields from the offset table.
    unsafe {
        // Its memory and its filters are gone, or go: there is nothing left to judge.
        if read::is_group_dead::<Typed>(task) {
            false
        } else if read::is_kernel_thread::<Typed>(task) {
            Typed::read::<u32>(task, offset!(task_pid)) == KTHREADD
        } else {
            read::is_leader::<Typed>(task) || differs_from_leader(task)
        }
    }
}

/// Whether a thread may do other things than its leader. Threads share nothing of this: each has
/// its own credentials, no_new_privs and seccomp state.
#[inline(always)]
unsafe fn differs_from_leader(task: u64) -> bool {
    // SAFETY: fields from the offset table.
    unsafe {
        let leader = Typed::read::<u64>(task, offset!(task_group_leader));
        Typed::read::<u64>(task, offset!(task_real_cred))
            != Typed::read::<u64>(leader, offset!(task_real_cred))
            || Typed::read::<u64>(task, offset!(task_atomic_flags)) & 1
                != Typed::read::<u64>(leader, offset!(task_atomic_flags)) & 1
            || Typed::read::<u32>(task, offset!(task_seccomp_mode))
                != Typed::read::<u32>(leader, offset!(task_seccomp_mode))
            || (offset!(task_seccomp_filter) != ABSENT
                && Typed::read::<u64>(task, offset!(task_seccomp_filter))
                    != Typed::read::<u64>(leader, offset!(task_seccomp_filter)))
    }
}
