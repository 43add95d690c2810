//! Records: a fixed part per kind, then a tail of exactly the bytes that were needed.
//!
//! A [`Span`] in the fixed part points into the tail. Paths are absolute and not terminated; argv is
//! NUL-terminated strings one after the other.
//!
//! All records made of a system call begin with [`Header`] and [`Syscall`].

/// Kinds of records: [`Header::kind`].
pub mod kind {
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
}

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

/// First bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Header {
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
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Span {
    /// From the record's first byte.
    pub offset: u16,
    /// In bytes; 0 where there is nothing, or nothing could be read.
    pub len: u16,
}

/// A task, safe against reuse of its ids within a boot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TaskRef {
    /// `start_boottime` of the thread group's leader, in nanoseconds.
    pub leader_start_ns: u64,
    /// Thread group id in the host's pid namespace: what user space calls the pid.
    pub tgid: u32,
    /// Thread id in the host's pid namespace.
    pub tid: u32,
}

/// The five capability sets, bit n for capability n.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Capabilities {
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

/// An id that its namespace does not map (the kernel shows it as 65534).
pub const UNMAPPED: u32 = u32::MAX;

/// User and group ids as the host sees them, and the two that matter inside the task's own user
/// namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Ids {
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
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Namespaces {
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

/// [`TaskState::flags`].
pub mod task_flag {
    /// A kernel thread.
    pub const KERNEL_THREAD: u32 = 1;
    /// The user namespace has more than five extents: `ns_uid` and `ns_euid` were not computed.
    pub const NS_IDS_NOT_READ: u32 = 2;
}

/// All that posture needs to know of a task, as the kernel holds it at that moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TaskState {
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

/// [`FileRef::flags`].
pub mod file_flag {
    /// Lives in no file system that can be reached by a path: memfd.
    pub const MEMFD: u32 = 1;
    /// In the writable layer of an overlay: not part of the image.
    pub const UPPER_LAYER: u32 = 1 << 1;
    /// In an overlay, upper or lower.
    pub const OVERLAY: u32 = 1 << 2;
    /// No directory entry is left.
    pub const UNLINKED: u32 = 1 << 3;
    /// Its mount belongs to the mount namespace of the task that used it.
    pub const IN_TASK_MOUNT_NS: u32 = 1 << 4;
    /// The walk stopped before the root: the front of the path is missing.
    pub const PATH_TRUNCATED: u32 = 1 << 5;
    /// The file could not be read from the kernel at all.
    pub const NOT_READ: u32 = 1 << 6;
    /// In procfs.
    pub const PROC: u32 = 1 << 7;
    /// In sysfs.
    pub const SYSFS: u32 = 1 << 8;
    /// In a cgroup file system.
    pub const CGROUPFS: u32 = 1 << 9;
    /// In BPF's file system.
    pub const BPFFS: u32 = 1 << 10;
    /// A socket, a pipe or another object without a place in a file system.
    pub const ANONYMOUS: u32 = 1 << 11;
}

/// A file as the operation found it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FileRef {
    /// Inode number.
    pub inode: u64,
    /// `s_dev` of its super block in the kernel's encoding (major << 20 | minor).
    pub dev: u32,
    /// `i_mode`: type and permission bits, set-uid and set-gid among them.
    pub mode: u32,
    /// Owner as the host sees it.
    pub uid: u32,
    /// Of [`file_flag`].
    pub flags: u32,
    /// The path, from the root of the mount namespace that the file's mount is in.
    pub path: Span,
    /// Of [`grade`].
    pub grade: u32,
}

/// A new process. The child has its own state, which `clone` flags may have changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Fork {
    /// Kind [`kind::FORK`].
    pub header: Header,
    /// The child.
    pub child: TaskState,
    /// The task that called `clone`, which is not the parent under `CLONE_PARENT`.
    pub creator: TaskRef,
}

/// Bits of [`Exec::truncated`].
pub mod exec_truncated {
    /// argv was longer than what fits.
    pub const ARGV: u32 = 1;
    /// The file name as given was longer than what fits.
    pub const FILENAME: u32 = 2;
    /// The walk of the working directory stopped before the root.
    pub const CWD: u32 = 4;
}

