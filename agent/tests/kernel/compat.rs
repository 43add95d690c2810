//! 32-bit calls out of 64-bit code, and memory that their pointers reach.
#![cfg(target_arch = "x86_64")]

use std::{arch::asm, ptr};

use nix::libc;

/// A call by the 32-bit table, with up to six arguments; the others are 0.
pub(crate) fn int_0x80(number: u32, arguments: &[u32]) -> i32 {
    let mut six = [0u32; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    let returned: u32;
    // SAFETY: what the tests give for an address is in `Low`, or nowhere. The compiler keeps rbx and rbp
    // for itself, so they are saved on the stack.
    #[expect(unsafe_code, reason = "no library makes 32-bit calls from 64-bit code")]
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov ebx, [r12]", "mov ecx, [r12 + 4]", "mov edx, [r12 + 8]",
            "mov esi, [r12 + 12]", "mov edi, [r12 + 16]", "mov ebp, [r12 + 20]",
            "int 0x80",
            "pop rbp", "pop rbx",
            in("r12") six.as_ptr(),
            inlateout("eax") number => returned,
            out("ecx") _, out("edx") _, out("esi") _, out("edi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    returned.cast_signed()
}

/// Memory that 32-bit pointers reach.
pub(crate) struct Low {
    page: *mut u8,
    used: usize,
}

impl Low {
    const BYTES: usize = 4096;

    pub(crate) fn new() -> Self {
        // SAFETY: a new mapping.
        #[expect(unsafe_code, reason = "memory below 4 GiB")]
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        Self { page: page.cast(), used: 0 }
    }

    /// Where the bytes are now, with a NUL behind them.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u32 {
        assert!(self.used + bytes.len() < Self::BYTES);
        // SAFETY: within the page, of which nobody else has this part.
        #[expect(unsafe_code, reason = "memory of the test's own")]
        let at = unsafe {
            let at = self.page.add(self.used);
            ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
            at
        };
        self.used += (bytes.len() + 1).next_multiple_of(8);
        u32::try_from(at as usize).unwrap()
    }

    pub(crate) fn put_words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.put(&bytes)
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: the mapping, of which no pointer is left.
        #[expect(unsafe_code, reason = "memory of the test's own")]
        unsafe {
            libc::munmap(self.page.cast(), Self::BYTES);
        }
    }
}
