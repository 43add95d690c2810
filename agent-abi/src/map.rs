//! Names and shapes of the maps that both sides open.

use crate::wire::wire;

/// Array of the rings, indexed by [`RING_CRITICAL`] and [`RING_BULK`].
pub const RINGS: &str = "RINGS";
/// Per-CPU [`crate::hook::HookCounters`], indexed by [`crate::hook::Hook`].
pub const COUNTERS: &str = "COUNTERS";
/// Per-CPU next sequence number (`u64`), indexed by ring.
pub const SEQUENCES: &str = "SEQUENCES";
/// One [`crate::interest::Interest`] per system call number.
pub const INTEREST: &str = "INTEREST";
/// Program array of the handlers of `sys_exit`.
pub const SYS_EXIT_HANDLERS: &str = "SYS_EXIT_HANDLERS";
/// Program array of the same handlers, as programs that [`crate::hook::Hook::Fexit`] may call.
pub const FEXIT_HANDLERS: &str = "FEXIT_HANDLERS";
/// Per-CPU [`Nesting`], indexed by [`NESTING_FEXIT`] and [`NESTING_LSM`].
pub const NESTING: &str = "NESTING";
/// One [`Settings`].
pub const SETTINGS: &str = "SETTINGS";
/// One [`Progress`]: kept by the agent for the agent that follows it; no program reads it.
pub const PROGRESS: &str = "PROGRESS";
/// How far the reader has told what it read ([`Untold`]): mapped into the reader's memory.
pub const UNTOLD: &str = "UNTOLD";
/// `BPF_F_MMAPABLE` (include/uapi/linux/bpf.h): user space may map the array [`UNTOLD`].
pub const MMAPABLE: u32 = 1 << 10;
/// Flags of a cgroup by its id ([`cgroup_flag`]). A cgroup that is not there is nobody's yet.
pub const CGROUPS: &str = "CGROUPS";
/// Token [`Bucket`]s by cgroup id.
pub const BUCKETS: &str = "BUCKETS";
/// Executables whose bulk events nobody wants: [`Executable`] to `u32`.
pub const MUTED_EXECUTABLES: &str = "MUTED_EXECUTABLES";
/// Longest-prefix trie of absolute paths of up to [`PREFIX_BYTES`], to [`PREFIX_WANTED`] or
/// [`PREFIX_UNWANTED`]. Paths are looked up with a slash at their end: a key that ends in one stands
/// for a directory and all below it, any other for all that begins like it.
pub const PREFIXES: &str = "PREFIXES";
/// Two [`crate::landmark::Landmarks`]: the one that [`Settings::landmarks`] says, and one to write the next
/// into.
pub const LANDMARKS: &str = "LANDMARKS";
/// One [`crate::uring::Operation`] per opcode of an io_uring.
pub const URING: &str = "URING";
/// Reported operations that are not done: [`crate::uring::InFlightKey`] to [`crate::uring::InFlight`].
/// The oldest go when it is full: their results are not reported.
pub const URING_IN_FLIGHT: &str = "URING_IN_FLIGHT";
/// The ring of [`RING_CRITICAL`].
pub const CRITICAL: &str = "CRITICAL";
/// The ring of [`RING_BULK`].
pub const BULK: &str = "BULK";
/// The [`crate::offset::Offsets`] global.
pub const OFFSETS: &str = "OFFSETS";
/// The [`Boot`] global.
pub const BOOT: &str = "BOOT";

/// Exec, exit, cgroup and credential records, and the rare calls that change a node.
pub const RING_CRITICAL: u32 = 0;
/// File and network records: a flood of them cannot evict the others.
pub const RING_BULK: u32 = 1;
/// Number of rings.
pub const RING_COUNT: usize = 2;

/// Handler of [`crate::hook::Hook::Credentials`] in [`SYS_EXIT_HANDLERS`].
pub const HANDLER_CREDENTIALS: u32 = 1;
/// Handler of [`crate::hook::Hook::File`]. A call that failed has no file and goes to
/// [`HANDLER_PATH`].
pub const HANDLER_FILE: u32 = 2;
/// Handler of [`crate::hook::Hook::Path`].
pub const HANDLER_PATH: u32 = 3;
/// Handler of [`crate::hook::Hook::Plain`].
pub const HANDLER_PLAIN: u32 = 4;
/// Handler of [`crate::hook::Hook::Socket`].
pub const HANDLER_SOCKET: u32 = 5;
/// Slots of [`SYS_EXIT_HANDLERS`]; 0 is unused because 0 means "not wanted".
pub const HANDLER_SLOTS: u32 = 16;

/// Programs at the exits of single calls: each call has its own, which the kernel may run while
/// another is interrupted.
pub const NESTING_FEXIT: u32 = 0;
/// LSM programs, which the kernel lets run within themselves.
pub const NESTING_LSM: u32 = 1;
/// Slots of [`NESTING`].
pub const NESTING_SLOTS: u32 = 2;

wire! {
    /// Programs that share a buffer and a set of counters run one at a time on a CPU.
    pub struct Nesting [16] {
        /// Programs that run, or are about to find out that another does.
        pub running: u64,
        /// Runs that were given up because another program was interrupted on that CPU, ever.
        pub refused: u64,
    }

    /// What may change while the programs run. Mapped into the agent's memory, which stores one word at a
    /// time.
    pub struct Settings [32] {
        /// The agent's own thread group; its system calls are not reported.
        pub agent_tgid: u32,
        /// 1 while the reader sleeps: the next record wakes it and clears this.
        pub reader_sleeps: u32,
        /// Bulk records that a cgroup may send per second on the long run; 0: as many as it likes.
        pub bulk_rate: u32,
        /// Bulk records that it may send at once.
        pub bulk_burst: u32,
        /// Entries of [`MUTED_EXECUTABLES`]: with 0 the executable is not looked at.
        pub muted_executables: u32,
        /// All flags ([`cgroup_flag`]) that any entry of [`CGROUPS`] has had: one that is not among them is
        /// not looked for.
        pub cgroup_flags: u32,
        /// Which of [`LANDMARKS`] counts.
        pub landmarks: u32,
        /// Keeps the size a multiple of 8.
        pub reserved: u32,
    }
}

