//! Records: a fixed part per kind, then a tail of exactly the bytes that were needed.
//!
//! A [`Span`] in the fixed part points into the tail. Paths are absolute and not terminated; argv is
//! NUL-terminated strings one after the other.
//!
//! All records made of a system call begin with [`Header`] and [`Syscall`].

mod call;
mod file;
pub mod kind;
mod process;
mod socket;
mod system;
mod task;

pub use self::{
    call::{PENDING, PlainCall, Syscall, UringDone, via},
    file::{FileCall, FileRef, PathCall, PathRef, file_flag, path_flag},
    process::{Credentials, Exec, Exit, Fork, exec_truncated},
    socket::{Packet, SocketCall, SocketRef, SocketState, socket_flag},
    system::{Cgroup, OomKill, Signal, Sysctl},
    task::{Capabilities, Ids, Namespaces, TaskRef, TaskState, UNMAPPED, task_flag},
};
use crate::wire::wire;

/// How much a path or an address can be trusted: what it was read from.
pub mod grade {
    /// There is none.
    pub const NONE: u32 = 0;
    /// The object that the operation used.
    pub const OBJECT: u32 = 1;
    /// Looked up behind a descriptor after the call, and nobody else can have changed that; or, of an
    /// open whose descriptors others share, it is all that was asked for: one descriptor holds it, with
    /// the flags of the open, and its name is the last of the name given. There a thread can still make
    /// it lie: with a file of the same name, put over the descriptor before the record is made.
    pub const FD: u32 = 2;
    /// Looked up behind a descriptor that another thread may have changed since.
    pub const FD_RACED: u32 = 3;
    /// Read from the caller's memory after the call: another thread may have changed it.
    pub const USER: u32 = 4;
}

/// [`Header::flags`].
pub mod header_flag {
    /// The ring was nearly full: every span is empty, the fixed part is whole.
    pub const SHRUNK: u32 = 1;
}

wire! {
    /// First bytes of every record.
    pub struct Header [32] {
        /// [`crate::ABI_VERSION`].
        pub abi: u16,
        /// One of [`kind`].
        pub kind: u16,
        /// Bytes of the whole record, this header included.
        pub len: u32,
        /// CPU on which the record was made.
        pub cpu: u16,
        /// Ring it was put into: [`crate::map::RING_CRITICAL`] or [`crate::map::RING_BULK`].
        pub ring: u16,
        /// Of [`header_flag`].
        pub flags: u32,
        /// Per (ring, CPU), from 0 since the programs were loaded. A record that found no room used
        /// its number up, so a gap is a loss. Nested programs may deliver neighbours out of order.
        pub sequence: u64,
        /// `CLOCK_BOOTTIME` in nanoseconds.
        pub boottime_ns: u64,
    }

    /// A piece of the tail.
    pub struct Span [4] {
        /// From the record's first byte.
        pub offset: u16,
        /// In bytes; 0 where there is nothing, or nothing could be read.
        pub len: u16,
    }
}

/// Longest path component, without its NUL (`NAME_MAX`).
pub const COMPONENT_BYTES: usize = 255;
/// Most components of a path that are walked.
pub const COMPONENTS: usize = 256;
/// Most bytes of a path in a record (`PATH_MAX`).
pub const PATH_BYTES: usize = 4096;
/// Most bytes of the caller's that are captured as they are.
pub const TEXT_BYTES: usize = 256;
/// Most bytes of a `struct sockaddr` (`sizeof(struct sockaddr_storage)`).
pub const ADDRESS_BYTES: usize = 128;
/// Most bytes of a packet's payload.
pub const PAYLOAD_BYTES: usize = 512;
/// Most bytes of argv in a record.
pub const ARGV_BYTES: usize = 4096;
/// Most bytes of the file name as given.
pub const FILENAME_BYTES: usize = 1024;
/// Most bytes of a cgroup's path.
pub const CGROUP_PATH_BYTES: usize = 1024;
/// Most bytes of the seccomp allow bitmap.
pub const SECCOMP_BITMAP_BYTES: usize = 64;
