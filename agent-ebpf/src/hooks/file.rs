//! Calls that open a file, or work on an open one. The file is looked up behind the descriptor after
//! the call.

use core::ptr::read_volatile;

use agent_abi::{
    hook::Hook,
    interest::{NONE, RESULT, Want, predicate},
    record::{FileCall, grade, kind},
};

use super::{call, counted, filter, handler};
use crate::{
    global::offset,
    read::{self, Depth, Typed, probe},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

/// `O_PATH` (include/uapi/asm-generic/fcntl.h): such an open passes no LSM hook.
pub(super) const PATH_ALONE: u32 = 0o10_000_000;
/// `O_ACCMODE` and `O_TRUNC` (include/uapi/asm-generic/fcntl.h).
pub(super) const WRITES: u32 = 0o3 | 0o1000;

handler!(sys_exit_file, fexit_file, file_call);

#[inline(always)]
fn file_call(regs: u64, result: i64, via: u8) -> i32 {
    counted(Hook::File, |counters| {
        let Some(record) = scratch::large(LargeSlot::of(via)) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: every address is checked by the helper that reads it; a large scratch buffer, of
        // which `open` is the front.
        unsafe {
            let open = record.cast::<FileCall>();
            let call = call::begin::<Typed>(record, regs, result, via);
            let Some(want) = call::want(call) else {
                counters.errors += 1;
                return;
            };
            let predicates = read_volatile(&raw const (*want).predicates);
            let position = read_volatile(&raw const (*want).fd);
            let fd = if position == NONE { -1 } else { call::at(call, position) as i32 };
            let file = if fd < 0 { 0 } else { read::current_file(fd as u32) };
            let flags = if file == 0 { 0 } else { probe::<u32>(file + u64::from(offset!(file_flags))) };
            if predicates & predicate::BY_LSM != 0 && flags & PATH_ALONE == 0 {
                counters.filtered += 1;
                return;
            }
            if predicates & predicate::WRITES != 0 && (flags | given_flags(call, want)) & WRITES == 0 {
                counters.filtered += 1;
                return;
            }
            let tail = Tail::new(record, size_of::<FileCall>());
            let depth = Depth::Path(predicates & predicate::PREFIXES);
            // Before its token is taken: what nobody wants is not what a cgroup sends.
            if !read::describe(file, read::current_mount_ns(), &raw mut (*open).file, tail, depth) {
                counters.filtered += 1;
                return;
            }
            call::caller(call);
            if !filter::admits(counters, predicates, (*call).cgroup_id) {
                return;
            }
            (*open).text = call::text(call, want, tail);
            (*open).file.grade = if file == 0 { grade::NONE } else { read::descriptor_grade(file) };
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
