//! io_uring: every operation of a wanted kind as it is submitted, and its result as it is done.
//!
//! Requests are submitted by the process that made the ring: by the thread that enters the kernel
//! for it, or by a thread that the kernel made in that process (`SQPOLL`). So the current task is
//! whom they are attributed to; by whom they are carried out later (io-wq) does not matter.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::{ABI_URING, NONE, predicate},
    map::RING_BULK,
    record::{
        Header, PENDING, PathCall, PathRef, PlainCall, SocketCall, Span, Syscall, TaskRef, UringDone, grade,
        kind, path_flag, socket_flag, via,
    },
    uring::{self, InFlight, InFlightKey, Operation, position},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{call, counted, filter};
use crate::{
    global::{BOOT, URING, URING_IN_FLIGHT, frozen},
    read::{self, Current, Request, probe},
    ring::{self, Lane},
    scratch::{self, LargeSlot, SmallSlot, Tail},
};

/// `BPF_ANY` and `BPF_NOEXIST` (include/uapi/linux/bpf.h).
const ANY: u64 = 0;
const NEW: u64 = 1;
/// `IORING_CQE_F_MORE` (include/uapi/linux/io_uring.h): the request is not over.
const MORE: u32 = 1 << 1;
/// `O_ACCMODE`, `O_CREAT` and `O_TRUNC` (include/uapi/asm-generic/fcntl.h).
const WRITES: u64 = 0o3 | 0o100 | 0o1000;

/// `io_uring_submit_req(req)`, `io_uring_submit_sqe(req, …)`.
#[btf_tracepoint(function = "io_uring_submit_req")]
fn io_uring_submit(ctx: BtfTracePointContext) -> i32 {
    submitted(Request(ctx.arg(0)))
}

/// `io_uring_submit_sqe(ctx, req, …)`.
#[btf_tracepoint(function = "io_uring_submit_sqe")]
fn io_uring_submit_to(ctx: BtfTracePointContext) -> i32 {
    submitted(Request(ctx.arg(1)))
}

/// `io_uring_complete(ctx, req, cqe)`; `struct io_uring_cqe` is user_data, res, flags.
#[btf_tracepoint(function = "io_uring_complete")]
fn io_uring_complete(ctx: BtfTracePointContext) -> i32 {
    let (id, entry): (u64, u64) = (ctx.arg(1), ctx.arg(2));
    completed(InFlightKey { ring: 0, id }, probe(entry + 8), probe(entry + 12))
}

/// `io_uring_complete(ctx, req, user_data, res, cflags, …)`.
#[btf_tracepoint(function = "io_uring_complete")]
fn io_uring_complete_result(ctx: BtfTracePointContext) -> i32 {
    completed(InFlightKey { ring: 0, id: ctx.arg(1) }, ctx.arg(3), ctx.arg(4))
}

/// `io_uring_complete(ctx, user_data, res, cflags)`.
#[btf_tracepoint(function = "io_uring_complete")]
fn io_uring_complete_user_data(ctx: BtfTracePointContext) -> i32 {
    completed(InFlightKey { ring: ctx.arg(0), id: ctx.arg(1) }, ctx.arg(2), ctx.arg(3))
}

#[inline(always)]
fn submitted(request: Request) -> i32 {
    let Some(operation) = URING.get_ptr(request.opcode()) else { return 0 };
    // SAFETY: a map value.
    let wanted = unsafe { read_volatile(&raw const (*operation).kind) };
    // As with system calls, what nobody wants is not counted.
    if wanted == uring::kind::UNWANTED {
        return 0;
    }
    counted(Hook::UringSubmit, |counters| {
        let current = Current::get();
        // SAFETY: a map value.
        let predicates = unsafe { read_volatile(&raw const (*operation).predicates) };
        if filter::by_agent(current) || filter::is_muted(current, predicates) {
            counters.filtered += 1;
            return;
        }
        let Some(record) = scratch::large(LargeSlot::UringSubmit) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: the current task, every address checked by the helper that reads it; a large
        // scratch buffer.
        unsafe {
            let call = begin(current, record, request, operation);
            let writes = predicates & predicate::WRITES == 0
                || wanted != uring::kind::PATH
                || call::at(call, position::FLAGS) & WRITES != 0;
            if !writes {
                counters.filtered += 1;
                return;
            }
            if !filter::admits(counters, predicates, (*call).cgroup_id) {
                return;
            }
            let before = counters.submitted;
            match wanted {
                uring::kind::PATH => path(counters, current, record, request, operation),
                uring::kind::SOCKET => socket(counters, current, record, request, operation),
                _ => plain(counters, record, request, operation),
            }
            if counters.submitted != before {
                expect(record, request);
            }
        }
    })
}

