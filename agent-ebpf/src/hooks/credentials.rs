//! Calls that change what a task may do, after they succeeded.

use agent_abi::{
    hook::{Hook, HookCounters},
    record::{Credentials, kind},
};

use super::{
    call::{self, argument},
    handler,
};
use crate::{
    read::{self, Current, Probed, Typed},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

handler!(sys_exit_credentials, fexit_credentials, Hook::Credentials, credentials);

#[inline(always)]
fn credentials(counters: &mut HookCounters, regs: u64, _: i64, via: u8) {
    let raw = call::raw_number::<Typed>(regs);
    let current = Current::get();
    let abi = call::abi(current, raw);
    let Some(record) = scratch::large(LargeSlot::of(via)) else {
        counters.errors += 1;
        return;
    };
    // SAFETY: the current task; a large scratch buffer.
    unsafe {
        let task = current.address();
        let credentials = record.cast::<Credentials>();
        let tail = Tail::new(record, size_of::<Credentials>());
        read::fill::<Probed>(task, &raw mut (*credentials).state);
        (*credentials).syscall_abi = u32::from(abi);
        (*credentials).syscall = call::number(raw);
        (*credentials).args = [
            argument::<Typed>(regs, abi, 0),
            argument::<Typed>(regs, abi, 1),
            argument::<Typed>(regs, abi, 2),
        ];
        (*credentials).reserved = 0;
        (*credentials).seccomp_allow = read::allow_bitmap::<Probed>(task, tail);
        ring::send(counters, record, Lane::Critical, kind::CREDENTIALS, 0, tail.end());
    }
}
