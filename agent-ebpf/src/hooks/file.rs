//! Calls that open a file, or work on an open one. The file is looked up behind the descriptor after
//! the call.

use core::ptr::read_volatile;

use agent_abi::{
    hook::Hook,
    interest::{NONE, RESULT, Want, predicate},
    record::{FileCall, file_flag, grade, kind},
};
use aya_ebpf::{
    helpers::generated::bpf_get_current_task, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use super::{call, counted, filter};
use crate::{
    global::offset,
    read::{self, pointer, probe},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit_file(ctx: BtfTracePointContext) -> i32 {
    counted(Hook::File, |counters| {
        let regs: u64 = ctx.arg(0);
        let result: i64 = ctx.arg(1);
        let Some(record) = scratch::large(LargeSlot::SysExit) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: the current task, every address checked by the helper that reads it; a large
        // scratch buffer, of which `open` is the front.
        unsafe {
            let open = record.cast::<FileCall>();
            let call = call::begin(record, regs, result);
            let Some(want) = call::want(call) else {
                counters.errors += 1;
                return;
            };
            let predicates = read_volatile(&raw const (*want).predicates);
            let position = read_volatile(&raw const (*want).fd);
            let fd = if position == NONE { -1 } else { call::at(call, position) as i32 };
            let task = bpf_get_current_task();
            let file = if fd < 0 { 0 } else { read::behind(task, fd as u32) };
            let flags = if file == 0 { 0 } else { probe::<u32>(file + u64::from(offset!(file_flags))) };
            if predicates & predicate::WRITES != 0 && (flags | given_flags(call, want)) & filter::WRITES == 0
            {
                counters.filtered += 1;
                return;
            }
            let by_path = predicates & predicate::PREFIXES != 0;
            if !by_path && !filter::admits(counters, predicates, (*call).cgroup_id) {
                return;
            }
            let tail = Tail::new(record, size_of::<FileCall>());
            (*open).text = call::text(call, want, tail);
            let mount_ns = pointer(pointer(task, offset!(task_nsproxy)), offset!(nsproxy_mnt));
            read::describe(file, mount_ns, &raw mut (*open).file, tail, true);
            if by_path {
                // Without its front a path is not known to be unwanted.
                let whole = (*open).file.flags & (file_flag::PATH_TRUNCATED | file_flag::NOT_READ) == 0;
                if whole && !read::is_wanted(record) {
                    counters.filtered += 1;
                    return;
                }
                if !filter::admits(counters, predicates, (*call).cgroup_id) {
                    return;
                }
            }
            (*open).file.grade = if file == 0 { grade::NONE } else { read::descriptor_grade(task, file) };
            (*open).fd = fd;
            (*open).open_flags = flags;
            (*open).reserved = 0;
            let lane = Lane::of(read_volatile(&raw const (*want).ring));
            ring::send(counters, record, lane, kind::FILE, 0, tail.end());
        }
    })
}

/// The flags that the caller gave, of which the open file does not keep `O_TRUNC`.
#[inline(always)]
unsafe fn given_flags(call: *const agent_abi::record::Syscall, want: *const Want) -> u32 {
    // SAFETY: both are of the caller's.
    unsafe {
        let position = read_volatile(&raw const (*want).flags);
        if position >= RESULT { 0 } else { call::at(call, position) as u32 }
    }
}