/// Fills in what all records of operations begin with.
#[inline(always)]
unsafe fn begin(
    current: Current,
    record: *mut u8,
    request: Request,
    operation: *const Operation,
) -> *mut Syscall {
    // SAFETY: as the caller's.
    unsafe {
        let call = record.add(size_of::<Header>()).cast::<Syscall>();
        let numbers = &raw const (*operation).numbers;
        (*call).args = [
            request.0,
            request.user_data(),
            request.number((*numbers)[0]),
            request.number((*numbers)[1]),
            request.number((*numbers)[2]),
            request.number((*numbers)[3]),
        ];
        if read_volatile(&raw const (*operation).works_on_file) != 0
            && ((*numbers)[0].offset == uring::ABSENT || request.has_fixed_file())
        {
            (*call).args[position::FD as usize] = u64::MAX;
        }
        (*call).result = PENDING;
        (*call).number = request.opcode();
        (*call).abi = ABI_URING;
        (*call).via = via::URING;
        (*call).reserved = 0;
        call::caller(current, call);
        call
    }
}

#[inline(always)]
unsafe fn path(
    counters: &mut HookCounters,
    current: Current,
    record: *mut u8,
    request: Request,
    operation: *const Operation,
) {
    // SAFETY: as the caller's.
    unsafe {
        let task = current.address();
        let paths = record.cast::<PathCall>();
        let tail = Tail::new(record, size_of::<PathCall>());
        let has_root = read::root_of(current, &raw mut (*paths).root, tail);
        (*paths).text = text(request, operation, tail);
        let from = (&raw const (*operation).name, &raw const (*operation).dir);
        named(task, record, request, from, &raw mut (*paths).from, tail);
        let to = (&raw const (*operation).to_name, &raw const (*operation).to_dir);
        named(task, record, request, to, &raw mut (*paths).to, tail);
        if !has_root {
            for path in [&raw mut (*paths).from, &raw mut (*paths).to] {
                let flags = &raw mut (*path).flags;
                write_volatile(flags, read_volatile(flags) | path_flag::ROOT_NOT_READ);
            }
        }
        ring::send(counters, record, lane(operation), kind::PATH, 0, tail.end());
    }
}

#[inline(always)]
unsafe fn named(
    task: u64,
    record: *mut u8,
    request: Request,
    from: (*const u16, *const u8),
    out: *mut PathRef,
    tail: Tail,
) {
    // SAFETY: as the caller's.
    unsafe {
        let (name, dir) = (read_volatile(from.0), read_volatile(from.1));
        if name == uring::ABSENT && dir == NONE {
            let none = Span { offset: 0, len: 0 };
            *out = PathRef { base: none, name: none, grade: grade::NONE, flags: 0 };
            return;
        }
        let call = record.add(size_of::<Header>()).cast::<Syscall>();
        let dir = if dir == NONE { read::AT_FDCWD } else { call::at(call, dir) as i32 };
        read::named_in_kernel(task, request.pointer(name), dir, out, tail);
    }
}

#[inline(always)]
unsafe fn socket(
    counters: &mut HookCounters,
    current: Current,
    record: *mut u8,
    request: Request,
    operation: *const Operation,
) {
    // SAFETY: as the caller's.
    unsafe {
        let socket = record.cast::<SocketCall>();
        let tail = Tail::new(record, size_of::<SocketCall>());
        let call = record.add(size_of::<Header>()).cast::<Syscall>();
        let fd = call::at(call, position::FD) as i32;
        let file = if fd < 0 { 0 } else { current.file(fd as u32) };
        // As it is before the operation.
        read::describe_socket(read::sock_behind(file), &raw mut (*socket).socket);
        if file == 0 {
            (*socket).socket.flags = socket_flag::NOT_READ;
        }
        (*socket).grade = if file == 0 { grade::NONE } else { read::descriptor_grade(current, file) };
        (*socket).path = Span { offset: 0, len: 0 };
        (*socket).given = request.address(
            read_volatile(&raw const (*operation).address),
            read_volatile(&raw const (*operation).address_len),
            read_volatile(&raw const (*operation).message),
            tail,
            &raw mut (*socket).given_grade,
        );
        ring::send(counters, record, lane(operation), kind::SOCKET, 0, tail.end());
    }
}

