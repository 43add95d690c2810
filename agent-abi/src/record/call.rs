//! What all records of system calls begin with, and calls of which the arguments say it all.

use super::{Header, Span, TaskRef};
use crate::wire::wire;

/// Where a record comes from: [`Syscall::via`].
pub mod via {
    /// `sys_exit`: after the call.
    pub const SYS_EXIT: u8 = 0;
    /// `sys_enter`: before the call, whose result is [`super::PENDING`].
    pub const SYS_ENTER: u8 = 1;
    /// `fexit` of the call itself.
    pub const FEXIT: u8 = 2;
    /// An LSM hook: within the call, whose result is [`super::PENDING`].
    pub const LSM: u8 = 3;
    /// Submitted through an io_uring; the result comes as a [`super::UringDone`].
    pub const URING: u8 = 4;
}

/// [`Syscall::result`] of a call that has not returned yet.
pub const PENDING: i64 = i64::MIN;

wire! {
    /// A system call, or an operation of an io_uring: what all records of them begin with.
    pub struct Syscall [88] {
        /// The arguments; of a 32-bit call 32 bits each.
        pub args: [u64; 6],
        /// What it returned, errors negative; [`PENDING`] while it has not.
        pub result: i64,
        /// Its number in its ABI.
        pub number: u32,
        /// [`crate::interest::ABI_NATIVE`] and its like.
        pub abi: u8,
        /// Of [`via`].
        pub via: u8,
        /// Keeps the size a multiple of 8.
        pub reserved: u16,
        /// The calling thread; of an io_uring the one that submitted.
        pub task: TaskRef,
        /// Its cgroup.
        pub cgroup_id: u64,
    }

    /// A call of which the arguments say it all.
    pub struct PlainCall [32 + 88 + 16 + 16] {
        /// Kind [`super::kind::PLAIN`].
        pub header: Header,
        /// The call.
        pub call: Syscall,
        /// Process that the call is about, where the kernel holds it (a pidfd); else all zero.
        pub target: TaskRef,
        /// Process or thread that the call is about, as the caller numbers it; 0: none.
        pub target_pid: i32,
        /// Inode number of the pid namespace in which the caller numbers it.
        pub pid_ns: u32,
        /// Bytes of the caller's, such as `union bpf_attr` or a module's parameters.
        pub text: Span,
        /// Keeps the size a multiple of 8.
        pub reserved: u32,
    }

    /// An operation of an io_uring is done.
    pub struct UringDone [32 + 24] {
        /// Kind [`super::kind::URING_DONE`].
        pub header: Header,
        /// `boottime_ns` of the record that told of its submission.
        pub submitted_ns: u64,
        /// Address of the request: with `submitted_ns` it names the operation.
        pub request: u64,
        /// What it returned, errors negative.
        pub result: i64,
    }
}