/// A task's image, at exec or as the scan found it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Exec {
    /// Kind [`kind::EXEC`] or [`kind::SCAN`].
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
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Exit {
    /// Kind [`kind::EXIT`].
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

/// A cgroup made or removed, or a task moved into one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Cgroup {
    /// Kind [`kind::CGROUP_MKDIR`], [`kind::CGROUP_RMDIR`] or [`kind::CGROUP_ATTACH`].
    pub header: Header,
    /// Inode number of the cgroup.
    pub cgroup_id: u64,
    /// The task moved ([`kind::CGROUP_ATTACH`]) or the one that made or removed it.
    pub task: TaskRef,
    /// `cgroup_root.hierarchy_id`: 0 for v2.
    pub hierarchy: u32,
    /// Path below the hierarchy's root as the kernel prints it.
    pub path: Span,
}

/// A successful call that may have changed what a task may do. The state is that after the call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Credentials {
    /// Kind [`kind::CREDENTIALS`].
    pub header: Header,
    /// The calling thread; with `TSYNC` seccomp also changed its siblings.
    pub state: TaskState,
    /// First three arguments.
    pub args: [u64; 3],
    /// [`crate::map::ABI_NATIVE`] or [`crate::map::ABI_COMPAT`].
    pub syscall_abi: u32,
    /// Number of the call in that ABI.
    pub syscall: u32,
    /// `seccomp.filter->cache.allow_native`.
    pub seccomp_allow: Span,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// A system call, or an operation of an io_uring: what all records of them begin with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Syscall {
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

/// A call that opened a file, or worked on an open one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FileCall {
    /// Kind [`kind::FILE`].
    pub header: Header,
    /// The call.
    pub call: Syscall,
    /// The file.
    pub file: FileRef,
    /// Bytes of the caller's, such as `struct open_how` or the name of an attribute.
    pub text: Span,
    /// `f_flags` of the open file.
    pub open_flags: u32,
    /// Its descriptor, or -1.
    pub fd: i32,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// A path as a call names it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct PathRef {
    /// What `name` starts at: the root of the caller for an absolute name, else the directory that
    /// was named or the working directory. An absolute path itself.
    pub base: Span,
    /// The name as the caller gave it.
    pub name: Span,
    /// Of [`grade`]: that of `name`.
    pub grade: u32,
    /// Of [`path_flag`].
    pub flags: u32,
}

/// [`PathRef::flags`].
pub mod path_flag {
    /// The walk of `base` stopped before the root: the front of the path is missing.
    pub const BASE_TRUNCATED: u32 = 1;
    /// `base` could not be read.
    pub const BASE_NOT_READ: u32 = 1 << 1;
    /// `name` was longer than what fits.
    pub const NAME_TRUNCATED: u32 = 1 << 2;
    /// `name` could not be read, or the caller gave none.
    pub const NAME_NOT_READ: u32 = 1 << 3;
    /// The caller's root could not be read, or is too long: where `..` ends is not known.
    pub const ROOT_NOT_READ: u32 = 1 << 4;
    /// `base` is not in the caller's mount namespace, but in another's or in a mount that is attached
    /// nowhere: it begins at the root of that.
    pub const OTHER_MOUNT_NS: u32 = 1 << 5;
}

/// A call that names one file or two by their paths.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct PathCall {
    /// Kind [`kind::PATH`].
    pub header: Header,
    /// The call.
    pub call: Syscall,
    /// First path.
    pub from: PathRef,
    /// Second path.
    pub to: PathRef,
    /// Bytes of the caller's, such as the type of a file system to mount.
    pub text: Span,
    /// The caller's root, where that is not the root of its mount namespace; else empty.
    pub root: Span,
}

/// A call of which the arguments say it all.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct PlainCall {
    /// Kind [`kind::PLAIN`].
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

/// A socket as the kernel holds it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SocketRef {
    /// `sock.__sk_common.skc_cookie`; 0: it was given none.
    pub cookie: u64,
    /// Inode of the socket's file; 0 where there is none.
    pub inode: u64,
    /// Local address: of IPv4 the first four bytes.
    pub local: [u8; 16],
    /// The peer's.
    pub peer: [u8; 16],
    /// Local port.
    pub local_port: u16,
    /// The peer's.
    pub peer_port: u16,
    /// `AF_…`; 0: this is no socket.
    pub family: u16,
    /// `SOCK_STREAM` and its like.
    pub kind: u16,
    /// `IPPROTO_…`; of netlink its family. A packet socket's is among the arguments of its `socket`.
    pub protocol: u16,
    /// `TCP_ESTABLISHED` and its like (include/net/tcp_states.h), of other families too; 0 in a
    /// [`Packet`].
    pub state: u8,
    /// Of [`socket_flag`].
    pub flags: u8,
    /// Inode number of its network namespace; 0 in a [`Packet`].
    pub net_ns: u32,
}

