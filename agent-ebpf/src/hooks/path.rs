//! Calls that name files by their paths: no object of the kernel is left of them after the call, so
//! the name is read from the caller's memory, and what it starts at from the kernel.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::{NONE, moves},
    record::{PathCall, PathRef, Span, grade, kind, path_flag},
};

use super::{call, filter, handler};
use crate::{
    read::{self, Current, Typed},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

handler!(sys_exit_path, fexit_path, Hook::Path, paths);

#[inline(always)]
fn paths(counters: &mut HookCounters, regs: u64, result: i64, via: u8) {
    let Some(record) = scratch::large(LargeSlot::of(via)) else {
        counters.errors += 1;
        return;
    };
    // SAFETY: the current task, every address checked by the helper that reads it; a large
    // scratch buffer, of which `paths` is the front.
    unsafe {
        let current = Current::get();
        let paths = record.cast::<PathCall>();
        let call = call::begin::<Typed>(current, record, regs, result, via);
        let Some(want) = call::want(call) else {
            counters.errors += 1;
            return;
        };
        let predicates = read_volatile(&raw const (*want).predicates);
        let tail = Tail::new(record, size_of::<PathCall>());
        let is_wanted = !filter::opens_to_read(predicates, call, want)
            && filter::is_failure_wanted(predicates, call, want, result, tail);
        if !is_wanted {
            counters.filtered += 1;
            return;
        }
        if !filter::admits(counters, predicates, (*call).cgroup_id) {
            return;
        }
        (*paths).text = call::text(call, want, tail);
        let has_root = read::root_of(current, &raw mut (*paths).root, tail);
        let from = (&raw const (*want).name, &raw const (*want).dir);
        let moves = read_volatile(&raw const (*want).moves);
        if moves != moves::NOTHING && result == 0 {
            read::arrived(current, moves == moves::ROOT, &raw mut (*paths).from, tail);
        } else {
            path(current, call, from, &raw mut (*paths).from, tail);
        }
        let to = (&raw const (*want).to_name, &raw const (*want).to_dir);
        path(current, call, to, &raw mut (*paths).to, tail);
        if !has_root {
            for path in [&raw mut (*paths).from, &raw mut (*paths).to] {
                let flags = &raw mut (*path).flags;
                write_volatile(flags, read_volatile(flags) | path_flag::ROOT_NOT_READ);
            }
        }
        let lane = Lane::of(read_volatile(&raw const (*want).ring));
        ring::send(counters, record, lane, kind::PATH, 0, tail.end());
    }
}

/// The path whose positions are `from`: its name, and the directory it starts at.
#[inline(always)]
unsafe fn path(
    current: Current,
    call: *const agent_abi::record::Syscall,
    from: (*const u8, *const u8),
    out: *mut PathRef,
    tail: Tail,
) {
    // SAFETY: as the caller's.
    unsafe {
        let (name, dir) = (read_volatile(from.0), read_volatile(from.1));
        if name == NONE {
            let none = Span { offset: 0, len: 0 };
            *out = PathRef { base: none, name: none, grade: grade::NONE, flags: 0 };
            return;
        }
        let dir = if dir == NONE { read::AT_FDCWD } else { call::at(call, dir) as i32 };
        read::named(current, call::at(call, name), dir, out, tail);
    }
}
