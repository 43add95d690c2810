//! Calls on sockets. What the kernel holds of the socket is read behind the descriptor after the call;
//! the address that the caller gave is still in its memory alone.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::{ABI_NATIVE, NONE, RESULT, Want, test},
    map::HANDLER_SOCKET,
    record::{ADDRESS_BYTES, SocketCall, Span, Syscall, grade, kind, socket_flag},
};
use aya_ebpf::helpers::generated::bpf_probe_read_user;

use super::{call, filter, handler};
use crate::{
    global::offset,
    read::{self, Current, Typed, pointer},
    ring::{self, Lane},
    scratch::{self, LargeSlot, NAMES, Tail},
};

/// `F_DUPFD`, `F_DUPFD_CLOEXEC` (include/uapi/linux/fcntl.h).
const DUPFD: u32 = 0;
const DUPFD_CLOEXEC: u32 = 1024 + 6;
/// `MSG_FASTOPEN` (include/linux/socket.h): the call connects.
const FASTOPEN: u32 = 0x2000_0000;
/// `SOCK_STREAM` (include/linux/net.h).
const STREAM: u16 = 1;
/// include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;

/// Most messages of a `sendmmsg` that are looked at.
const MESSAGES: u64 = 8;
/// `struct mmsghdr` and `struct compat_mmsghdr` (include/linux/socket.h, include/net/compat.h).
const MMSGHDR_BYTES: u64 = 64;
const COMPAT_MMSGHDR_BYTES: u64 = 32;

/// The calls that a 32-bit `socketcall` stands for, by its first argument (include/uapi/linux/net.h): the
/// number that each has for itself in the i386 table (arch/x86/entry/syscalls/syscall_32.tbl), and
/// from bit 16 on how many arguments it takes. `accept` is `accept4` without its flags. 0: of no
/// interest.
static SUBCALLS: [u32; 32] = {
    let mut calls = [0; 32];
    calls[1] = 359 | 3 << 16; // socket
    calls[2] = 361 | 3 << 16; // bind
    calls[3] = 362 | 3 << 16; // connect
    calls[4] = 363 | 2 << 16; // listen
    calls[5] = 364 | 3 << 16; // accept
    calls[11] = 369 | 6 << 16; // sendto
    calls[16] = 370 | 3 << 16; // sendmsg
    calls[18] = 364 | 4 << 16; // accept4
    calls[20] = 345 | 4 << 16; // sendmmsg
    calls
};

handler!(sys_exit_socket, fexit_socket, Hook::Socket, socket_call);

#[inline(always)]
fn socket_call(counters: &mut HookCounters, regs: u64, result: i64, via: u8) {
    let Some(record) = scratch::large(LargeSlot::of(via)) else {
        counters.errors += 1;
        return;
    };
    // SAFETY: the current task, every address checked by the helper that reads it; a large
    // scratch buffer, of which `socket` is the front.
    unsafe {
        let current = Current::get();
        let socket = record.cast::<SocketCall>();
        let call = call::begin::<Typed>(current, record, regs, result, via);
        (*socket).grade = grade::NONE;
        let Some(wanted) = call::want(call) else {
            counters.errors += 1;
            return;
        };
        if read_volatile(&raw const (*wanted).fd) == NONE && !translate(socket, record) {
            counters.filtered += 1;
            return;
        }
        let Some(want) = call::want(call) else {
            counters.errors += 1;
            return;
        };
        if u32::from(read_volatile(&raw const (*want).handler)) != HANDLER_SOCKET
            || !filter::passes(&*want, result, result as u64)
        {
            counters.filtered += 1;
            return;
        }
        let fd = call::at(call, read_volatile(&raw const (*want).fd)) as i32;
        let file = if fd < 0 { 0 } else { current.file(fd as u32) };
        let sock = read::sock_behind(file);
        let given = given(call, want);
        if !matters(call, want, sock, given) {
            counters.filtered += 1;
            return;
        }
        let predicates = read_volatile(&raw const (*want).predicates);
        if !filter::admits(counters, predicates, (*call).cgroup_id) {
            return;
        }
        // A descriptor that the kernel gave is not one that was read from the caller's memory.
        let is_new = read_volatile(&raw const (*want).fd) == RESULT;
        if is_new {
            write_volatile(&raw mut (*socket).grade, grade::NONE);
        }
        describe(current, file, sock, socket);
        let tail = Tail::new(record, size_of::<SocketCall>());
        capture(given, socket, tail);
        if !read::append_unix_path(sock, is_new, &raw mut (*socket).path, tail) {
            let flags = &raw mut (*socket).socket.flags;
            write_volatile(flags, read_volatile(flags) | socket_flag::PATH_TRUNCATED);
        }
        let lane = Lane::of(read_volatile(&raw const (*want).ring));
        ring::send(counters, record, lane, kind::SOCKET, 0, tail.end());
    }
}

/// Makes a `socketcall` the call that it stands for, as if that had been made by its own number. Its
/// arguments are in the caller's memory: what they say of the descriptor is no better than that.
///
/// # Safety
/// `record` is a large scratch buffer, `socket` its front.
#[inline(always)]
unsafe fn translate(socket: *mut SocketCall, record: *mut u8) -> bool {
    // SAFETY: as the caller's; positions are masked.
    unsafe {
        let call = &raw mut (*socket).call;
        let which = call::at(call, 0);
        let address = call::at(call, 1);
        if which >= SUBCALLS.len() as u64 {
            return false;
        }
        let subcall = read_volatile(SUBCALLS.as_ptr().add(which as usize & (SUBCALLS.len() - 1)));
        if subcall == 0 {
            return false;
        }
        let arguments = record.add(NAMES).cast::<[u32; 8]>();
        write_volatile(arguments, [0; 8]);
        let bytes = (subcall >> 16 & 7) * 4;
        if bpf_probe_read_user(arguments.cast(), bytes, address as *const _) != 0 {
            return false;
        }
        let arguments = read_volatile(arguments);
        let [a, b, c, d, e, f, ..] = arguments.map(u64::from);
        write_volatile(&raw mut (*call).args, [a, b, c, d, e, f]);
        write_volatile(&raw mut (*call).number, subcall & 0xffff);
        write_volatile(&raw mut (*socket).grade, grade::USER);
        true
    }
}