/// Values of [`CGROUPS`].
pub mod cgroup_flag {
    /// Of the host: not a container, nor within one.
    pub const HOST: u32 = 1;
    /// Its bulk events are not wanted.
    pub const MUTED: u32 = 1 << 1;
}

wire! {
    /// What a cgroup may still send. Programs on several CPUs write it without a lock: the tokens are
    /// approximate, `throttled` is exact.
    pub struct Bucket [24] {
        /// Records left.
        pub tokens: u64,
        /// When it was last filled up, `CLOCK_BOOTTIME` nanoseconds.
        pub filled_ns: u64,
        /// Records held back, ever.
        pub throttled: u64,
    }

    /// An executable, by what a workload cannot choose.
    #[derive(Hash)]
    pub struct Executable [16] {
        /// Inode number.
        pub inode: u64,
        /// As [`crate::record::FileRef::dev`].
        pub dev: u32,
        /// Always 0.
        pub reserved: u32,
    }
}

/// Entries of [`LANDMARKS`].
pub const LANDMARK_SETS: usize = 2;
/// Entries of [`CGROUPS`] and of [`BUCKETS`].
pub const CGROUP_ENTRIES: usize = 16_384;
/// Entries of [`MUTED_EXECUTABLES`] and of [`PREFIXES`].
pub const FILTER_ENTRIES: usize = 1024;

/// Most bytes of a path prefix: with its length, the most that a key of a trie has
/// (`LPM_DATA_SIZE_MAX`, kernel/bpf/lpm_trie.c).
pub const PREFIX_BYTES: usize = 252;

/// Value of [`PREFIXES`]: files below are wanted.
pub const PREFIX_WANTED: u32 = 1;
/// Value of [`PREFIXES`]: they are not, though a shorter prefix wants them.
pub const PREFIX_UNWANTED: u32 = 2;

wire! {
    /// How far the reader came. It outlives the reader, like the rings and the counters.
    pub struct Progress [24] {
        /// When the reader last drained the rings, `CLOCK_BOOTTIME` nanoseconds; 0: never.
        pub alive_ns: u64,
        /// Records lost in each ring, by the hooks' counters, that have been reported.
        pub reported_lost: [u64; RING_COUNT],
    }

    /// What was read and not told, if `told_ns` is less than `read_ns`: the time between the two. No
    /// program reads it; it is in a map because that outlives a reader that was killed. Written by
    /// plain stores, one word at a time.
    pub struct Untold [16] {
        /// What was read of before this is told, `CLOCK_BOOTTIME` nanoseconds.
        pub told_ns: u64,
        /// Records of before this may have been read; later ones are in the rings.
        pub read_ns: u64,
    }

    /// What is fixed for this boot, written before the programs are loaded.
    pub struct Boot [100] {
        /// Bytes of each ring.
        pub ring_bytes: [u32; RING_COUNT],
        /// Index of the pids controller in `css_set.subsys` where containers are v1 cgroups;
        /// [`CGROUP_V2`] where they are v2 cgroups.
        pub cgroup_subsys: u32,
        /// `cgroup_root.hierarchy_id` of the hierarchy that containers live in; 0 for v2.
        pub cgroup_hierarchy: u32,
        /// Bytes of the seccomp allow bitmap; 0 where the kernel has none.
        pub seccomp_bitmap_bytes: u32,
        /// Flag of the thread's status that marks a 32-bit call: `TS_COMPAT` in `thread_info.status` on
        /// x86-64, `_TIF_32BIT` in `thread_info.flags` on arm64.
        pub compat_flag: u32,
        /// Offset in `pt_regs` of the number of the call.
        pub regs_number: u32,
        /// Offsets in `pt_regs` of the six arguments of a native call.
        pub regs_native: [u32; 6],
        /// The same of a 32-bit call.
        pub regs_compat: [u32; 6],
        /// 1 where `bpf_get_current_task_btf` is there (5.11).
        pub has_task_btf: u32,
        /// 1 where `bpf_task_pt_regs` is there (5.15).
        pub has_task_regs: u32,
        /// Where it is not: offset of a task's `pt_regs` in its stack.
        pub regs_in_stack: u32,
        /// 1 where a completion of an io_uring names no request, but what the submitter gave to know it
        /// by (before 5.18).
        pub uring_by_user_data: u32,
        /// `REQ_F_ASYNC_DATA`: a request has data of its own beside it. 0 where the kernel has no such flag.
        pub uring_async_flag: u32,
        /// Number of a type that begins with a plain word, as which any address can be read
        /// ([`CAST_CALL`]). 0 where the kernel has no such function.
        pub word_type: u32,
    }
}

/// What the programs' code has in place of a call of the kernel function `bpf_rdonly_cast`, whose number
/// differs from kernel to kernel: `BPF_JMP | BPF_CALL`, `BPF_PSEUDO_KFUNC_CALL` as source register
/// (include/uapi/linux/bpf.h), and a number that no function has.
pub const CAST_CALL: u64 = 0x7e57_ca57 << 32 | 0x20 << 8 | 0x85;

/// [`Boot::cgroup_subsys`]: containers are v2 cgroups.
pub const CGROUP_V2: u32 = u32::MAX;
