//! Calls of which the arguments say it all, and those about another process.

use core::ptr::read_volatile;

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::{NONE, Want, test},
    record::{PlainCall, TaskRef, kind},
};

use super::{call, filter, handler};
use crate::{
    read::{self, Current, Typed},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

/// Negative `EBADF` (include/uapi/asm-generic/errno-base.h): the descriptor was not a pidfd.
const EBADF: i64 = -9;

handler!(sys_exit_plain, fexit_plain, Hook::Plain, plain);

#[inline(always)]
pub(super) fn plain(counters: &mut HookCounters, regs: u64, result: i64, via: u8) {
    let Some(record) = scratch::large(LargeSlot::of(via)) else {
        counters.errors += 1;
        return;
    };
    // SAFETY: the current task, every address checked by the helper that reads it; a large
    // scratch buffer, of which `plain` is the front.
    unsafe {
        let current = Current::get();
        let plain = record.cast::<PlainCall>();
        let call = call::begin::<Typed>(current, record, regs, result, via);
        let Some(want) = call::want(call) else {
            counters.errors += 1;
            return;
        };
        let tail = Tail::new(record, size_of::<PlainCall>());
        (*plain).text = call::text(call, want, tail);
        if !text_passes(record, want, tail) {
            counters.filtered += 1;
            return;
        }
        let predicates = read_volatile(&raw const (*want).predicates);
        if !filter::admits(counters, predicates, (*call).cgroup_id) {
            return;
        }
        (*plain).target = TaskRef { leader_start_ns: 0, tgid: 0, tid: 0 };
        (*plain).reserved = 0;
        let pid = read_volatile(&raw const (*want).pid);
        (*plain).target_pid = if pid == NONE { 0 } else { call::at(call, pid) as i32 };
        (*plain).pid_ns = read::pid_namespace(current.address());
        let pidfd = read_volatile(&raw const (*want).pidfd);
        if pidfd != NONE && (*call).result != EBADF {
            let file = current.file(call::at(call, pidfd) as u32);
            (*plain).target.tgid = read::process_of_pidfd(file);
        }
        let lane = Lane::of(read_volatile(&raw const (*want).ring));
        ring::send(counters, record, lane, kind::PLAIN, 0, tail.end());
    }
}

/// The tests that look into the captured text. Text that could not be read passes: the call is not
/// known to be unwanted.
#[inline(always)]
unsafe fn text_passes(record: *mut u8, want: *const Want, tail: Tail) -> bool {
    // SAFETY: as the caller's; the masked position is in the text.
    unsafe {
        let kind = read_volatile(&raw const (*want).test);
        if kind != test::TEXT_ANY && kind != test::TEXT_ALL || tail.end() < size_of::<PlainCall>() + 8 {
            return true;
        }
        let text = record.add(size_of::<PlainCall>());
        let operand = read_volatile(&raw const (*want).operand);
        if kind == test::TEXT_ANY {
            return read_volatile(text.cast::<u64>()) & operand != 0;
        }
        let word = usize::from(read_volatile(&raw const (*want).tested) & 7);
        u64::from(read_volatile(text.cast::<u32>().add(word))) & operand == operand
    }
}
