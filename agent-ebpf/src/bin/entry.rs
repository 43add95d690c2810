//! Ways to see a system call on its entry: `agent/examples/entry_cost.rs` measures what they cost the calls
//! that nobody wants (docs/adr/0010-calls-seen-on-entry.md).
#![no_std]
#![no_main]

use aya_ebpf::{
    btf_maps::Array,
    macros::{btf_map, btf_tracepoint, tracepoint},
    programs::{BtfTracePointContext, TracePointContext},
};

/// Which numbers are wanted: none.
#[btf_map]
static WANTED: Array<u64, 1024> = Array::new();

#[inline(always)]
fn look_up(number: u64) -> i32 {
    match WANTED.get(number as u32) {
        Some(&wanted) => i32::from(wanted != 0),
        None => 0,
    }
}

#[btf_tracepoint(function = "sys_enter")]
fn enter_look_up(ctx: BtfTracePointContext) -> i32 {
    look_up(ctx.arg(1))
}

/// Stands for the agent's own, which is always there.
#[btf_tracepoint(function = "sys_exit")]
fn exit_look_up(ctx: BtfTracePointContext) -> i32 {
    let result: u64 = ctx.arg(1);
    look_up(result & 1023)
}

#[tracepoint]
fn enter_of_one_call(_: TracePointContext) -> i32 {
    0
}

/// Every check of a capability, in whatever call.
#[btf_tracepoint(function = "cap_capable")]
fn capability_check(ctx: BtfTracePointContext) -> i32 {
    const SYS_MODULE_TO_SYS_BOOT: u64 = 1 << 16 | 1 << 22;
    let capability: i32 = ctx.arg(3);
    i32::from(SYS_MODULE_TO_SYS_BOOT >> (capability & 63) & 1 != 0)
}

/// A panic must not load: the verifier refuses a loop without an end.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
