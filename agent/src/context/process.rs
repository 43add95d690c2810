//! One process as the agent keeps it.

use agent_abi::record::{FileRef, TaskState};

use super::ContainerKey;

/// Nanoseconds per tick of `/proc/PID/stat`'s start time (`USER_HZ` is 100 on every port).
pub(crate) const NANOS_PER_TICK: u64 = 10_000_000;

/// A process within a boot, safe against pid reuse. In ticks, so that the kernel's records and
/// `/proc` agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// Start of the group leader in ticks of 10 ms since boot.
    pub start_ticks: u64,
    /// Thread group id in the host's pid namespace.
    pub tgid: u32,
}

impl ProcessId {
    /// From what a record says of a task.
    #[must_use]
    pub const fn of(task: &agent_abi::record::TaskRef) -> Self {
        Self { start_ticks: task.leader_start_ns / NANOS_PER_TICK, tgid: task.tgid }
    }
}

/// How a process came into its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The container's init, or a descendant of a task of the container.
    Born,
    /// From outside: `kubectl exec`, nsenter, a debug container, a write to `cgroup.procs`. It
    /// does not inherit the container's limits.
    Entered,
}

/// Whether a process is the workload yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Still the runtime's own code (runc's init and its re-exec): not judged, because the limits
    /// are applied just before the last execve.
    Runtime,
    /// Runs, or has run, an image of the container.
    Workload,
}

/// `seccomp_filter.cache.allow_native` of a task, held without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SeccompAllow {
    /// Bytes of `bits` in use; 0 where there is no bitmap.
    pub len: u8,
    /// One bit per native system call number.
    pub bits: [u8; agent_abi::record::SECCOMP_BITMAP_BYTES],
}

impl SeccompAllow {
    /// No bitmap: no filter, or a kernel before 5.11.
    pub const NONE: Self = Self { len: 0, bits: [0; agent_abi::record::SECCOMP_BITMAP_BYTES] };

    /// Copies what a record carries; longer input is cut.
    #[must_use]
    pub fn from_record(bytes: Option<&[u8]>) -> Self {
        let mut allow = Self::NONE;
        if let Some(bytes) = bytes {
            let len = bytes.len().min(allow.bits.len());
            allow.bits[..len].copy_from_slice(&bytes[..len]);
            allow.len = u8::try_from(len).unwrap_or(0);
        }
        allow
    }

    /// Whether the filters allow `syscall` whatever its arguments; `None` where it is not known.
    #[must_use]
    pub fn allows(&self, syscall: u32) -> Option<bool> {
        let byte = usize::try_from(syscall / 8).ok()?;
        (byte < usize::from(self.len)).then(|| self.bits[byte] & (1 << (syscall % 8)) != 0)
    }
}

impl std::fmt::Debug for SeccompAllow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SeccompAllow({} bytes)", self.len)
    }
}

/// A process. Its buffers are reused by the next process in the same slot, so that the hot loop
/// does not allocate.
#[derive(Clone, Debug)]
pub struct Process {
    /// Who.
    pub id: ProcessId,
    /// Its real parent, when that is known.
    pub parent: Option<ProcessId>,
    /// What the kernel last said of its leader (or of the thread that last changed credentials,
    /// when that was the leader).
    pub state: TaskState,
    /// Seccomp allow bitmap that goes with `state`.
    pub seccomp_allow: SeccompAllow,
    /// `exec_id` of the image that was told: that of its state is ahead where an exec was lost. 0: not told.
    pub image_exec_id: u64,
    /// The executable.
    pub exe: FileRef,
    /// Its path in the mount namespace that it lives in, bounded, bytes as the kernel has them.
    pub exe_path: Vec<u8>,
    /// Arguments, NUL-separated, bounded.
    pub argv: Vec<u8>,
    /// Its container. Sticky: a task that leaves the subtree keeps it.
    pub container: Option<ContainerKey>,
    /// How it came there. Meaningful with a container only.
    pub origin: Origin,
    /// Whether it is judged.
    pub stage: Stage,
    /// It left its container's subtree.
    pub left_container: bool,
    /// When its image was last replaced, boottime nanoseconds; 0 when not seen.
    pub exec_ns: u64,
    /// Boottime of the newest event that told something of it, nanoseconds.
    pub updated_ns: u64,
}

impl Process {
    /// What a place for processes holds before the first one.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            id: ProcessId { start_ticks: 0, tgid: 0 },
            parent: None,
            state: TaskState::default(),
            seccomp_allow: SeccompAllow::NONE,
            image_exec_id: 0,
            exe: FileRef::default(),
            exe_path: Vec::new(),
            argv: Vec::new(),
            container: None,
            origin: Origin::Born,
            stage: Stage::Runtime,
            left_container: false,
            exec_ns: 0,
            updated_ns: 0,
        }
    }
}