/// [`SocketRef::flags`].
pub mod socket_flag {
    /// The descriptor could have been changed by another thread since the call.
    pub const RACED: u8 = 1;
    /// It could not be read.
    pub const NOT_READ: u8 = 1 << 1;
    /// The walk of a unix socket's path stopped before the root: its front is missing.
    pub const PATH_TRUNCATED: u8 = 1 << 2;
}

/// A call on a socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SocketCall {
    /// Kind [`kind::SOCKET`].
    pub header: Header,
    /// The call.
    pub call: Syscall,
    /// The socket after it.
    pub socket: SocketRef,
    /// `struct sockaddr` as the caller gave it.
    pub given: Span,
    /// Path of a unix socket, its own or its peer's, as the kernel holds it; an abstract name begins
    /// with a NUL.
    pub path: Span,
    /// Of [`grade`]: that of `socket`.
    pub grade: u32,
    /// Of [`grade`]: that of `given`.
    pub given_grade: u32,
}

/// An internet socket changed its state.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SocketState {
    /// Kind [`kind::SOCKET_STATE`].
    pub header: Header,
    /// The socket.
    pub socket: SocketRef,
    /// Cgroup of the socket's owner (not of whoever runs): 0 where there is none, or where
    /// containers are in v1 cgroups, which sockets do not know.
    pub cgroup_id: u64,
    /// Before (include/net/tcp_states.h).
    pub from: u32,
    /// After.
    pub to: u32,
}

/// First bytes of a connection, or a DNS message.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Packet {
    /// Kind [`kind::PACKET`].
    pub header: Header,
    /// The socket; `local` is its own side, whichever way the packet goes.
    pub socket: SocketRef,
    /// Cgroup of the socket's owner, as in [`SocketState`].
    pub cgroup_id: u64,
    /// 1: it is sent; 0: it is received.
    pub egress: u32,
    /// Bytes of payload that the packet has.
    pub length: u32,
    /// The first of them.
    pub payload: Span,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// The kernel kills a process for its memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct OomKill {
    /// Kind [`kind::OOM_KILL`].
    pub header: Header,
    /// The process. On kernels before 6.9 its ids alone.
    pub task: TaskRef,
    /// Its cgroup; 0 where the kernel does not say.
    pub cgroup_id: u64,
}

/// A signal for the agent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Signal {
    /// Kind [`kind::SIGNAL`].
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

/// An operation of an io_uring is done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct UringDone {
    /// Kind [`kind::URING_DONE`].
    pub header: Header,
    /// `boottime_ns` of the record that told of its submission.
    pub submitted_ns: u64,
    /// Address of the request: with `submitted_ns` it names the operation.
    pub request: u64,
    /// What it returned, errors negative.
    pub result: i64,
}

/// A kernel parameter is written.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Sysctl {
    /// Kind [`kind::SYSCTL`].
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

const _: () = {
    assert!(size_of::<Header>() == 32);
    assert!(size_of::<TaskRef>() == 16);
    assert!(size_of::<Capabilities>() == 40);
    assert!(size_of::<Ids>() == 40);
    assert!(size_of::<Namespaces>() == 32);
    assert!(size_of::<TaskState>() == 32 + 16 + 40 + 40 + 32 + 40 + 16);
    assert!(size_of::<FileRef>() == 32);
    assert!(size_of::<Fork>() == 32 + 216 + 16);
    assert!(size_of::<Exec>() == 32 + 216 + 32 + 24);
    assert!(size_of::<Exit>() == 32 + 32);
    assert!(size_of::<Cgroup>() == 32 + 32);
    assert!(size_of::<Credentials>() == 32 + 216 + 40);
    assert!(size_of::<Syscall>() == 88);
    assert!(size_of::<FileCall>() == 32 + 88 + 32 + 16);
    assert!(size_of::<PathRef>() == 16);
    assert!(size_of::<PathCall>() == 32 + 88 + 32 + 8);
    assert!(size_of::<PlainCall>() == 32 + 88 + 16 + 16);
    assert!(size_of::<SocketRef>() == 64);
    assert!(size_of::<SocketCall>() == 32 + 88 + 64 + 16);
    assert!(size_of::<SocketState>() == 32 + 64 + 16);
    assert!(size_of::<Packet>() == 32 + 64 + 24);
    assert!(size_of::<OomKill>() == 32 + 24);
    assert!(size_of::<Signal>() == 32 + 32);
    assert!(size_of::<UringDone>() == 32 + 24);
    assert!(size_of::<Sysctl>() == 32 + 32);
};
