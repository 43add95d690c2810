//! Globals and maps shared by all programs. Their names are those of `agent_abi::map`.

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    interest::{Interest, SYSCALLS},
    landmark::Landmarks,
    map::{
        Boot, Bucket, CGROUP_ENTRIES, Executable, FILTER_ENTRIES, HANDLER_SLOTS, LANDMARK_SETS, MMAPABLE,
        NESTING_SLOTS, Nesting, PREFIX_BYTES, Progress, RING_COUNT, Settings, Untold,
    },
    offset::Offsets,
    uring::{InFlight, InFlightKey, OPERATIONS, Operation},
};
use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, HashMap, LpmTrie, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
    macros::btf_map,
};

/// Written before load, frozen after.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::ABSENT;

/// Written before load, frozen after.
#[unsafe(no_mangle)]
pub static BOOT: Boot = Boot {
    ring_bytes: [0; RING_COUNT],
    cgroup_subsys: 0,
    cgroup_hierarchy: 0,
    seccomp_bitmap_bytes: 0,
    compat_flag: 0,
    regs_number: 0,
    regs_native: [0; 6],
    regs_compat: [0; 6],
    has_task_btf: 0,
    has_task_regs: 0,
    regs_in_stack: 0,
    uring_by_user_data: 0,
    uring_async_flag: 0,
    word_type: 0,
};

/// Reads one field of a frozen global. Volatile: the compiler must not fold in the placeholder.
#[inline(always)]
pub fn frozen<T: Copy>(field: &'static T) -> T {
    // SAFETY: a reference to a static that nothing writes after load.
    unsafe { core::ptr::read_volatile(field) }
}

/// Offset of a kernel field.
macro_rules! offset {
    ($field:ident) => {
        $crate::global::frozen(&$crate::global::OFFSETS.$field)
    };
}
pub(crate) use offset;

/// Shape of the rings; the loader gives them their size.
pub type Ring = RingBuf<u64, 4096>;

#[btf_map]
pub static RINGS: ArrayOfMaps<Ring, { RING_COUNT }> = ArrayOfMaps::new();

/// Records of which none may be lost for the sake of others. Sized by the loader, put into [`RINGS`] by it.
#[btf_map]
pub static CRITICAL: Ring = Ring::new();

/// File and network records.
#[btf_map]
pub static BULK: Ring = Ring::new();

#[btf_map]
pub static COUNTERS: PerCpuArray<HookCounters, { HOOKS }> = PerCpuArray::new();

#[btf_map]
pub static SEQUENCES: PerCpuArray<u64, { RING_COUNT }> = PerCpuArray::new();

#[btf_map]
pub static INTEREST: Array<Interest, { SYSCALLS as usize }> = Array::new();

#[btf_map]
pub static SYS_EXIT_HANDLERS: ProgramArray<{ HANDLER_SLOTS as usize }> = ProgramArray::new();

#[btf_map]
pub static FEXIT_HANDLERS: ProgramArray<{ HANDLER_SLOTS as usize }> = ProgramArray::new();

#[btf_map]
pub static NESTING: PerCpuArray<Nesting, { NESTING_SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
pub static URING: Array<Operation, { OPERATIONS as usize }> = Array::new();

/// A request that is never done, or done without a word, leaves its entry behind: the oldest go.
#[btf_map]
pub static URING_IN_FLIGHT: LruHashMap<InFlightKey, InFlight, 8192> = LruHashMap::new();

/// What is known of cgroups. The agent fills it in.
#[btf_map]
pub static CGROUPS: HashMap<u64, u32, CGROUP_ENTRIES> = HashMap::new();

/// What each cgroup may still send.
#[btf_map]
pub static BUCKETS: HashMap<u64, Bucket, CGROUP_ENTRIES> = HashMap::new();

#[btf_map]
pub static MUTED_EXECUTABLES: HashMap<Executable, u32, FILTER_ENTRIES> = HashMap::new();

#[btf_map]
pub static PREFIXES: LpmTrie<[u8; PREFIX_BYTES], u32, FILTER_ENTRIES> = LpmTrie::new();

#[btf_map]
pub static LANDMARKS: Array<Landmarks, LANDMARK_SETS> = Array::new();

#[btf_map]
pub static SETTINGS: Array<Settings, 1, { MMAPABLE as usize }> = Array::new();

#[btf_map]
pub static PROGRESS: Array<Progress, 1> = Array::new();

#[btf_map]
pub static UNTOLD: Array<Untold, 1, { MMAPABLE as usize }> = Array::new();

/// This CPU's counters of `hook`.
#[inline(always)]
pub fn counters(hook: Hook) -> Option<&'static mut HookCounters> {
    let counters = COUNTERS.get_ptr_mut(hook as u32)?;
    // SAFETY: a per-CPU slot that only programs of this hook write, and those do not nest.
    Some(unsafe { &mut *counters })
}

/// What the agent may change while the programs run.
#[inline(always)]
pub fn settings() -> Option<*mut Settings> {
    SETTINGS.get_ptr_mut(0)
}
