//! The hooks, and what each one counts.

use crate::wire::wire;

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
    /// Handler of [`Hook::SysExit`]: calls that open a file or work on an open one.
    File = 8,
    /// `iter/task`: the tasks that ran before the hooks were there.
    TaskScan = 9,
    /// Handler of [`Hook::SysExit`]: calls that name files by their paths.
    Path = 10,
    /// Handler of [`Hook::SysExit`]: calls of which the arguments say it all.
    Plain = 11,
    /// Handler of [`Hook::SysExit`]: calls on sockets.
    Socket = 12,
    /// `sys_enter`: calls that may not return, or that may blind the agent before they do.
    SysEnter = 13,
    /// Programs on the exits of single system calls, in place of [`Hook::SysExit`].
    Fexit = 14,
    /// `cgroup_rename`.
    CgroupRename = 15,
    /// `cgroup_release`.
    CgroupRelease = 16,
    /// `mark_victim`: the kernel kills a process for its memory.
    OomKill = 17,
    /// `signal_generate` for the agent itself.
    Signal = 18,
    /// `inet_sock_set_state`.
    SocketState = 19,
    /// `cgroup_skb`: first bytes of connections, and DNS.
    Packet = 20,
    /// `io_uring_submit_req` (`io_uring_submit_sqe` before 6.3).
    UringSubmit = 21,
    /// `io_uring_complete`.
    UringComplete = 22,
    /// `cgroup/sysctl`: writes of kernel parameters.
    Sysctl = 23,
    /// LSM `bprm_check_security`.
    LsmExec = 24,
    /// LSM `file_open`.
    LsmOpen = 25,
    /// LSM `socket_connect`.
    LsmConnect = 26,
}

/// Number of [`Hook`]s.
pub const HOOKS: usize = 27;

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
        Self::File,
        Self::TaskScan,
        Self::Path,
        Self::Plain,
        Self::Socket,
        Self::SysEnter,
        Self::Fexit,
        Self::CgroupRename,
        Self::CgroupRelease,
        Self::OomKill,
        Self::Signal,
        Self::SocketState,
        Self::Packet,
        Self::UringSubmit,
        Self::UringComplete,
        Self::Sysctl,
        Self::LsmExec,
        Self::LsmOpen,
        Self::LsmConnect,
    ];

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
            Self::File => "sys_exit/file",
            Self::TaskScan => "iter/task",
            Self::Path => "sys_exit/path",
            Self::Plain => "sys_exit/plain",
            Self::Socket => "sys_exit/socket",
            Self::SysEnter => "sys_enter",
            Self::Fexit => "fexit",
            Self::CgroupRename => "cgroup_rename",
            Self::CgroupRelease => "cgroup_release",
            Self::OomKill => "mark_victim",
            Self::Signal => "signal_generate",
            Self::SocketState => "inet_sock_set_state",
            Self::Packet => "cgroup_skb",
            Self::UringSubmit => "io_uring_submit",
            Self::UringComplete => "io_uring_complete",
            Self::Sysctl => "cgroup/sysctl",
            Self::LsmExec => "lsm/bprm_check",
            Self::LsmOpen => "lsm/file_open",
            Self::LsmConnect => "lsm/socket_connect",
        }
    }
}

wire! {
    /// One hook's counters on one CPU. At quiescence
    /// `seen = submitted + lost + filtered + throttled + errors + handed_on + tail_failed`.
    pub struct HookCounters [88] {
        /// Times the program ran.
        pub seen: u64,
        /// Records that reached a ring (or, for the scan, the iterator's reader).
        pub submitted: u64,
        /// Records that the ring had no room for.
        pub lost: u64,
        /// Runs with nothing to report: a thread, a failed call, a path that nobody wants, the agent
        /// itself.
        pub filtered: u64,
        /// Records held back because their cgroup sends too many.
        pub throttled: u64,
        /// Runs that could not make their record.
        pub errors: u64,
        /// Runs given to a tail-called handler. The dispatcher counts the call before it makes it.
        pub handed_on: u64,
        /// Tail calls that did not happen.
        pub tail_failed: u64,
        /// Of `submitted`: records cut to their posture part because the ring was nearly full.
        pub shrunk: u64,
        /// Of `submitted`: those in the bulk ring.
        pub submitted_bulk: u64,
        /// Of `lost`: those of the bulk ring.
        pub lost_bulk: u64,
    }
}

impl HookCounters {
    /// How many counters there are.
    pub const COUNT: usize = size_of::<Self>() / size_of::<u64>();

    /// Runs of which it is known what became of them: at quiescence, `seen`.
    #[must_use]
    pub const fn accounted(&self) -> u64 {
        // Without `..`: a new counter is a part of the sum, or of one of its parts.
        let Self {
            seen: _,
            submitted,
            lost,
            filtered,
            throttled,
            errors,
            handed_on,
            tail_failed,
            shrunk: _,
            submitted_bulk: _,
            lost_bulk: _,
        } = *self;
        submitted + lost + filtered + throttled + errors + handed_on + tail_failed
    }
}
