//! Two ways to read kernel memory at a (pointer, offset).

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

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
        unsafe { core::ptr::read_volatile((base as *const u8).add(offset as usize).cast::<T>()) }
    }
}

/// `bpf_probe_read_kernel`, for pointers that the verifier does not know.
pub struct Probed;

impl Memory for Probed {
    #[inline(always)]
    unsafe fn read<T: Copy>(base: u64, offset: u32) -> T {
        probe(base + u64::from(offset))
    }
}

/// Reads `T` at any kernel address; zero where it cannot be read.
#[inline(always)]
pub fn probe<T: Copy>(address: u64) -> T {
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
