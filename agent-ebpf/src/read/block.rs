//! The front of a kernel structure, copied at once where words cannot be loaded one by one: a helper's
//! call costs more than what it copies.

use core::ptr::read_volatile;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use super::{loads_words, probe};
use crate::scratch::{BLOCK_BYTES, BLOCKS, Tail};

/// Which of the copies. Each has its place in a large scratch buffer.
#[derive(Clone, Copy)]
pub enum Of {
    File = 0,
    Inode = 1,
    SuperBlock = 2,
}

/// A copied front.
#[derive(Clone, Copy)]
pub struct Block {
    /// In the scratch buffer.
    copy: *const u8,
    /// In the kernel.
    base: u64,
}

impl Block {
    /// Copies the front of what is at `base`; zeros where it cannot be read.
    #[inline(always)]
    pub fn copy(tail: Tail, of: Of, base: u64) -> Self {
        // SAFETY: each has its place in the buffer; the helper checks the address.
        unsafe {
            let copy = tail.record().add(BLOCKS + of as usize * BLOCK_BYTES);
            if !loads_words() {
                bpf_probe_read_kernel(copy.cast(), BLOCK_BYTES as u32, base as *const _);
            }
            Self { copy, base }
        }
    }

    /// A field.
    #[inline(always)]
    pub fn read<T: Copy>(self, offset: u32) -> T {
        if !loads_words() && offset as usize + size_of::<T>() <= BLOCK_BYTES {
            // SAFETY: within the copy. The offset is frozen, so the verifier knows it.
            return unsafe { read_volatile(self.copy.add(offset as usize).cast::<T>()) };
        }
        probe(self.base + u64::from(offset))
    }
}
