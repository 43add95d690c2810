//! What is wanted of the operations of an io_uring, and where it stands in the kernel's request.
//!
//! As with system calls, the programs know no operation: the table tells them what to capture. Its
//! offsets come from this kernel's types.

use crate::wire::wire;

/// Slots of [`crate::map::URING`], one per opcode (`IORING_OP_…`).
pub const OPERATIONS: u32 = 128;

/// [`Operation::kind`].
pub mod kind {
    /// Nobody wants the operation.
    pub const UNWANTED: u8 = 0;
    /// It is reported as a [`crate::record::PathCall`].
    pub const PATH: u8 = 1;
    /// As a [`crate::record::PlainCall`].
    pub const PLAIN: u8 = 2;
    /// As a [`crate::record::SocketCall`].
    pub const SOCKET: u8 = 3;
}

/// Offset of what the operation, or this kernel, does not have.
pub const ABSENT: u16 = u16::MAX;

/// Positions in [`crate::record::Syscall::args`] of an operation.
pub mod position {
    /// Address of the request: names the operation while it is under way.
    pub const REQUEST: u8 = 0;
    /// What the submitter gave to know it by.
    pub const USER_DATA: u8 = 1;
    /// Descriptor that it works on, or of the directory that its name starts at; -1 where the
    /// kernel does not say, or the descriptor is one of the ring's own.
    pub const FD: u8 = 2;
    /// Flags; of `socket` the type.
    pub const FLAGS: u8 = 3;
    /// Mode; the second directory of an operation with two; of `socket` the protocol.
    pub const MODE: u8 = 4;
    /// Length.
    pub const LEN: u8 = 5;
}

wire! {
    no Default:

    /// A number in the request.
    pub struct Number [4] {
        /// From the start of `struct io_kiocb`, or [`ABSENT`].
        pub offset: u16,
        /// 2, 4 or 8.
        pub bytes: u16,
    }
}

impl Number {
    /// There is none.
    pub const ABSENT: Self = Self { offset: ABSENT, bytes: 0 };
}

wire! {
    no Default:

    /// What is captured of one opcode. Offsets are those from the start of `struct io_kiocb`.
    pub struct Operation [40] {
        /// Of [`kind`].
        pub kind: u8,
        /// Of [`crate::interest::predicate`]. What cannot be known at submission, such as the result,
        /// is wanted.
        pub predicates: u8,
        /// Ring: [`crate::map::RING_CRITICAL`] or [`crate::map::RING_BULK`].
        pub ring: u8,
        /// 1: [`position::FD`] is a file that the operation works on, and so may be one of the ring's.
        pub works_on_file: u8,
        /// Position of the directory that `name` starts at, or [`crate::interest::NONE`].
        pub dir: u8,
        /// The same of `to_name`.
        pub to_dir: u8,
        /// 1: `text` is a `struct filename`; 0: the bytes themselves.
        pub text_is_name: u8,
        /// Keeps what follows aligned.
        pub reserved: u8,
        /// The last four arguments.
        pub numbers: [Number; 4],
        /// Pointer to a `struct filename`.
        pub name: u16,
        /// Pointer to the second one.
        pub to_name: u16,
        /// Pointer to bytes in the kernel.
        pub text: u16,
        /// Pointer to a socket address in the submitter's memory, where the kernel has no copy.
        pub address: u16,
        /// Its length, 2 bytes of it.
        pub address_len: u16,
        /// Pointer to a `struct msghdr` in the submitter's memory.
        pub message: u16,
        /// Keeps the size a multiple of 8.
        pub end: [u16; 2],
    }
}

impl Operation {
    /// Nobody wants it.
    pub const UNWANTED: Self = Self {
        kind: kind::UNWANTED,
        predicates: 0,
        ring: 0,
        works_on_file: 0,
        dir: crate::interest::NONE,
        to_dir: crate::interest::NONE,
        text_is_name: 0,
        reserved: 0,
        numbers: [Number::ABSENT; 4],
        name: ABSENT,
        to_name: ABSENT,
        text: ABSENT,
        address: ABSENT,
        address_len: ABSENT,
        message: ABSENT,
        end: [0; 2],
    };
}

wire! {
    /// Key of [`crate::map::URING_IN_FLIGHT`].
    pub struct InFlightKey [16] {
        /// Address of the ring where completions name no request ([`crate::map::Boot::uring_by_user_data`]),
        /// else 0.
        pub ring: u64,
        /// Address of the request; else what the submitter gave to know it by.
        pub id: u64,
    }

    /// A reported operation that is not done.
    pub struct InFlight [24] {
        /// `boottime_ns` of its record; 0: the ring has two of the same key, of which the kernel does
        /// not say which is done.
        pub submitted_ns: u64,
        /// Address of the request.
        pub request: u64,
        /// Ring of its record.
        pub ring: u64,
    }
}
