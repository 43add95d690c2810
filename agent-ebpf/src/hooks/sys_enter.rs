//! Calls that may not return, or that may blind the agent before they do: seen before they do
//! anything. Where they are seen depends on the kernel (docs/adr/0010-calls-seen-on-entry.md).

use core::ptr::read_volatile;

use agent_abi::{
    hook::Hook,
    interest::{ABI_MASK, ENTRY_SHIFT},
    record::{PENDING, PlainCall, TaskRef, kind, via},
};
use aya_ebpf::{
    btf_maps::LruHashMap,
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_get_current_task_btf, bpf_ktime_get_boot_ns, bpf_task_pt_regs,
    },
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};

use super::{call, counted, filter};
use crate::{
    global::INTEREST,
    read::{self, Current, Typed},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

/// Capabilities that the calls in question ask for (include/uapi/linux/capability.h).
const SYS_MODULE: i32 = 16;
const SYS_BOOT: i32 = 22;
const BPF: i32 = 39;
/// Checks with the same arguments by the same thread within this time are of one call.
const SAME_CALL_NS: u64 = 1_000_000;
/// `BPF_ANY`.
const ANY: u64 = 0;

/// The check of a capability that was reported last, by thread.
#[repr(C)]
#[derive(Clone, Copy)]
struct Check {
    at_ns: u64,
    number: u64,
    first: u64,
    second: u64,
}

#[btf_map]
static LAST_CHECKS: LruHashMap<u64, Check, 1024> = LruHashMap::new();

/// `sys_enter(regs, id)`.
#[btf_tracepoint(function = "sys_enter")]
fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    if !is_wanted(ctx.arg::<u64>(1)) {
        return 0;
    }
    entered(ctx.arg(0), false)
}

/// `cap_capable(cred, target_ns, capable_ns, cap, ret)`: the calls in question ask for a capability
/// before they do anything, and few others for the same.
#[btf_tracepoint(function = "cap_capable")]
fn cap_capable(ctx: BtfTracePointContext) -> i32 {
    let capability: i32 = ctx.arg(3);
    if capability != SYS_MODULE && capability != SYS_BOOT && capability != BPF {
        return 0;
    }
    // SAFETY: the helpers are as old as this tracepoint's kernel, and give the current task's.
    let regs = unsafe {
        let task = bpf_get_current_task_btf();
        bpf_task_pt_regs(task) as u64
    };
    if !is_wanted(call::raw_number::<Typed>(regs)) {
        return 0;
    }
    entered(regs, capability == BPF)
}

/// Whether a call of this number is, in any ABI. All that is looked at of one that is not.
#[inline(always)]
fn is_wanted(raw: u64) -> bool {
    // SAFETY: a map value.
    INTEREST
        .get_ptr(call::number(raw))
        .is_some_and(|interest| unsafe { read_volatile(&raw const (*interest).wanted) } >> ENTRY_SHIFT != 0)
}

/// `regs` is a `pt_regs` that the verifier knows. `repeats`: the call may come by more than once.
#[inline(always)]
fn entered(regs: u64, repeats: bool) -> i32 {
    let raw = call::raw_number::<Typed>(regs);
    let Some(interest) = INTEREST.get_ptr(call::number(raw)) else { return 0 };
    let current = Current::get();
    let abi = call::abi(current, raw);
    // SAFETY: a map value.
    let wanted = unsafe { read_volatile(&raw const (*interest).wanted) };
    if wanted >> ENTRY_SHIFT >> (abi & ABI_MASK) & 1 == 0 {
        return 0;
    }
    counted(Hook::SysEnter, |counters| {
        if filter::by_agent(current)
            || repeats
                && is_same_call(
                    raw,
                    call::argument::<Typed>(regs, abi, 0),
                    call::argument::<Typed>(regs, abi, 1),
                )
        {
            counters.filtered += 1;
            return;
        }
        let Some(record) = scratch::large(LargeSlot::SysEnter) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: the current task; a large scratch buffer, of which `plain` is the front.
        unsafe {
            let plain = record.cast::<PlainCall>();
            let call = call::begin::<Typed>(current, record, regs, PENDING, via::SYS_ENTER);
            let Some(want) = call::want(call) else {
                counters.errors += 1;
                return;
            };
            if filter::is_muted(current, read_volatile(&raw const (*want).predicates)) {
                counters.filtered += 1;
                return;
            }
            let tail = Tail::new(record, size_of::<PlainCall>());
            (*plain).text = call::text(call, want, tail);
            (*plain).target = TaskRef { leader_start_ns: 0, tgid: 0, tid: 0 };
            (*plain).target_pid = 0;
            (*plain).pid_ns = read::pid_namespace(current.address());
            (*plain).reserved = 0;
            let lane = Lane::of(read_volatile(&raw const (*want).ring));
            ring::send(counters, record, lane, kind::PLAIN, 0, tail.end());
        }
    })
}

/// `bpf` asks for its capability several times in a call.
#[inline(always)]
fn is_same_call(number: u64, first: u64, second: u64) -> bool {
    // SAFETY: the helpers have no arguments.
    let (thread, now) = unsafe { (bpf_get_current_pid_tgid(), bpf_ktime_get_boot_ns()) };
    // SAFETY: a map value that only this thread writes.
    let same = unsafe { LAST_CHECKS.get(thread) }.is_some_and(|last| {
        last.number == number
            && last.first == first
            && last.second == second
            && now - last.at_ns < SAME_CALL_NS
    });
    let _ = LAST_CHECKS.insert(thread, Check { at_ns: now, number, first, second }, ANY);
    same
}
