//! `sched_process_exec(task, old_pid, bprm)`: a new image, its credentials in force.

use agent_abi::{
    hook::Hook,
    record::{ARGV_BYTES, Exec, FILENAME_BYTES, Span, exec_truncated, file_flag, header_flag, kind},
};
use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use super::counted;
use crate::{
    global::offset,
    read::{self, Depth, Memory, Typed, pointer},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::Exec, |counters| {
        let task: u64 = ctx.arg(0);
        let old_tid: i32 = ctx.arg(1);
        let bprm: u64 = ctx.arg(2);
        let Some(record) = scratch::large(LargeSlot::Exec) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: pointers that the verifier knows, and a large scratch buffer.
        unsafe {
            let exec = record.cast::<Exec>();
            let tail = Tail::new(record, size_of::<Exec>());
            let shrink = ring::under_pressure();
            image(task, exec, tail, !shrink);
            (*exec).old_tid = old_tid as u32;
            let mut flags = header_flag::SHRUNK;
            if !shrink {
                flags = 0;
                let mut truncated = (*exec).truncated;
                (*exec).filename = filename(bprm, tail, &mut truncated);
                (*exec).argv = argv(task, tail, &mut truncated);
                (*exec).truncated = truncated;
            }
            ring::send(counters, record, Lane::Critical, kind::EXEC, flags, tail.end());
        }
    })
}

/// Fills in what is known of any task: state, executable, working directory, seccomp bitmap.
///
/// # Safety
/// `task` is a `task_struct` pointer that the verifier knows, `exec` the front of the record that `tail` is of.
#[inline(always)]
pub(super) unsafe fn image(task: u64, exec: *mut Exec, tail: Tail, whole: bool) {
    let none = Span { offset: 0, len: 0 };
    // SAFETY: as the caller's.
    unsafe {
        read::fill::<Typed>(task, &raw mut (*exec).state);
        let mm = Typed::read::<u64>(task, offset!(task_mm));
        let exe = pointer(mm, offset!(mm_exe_file));
        let proxy = pointer(task, offset!(task_nsproxy));
        let mount_ns = pointer(proxy, offset!(nsproxy_mnt));
        (*exec).argv = none;
        (*exec).filename = none;
        (*exec).cwd = none;
        (*exec).seccomp_allow = none;
        (*exec).truncated = 0;
        (*exec).old_tid = 0;
        read::describe(
            exe,
            mount_ns,
            &raw mut (*exec).exe,
            tail,
            if whole { Depth::WHOLE } else { Depth::NoPath },
        );
        if !whole {
            (*exec).exe.flags |= file_flag::PATH_TRUNCATED;
            return;
        }
        let fs = pointer(task, offset!(task_fs));
        let vfsmount = pointer(fs, offset!(fs_pwd) + offset!(path_mnt));
        let dentry = pointer(fs, offset!(fs_pwd) + offset!(path_dentry));
        if !read::append_path(vfsmount, dentry, &raw mut (*exec).cwd, tail) {
            (*exec).truncated |= exec_truncated::CWD;
        }
        (*exec).seccomp_allow = read::allow_bitmap::<Typed>(task, tail);
    }
}

#[inline(always)]
unsafe fn filename(bprm: u64, tail: Tail, truncated: &mut u32) -> Span {
    let start = tail.start();
    // SAFETY: the tail has room; the helper checks the address.
    let len = unsafe {
        let name = pointer(bprm, offset!(binprm_filename));
        bpf_probe_read_kernel_str(tail.place(start).cast(), FILENAME_BYTES as u32, name as *const _)
    };
    if len <= 0 {
        return Span { offset: 0, len: 0 };
    }
    if len as usize == FILENAME_BYTES {
        *truncated |= exec_truncated::FILENAME;
    }
    // Without its NUL.
    tail.take(start, (len - 1) as usize & (2 * FILENAME_BYTES - 1))
}

#[inline(always)]
unsafe fn argv(task: u64, tail: Tail, truncated: &mut u32) -> Span {
    let start = tail.start();
    // SAFETY: fields of the task's new image; the tail has room; the helper checks the
    // address, which is the current task's own.
    unsafe {
        let mm = Typed::read::<u64>(task, offset!(task_mm));
        let from = pointer(mm, offset!(mm_arg_start));
        let bytes = pointer(mm, offset!(mm_arg_end)).wrapping_sub(from);
        let mut len = bytes;
        if bytes >= ARGV_BYTES as u64 {
            *truncated |= exec_truncated::ARGV;
            len = ARGV_BYTES as u64 - 1;
        }
        let len = (len & (ARGV_BYTES as u64 - 1)) as u32;
        if len == 0 || bpf_probe_read_user(tail.place(start).cast(), len, from as *const _) != 0 {
            *truncated |= exec_truncated::ARGV;
            return Span { offset: 0, len: 0 };
        }
        tail.take(start, len as usize)
    }
}
