//! The node: its cgroups, its memory, its parameters, and signals for the agent.

use super::{Header, Span, TaskRef};
use crate::wire::wire;

wire! {
    /// A cgroup made or removed, or a task moved into one.
    pub struct Cgroup [32 + 32] {
        /// Kind [`super::kind::CGROUP_MKDIR`], [`super::kind::CGROUP_RMDIR`] or [`super::kind::CGROUP_ATTACH`].
        pub header: Header,
        /// Inode number of the cgroup.
        pub cgroup_id: u64,
        /// The task moved ([`super::kind::CGROUP_ATTACH`]) or the one that made or removed it.
        pub task: TaskRef,
        /// `cgroup_root.hierarchy_id`: 0 for v2.
        pub hierarchy: u32,
        /// Path below the hierarchy's root as the kernel prints it.
        pub path: Span,
    }

    /// The kernel kills a process for its memory.
    pub struct OomKill [32 + 24] {
        /// Kind [`super::kind::OOM_KILL`].
        pub header: Header,
        /// The process. On kernels before 6.9 its ids alone.
        pub task: TaskRef,
        /// Its cgroup; 0 where the kernel does not say.
        pub cgroup_id: u64,
    }

    /// A signal for the agent.
    pub struct Signal [32 + 32] {
        /// Kind [`super::kind::SIGNAL`].
        pub header: Header,
        /// Who sends it.
        pub task: TaskRef,
        /// The sender's cgroup.
        pub cgroup_id: u64,
        /// Number of the signal.
        pub signal: u32,
        /// `si_code` (include/uapi/asm-generic/siginfo.h).
        pub code: i32,
    }

    /// A kernel parameter is written.
    pub struct Sysctl [32 + 32] {
        /// Kind [`super::kind::SYSCTL`].
        pub header: Header,
        /// Who writes.
        pub task: TaskRef,
        /// Its cgroup.
        pub cgroup_id: u64,
        /// Such as `net/ipv4/ip_forward`.
        pub name: Span,
        /// The new value.
        pub value: Span,
    }
}
