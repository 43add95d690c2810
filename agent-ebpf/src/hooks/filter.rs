//! What is looked at before a record is made, so that what nobody wants costs little.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    hook::HookCounters,
    interest::{NONE, RESULT, Want, beside, predicate, test},
    map::{Bucket, Executable, cgroup_flag},
    record::Syscall,
};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

use super::call;
use crate::{
    atomic::add,
    global::{BUCKETS, CGROUPS, MUTED_EXECUTABLES, offset, settings},
    read::{self, Current, pointer, probe},
    scratch::Tail,
};

/// `O_ACCMODE` and `O_TRUNC` (include/uapi/asm-generic/fcntl.h).
pub(super) const WRITES: u32 = 0o3 | 0o1000;
/// Highest return value that is an error number is -1, the lowest this (include/linux/err.h).
const MAX_ERRNO: i64 = -4095;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// What is earned is looked at for so long, so that no product leaves 64 bits.
const FULL_NS: u64 = 60 * NANOS_PER_SECOND;
/// `BPF_NOEXIST` (include/uapi/linux/bpf.h): only if there is none.
const BPF_NOEXIST: u64 = 1;

/// Whether a call's result is an error number.
#[inline(always)]
pub(super) fn is_error(result: i64) -> bool {
    (MAX_ERRNO..0).contains(&result)
}

/// Whether the agent itself is at work: what it does is no news to it.
#[inline(always)]
pub(super) fn by_agent(current: Current) -> bool {
    // SAFETY: a map value.
    settings()
        .is_some_and(|settings| current.tgid() == unsafe { read_volatile(&raw const (*settings).agent_tgid) })
}

/// Whether a call with this result, and this value of the argument that is tested, is wanted.
#[inline(always)]
pub(super) fn passes(want: &Want, result: i64, tested: u64) -> bool {
    let unwanted = if is_error(result) { predicate::OK } else { predicate::FAILED };
    if want.predicates & unwanted != 0 {
        return false;
    }
    let value = tested as u32;
    match want.test {
        test::ANY => u64::from(value) & want.operand != 0,
        test::ALL => u64::from(value) & want.operand == want.operand,
        test::ONE_OF => value < 64 && want.operand >> value & 1 != 0,
        test::AT_MOST => value as i32 >= 0 && u64::from(value) <= want.operand,
        _ => true,
    }
}

/// Whether nobody wants to hear of the current task: its cgroup is known to be the host's where
/// only containers are wanted, or it is muted, or its executable is.
#[inline(always)]
pub(super) fn is_muted(current: Current, predicates: u8) -> bool {
    if predicates & (predicate::CONTAINERS | predicate::BULK) == 0 {
        return false;
    }
    let host = if predicates & predicate::CONTAINERS != 0 { cgroup_flag::HOST } else { 0 };
    let muted = if predicates & predicate::BULK != 0 { cgroup_flag::MUTED } else { 0 };
    if has_cgroup_flag(current, host | muted) {
        return true;
    }
    predicates & predicate::BULK != 0 && is_executable_muted(current)
}

/// Whether the current task's cgroup has any of these flags.
#[inline(always)]
fn has_cgroup_flag(current: Current, flags: u32) -> bool {
    // SAFETY: a map value, of a plain number.
    uses_cgroup_flags(flags)
        && unsafe { CGROUPS.get(current.cgroup_id()) }.is_some_and(|found| found & flags != 0)
}

/// Whether any cgroup may have one of these flags.
#[inline(always)]
fn uses_cgroup_flags(flags: u32) -> bool {
    // SAFETY: a map value.
    settings()
        .is_some_and(|settings| unsafe { read_volatile(&raw const (*settings).cgroup_flags) } & flags != 0)
}

/// Whether nobody wants to hear of what a cgroup does: for hooks that do not run in its tasks.
#[inline(always)]
pub(super) fn is_cgroup_muted(cgroup: u64) -> bool {
    // SAFETY: a map value, of a plain number.
    uses_cgroup_flags(cgroup_flag::MUTED)
        && unsafe { CGROUPS.get(cgroup) }.is_some_and(|flags| flags & cgroup_flag::MUTED != 0)
}

#[inline(always)]
fn is_executable_muted(current: Current) -> bool {
    // SAFETY: a map value.
    let any = settings()
        .is_some_and(|settings| unsafe { read_volatile(&raw const (*settings).muted_executables) } != 0);
    if !any {
        return false;
    }
    let file = pointer(pointer(current.address(), offset!(task_mm)), offset!(mm_exe_file));
    let inode = pointer(file, offset!(file_inode));
    let dev = probe::<u32>(pointer(inode, offset!(inode_sb)) + u64::from(offset!(sb_dev)));
    let executable = Executable { inode: pointer(inode, offset!(inode_ino)), dev, reserved: 0 };
    // SAFETY: a map value, of a plain number.
    unsafe { MUTED_EXECUTABLES.get(executable) }.is_some()
}

