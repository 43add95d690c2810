//! Looks into containers: what their mounts, limits, sockets and environment are, beyond what their tasks'
//! records say.
//!
//! Runs beside the hot side, by way of one process of each container: what a read costs, or that it fails,
//! holds up no event. What could not be read is said so, field by field, and is never a PASS.

pub mod devices;
mod file;
mod host;
mod inspector;
pub mod labels;
pub mod limits;
pub mod listeners;
mod mountinfo;
pub mod mounts;
pub mod node;
pub mod secrets;

use std::fmt;

pub use inspector::Inspector;

use crate::context::ProcessId;

/// Whether a file is one of the service account volume, wherever the container has `/var/run`.
#[must_use]
pub fn is_service_account(path: &[u8]) -> bool {
    let path = path.strip_prefix(b"/var").unwrap_or(path);
    path.strip_prefix(b"/run/secrets/kubernetes.io/serviceaccount")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotRead {
    /// The process by which it was read is no more.
    Gone,
    /// The agent may not.
    NotPermitted,
    /// The kernel does not have it.
    NotThere,
    /// It is larger than what is read.
    TooMuch,
    /// It does not read as it should.
    NotUnderstood,
}

impl NotRead {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "the process it is read by is gone",
            Self::NotPermitted => "the agent may not read it",
            Self::NotThere => "the kernel does not have it",
            Self::TooMuch => "there is more than is read",
            Self::NotUnderstood => "it is not understood",
        }
    }
}

impl fmt::Display for NotRead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What was read, or why not.
pub type Read<T> = Result<T, NotRead>;

/// What a look into a container found. Texts in it were chosen by workloads and are hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The process by which it was read: the container's init, or the oldest that is left.
    pub through: ProcessId,
    /// Boottime before the read, nanoseconds.
    pub at_ns: u64,
    /// The mounts of its mount namespace.
    pub mounts: Read<Mounts>,
    /// Device nodes in its `/dev`.
    pub devices: Read<Vec<Device>>,
    /// Limits of its cgroup and its pod's.
    pub limits: Read<Limits>,
    /// Most files that the process may have open (`RLIMIT_NOFILE`, the hard limit); `None`: no limit.
    pub open_files: Read<Option<u64>>,
    /// Labels of its processes.
    pub labels: Read<Labels>,
    /// Sockets that its processes listen on.
    pub listeners: Read<Vec<Listener>>,
    /// Variables of its processes' environments whose values look like secrets.
    pub environment: Read<Vec<SecretPlace>>,
    /// Arguments of its processes that look like secrets.
    pub arguments: Read<Vec<SecretPlace>>,
}

/// The mounts of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Device of the root file system in the kernel's encoding (major << 20 | minor), as
    /// [`agent_abi::record::FileRef::dev`]; 0: no mount is the root.
    pub root_dev: u32,
    /// Those that a path leads to, in the order of the kernel's list. What other mounts cover is left out.
    pub all: Vec<Mount>,
    /// Paths of `/proc` and `/sys` that runtimes close, that this kernel has, and that are open here.
    pub open: Vec<OpenPath>,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Where, as the container has it.
    pub target: Vec<u8>,
    /// Device of the file system, major << 20 | minor.
    pub dev: u32,
    /// The folder or file of the file system that is mounted; `/`: all of it.
    pub root: Vec<u8>,
    /// Type of the file system.
    pub file_system: String,
    /// Where the host has what is mounted: the path below the host's closest mount of the same file system
    /// first, then by its other mounts, at most [`mounts::MAX_HOST_PATHS`]. Empty: the host has not mounted it.
    pub host_paths: Vec<Vec<u8>>,
    /// Nothing can be written through it: the mount or the file system is read-only.
    pub read_only: bool,
    /// No program runs from it.
    pub no_exec: bool,
    /// No device works in it.
    pub no_dev: bool,
    /// What is mounted below it shows up on the host: it is in a peer group that the host has a mount of, or
    /// that a mount of the host receives from.
    pub propagates: bool,
}

/// A path of `/proc` or `/sys` that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPath {
    /// The path.
    pub path: &'static str,
    /// It can be written; else it can be read, where runtimes mask it.
    pub is_writable: bool,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name below `/dev`.
    pub name: Vec<u8>,
    /// A block device; else a character device.
    pub is_block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// Limits of a container: the lowest of its own and its pod's. `None`: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Labels that security modules gave to a container's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The module in force whose labels these are; `None`: neither AppArmor nor SELinux is.
    pub module: Option<LabelModule>,
    /// SELinux is there and only warns, so it is not in force.
    pub is_permissive: bool,
    /// Each label that a process has, and one process that has it.
    pub labels: Vec<(String, u32)>,
}

/// A security module that labels processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelModule {
    /// AppArmor.
    AppArmor,
    /// SELinux.
    SeLinux,
}

/// A socket that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Port.
    pub port: u16,
    /// UDP; else TCP.
    pub is_udp: bool,
    /// Reached from this network namespace only (127.0.0.0/8, ::1).
    pub is_loopback: bool,
    /// A process that holds it.
    pub tgid: u32,
}

/// Where something stands that looks like a secret. Never what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretPlace {
    /// The process.
    pub tgid: u32,
    /// The variable's name, or `argument N`.
    pub name: String,
    /// What it was known by, such as `AWS access key` or `name`.
    pub known_by: &'static str,
}
