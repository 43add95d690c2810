//! Names and shapes of the maps that both sides open.

/// Array of the rings, indexed by [`RING_CRITICAL`] and [`RING_BULK`].
pub const RINGS: &str = "RINGS";
/// Per-CPU [`crate::hook::HookCounters`], indexed by [`crate::hook::Hook`].
pub const COUNTERS: &str = "COUNTERS";
/// Per-CPU next sequence number (`u64`), indexed by ring.
pub const SEQUENCES: &str = "SEQUENCES";
/// Handler index per system call ([`interest_index`]): 0 is "nobody wants it".
pub const INTEREST: &str = "INTEREST";
/// Program array of the handlers of `sys_exit`.
pub const SYS_EXIT_HANDLERS: &str = "SYS_EXIT_HANDLERS";
/// One [`Settings`].
pub const SETTINGS: &str = "SETTINGS";
/// Per-CPU buffers in which records are built, indexed by [`crate::hook::Hook`].
pub const SCRATCH: &str = "SCRATCH";
/// The [`crate::offset::Offsets`] global.
pub const OFFSETS: &str = "OFFSETS";
/// The [`Boot`] global.
pub const BOOT: &str = "BOOT";

/// Exec, exit, cgroup and credential records.
pub const RING_CRITICAL: u32 = 0;
/// File records: a flood of them cannot evict the others.
pub const RING_BULK: u32 = 1;
/// Number of rings.
pub const RING_COUNT: usize = 2;

/// System call numbers per ABI in [`INTEREST`]. x86-64's highest is below 512.
pub const SYSCALLS: u32 = 512;
/// Slots of [`INTEREST`]: the native table, then the 32-bit one.
pub const INTEREST_SLOTS: u32 = SYSCALLS * 2;

/// Slot of a native call.
pub const ABI_NATIVE: u32 = 0;
/// Slot of a 32-bit call (`int 0x80`, open to any process).
pub const ABI_COMPAT: u32 = 1;

/// Handler of [`crate::hook::Hook::Credentials`] in [`SYS_EXIT_HANDLERS`].
pub const HANDLER_CREDENTIALS: u32 = 1;
/// Handler of [`crate::hook::Hook::Open`] in [`SYS_EXIT_HANDLERS`].
pub const HANDLER_OPEN: u32 = 2;
/// Slots of [`SYS_EXIT_HANDLERS`]; 0 is unused because 0 means "not wanted".
pub const HANDLER_SLOTS: u32 = 16;

/// Bytes of one scratch buffer: the longest record, and room for one more path component, so that
/// the verifier can bound every write with one mask.
pub const SCRATCH_BYTES: usize = 16384;

/// What may change while the programs run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Settings {
    /// The agent's own thread group; its system calls are not reported.
    pub agent_tgid: u32,
    /// 1 while the reader sleeps: the next record wakes it and clears this.
    pub reader_sleeps: u32,
}

/// What is fixed for this boot, written before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Bytes of each ring.
    pub ring_bytes: [u32; RING_COUNT],
    /// Index of the pids controller in `css_set.subsys` where containers are v1 cgroups;
    /// [`CGROUP_V2`] where they are v2 cgroups.
    pub cgroup_subsys: u32,
    /// Bytes of the seccomp allow bitmap; 0 where the kernel has none.
    pub seccomp_bitmap_bytes: u32,
}

/// [`Boot::cgroup_subsys`]: containers are v2 cgroups.
pub const CGROUP_V2: u32 = u32::MAX;

const _: () = assert!(size_of::<Settings>() == 8);
const _: () = assert!(size_of::<Boot>() == 16);
