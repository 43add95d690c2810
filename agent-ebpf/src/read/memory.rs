//! Ways to read kernel memory at a (pointer, offset).

use core::{arch::asm, mem::MaybeUninit, ptr::read_volatile};

use agent_abi::map::CAST_CALL;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use crate::global::{BOOT, frozen};

/// A way to read `T` at `base + offset`.
pub trait Memory {
    /// Reads a field; zero where it cannot be read.
    ///
    /// # Safety
    /// `base` is a pointer of the kind that the implementor reads.
    unsafe fn read<T: Copy>(base: u64, offset: u32) -> T;
}

/// Direct loads through a BTF pointer that the verifier knows: it checks that the offset is a
/// field, and the kernel turns a fault into zero. Only for pointers that came from a program's
/// arguments or from another such load.
pub struct Typed;

impl Memory for Typed {
    #[inline(always)]
    unsafe fn read<T: Copy>(base: u64, offset: u32) -> T {
        // SAFETY: the verifier accepts only loads of a field through a pointer that it knows.
        unsafe { read_volatile((base as *const u8).add(offset as usize).cast::<T>()) }
    }
}

/// For pointers that the verifier does not know.
pub struct Probed;

impl Memory for Probed {
    #[inline(always)]
    unsafe fn read<T: Copy>(base: u64, offset: u32) -> T {
        probe(base + u64::from(offset))
    }
}

/// Reads `T` at any kernel address; zero where it cannot be read. A single word costs no more than a
/// load where the kernel allows for that, else a helper's call like all else.
#[inline(always)]
pub fn probe<T: Copy>(address: u64) -> T {
    let word_type = frozen(&BOOT.word_type);
    if is_word::<T>() && word_type != 0 {
        // SAFETY: the verifier accepts only a load of a word, and the kernel turns a fault into zero.
        return unsafe { read_volatile(word(address, word_type).cast()) };
    }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address and fills with zeros what it could not read, so that
    // there is no branch for the verifier to follow; all types read this way are plain numbers.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _);
        value.assume_init()
    }
}

/// Reads a pointer at any kernel address.
#[inline(always)]
pub fn pointer(base: u64, offset: u32) -> u64 {
    probe(base + u64::from(offset))
}

/// Whether this kernel lets words be loaded from anywhere.
#[inline(always)]
pub fn loads_words() -> bool {
    frozen(&BOOT.word_type) != 0
}

#[inline(always)]
const fn is_word<T>() -> bool {
    matches!(size_of::<T>(), 1 | 2 | 4 | 8)
}

/// `address` as a pointer to a structure of plain words, which the verifier lets programs load: the
/// kernel function `bpf_rdonly_cast` (6.2), of which it leaves no call. The loader puts the function's
/// number into the instruction.
#[inline(always)]
fn word(address: u64, word_type: u32) -> *const u8 {
    let word: u64;
    // SAFETY: a call by BPF's calling convention, without side effects.
    unsafe {
        asm!(
            ".quad {call}",
            call = const CAST_CALL,
            inlateout("r1") address => _,
            inlateout("r2") u64::from(word_type) => _,
            lateout("r0") word,
            lateout("r3") _, lateout("r4") _, lateout("r5") _,
            options(nostack),
        );
    }
    word as *const u8
}
