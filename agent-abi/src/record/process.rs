//! Processes: how they begin, what they run, what they may do from then on, how they end.

use super::{FileRef, Header, Span, TaskRef, TaskState};
use crate::wire::wire;

/// Bits of [`Exec::truncated`].
pub mod exec_truncated {
    /// argv was longer than what fits.
    pub const ARGV: u32 = 1;
    /// The file name as given was longer than what fits.
    pub const FILENAME: u32 = 2;
    /// The walk of the working directory stopped before the root.
    pub const CWD: u32 = 4;
}

wire! {
    /// A new process. The child has its own state, which `clone` flags may have changed.
    pub struct Fork [32 + 216 + 16] {
        /// Kind [`super::kind::FORK`].
        pub header: Header,
        /// The child.
        pub child: TaskState,
        /// The task that called `clone`, which is not the parent under `CLONE_PARENT`.
        pub creator: TaskRef,
    }

    /// A task's image, at exec or as the scan found it.
    pub struct Exec [32 + 216 + 32 + 24] {
        /// Kind [`super::kind::EXEC`] or [`super::kind::SCAN`].
        pub header: Header,
        /// The task, after the credentials of the new image took effect.
        pub state: TaskState,
        /// The executable, by `mm->exe_file`.
        pub exe: FileRef,
        /// argv, NUL-separated. Empty in a scan: the memory of another task is not readable there.
        pub argv: Span,
        /// The path given to `execve`, or for a script the script. Empty in a scan.
        pub filename: Span,
        /// Working directory, components leaf first.
        pub cwd: Span,
        /// `seccomp.filter->cache.allow_native`, one bit per system call.
        pub seccomp_allow: Span,
        /// Of [`exec_truncated`].
        pub truncated: u32,
        /// Thread id before an exec by a thread that was not the leader.
        pub old_tid: u32,
    }

    /// The end of a process.
    pub struct Exit [32 + 32] {
        /// Kind [`super::kind::EXIT`].
        pub header: Header,
        /// The last thread.
        pub task: TaskRef,
        /// Its cgroup.
        pub cgroup_id: u64,
        /// As `wait` encodes it: exit code << 8 | signal.
        pub status: u32,
        /// Keeps the size a multiple of 8.
        pub reserved: u32,
    }

    /// A successful call that may have changed what a task may do. The state is that after the call.
    pub struct Credentials [32 + 216 + 40] {
        /// Kind [`super::kind::CREDENTIALS`].
        pub header: Header,
        /// The calling thread; with `TSYNC` seccomp also changed its siblings.
        pub state: TaskState,
        /// First three arguments.
        pub args: [u64; 3],
        /// [`crate::interest::ABI_NATIVE`] and its like.
        pub syscall_abi: u32,
        /// Number of the call in that ABI.
        pub syscall: u32,
        /// `seccomp.filter->cache.allow_native`.
        pub seccomp_allow: Span,
        /// Keeps the size a multiple of 8.
        pub reserved: u32,
    }
}
