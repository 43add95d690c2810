//! `sys_exit(regs, ret)`: one look-up for calls that nobody wants, a tail call for the others.

use agent_abi::{
    hook::Hook,
    interest::{ABI_MASK, BY_SYS_EXIT, NONE, RESULT, Want, predicate},
    map::{HANDLER_FILE, HANDLER_PATH},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{
    call::{self, argument},
    file::O_PATH,
    filter,
};
use crate::{
    global::{INTEREST, SYS_EXIT_HANDLERS, counters},
    read::{Current, Typed},
};

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs: u64 = ctx.arg(0);
    let result: i64 = ctx.arg(1);
    let Some(handler) = dispatch(Hook::SysExit, BY_SYS_EXIT, regs, result) else { return 0 };
    // SAFETY: the handlers are programs of this same hook.
    unsafe { SYS_EXIT_HANDLERS.tail_call(&ctx, handler) };
    not_handed_on(Hook::SysExit)
}

/// The handler of a call that is wanted of this hook, whose bits begin at `by`. It is counted as
/// handed on before it is.
#[inline(always)]
pub(super) fn dispatch(hook: Hook, by: u32, regs: u64, result: i64) -> Option<u32> {
    let raw = call::raw_number::<Typed>(regs);
    let interest = INTEREST.get_ptr(call::number(raw))?;
    // SAFETY: a map value.
    let wanted = unsafe { (*interest).wanted };
    if wanted == 0 {
        return None;
    }
    let current = Current::get();
    let abi = call::abi(current, raw);
    if wanted >> (by + u32::from(abi & ABI_MASK)) & 1 == 0 {
        return None;
    }
    // Calls that nobody wants are not counted: this runs at every call of every task.
    let counters = counters(hook)?;
    counters.seen += 1;
    // SAFETY: a map value; the index is masked to the array's length.
    let want = unsafe { &*(&raw const (*interest).wants).cast::<Want>().add(usize::from(abi & ABI_MASK)) };
    let tested = match want.tested {
        RESULT => result as u64,
        position => value(regs, abi, position),
    };
    let is_told = want.predicates & predicate::BY_LSM != 0 && is_told_by_lsm(want, regs, abi, result);
    if is_told
        || !filter::passes(want, result, tested)
        || filter::by_agent(current)
        || filter::is_muted(current, want.predicates)
    {
        counters.filtered += 1;
        return None;
    }
    counters.handed_on += 1;
    let handler = u32::from(want.handler);
    // A call that failed has no file, but the name of one.
    let has_no_file = handler == HANDLER_FILE && filter::is_error(result) && want.name != NONE;
    Some(if has_no_file { HANDLER_PATH } else { handler })
}

/// The argument at `position`; 0 where that is none.
#[inline(always)]
fn value(regs: u64, abi: u8, position: u8) -> u64 {
    match position {
        0 => argument::<Typed>(regs, abi, 0),
        1 => argument::<Typed>(regs, abi, 1),
        2 => argument::<Typed>(regs, abi, 2),
        3 => argument::<Typed>(regs, abi, 3),
        4 => argument::<Typed>(regs, abi, 4),
        5 => argument::<Typed>(regs, abi, 5),
        _ => 0,
    }
}

/// Whether an LSM hook has told of this call. Where the flags of an open are in memory, its handler
/// looks at those of the file.
#[inline(always)]
fn is_told_by_lsm(want: &Want, regs: u64, abi: u8, result: i64) -> bool {
    if filter::is_error(result) {
        return false;
    }
    let is_file = u32::from(want.handler) == HANDLER_FILE;
    !is_file || want.flags < RESULT && value(regs, abi, want.flags) as u32 & O_PATH == 0
}

/// The tail call did not happen.
#[inline(always)]
pub(super) fn not_handed_on(hook: Hook) -> i32 {
    if let Some(counters) = counters(hook) {
        counters.handed_on -= 1;
        counters.tail_failed += 1;
    }
    0
}
