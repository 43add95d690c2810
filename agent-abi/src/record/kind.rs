//! Kinds of records: [`super::Header::kind`].

/// [`super::Fork`].
pub const FORK: u16 = 1;
/// [`super::Exec`], made at `sched_process_exec`.
pub const EXEC: u16 = 2;
/// [`super::Exit`].
pub const EXIT: u16 = 3;
/// [`super::Cgroup`]: made.
pub const CGROUP_MKDIR: u16 = 4;
/// [`super::Cgroup`]: removed.
pub const CGROUP_RMDIR: u16 = 5;
/// [`super::Cgroup`]: a task moved in.
pub const CGROUP_ATTACH: u16 = 6;
/// [`super::Credentials`].
pub const CREDENTIALS: u16 = 7;
/// [`super::FileCall`].
pub const FILE: u16 = 8;
/// [`super::Exec`], made by the task iterator: the image a task runs, not a change of it.
pub const SCAN: u16 = 9;
/// [`super::PathCall`].
pub const PATH: u16 = 10;
/// [`super::PlainCall`].
pub const PLAIN: u16 = 11;
/// [`super::SocketCall`].
pub const SOCKET: u16 = 12;
/// [`super::SocketState`].
pub const SOCKET_STATE: u16 = 13;
/// [`super::Packet`].
pub const PACKET: u16 = 14;
/// [`super::OomKill`].
pub const OOM_KILL: u16 = 15;
/// [`super::Cgroup`]: renamed.
pub const CGROUP_RENAME: u16 = 16;
/// [`super::Cgroup`]: the last reference is gone.
pub const CGROUP_RELEASE: u16 = 17;
/// [`super::Signal`].
pub const SIGNAL: u16 = 18;
/// [`super::UringDone`].
pub const URING_DONE: u16 = 19;
/// [`super::Sysctl`].
pub const SYSCTL: u16 = 20;
