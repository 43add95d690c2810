//! What a task is, and what it may do.

use crate::wire::wire;

/// An id that its namespace does not map (the kernel shows it as 65534).
pub const UNMAPPED: u32 = u32::MAX;

/// [`TaskState::flags`].
pub mod task_flag {
    /// A kernel thread.
    pub const KERNEL_THREAD: u32 = 1;
    /// The user namespace has more than five extents: `ns_uid` and `ns_euid` were not computed.
    pub const NS_IDS_NOT_READ: u32 = 2;
}

wire! {
    /// A task, safe against reuse of its ids within a boot.
    pub struct TaskRef [16] {
        /// `start_boottime` of the thread group's leader, in nanoseconds.
        pub leader_start_ns: u64,
        /// Thread group id in the host's pid namespace: what user space calls the pid.
        pub tgid: u32,
        /// Thread id in the host's pid namespace.
        pub tid: u32,
    }

    /// The five capability sets, bit n for capability n.
    pub struct Capabilities [40] {
        /// `cap_inheritable`.
        pub inheritable: u64,
        /// `cap_permitted`.
        pub permitted: u64,
        /// `cap_effective`.
        pub effective: u64,
        /// `cap_bset`.
        pub bounding: u64,
        /// `cap_ambient`.
        pub ambient: u64,
    }

    /// User and group ids as the host sees them, and the two that matter inside the task's own user
    /// namespace.
    pub struct Ids [40] {
        /// Real user id.
        pub uid: u32,
        /// Real group id.
        pub gid: u32,
        /// Saved user id.
        pub suid: u32,
        /// Saved group id.
        pub sgid: u32,
        /// Effective user id.
        pub euid: u32,
        /// Effective group id.
        pub egid: u32,
        /// File system user id.
        pub fsuid: u32,
        /// File system group id.
        pub fsgid: u32,
        /// `uid` inside the task's user namespace, or [`UNMAPPED`].
        pub ns_uid: u32,
        /// `euid` inside the task's user namespace, or [`UNMAPPED`].
        pub ns_euid: u32,
    }

    /// Inode numbers of a task's namespaces, as `/proc/PID/ns` shows them. 0: not read.
    pub struct Namespaces [32] {
        /// Mount namespace.
        pub mnt: u32,
        /// Pid namespace of the task itself (not that of its children).
        pub pid: u32,
        /// Network namespace.
        pub net: u32,
        /// IPC namespace.
        pub ipc: u32,
        /// UTS namespace.
        pub uts: u32,
        /// Cgroup namespace.
        pub cgroup: u32,
        /// User namespace.
        pub user: u32,
        /// Depth of the user namespace below the initial one, which has 0.
        pub user_level: u32,
    }

    /// All that posture needs to know of a task, as the kernel holds it at that moment.
    pub struct TaskState [32 + 16 + 40 + 40 + 32 + 40 + 16] {
        /// The task.
        pub task: TaskRef,
        /// Its `real_parent`.
        pub parent: TaskRef,
        /// `self_exec_id`: the version of the image.
        pub exec_id: u64,
        /// Inode number of its cgroup in the hierarchy of [`crate::map::Boot::cgroup_subsys`].
        pub cgroup_id: u64,
        /// Capability sets.
        pub caps: Capabilities,
        /// User and group ids.
        pub ids: Ids,
        /// Namespaces.
        pub ns: Namespaces,
        /// Thread group id in the task's own pid namespace.
        pub ns_tgid: u32,
        /// Thread id in the task's own pid namespace.
        pub ns_tid: u32,
        /// Session id in the host's pid namespace.
        pub session: u32,
        /// Controlling terminal as `/proc/PID/stat` encodes it; 0: none.
        pub tty: u32,
        /// `cred.securebits`.
        pub securebits: u32,
        /// Bit 0 of `atomic_flags`: 0 or 1.
        pub no_new_privs: u32,
        /// `seccomp.mode`: 0 disabled, 1 strict, 2 filter.
        pub seccomp_mode: u32,
        /// `seccomp.filter_count`; 0 where the kernel has none (before 5.9).
        pub seccomp_filters: u32,
        /// Of [`task_flag`].
        pub flags: u32,
        /// Login user id as audit keeps it, [`UNMAPPED`] when unset or not read.
        pub login_uid: u32,
        /// Name of the task, NUL-padded; chosen by the workload.
        pub comm: [u8; 16],
    }
}
