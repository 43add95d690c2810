//! Requests of io_uring. What a request names was copied into the kernel when it was prepared, so
//! it is what the operation will use.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    offset::ABSENT as NO_FIELD,
    record::{ADDRESS_BYTES, PATH_BYTES, PathRef, Span, TEXT_BYTES, grade, path_flag},
    uring::{ABSENT, Number},
};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user};

use super::{append_path, path::start_of_task, pointer, probe};
use crate::{
    global::{BOOT, frozen, offset},
    scratch::Tail,
};

/// `REQ_F_FIXED_FILE`: as `IOSQE_FIXED_FILE_BIT` (include/uapi/linux/io_uring.h).
const FIXED_FILE: u32 = 1;

/// A `struct io_kiocb`, by its address.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

impl Request {
    #[inline(always)]
    pub fn opcode(self) -> u32 {
        if offset!(uring_opcode) == NO_FIELD {
            return u32::MAX;
        }
        u32::from(probe::<u8>(self.0 + u64::from(offset!(uring_opcode))))
    }

    #[inline(always)]
    pub fn ring(self) -> u64 {
        if offset!(uring_ring) == NO_FIELD { 0 } else { pointer(self.0, offset!(uring_ring)) }
    }

    #[inline(always)]
    pub fn user_data(self) -> u64 {
        if offset!(uring_user_data) == NO_FIELD { 0 } else { pointer(self.0, offset!(uring_user_data)) }
    }

    /// Whether its descriptor is one of the ring's own.
    #[inline(always)]
    pub fn has_fixed_file(self) -> bool {
        offset!(uring_flags) == NO_FIELD
            || probe::<u32>(self.0 + u64::from(offset!(uring_flags))) & FIXED_FILE != 0
    }

    /// What the kernel keeps beside the request, or 0.
    #[inline(always)]
    fn data(self) -> u64 {
        let flag = frozen(&BOOT.uring_async_flag);
        if offset!(uring_async) == NO_FIELD || offset!(uring_flags) == NO_FIELD {
            return 0;
        }
        // Before there was the flag, the address was kept clear.
        if flag != 0 && probe::<u32>(self.0 + u64::from(offset!(uring_flags))) & flag == 0 {
            return 0;
        }
        pointer(self.0, offset!(uring_async))
    }

    /// A number, 0 where the request has none; one of 4 bytes keeps its sign.
    #[inline(always)]
    pub fn number(self, number: Number) -> u64 {
        if number.offset == ABSENT {
            return 0;
        }
        let address = self.0 + u64::from(number.offset);
        match number.bytes {
            2 => u64::from(probe::<u16>(address)),
            4 => i64::from(probe::<i32>(address)) as u64,
            _ => probe(address),
        }
    }

    /// A pointer, or 0.
    #[inline(always)]
    pub fn pointer(self, offset: u16) -> u64 {
        if offset == ABSENT { 0 } else { pointer(self.0, u32::from(offset)) }
    }

    /// Appends the bytes behind `offset`, up to a NUL, to `tail`.
    ///
    /// # Safety
    /// `tail` is of a large scratch buffer.
    #[inline(always)]
    pub unsafe fn text(self, offset: u16, is_name: bool, tail: Tail) -> Span {
        let mut text = self.pointer(offset);
        if is_name && text != 0 && offset!(filename_name) != NO_FIELD {
            text = pointer(text, offset!(filename_name));
        }
        let start = tail.start();
        // SAFETY: the tail has room; the helper checks the address.
        let len = unsafe {
            bpf_probe_read_kernel_str(tail.place(start).cast(), TEXT_BYTES as u32, text as *const _)
        };
        if text == 0 || len <= 0 {
            return Span { offset: 0, len: 0 };
        }
        // Without its NUL.
        tail.take(start, (len - 1) as usize & (2 * TEXT_BYTES - 1))
    }

