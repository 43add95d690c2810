//! LSM hooks: what a call is about to use, as the kernel itself holds it, before the call returns.
//!
//! They tell of the calls whose [`Want`] says so ([`predicate::BY_LSM`]); files that the kernel opens
//! for itself, the real file below one of overlayfs and operations of an io_uring are not theirs.
//! They never refuse anything.

use core::ptr::read_volatile;

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::{ABI_MASK, Want, predicate},
    map::{HANDLER_FILE, HANDLER_PATH, HANDLER_SOCKET},
    record::{ADDRESS_BYTES, FileCall, PENDING, SocketCall, Span, TEXT_BYTES, grade, kind, via},
};
use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_task_pt_regs},
    macros::lsm,
    programs::LsmContext,
};

use super::{call, counted, filter};
use crate::{
    global::{BOOT, INTEREST, frozen, offset},
    nesting::Shared,
    read::{self, Current, Depth, Probed, pointer, probe},
    ring::{self, Lane},
    scratch::{self, LargeSlot, Tail},
};

/// `FMODE_NOACCOUNT` (include/linux/fs.h): a file that nobody has a descriptor of, such as the real
/// one below a file of overlayfs.
const INTERNAL: u32 = 0x2000_0000;
/// `O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC`: an open file does not keep them.
const NOT_KEPT: u32 = 0o100 | 0o200 | 0o400 | 0o1000;

#[lsm(hook = "file_open")]
fn lsm_file_open(ctx: LsmContext) -> i32 {
    let file: u64 = ctx.arg(0);
    if probe::<u32>(file + u64::from(offset!(file_mode))) & INTERNAL != 0 {
        return 0;
    }
    told(Hook::LsmOpen, HANDLER_FILE, |counters, current, regs, want| {
        // SAFETY: a map value; a large scratch buffer, of which `open` is the front; every address is
        // checked by the helper that reads it.
        unsafe {
            let predicates = read_volatile(&raw const (*want).predicates);
            let flags = probe::<u32>(file + u64::from(offset!(file_flags)));
            if predicates & predicate::WRITES != 0 && flags & filter::WRITES == 0 {
                counters.filtered += 1;
                return;
            }
            let Some((record, tail)) = begin(counters, current, regs, size_of::<FileCall>()) else { return };
            let open = record.cast::<FileCall>();
            let call = &raw const (*open).call;
            let below = filter::below(predicates, want, flags, &raw mut (*open).reserved);
            let depth = Depth::Path { below, or_dotted: filter::name_to_ask(call, want) };
            // Before its token is taken, as at the exit of an open.
            if !describe(current, open, file, tail, depth) {
                counters.filtered += 1;
                return;
            }
            if !filter::admits(counters, predicates, (*open).call.cgroup_id) {
                return;
            }
            (*open).text = call::text(call, want, tail);
            (*open).open_flags = flags & !NOT_KEPT;
            let lane = Lane::of(read_volatile(&raw const (*want).ring));
            ring::send(counters, record, lane, kind::FILE, 0, tail.end());
        }
    })
}

/// Runs for a script, and again for its interpreter.
#[lsm(hook = "bprm_check_security")]
fn lsm_bprm_check(ctx: LsmContext) -> i32 {
    let bprm: u64 = ctx.arg(0);
    told(Hook::LsmExec, HANDLER_PATH, |counters, current, regs, want| {
        // SAFETY: as above.
        unsafe {
            let predicates = read_volatile(&raw const (*want).predicates);
            let Some((record, tail)) = begin(counters, current, regs, size_of::<FileCall>()) else { return };
            let exec = record.cast::<FileCall>();
            if !filter::admits(counters, predicates, (*exec).call.cgroup_id) {
                return;
            }
            let file = pointer(bprm, offset!(binprm_file));
            describe(current, exec, file, tail, Depth::WHOLE);
            (*exec).open_flags = probe::<u32>(file + u64::from(offset!(file_flags)));
            let start = tail.start();
            let name = pointer(bprm, offset!(binprm_filename));
            let len =
                bpf_probe_read_kernel_str(tail.place(start).cast(), TEXT_BYTES as u32, name as *const _);
            // Without its NUL.
            let len = if len > 0 { len as usize - 1 } else { 0 };
            (*exec).text = tail.take(start, len & (2 * TEXT_BYTES - 1));
            let lane = Lane::of(read_volatile(&raw const (*want).ring));
            ring::send(counters, record, lane, kind::FILE, 0, tail.end());
        }
    })
}

