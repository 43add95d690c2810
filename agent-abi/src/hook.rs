//! The hooks, and what each one counts.

/// Attach points, and the handlers that [`Hook::SysExit`] tail-calls. The discriminant is the
/// index into [`crate::map::COUNTERS`].
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `sched_process_fork`: a new process (threads are not reported).
    Fork = 0,
    /// `sched_process_exec`: a new image.
    Exec = 1,
    /// `sched_process_exit` of a process' last thread.
    Exit = 2,
    /// `cgroup_mkdir`.
    CgroupMkdir = 3,
    /// `cgroup_rmdir`.
    CgroupRmdir = 4,
    /// `cgroup_attach_task`.
    CgroupAttach = 5,
    /// `sys_exit`: looks the call up in the interest table and hands it on.
    SysExit = 6,
    /// Handler of [`Hook::SysExit`]: calls that change credentials, seccomp or namespaces.
    Credentials = 7,
    /// Handler of [`Hook::SysExit`]: opened files.
    Open = 8,
    /// `iter/task`: the tasks that ran before the hooks were there.
    TaskScan = 9,
}

/// Number of [`Hook`]s.
pub const HOOKS: usize = 10;

impl Hook {
    /// Every hook, in the order of its discriminant.
    pub const ALL: [Self; HOOKS] = [
        Self::Fork,
        Self::Exec,
        Self::Exit,
        Self::CgroupMkdir,
        Self::CgroupRmdir,
        Self::CgroupAttach,
        Self::SysExit,
        Self::Credentials,
        Self::Open,
        Self::TaskScan,
    ];

    /// Ring that its records go to; `None` for a hook that sends none.
    #[must_use]
    pub const fn ring(self) -> Option<u32> {
        match self {
            Self::SysExit | Self::TaskScan => None,
            Self::Open => Some(crate::map::RING_BULK),
            _ => Some(crate::map::RING_CRITICAL),
        }
    }

    /// Name in logs, metrics and the attach report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "sched_process_fork",
            Self::Exec => "sched_process_exec",
            Self::Exit => "sched_process_exit",
            Self::CgroupMkdir => "cgroup_mkdir",
            Self::CgroupRmdir => "cgroup_rmdir",
            Self::CgroupAttach => "cgroup_attach_task",
            Self::SysExit => "sys_exit",
            Self::Credentials => "sys_exit/credentials",
            Self::Open => "sys_exit/open",
            Self::TaskScan => "iter/task",
        }
    }
}

/// One hook's counters on one CPU. At quiescence
/// `seen = submitted + lost + filtered + handed_on + tail_failed`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct HookCounters {
    /// Times the program ran.
    pub seen: u64,
    /// Records that reached a ring (or, for the scan, the iterator's reader).
    pub submitted: u64,
    /// Records that the ring had no room for.
    pub lost: u64,
    /// Runs with nothing to report: a thread, a failed call, the agent itself.
    pub filtered: u64,
    /// Runs given to a tail-called handler. The dispatcher counts the call before it makes it.
    pub handed_on: u64,
    /// Tail calls that did not happen.
    pub tail_failed: u64,
    /// Of `submitted`: records cut to their posture part because the ring was nearly full.
    pub shrunk: u64,
}

const _: () = assert!(size_of::<HookCounters>() == 56);
