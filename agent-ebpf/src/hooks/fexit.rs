//! The exits of single system calls: the kernel's function of each wanted call has a program of its
//! own, so that other calls cost nothing at all.
//!
//! One program is loaded again and again, each time for another function: `long __x64_sys_…(const
//! struct pt_regs *)` and its like have the very arguments of `sys_exit`. What `sys_exit` sees and
//! these do not: calls that a seccomp filter or a tracer answers, because their functions never run,
//! and the return of the child from `clone`.

use agent_abi::{hook::Hook, interest::BY_FEXIT, map::HANDLER_PLAIN, record::via};
use aya_ebpf::{macros::fexit, programs::FExitContext};

use super::{
    plain::plain,
    run,
    sys_exit::{dispatch, not_handed_on},
};
use crate::{global::FEXIT_HANDLERS, nesting::Shared};

#[fexit(function = "call")]
fn fexit_call(ctx: FExitContext) -> i32 {
    if !Shared::Fexit.enter() {
        return 0;
    }
    if let Some(handler) = dispatch(Hook::Fexit, BY_FEXIT, ctx.arg(0), ctx.arg(1)) {
        // SAFETY: the handlers are programs at functions of this same type. They leave.
        unsafe { FEXIT_HANDLERS.tail_call(&ctx, handler) };
        not_handed_on(Hook::Fexit);
    }
    Shared::Fexit.leave();
    0
}

/// For functions of another type, such as those without arguments: newer kernels let their programs
/// call no others. Such a call has nothing but its result.
#[fexit(function = "call")]
fn fexit_call_alone(ctx: FExitContext) -> i32 {
    if !Shared::Fexit.enter() {
        return 0;
    }
    match dispatch(Hook::Fexit, BY_FEXIT, ctx.arg(0), ctx.arg(1)) {
        Some(HANDLER_PLAIN) => {
            if let Some(counters) = run(Hook::Plain) {
                plain(counters, ctx.arg(0), ctx.arg(1), via::FEXIT);
            }
        }
        Some(_) => {
            not_handed_on(Hook::Fexit);
        }
        None => {}
    }
    Shared::Fexit.leave();
    0
}