#[lsm(hook = "socket_connect")]
fn lsm_socket_connect(ctx: LsmContext) -> i32 {
    let socket: u64 = ctx.arg(0);
    let address: u64 = ctx.arg(1);
    let len: i32 = ctx.arg(2);
    told(Hook::LsmConnect, HANDLER_SOCKET, |counters, current, regs, want| {
        // SAFETY: as above.
        unsafe {
            let predicates = read_volatile(&raw const (*want).predicates);
            let Some((record, tail)) = begin(counters, current, regs, size_of::<SocketCall>()) else {
                return;
            };
            let connect = record.cast::<SocketCall>();
            if !filter::admits(counters, predicates, (*connect).call.cgroup_id) {
                return;
            }
            read::describe_socket(pointer(socket, offset!(socket_sk)), &raw mut (*connect).socket);
            let none = Span { offset: 0, len: 0 };
            let start = tail.start();
            let len = (len.max(0) as usize).min(ADDRESS_BYTES) & (2 * ADDRESS_BYTES - 1);
            let copied =
                bpf_probe_read_kernel(tail.place(start).cast(), len as u32, address as *const _) == 0;
            (*connect).given = if copied { tail.take(start, len) } else { none };
            (*connect).given_grade = if copied { grade::OBJECT } else { grade::NONE };
            (*connect).path = none;
            (*connect).grade = grade::OBJECT;
            let lane = Lane::of(read_volatile(&raw const (*want).ring));
            ring::send(counters, record, lane, kind::SOCKET, 0, tail.end());
        }
    })
}

/// Runs `body` with the registers of the current call and what is wanted of it, if it is one that
/// this hook tells of. The others are not counted: their own hooks are.
#[inline(always)]
fn told(hook: Hook, handler: u32, body: impl FnOnce(&mut HookCounters, Current, u64, *const Want)) -> i32 {
    let current = Current::get();
    let regs = registers(current);
    let raw = call::raw_number::<Probed>(regs);
    let Some(interest) = INTEREST.get_ptr(call::number(raw)) else { return 0 };
    let abi = call::abi(current, raw);
    // SAFETY: a map value; the index is masked to the array's length.
    let (want, is_told) = unsafe {
        let want = (&raw const (*interest).wants).cast::<Want>().add(usize::from(abi & ABI_MASK));
        let told = read_volatile(&raw const (*want).predicates) & predicate::BY_LSM != 0;
        (want, told && u32::from(read_volatile(&raw const (*want).handler)) == handler)
    };
    if !is_told || !Shared::Lsm.enter() {
        return 0;
    }
    counted(hook, |counters| {
        // SAFETY: a map value.
        let predicates = unsafe { read_volatile(&raw const (*want).predicates) };
        if filter::by_agent(current) || filter::is_muted(current, predicates) {
            counters.filtered += 1;
        } else {
            body(counters, current, regs, want);
        }
    });
    Shared::Lsm.leave();
    0
}

/// The `pt_regs` of the call that the current task is in. A task that is in none, such as one of the
/// kernel's own, has zeros there, which is the number of a call that opens nothing.
#[inline(always)]
fn registers(current: Current) -> u64 {
    // SAFETY: the helper takes the current task.
    unsafe {
        if frozen(&BOOT.has_task_btf) != 0 && frozen(&BOOT.has_task_regs) != 0 {
            return bpf_task_pt_regs(current.address() as *mut _) as u64;
        }
        pointer(current.address(), offset!(task_stack)) + u64::from(frozen(&BOOT.regs_in_stack))
    }
}

/// The record of the current call, and its tail behind a fixed part of `fixed` bytes.
///
/// # Safety
/// `regs` are those of the current call.
#[inline(always)]
unsafe fn begin(
    counters: &mut HookCounters,
    current: Current,
    regs: u64,
    fixed: usize,
) -> Option<(*mut u8, Tail)> {
    let Some(record) = scratch::large(LargeSlot::Lsm) else {
        counters.errors += 1;
        return None;
    };
    // SAFETY: a large scratch buffer.
    unsafe {
        call::begin::<Probed>(current, record, regs, PENDING, via::LSM);
        Some((record, Tail::new(record, fixed)))
    }
}

/// Fills in the file, which has no descriptor yet. False where nobody wants it.
///
/// # Safety
/// `out` is the front of a large scratch buffer, whose tail is `tail`.
#[inline(always)]
unsafe fn describe(current: Current, out: *mut FileCall, file: u64, tail: Tail, depth: Depth) -> bool {
    // SAFETY: as the caller's.
    unsafe {
        (*out).fd = -1;
        (*out).reserved = 0;
        read::describe(file, current.mount_ns(), &raw mut (*out).file, tail, depth)
    }
}