    /// Appends the socket address of the operation to `tail`: the kernel's copy where a message header
    /// says that there is one by now, else what the submitter's memory holds. Its grade goes to
    /// `grade_of`.
    ///
    /// # Safety
    /// `tail` is of a large scratch buffer, `grade_of` lies in it.
    #[inline(always)]
    pub unsafe fn address(
        self,
        user: u16,
        user_len: u16,
        message: u16,
        tail: Tail,
        grade_of: *mut u32,
    ) -> Span {
        let none = Span { offset: 0, len: 0 };
        // SAFETY: as the caller's; the helpers check the addresses.
        unsafe {
            write_volatile(grade_of, grade::NONE);
            let start = tail.start();
            let place = tail.place(start).cast();
            let kept = self.data();
            let mut len = 0;
            if user_len != ABSENT {
                len = u64::from(probe::<u16>(self.0 + u64::from(user_len)));
            }
            let has_copy = kept != 0
                && offset!(uring_message_name) != NO_FIELD
                && offset!(uring_message_name_len) != NO_FIELD;
            if has_copy && user == ABSENT {
                if len != 0 {
                    // `bind` says nowhere whether its copy is made by now.
                    return none;
                }
                let from = pointer(kept, offset!(uring_message_name));
                let len = u64::from(probe::<u32>(kept + u64::from(offset!(uring_message_name_len))));
                let len = len.min(ADDRESS_BYTES as u64) as usize;
                if from == 0 || len == 0 || bpf_probe_read_kernel(place, len as u32, from as *const _) != 0 {
                    return none;
                }
                write_volatile(grade_of, grade::OBJECT);
                return tail.take(start, len);
            }
            let mut from = self.pointer(user);
            if message != ABSENT {
                // `struct user_msghdr` (include/linux/socket.h) begins with name and length.
                let mut header = [0u64; 2];
                let message = self.pointer(message);
                if bpf_probe_read_user((&raw mut header).cast(), 16, message as *const _) != 0 {
                    return none;
                }
                from = header[0];
                len = header[1] & 0xffff_ffff;
            }
            let len = len.min(ADDRESS_BYTES as u64) as usize;
            if from == 0 || len == 0 || bpf_probe_read_user(place, len as u32, from as *const _) != 0 {
                return none;
            }
            write_volatile(grade_of, grade::USER);
            tail.take(start, len)
        }
    }
}

/// A path that a request names: `filename` is the kernel's own copy of its name.
///
/// # Safety
/// `out` lies in the record that `tail` is of; `task` is the current task.
#[inline(always)]
pub unsafe fn named_in_kernel(task: u64, filename: u64, dir: i32, out: *mut PathRef, tail: Tail) {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        (*out).base = Span { offset: 0, len: 0 };
        (*out).name = Span { offset: 0, len: 0 };
        let (flags, grade_of) = (&raw mut (*out).flags, &raw mut (*out).grade);
        let start = tail.start();
        let place = tail.place(start);
        write_volatile(place, 0);
        let name = if offset!(filename_name) == NO_FIELD || filename == 0 {
            0
        } else {
            pointer(filename, offset!(filename_name))
        };
        let len = bpf_probe_read_kernel_str(place.cast(), PATH_BYTES as u32, name as *const _);
        if len <= 0 {
            write_volatile(grade_of, grade::NONE);
            write_volatile(flags, path_flag::NAME_NOT_READ);
        } else {
            write_volatile(grade_of, grade::OBJECT);
            let is_full = len as usize == PATH_BYTES;
            write_volatile(flags, if is_full { path_flag::NAME_TRUNCATED } else { 0 });
            // Without its NUL.
            (*out).name = tail.take(start, (len - 1) as usize & (2 * PATH_BYTES - 1));
        }
        let (vfsmount, dentry) = start_of_task(task, read_volatile(place) == b'/', dir);
        if dentry == 0 {
            write_volatile(flags, read_volatile(flags) | path_flag::BASE_NOT_READ);
        } else if !append_path(vfsmount, dentry, &raw mut (*out).base, tail) {
            write_volatile(flags, read_volatile(flags) | path_flag::BASE_TRUNCATED);
        }
    }
}