/// [`predicate::PREFIXES`] where a file opened with `flags` is wanted only below the prefixes, with
/// [`beside::LANDMARKS`] where landmarks count, too; 0 where it is wanted anyway. By way of `note`, of which the verifier knows nothing: it would follow all the rest for each.
///
/// # Safety
/// `want` lies in the table, `note` in a scratch buffer.
#[inline(always)]
pub(super) unsafe fn below(predicates: u8, want: *const Want, flags: u32, note: *mut u32) -> u8 {
    // SAFETY: as the caller's.
    unsafe {
        let beside = read_volatile(&raw const (*want).beside);
        let anyway = beside & beside::WRITES != 0 && flags & WRITES != 0;
        let only = predicates & predicate::PREFIXES | beside & beside::LANDMARKS;
        write_volatile(note, if anyway { 0 } else { u32::from(only) });
        read_volatile(note) as u8
    }
}

/// Address of the name that decides where the file lies below no wanted prefix, or 0.
///
/// # Safety
/// `call` lies in a scratch buffer, `want` in the table.
#[inline(always)]
pub(super) unsafe fn name_to_ask(call: *const Syscall, want: *const Want) -> u64 {
    // SAFETY: as the caller's.
    unsafe {
        let position = read_volatile(&raw const (*want).name);
        let is_asked = read_volatile(&raw const (*want).beside) & beside::DOTTED != 0;
        if is_asked && position != NONE { call::at(call, position) } else { 0 }
    }
}

/// Whether only writes are wanted and a call, of which no file is there to ask, names flags of an open
/// that are none of one.
///
/// # Safety
/// `call` lies in a scratch buffer, `want` in the table.
#[inline(always)]
pub(super) unsafe fn opens_to_read(predicates: u8, call: *const Syscall, want: *const Want) -> bool {
    if predicates & predicate::WRITES == 0 {
        return false;
    }
    // SAFETY: as the caller's.
    unsafe {
        let position = read_volatile(&raw const (*want).flags);
        position < RESULT && call::at(call, position) as u32 & WRITES == 0
    }
}

/// Whether a call that failed is wanted for its flags or its name, where they count.
///
/// # Safety
/// `call` lies in a scratch buffer, whose tail is `tail`, `want` in the table.
#[inline(always)]
pub(super) unsafe fn is_failure_wanted(
    predicates: u8,
    call: *const Syscall,
    want: *const Want,
    result: i64,
    tail: Tail,
) -> bool {
    if predicates & predicate::FAILED_BESIDE == 0 || !is_error(result) {
        return true;
    }
    // SAFETY: as the caller's.
    unsafe {
        let beside = read_volatile(&raw const (*want).beside);
        if beside & beside::FAILED_WRITES != 0 && !opens_to_read(predicate::WRITES, call, want) {
            return true;
        }
        if beside & beside::FAILED_DOTTED == 0 {
            return false;
        }
        let position = read_volatile(&raw const (*want).name);
        position == NONE || read::is_dotted(call::at(call, position), tail)
    }
}

/// Takes a token of `cgroup` for a bulk record. False, and counted, where none is left. A cgroup for
/// which there is no bucket any more, because there are too many, sends what it likes.
#[inline(always)]
pub(super) fn admits(counters: &mut HookCounters, predicates: u8, cgroup: u64) -> bool {
    if predicates & predicate::BULK == 0 {
        return true;
    }
    let Some(settings) = settings() else { return true };
    // SAFETY: a map value.
    let (rate, burst) = unsafe {
        (
            u64::from(read_volatile(&raw const (*settings).bulk_rate)),
            u64::from(read_volatile(&raw const (*settings).bulk_burst)),
        )
    };
    if rate == 0 {
        return true;
    }
    // SAFETY: the helper has no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let Some(bucket) = BUCKETS.get_ptr_mut(cgroup) else {
        let full = Bucket { tokens: burst.saturating_sub(1), filled_ns: now, throttled: 0 };
        // There may be no room: then nothing is held back. One that another CPU has just made stays,
        // with what it has counted.
        let _ = BUCKETS.insert(cgroup, full, BPF_NOEXIST);
        return true;
    };
    // SAFETY: a map value. Other CPUs write it too: tokens may be off by as many CPUs, and the
    // number of what was held back is added to as one.
    unsafe {
        let mut tokens = read_volatile(&raw const (*bucket).tokens);
        let filled = read_volatile(&raw const (*bucket).filled_ns);
        let since = now.saturating_sub(filled);
        let earned = since.min(FULL_NS) * rate / NANOS_PER_SECOND;
        if earned > 0 {
            tokens = (tokens + earned).min(burst);
            // The part of a token that is left over counts for the next.
            let filled = if since >= FULL_NS { now } else { filled + earned * NANOS_PER_SECOND / rate };
            write_volatile(&raw mut (*bucket).filled_ns, filled);
        }
        if tokens == 0 {
            add(&raw mut (*bucket).throttled, 1);
            counters.throttled += 1;
            return false;
        }
        write_volatile(&raw mut (*bucket).tokens, tokens - 1);
    }
    true
}
