//! Calls that open a file, or work on an open one. The file is looked up behind the descriptor after
//! the call.

use core::ptr::read_volatile;

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::{NONE, RESULT, Want, predicate},
    record::{FileCall, Syscall, grade, kind},
};

use super::{call, filter, handler};
use crate::{
    global::offset,
    read::{self, Current, Depth, Typed, pointer, probe},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

/// `O_ACCMODE`, `O_APPEND` and `O_NONBLOCK`: the flags of an open that its file keeps.
const KEPT: u32 = 0o3 | 0o2000 | 0o4000;
/// With it the file keeps little else, and no LSM hook runs.
pub(super) const O_PATH: u32 = 0o10_000_000;

handler!(sys_exit_file, fexit_file, Hook::File, file_call);

#[inline(always)]
fn file_call(counters: &mut HookCounters, regs: u64, result: i64, via: u8) {
    let Some(record) = scratch::large(LargeSlot::of(via)) else {
        counters.errors += 1;
        return;
    };
    // SAFETY: every address is checked by the helper that reads it; a large scratch buffer, of
    // which `open` is the front.
    unsafe {
        let current = Current::get();
        let open = record.cast::<FileCall>();
        let call = call::arguments::<Typed>(current, record, regs, result, via);
        let Some(want) = call::want(call) else {
            counters.errors += 1;
            return;
        };
        let predicates = read_volatile(&raw const (*want).predicates);
        let position = read_volatile(&raw const (*want).fd);
        let fd = if position == NONE || has_none(call, want) { -1 } else { call::at(call, position) as i32 };
        let file = if fd < 0 { 0 } else { current.file(fd as u32) };
        let flags = if file == 0 { 0 } else { probe::<u32>(file + u64::from(offset!(file_flags))) };
        if predicates & predicate::BY_LSM != 0 && flags & O_PATH == 0 {
            counters.filtered += 1;
            return;
        }
        let given = flags | given_flags(call, want);
        if predicates & predicate::WRITES != 0 && given & filter::WRITES == 0 {
            counters.filtered += 1;
            return;
        }
        let tail = Tail::new(record, size_of::<FileCall>());
        let below = filter::below(predicates, want, given, &raw mut (*open).reserved);
        let depth = Depth::Path { below, or_dotted: filter::name_to_ask(call, want) };
        // Before its token is taken: what nobody wants is not what a cgroup sends.
        if !read::describe(file, current.mount_ns(), &raw mut (*open).file, tail, depth) {
            counters.filtered += 1;
            return;
        }
        call::caller(current, call);
        if !filter::admits(counters, predicates, (*call).cgroup_id) {
            return;
        }
        (*open).text = call::text(call, want, tail);
        (*open).file.grade =
            if file == 0 { grade::NONE } else { grade_of(current, file, flags, call, want, tail) };
        (*open).fd = fd;
        (*open).open_flags = flags;
        (*open).reserved = 0;
        let lane = Lane::of(read_volatile(&raw const (*want).ring));
        ring::send(counters, record, lane, kind::FILE, 0, tail.end());
    }
}

/// Whether the call's flags say that its descriptor means nothing (`MAP_ANONYMOUS`).
#[inline(always)]
unsafe fn has_none(call: *const Syscall, want: *const Want) -> bool {
    // SAFETY: both are of the caller's.
    unsafe {
        let position = read_volatile(&raw const (*want).unless);
        position != NONE
            && call::at(call, position) >> (read_volatile(&raw const (*want).unless_bit) & 63) & 1 != 0
    }
}

/// How sure it is that `file` is what the call used. Where others share the descriptors, only that of
/// an open can be vouched for: it is new, so that one descriptor holds it, and it is as was asked for.
#[inline(always)]
unsafe fn grade_of(
    current: Current,
    file: u64,
    flags: u32,
    call: *const Syscall,
    want: *const Want,
    tail: Tail,
) -> u32 {
    if current.has_own_descriptors() {
        return grade::FD;
    }
    // SAFETY: both are of the caller's, and so is the tail.
    unsafe {
        let name = read_volatile(&raw const (*want).name);
        if name == NONE || !read::is_held_once(file) {
            return grade::FD_RACED;
        }
        let position = read_volatile(&raw const (*want).flags);
        if position != NONE && (flags ^ call::at(call, position) as u32) & KEPT != 0 && flags & O_PATH == 0 {
            return grade::FD_RACED;
        }
        let dentry = pointer(file, offset!(file_path) + offset!(path_dentry));
        if read::is_leaf(dentry, call::at(call, name), tail) { grade::FD } else { grade::FD_RACED }
    }
}

/// The flags that the caller gave, of which the open file does not keep `O_TRUNC`.
#[inline(always)]
unsafe fn given_flags(call: *const Syscall, want: *const Want) -> u32 {
    // SAFETY: both are of the caller's.
    unsafe {
        let position = read_volatile(&raw const (*want).flags);
        if position >= RESULT { 0 } else { call::at(call, position) as u32 }
    }
}