/// An address in the caller's memory; 0: it named none.
#[derive(Clone, Copy)]
struct Given {
    address: u64,
    len: u32,
}

/// The address that the call names, by itself or in its message; of several messages the first that
/// names one.
#[inline(always)]
unsafe fn given(call: *const Syscall, want: *const Want) -> Given {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        let (position, len) =
            (read_volatile(&raw const (*want).address), read_volatile(&raw const (*want).address_len));
        if position != NONE {
            return Given { address: call::at(call, position), len: call::at(call, len) as u32 };
        }
        let position = read_volatile(&raw const (*want).message);
        if position == NONE {
            return Given { address: 0, len: 0 };
        }
        let messages = if len == NONE { 1 } else { call::at(call, len).min(MESSAGES) };
        let mut message = call::at(call, position);
        for index in 0..MESSAGES {
            if index >= messages {
                break;
            }
            let given = name_of(call, message);
            if given.address != 0 && given.len != 0 {
                return given;
            }
            let is_native = read_volatile(&raw const (*call).abi) == ABI_NATIVE;
            message += if is_native { MMSGHDR_BYTES } else { COMPAT_MMSGHDR_BYTES };
        }
        Given { address: 0, len: 0 }
    }
}

/// What a message names: `struct user_msghdr` (include/linux/socket.h) and `struct compat_msghdr`
/// (include/net/compat.h) begin with a pointer and a length.
#[inline(always)]
unsafe fn name_of(call: *const Syscall, message: u64) -> Given {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        if read_volatile(&raw const (*call).abi) == ABI_NATIVE {
            let [low, high, len] = user::<[u32; 3]>(message);
            Given { address: u64::from(high) << 32 | u64::from(low), len }
        } else {
            let [address, len] = user::<[u32; 2]>(message);
            Given { address: u64::from(address), len }
        }
    }
}

/// Reads from the caller's memory; zero where that cannot be read.
#[inline(always)]
unsafe fn user<T: Copy>(address: u64) -> T {
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: the helper checks the address, and writes zero where it cannot read; plain numbers.
    unsafe {
        bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _);
        value.assume_init()
    }
}

/// Whether the call is one of those that anybody wants: a descriptor that is put onto another is a
/// socket, and what is sent names where to.
#[inline(always)]
unsafe fn matters(call: *const Syscall, want: *const Want, sock: u64, given: Given) -> bool {
    // SAFETY: as the caller's.
    unsafe {
        let flags = read_volatile(&raw const (*want).flags);
        let flags = if flags == NONE { 0 } else { call::at(call, flags) as u32 };
        let names_none = read_volatile(&raw const (*want).address) == NONE
            && read_volatile(&raw const (*want).message) == NONE;
        if names_none {
            let is_dup = read_volatile(&raw const (*want).test) != test::NONE;
            return !is_dup || sock != 0 && (flags == DUPFD || flags == DUPFD_CLOEXEC);
        }
        if read_volatile(&raw const (*want).flags) == NONE {
            return true;
        }
        // A connection does not look at the address, but where the call makes it.
        let is_connected = read::sock_type(sock) == STREAM && read::sock_state(sock) == ESTABLISHED;
        given.address != 0 && given.len != 0 && (!is_connected || flags & FASTOPEN != 0)
    }
}

/// Fills in the socket, and how sure it is that the call used this one.
#[inline(always)]
unsafe fn describe(current: Current, file: u64, sock: u64, socket: *mut SocketCall) {
    // SAFETY: as the caller's.
    unsafe {
        let out = &raw mut (*socket).socket;
        if sock == 0 {
            scratch::zero(out);
            (*out).flags = socket_flag::NOT_READ;
            write_volatile(&raw mut (*socket).grade, grade::NONE);
            return;
        }
        read::describe_socket(sock, out);
        (*out).inode = pointer(pointer(file, offset!(file_inode)), offset!(inode_ino));
        if read_volatile(&raw const (*socket).grade) == grade::NONE {
            write_volatile(&raw mut (*socket).grade, read::descriptor_grade(current, file));
        }
        if read_volatile(&raw const (*socket).grade) != grade::FD {
            write_volatile(&raw mut (*out).flags, socket_flag::RACED);
        }
    }
}

/// Appends the address that was given, as it is in the caller's memory now.
#[inline(always)]
unsafe fn capture(given: Given, socket: *mut SocketCall, tail: Tail) {
    // SAFETY: as the caller's; the tail has room, and the helper checks the address.
    unsafe {
        write_volatile(&raw mut (*socket).given, Span { offset: 0, len: 0 });
        write_volatile(&raw mut (*socket).given_grade, grade::NONE);
        if given.address == 0 {
            return;
        }
        let len = given.len.min(ADDRESS_BYTES as u32) & (2 * ADDRESS_BYTES as u32 - 1);
        let start = tail.start();
        if bpf_probe_read_user(tail.place(start).cast(), len, given.address as *const _) == 0 {
            write_volatile(&raw mut (*socket).given, tail.take(start, len as usize));
            write_volatile(&raw mut (*socket).given_grade, grade::USER);
        }
    }
}
