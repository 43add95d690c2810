//! Names and shapes of the maps that both sides open.

/// Array of the rings, indexed by [`RING_CRITICAL`] and [`RING_BULK`].
pub const RINGS: &str = "RINGS";
/// Per-CPU [`crate::hook::HookCounters`], indexed by [`crate::hook::Hook`].
pub const COUNTERS: &str = "COUNTERS";
/// Per-CPU next sequence number (`u64`), indexed by ring.
pub const SEQUENCES: &str = "SEQUENCES";
/// Handler indices per system call number: 0 is "nobody wants it".
pub const INTEREST: &str = "INTEREST";
/// Program array of the handlers of `sys_exit`.
pub const SYS_EXIT_HANDLERS: &str = "SYS_EXIT_HANDLERS";
/// One [`Settings`].
pub const SETTINGS: &str = "SETTINGS";
/// One [`Progress`]: kept by the agent for the agent that follows it; no program reads it.
pub const PROGRESS: &str = "PROGRESS";
/// How far the reader has told what it read ([`Untold`]): mapped into the reader's memory.
pub const UNTOLD: &str = "UNTOLD";
/// `BPF_F_MMAPABLE` (include/uapi/linux/bpf.h): user space may map the array [`UNTOLD`].
pub const MMAPABLE: u32 = 1 << 10;
/// The ring of [`RING_CRITICAL`].
pub const CRITICAL: &str = "CRITICAL";
/// The ring of [`RING_BULK`].
pub const BULK: &str = "BULK";
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

/// Slots of [`INTEREST`], one per system call number. x86-64's highest is below 512.
pub const SYSCALLS: u32 = 512;
/// Bits by which the 32-bit ABI's handler is shifted in a slot of [`INTEREST`]; the native one has
/// the lowest byte. One look-up answers for both, and a process' ABI is asked only where one of
/// them is wanted.
pub const INTEREST_COMPAT_SHIFT: u32 = 8;

/// A native call.
pub const ABI_NATIVE: u32 = 0;
/// A 32-bit call (`int 0x80`, open to any process).
pub const ABI_COMPAT: u32 = 1;

/// Handler of [`crate::hook::Hook::Credentials`] in [`SYS_EXIT_HANDLERS`].
pub const HANDLER_CREDENTIALS: u32 = 1;
/// Handler of [`crate::hook::Hook::Open`] in [`SYS_EXIT_HANDLERS`].
pub const HANDLER_OPEN: u32 = 2;
/// Slots of [`SYS_EXIT_HANDLERS`]; 0 is unused because 0 means "not wanted".
pub const HANDLER_SLOTS: u32 = 16;

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

/// How far the reader came. It outlives the reader, like the rings and the counters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Progress {
    /// When the reader last drained the rings, `CLOCK_BOOTTIME` nanoseconds; 0: never.
    pub alive_ns: u64,
    /// Records lost in each ring, by the hooks' counters, that have been reported.
    pub reported_lost: [u64; RING_COUNT],
}

/// What was read and not told, if `told_ns` is less than `read_ns`: the time between the two. No
/// program reads it; it is in a map because that outlives a reader that was killed. Written by
/// plain stores, one word at a time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Untold {
    /// What was read of before this is told, `CLOCK_BOOTTIME` nanoseconds.
    pub told_ns: u64,
    /// Records of before this may have been read; later ones are in the rings.
    pub read_ns: u64,
}

/// What is fixed for this boot, written before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Boot {
    /// Bytes of each ring.
    pub ring_bytes: [u32; RING_COUNT],
    /// Index of the pids controller in `css_set.subsys` where containers are v1 cgroups;
    /// [`CGROUP_V2`] where they are v2 cgroups.
    pub cgroup_subsys: u32,
    /// `cgroup_root.hierarchy_id` of the hierarchy that containers live in; 0 for v2.
    pub cgroup_hierarchy: u32,
    /// Bytes of the seccomp allow bitmap; 0 where the kernel has none.
    pub seccomp_bitmap_bytes: u32,
    /// Flag in `thread_info.status` that marks a 32-bit call (`TS_COMPAT`, arch/x86).
    pub ts_compat: u32,
}

/// [`Boot::cgroup_subsys`]: containers are v2 cgroups.
pub const CGROUP_V2: u32 = u32::MAX;

const _: () = assert!(size_of::<Settings>() == 8);
const _: () = assert!(size_of::<Progress>() == 24);
const _: () = assert!(size_of::<Untold>() == 16);
const _: () = assert!(size_of::<Boot>() == 24);