#[inline(always)]
unsafe fn plain(counters: &mut HookCounters, record: *mut u8, request: Request, operation: *const Operation) {
    // SAFETY: as the caller's.
    unsafe {
        let plain = record.cast::<PlainCall>();
        let tail = Tail::new(record, size_of::<PlainCall>());
        (*plain).target = TaskRef { leader_start_ns: 0, tgid: 0, tid: 0 };
        (*plain).target_pid = 0;
        (*plain).pid_ns = 0;
        (*plain).reserved = 0;
        (*plain).text = text(request, operation, tail);
        ring::send(counters, record, lane(operation), kind::PLAIN, 0, tail.end());
    }
}

#[inline(always)]
unsafe fn text(request: Request, operation: *const Operation, tail: Tail) -> Span {
    // SAFETY: as the caller's.
    unsafe {
        let offset = read_volatile(&raw const (*operation).text);
        if offset == uring::ABSENT {
            return Span { offset: 0, len: 0 };
        }
        request.text(offset, read_volatile(&raw const (*operation).text_is_name) != 0, tail)
    }
}

/// Ring of the record. Asked last: a known number that is kept across a walk multiplies the states
/// that the verifier follows.
#[inline(always)]
unsafe fn lane(operation: *const Operation) -> Lane {
    // SAFETY: a map value.
    Lane::of(unsafe { read_volatile(&raw const (*operation).ring) })
}

/// Remembers a request that was reported, for its result.
#[inline(always)]
fn expect(record: *mut u8, request: Request) {
    // SAFETY: a record that was sent.
    let (submitted_ns, ring) = unsafe {
        let header = record.cast::<Header>();
        (read_volatile(&raw const (*header).boottime_ns), read_volatile(&raw const (*header).ring))
    };
    let entry = InFlight { submitted_ns, request: request.0, ring: u64::from(ring) };
    if frozen(&BOOT.uring_by_user_data) == 0 {
        // What a request before it at this address has left behind is over.
        let _ = URING_IN_FLIGHT.insert(InFlightKey { ring: 0, id: request.0 }, entry, ANY);
        return;
    }
    let key = InFlightKey { ring: request.ring(), id: request.user_data() };
    if URING_IN_FLIGHT.insert(key, entry, NEW).is_err() {
        // Two of the same name: no result is better than that of the other.
        let unclear = InFlight { submitted_ns: 0, ..entry };
        let _ = URING_IN_FLIGHT.insert(key, unclear, ANY);
    }
}

#[inline(always)]
fn completed(key: InFlightKey, result: i32, flags: u32) -> i32 {
    // SAFETY: a map value; an entry belongs to one request, which is done once.
    let Some(&entry) = (unsafe { URING_IN_FLIGHT.get(key) }) else { return 0 };
    if flags & MORE == 0 {
        let _ = URING_IN_FLIGHT.remove(key);
    }
    counted(Hook::UringComplete, |counters| {
        if entry.submitted_ns == 0 {
            counters.filtered += 1;
            return;
        }
        let Some(record) = scratch::small(SmallSlot::UringComplete) else {
            counters.errors += 1;
            return;
        };
        // SAFETY: a scratch buffer.
        unsafe {
            let done = record.cast::<UringDone>();
            (*done).submitted_ns = entry.submitted_ns;
            (*done).request = entry.request;
            (*done).result = i64::from(result);
            let lane = if entry.ring == u64::from(RING_BULK) { Lane::Bulk } else { Lane::Critical };
            ring::send(counters, record, lane, kind::URING_DONE, 0, size_of::<UringDone>());
        }
    })
}
