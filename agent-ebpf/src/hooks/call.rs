//! A system call as its record begins: who called what, with which arguments.

use core::ptr::read_volatile;

use agent_abi::{
    interest::{ABI_COMPAT, ABI_MASK, ABI_NATIVE, ABI_X32, NONE, Want},
    offset::ABSENT,
    record::{Header, Span, Syscall, TEXT_BYTES},
};
use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};

use crate::{
    global::{BOOT, INTEREST, frozen, offset},
    read::{Current, Memory},
    scratch::Tail,
};

/// `__X32_SYSCALL_BIT` (arch/x86/include/uapi/asm/unistd.h): x32 shares the native numbers.
const X32_BIT: u64 = 0x4000_0000;

/// The number of the call in `regs`, with the bit that marks x32.
#[inline(always)]
pub(super) fn raw_number<M: Memory>(regs: u64) -> u64 {
    // SAFETY: `pt_regs`; both architectures hold it in 4 bytes and more.
    u64::from(unsafe { M::read::<u32>(regs, frozen(&BOOT.regs_number)) })
}

/// The number without that bit.
#[inline(always)]
pub(super) fn number(raw: u64) -> u32 {
    (raw & !X32_BIT) as u32
}

/// The ABI of the current call. Neither its number nor `cs` tells a 32-bit one (`int 0x80` from
/// 64-bit code); the thread's status does.
#[inline(always)]
pub(super) fn abi(current: Current, raw: u64) -> u8 {
    if offset!(task_thread_status) != ABSENT && current.status() & frozen(&BOOT.compat_flag) != 0 {
        return ABI_COMPAT;
    }
    if raw & X32_BIT != 0 { ABI_X32 } else { ABI_NATIVE }
}

/// What is wanted of a call: for a handler, whose dispatcher has found it before. Number and ABI are
/// read back from the record, so that the verifier does not follow each ABI by itself.
///
/// # Safety
/// `call` lies in a scratch buffer.
#[inline(always)]
pub(super) unsafe fn want(call: *const Syscall) -> Option<*const Want> {
    // SAFETY: as the caller's; the index is masked to the array's length.
    unsafe {
        let interest = INTEREST.get_ptr(read_volatile(&raw const (*call).number))?;
        let abi = read_volatile(&raw const (*call).abi);
        Some((&raw const (*interest).wants).cast::<Want>().add(usize::from(abi & ABI_MASK)))
    }
}

/// The argument at `position` of a call with these registers; the result is the caller's own.
#[inline(always)]
pub(super) fn argument<M: Memory>(regs: u64, abi: u8, position: usize) -> u64 {
    // SAFETY: `pt_regs`.
    unsafe {
        if abi == ABI_COMPAT {
            M::read::<u64>(regs, frozen(&BOOT.regs_compat[position])) & 0xffff_ffff
        } else {
            M::read::<u64>(regs, frozen(&BOOT.regs_native[position]))
        }
    }
}

/// Fills in the [`Syscall`] of `record` and gives it.
///
/// # Safety
/// `record` is a large scratch buffer, `regs` a `pt_regs` that `M` can read.
#[inline(always)]
pub(super) unsafe fn begin<M: Memory>(
    current: Current,
    record: *mut u8,
    regs: u64,
    result: i64,
    via: u8,
) -> *mut Syscall {
    // SAFETY: as the caller's.
    unsafe {
        let call = arguments::<M>(current, record, regs, result, via);
        caller(current, call);
        call
    }
}

/// The same but for who calls: for a handler that may drop the call before it has to know.
///
/// # Safety
/// As [`begin`].
#[inline(always)]
pub(super) unsafe fn arguments<M: Memory>(
    current: Current,
    record: *mut u8,
    regs: u64,
    result: i64,
    via: u8,
) -> *mut Syscall {
    let raw = raw_number::<M>(regs);
    let abi = abi(current, raw);
    // SAFETY: as the caller's.
    unsafe {
        let call = record.add(size_of::<Header>()).cast::<Syscall>();
        (*call).args = [
            argument::<M>(regs, abi, 0),
            argument::<M>(regs, abi, 1),
            argument::<M>(regs, abi, 2),
            argument::<M>(regs, abi, 3),
            argument::<M>(regs, abi, 4),
            argument::<M>(regs, abi, 5),
        ];
        (*call).result = result;
        (*call).number = number(raw);
        (*call).abi = abi;
        (*call).via = via;
        (*call).reserved = 0;
        call
    }
}

/// Fills in who calls.
///
/// # Safety
/// `call` lies in a large scratch buffer.
#[inline(always)]
pub(super) unsafe fn caller(current: Current, call: *mut Syscall) {
    // SAFETY: as the caller's.
    unsafe {
        current.task_ref(&raw mut (*call).task);
        (*call).cgroup_id = current.cgroup_id();
    }
}

/// What stands at `position`: an argument, or the result after them. [`NONE`] is for the caller to
/// ask first.
///
/// # Safety
/// `call` lies in a scratch buffer.
#[inline(always)]
pub(super) unsafe fn at(call: *const Syscall, position: u8) -> u64 {
    // SAFETY: the masked position is one of the eight words that the structure begins with.
    unsafe { read_volatile(call.cast::<u64>().add(usize::from(position & NONE))) }
}

/// Appends bytes of the caller's to `tail`, up to [`TEXT_BYTES`] of them.
///
/// # Safety
/// `call` lies in a scratch buffer.
#[inline(always)]
pub(super) unsafe fn text(call: *const Syscall, want: *const Want, tail: Tail) -> Span {
    let none = Span { offset: 0, len: 0 };
    // SAFETY: as the caller's; the tail has room; the helpers check the address.
    unsafe {
        let position = read_volatile(&raw const (*want).text);
        if position == NONE {
            return none;
        }
        let address = at(call, position);
        let start = tail.start();
        let to = tail.place(start).cast();
        let len_position = read_volatile(&raw const (*want).text_len);
        let bytes = read_volatile(&raw const (*want).text_bytes);
        let len = if bytes != 0 {
            if bpf_probe_read_user(to, u32::from(bytes), address as *const _) != 0 {
                return none;
            }
            usize::from(bytes)
        } else if len_position == NONE {
            let len = bpf_probe_read_user_str(to, TEXT_BYTES as u32, address as *const _);
            // Without its NUL.
            if len > 0 { len as usize - 1 } else { 0 }
        } else {
            let len = at(call, len_position).min(TEXT_BYTES as u64) as usize;
            if bpf_probe_read_user(to, len as u32, address as *const _) != 0 {
                return none;
            }
            len
        };
        tail.take(start, len & (2 * TEXT_BYTES - 1))
    }
}
