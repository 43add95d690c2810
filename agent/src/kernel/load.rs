//! Loads, attaches and pins the programs, or adopts those of the agent before.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use agent_abi::{
    hook::{HOOKS, Hook},
    map::{
        self, HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_PATH, HANDLER_PLAIN, HANDLER_SOCKET, Progress,
        RING_COUNT, Untold,
    },
};
use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{ArrayOfMaps, Map, MapData, ProgramArray},
    programs::{BtfTracePoint, Program, ProgramError, links::FdLink, links::PinnedLink},
};
use thiserror::Error;
use zerocopy::IntoBytes;

use super::{
    btf::{Btf, BtfError, Types},
    calls::Calls,
    cast::Cast,
    fexit::{self, Exits},
    filters::{Buckets, CgroupMap, Filters},
    lsm,
    maps::{self, Counters, InterestTable, MapsError, NestingMap, ProgressMap, Sequences},
    offsets::Layout,
    optional::{self, Scope},
    pins::{Generation, PinError, Pins, fingerprint, open_pin},
    switches::Switches,
    tier::{self, Choice, Hooks, TierError},
    untold::{UntoldMap, UntoldWords},
};
use crate::{
    filter::Filter,
    source::{Ring, RingError},
    syscall::{PREFIXES, Wants},
};

/// The kernel programs, built by `cargo xtask build-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("KESTREL_BPF_OBJECT"));

/// Maps that the agent after this one needs. Scratch buffers are not among them.
const PINNED: [&str; 18] = [
    map::CRITICAL,
    map::BULK,
    map::RINGS,
    map::COUNTERS,
    map::SEQUENCES,
    map::INTEREST,
    map::SYS_EXIT_HANDLERS,
    map::FEXIT_HANDLERS,
    map::NESTING,
    map::SETTINGS,
    map::CGROUPS,
    map::BUCKETS,
    map::MUTED_EXECUTABLES,
    map::PREFIXES,
    map::URING,
    map::URING_IN_FLIGHT,
    map::PROGRESS,
    map::UNTOLD,
];

/// A program that is attached by itself.
struct Attached {
    hook: Hook,
    program: &'static str,
    tracepoint: &'static str,
}

const ATTACHED: [Attached; 7] = [
    Attached { hook: Hook::CgroupMkdir, program: "cgroup_mkdir", tracepoint: "cgroup_mkdir" },
    Attached { hook: Hook::CgroupRmdir, program: "cgroup_rmdir", tracepoint: "cgroup_rmdir" },
    Attached { hook: Hook::CgroupAttach, program: "cgroup_attach_task", tracepoint: "cgroup_attach_task" },
    Attached { hook: Hook::Exit, program: "sched_process_exit", tracepoint: "sched_process_exit" },
    Attached { hook: Hook::Exec, program: "sched_process_exec", tracepoint: "sched_process_exec" },
    Attached { hook: Hook::Fork, program: "sched_process_fork", tracepoint: "sched_process_fork" },
    Attached { hook: Hook::SysExit, program: "sys_exit", tracepoint: "sys_exit" },
];

/// A handler of system calls, for `sys_exit` and for the exits of single calls.
pub(super) struct Handler {
    pub(super) hook: Hook,
    program: &'static str,
    pub(super) fexit: &'static str,
    pub(super) slot: u32,
}

pub(super) const HANDLERS: [Handler; 5] = [
    Handler {
        hook: Hook::Credentials,
        program: "sys_exit_credentials",
        fexit: "fexit_credentials",
        slot: HANDLER_CREDENTIALS,
    },
    Handler { hook: Hook::File, program: "sys_exit_file", fexit: "fexit_file", slot: HANDLER_FILE },
    Handler { hook: Hook::Path, program: "sys_exit_path", fexit: "fexit_path", slot: HANDLER_PATH },
    Handler { hook: Hook::Plain, program: "sys_exit_plain", fexit: "fexit_plain", slot: HANDLER_PLAIN },
    Handler { hook: Hook::Socket, program: "sys_exit_socket", fexit: "fexit_socket", slot: HANDLER_SOCKET },
];

/// Why the programs do not run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The object was refused.
    #[error("cannot load the kernel object")]
    Object(#[source] EbpfError),
    /// The agent may not.
    #[error(
        "not permitted to load BPF programs: the agent needs CAP_BPF and CAP_PERFMON, and \
         CAP_SYS_RESOURCE before Linux 5.11"
    )]
    NotPermitted(#[source] EbpfError),
    /// The types of the kernel could not be read.
    #[error("cannot read the kernel's types")]
    Types(#[from] aya::BtfError),
    /// Its functions could not.
    #[error(transparent)]
    Functions(#[from] BtfError),
    /// A hook that the agent cannot do without.
    #[error("hook {} is not available: {reason}", .hook.name())]
    Hook {
        /// The hook.
        hook: Hook,
        /// Why.
        reason: String,
    },
    /// The hooks that are configured.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// Maps.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// Rings.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// Pins.
    #[error(transparent)]
    Pin(#[from] PinError),
}

/// What to load, and where to keep it.
#[derive(Debug)]
pub struct Plan {
    /// Directory on a BPF file system.
    pub pin_dir: PathBuf,
    /// What the programs are told of this kernel.
    pub layout: Layout,
    /// Which calls are wanted.
    pub wants: Wants,
    /// What is left out of them.
    pub filter: Filter,
    /// Which hooks they are to be seen by.
    pub hooks: Hooks,
}

/// Detaches every program that an agent has pinned below `pin_dir`. Whatever their rings hold is
/// lost with them.
///
/// # Errors
/// When a pin cannot be removed.
pub fn detach(pin_dir: &Path) -> Result<(), PinError> {
    Pins::open(pin_dir)?.remove()
}

/// What another set of programs left unread.
pub struct Predecessor {
    /// Its critical and its bulk ring.
    pub rings: [Ring; RING_COUNT],
    /// How far its reader came.
    pub progress: Progress,
    /// What that one read and did not tell.
    pub untold: Untold,
    /// What its hooks counted.
    pub counters: Counters,
    generation: Generation,
}

impl Predecessor {
    fn open(generation: Generation) -> Result<Self, LoadError> {
        let ring = |name| -> Result<Ring, LoadError> {
            let failed = |source| MapsError::Kernel { name, source };
            let data = MapData::from_pin(generation.map(name)).map_err(failed)?;
            Ok(Ring::from_data(name, &data)?)
        };
        Ok(Self {
            rings: [ring(map::CRITICAL)?, ring(map::BULK)?],
            progress: ProgressMap::from_pin(&generation.map(map::PROGRESS))?.get()?,
            untold: AsRef::<UntoldWords>::as_ref(&UntoldMap::from_pin(&generation.map(map::UNTOLD))?).get(),
            counters: Counters::from_pin(&generation.map(map::COUNTERS))?,
            generation,
        })
    }

    /// Detaches its programs and frees its maps.
    ///
    /// # Errors
    /// When its pins cannot be removed.
    pub fn remove(self) -> Result<(), PinError> {
        self.generation.remove()
    }
}

/// The attached programs and their maps.
pub struct Programs {
    /// Exec, exit, cgroup and credential records.
    pub critical: Ring,
    /// File records.
    pub bulk: Ring,
    /// Counters of the hooks.
    pub counters: Counters,
    /// Sequence numbers.
    pub sequences: Sequences,
    /// Switches.
    pub switches: Switches,
    /// Which calls are wanted.
    pub interest: InterestTable,
    /// What is left out of them.
    pub filters: Filters,
    /// What is known of cgroups.
    pub cgroups: CgroupMap,
    /// What cgroups may still send.
    pub buckets: Buckets,
    /// Word for the agent that follows this one, or from the one before.
    pub progress: ProgressMap,
    /// What was read and not told, for the same.
    pub untold: UntoldMap,
    /// The task iterator.
    pub scan: TaskScan,
    /// Which set of hooks it is.
    pub tier: Choice,
    /// Where system calls are seen, in the enhanced tier.
    pub exits: Option<Exits>,
    /// Per hook: attached, or why not. Those that others stand in for are not among them.
    pub hooks: Vec<(Hook, Result<(), String>)>,
    /// They ran before this agent did: nothing was missed but what the counters say.
    pub adopted: bool,
    /// Programs of other builds or settings, still attached, with unread records.
    pub predecessors: Vec<Predecessor>,
    /// What the kernel counts of each.
    pub recursion: RecursionCounters,
    /// What keeps them attached.
    pub links: LinkPins,
}

impl Plan {
    /// Attaches the programs, or adopts those that are pinned and are the same.
    ///
    /// # Errors
    /// When a required hook, or a map, cannot be had.
    pub fn carry_out(self) -> Result<Programs, LoadError> {
        let pins = Pins::open(&self.pin_dir)?;
        let Layout { offsets, boot, .. } = &self.layout;
        let kernel = Btf::vmlinux()?;
        let functions: Vec<_> = Types::kernel(&kernel).functions(PREFIXES).collect();
        let tier = tier::choose(self.hooks, || tier::probe_exit(functions.first().copied()))?;
        let parts = [OBJECT, offsets.as_bytes(), boot.as_bytes(), tier.tier.name().as_bytes()];
        let generation = pins.generation(fingerprint(parts));
        let adopted = generation.is_complete();
        if !adopted {
            generation.remove()?;
            generation.create()?;
        }
        let mut object = self.load_object(&generation)?;
        let critical_map = maps::take(&mut object, map::CRITICAL)?;
        let bulk_map = maps::take(&mut object, map::BULK)?;
        if !adopted {
            fill_rings(&mut object, &critical_map, &bulk_map)?;
        }
        let switches = Switches::take(&mut object)?;
        let mut filters = Filters::take(&mut object, switches.clone())?;
        // First what is left out: else all would come for a moment.
        filters.set(&self.filter)?;
        maps::set_operations(&mut object, &self.wants.operations(&self.layout.uring))?;
        let types = aya::Btf::from_sys_fs()?;
        let functions = fexit::functions(functions.into_iter());
        let mut calls = Calls { object: &mut object, types: &types, generation: &generation, adopted };
        let mut hooks = Vec::new();
        let routing = calls.attach(tier.tier, &functions, &self.wants, &mut hooks);
        let exits = routing.exits.clone();
        let has_sys_exit = routing.has_sys_exit();
        let mut interest = InterestTable::take(&mut object, routing)?;
        interest.set(&self.wants)?;
        for attached in &ATTACHED {
            if attached.hook == Hook::SysExit && !has_sys_exit {
                // Other programs tell of what it would.
                generation.detach(attached.hook)?;
                continue;
            }
            let result = attached.attach(&mut object, &types, &generation, adopted);
            if let (Hook::Exec, Err(reason)) = (attached.hook, &result) {
                return Err(LoadError::Hook { hook: attached.hook, reason: reason.clone() });
            }
            hooks.push((attached.hook, result));
        }
        let mut scope = Scope {
            object: &mut object,
            types: &types,
            forms: &self.layout.forms,
            generation: &generation,
            adopted,
        };
        hooks.extend(optional::attach(&mut scope, self.wants.hooks()));
        let scan = load_scan(&mut object, &types);
        let has_scan = scan.is_ok();
        hooks.push((Hook::TaskScan, scan));
        if !adopted {
            generation.complete()?;
        }
        let cgroups = CgroupMap::take(&mut object, switches.clone())?;
        Ok(Programs {
            critical: Ring::new(map::CRITICAL, critical_map)?,
            bulk: Ring::new(map::BULK, bulk_map)?,
            counters: Counters::take(&mut object)?,
            sequences: Sequences::take(&mut object)?,
            switches,
            interest,
            filters,
            cgroups,
            buckets: Buckets::take(&mut object)?,
            progress: ProgressMap::take(&mut object)?,
            untold: UntoldMap::take(&mut object)?,
            links: link_pins(&generation, &hooks),
            recursion: RecursionCounters {
                programs: pinned_programs(&generation, &hooks),
                nesting: NestingMap::take(&mut object)?,
            },
            tier,
            exits,
            hooks,
            adopted,
            predecessors: predecessors(&pins, &generation)?,
            scan: TaskScan { object, has_program: has_scan },
        })
    }

    fn load_object(&self, generation: &Generation) -> Result<Ebpf, LoadError> {
        let Layout { offsets, boot, .. } = &self.layout;
        let [critical, bulk] = boot.ring_bytes;
        let mut loader = EbpfLoader::new();
        loader
            .override_global(map::OFFSETS, offsets.as_bytes(), true)
            .override_global(map::BOOT, boot.as_bytes(), true)
            .map_max_entries(map::CRITICAL, critical)
            .map_max_entries(map::BULK, bulk);
        for name in PINNED {
            loader.map_pin_path(name, generation.map(name));
        }
        loader.load(Cast::apply(self.layout.cast, OBJECT).as_bytes()).map_err(|error| {
            match is_denied(&error) {
                true => LoadError::NotPermitted(error),
                false => LoadError::Object(error),
            }
        })
    }
}

fn is_denied(error: &EbpfError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The pins that keep the hooks attached.
pub struct LinkPins {
    paths: Vec<(Hook, PathBuf)>,
}

impl LinkPins {
    /// A hook whose pin somebody has removed, and with it the hook.
    #[must_use]
    pub fn removed(&self) -> Option<Hook> {
        self.paths.iter().find(|(_, path)| !path.exists()).map(|&(hook, _)| hook)
    }
}

/// Runs that did not happen because a program was already running on that CPU: the same one, which
/// the kernel sees to, or another that it shares a buffer with.
pub struct RecursionCounters {
    programs: Vec<(Hook, OwnedFd)>,
    nesting: NestingMap,
}

impl RecursionCounters {
    /// Reads them; kernels before 5.12 have none.
    #[must_use]
    pub fn read(&self) -> Vec<(Hook, u64)> {
        let mut sums = [None; HOOKS];
        let kernels =
            self.programs.iter().filter_map(|(hook, program)| Some((*hook, recursion_misses(program)?)));
        for (hook, misses) in kernels.chain(self.nesting.read()) {
            let sum = &mut sums[hook as usize];
            *sum = Some(sum.unwrap_or(0) + misses);
        }
        Hook::ALL.into_iter().zip(sums).filter_map(|(hook, sum)| Some((hook, sum?))).collect()
    }
}

fn link_pins(generation: &Generation, hooks: &[(Hook, Result<(), String>)]) -> LinkPins {
    let is_attached = |hook: Hook| hooks.iter().any(|(known, result)| *known == hook && result.is_ok());
    let hooks = ATTACHED.iter().map(|attached| attached.hook).chain(lsm::HOOKS.iter().map(|lsm| lsm.hook));
    let linked = hooks.filter(|&hook| is_attached(hook));
    let mut paths: Vec<_> = linked.map(|hook| (hook, generation.link(hook))).collect();
    paths.extend(optional::pins(generation).filter(|&(hook, _)| is_attached(hook)));
    paths.extend(fexit::link_paths(generation).into_iter().map(|path| (Hook::Fexit, path)));
    LinkPins { paths }
}

fn fill_rings(object: &mut Ebpf, critical: &Map, bulk: &Map) -> Result<(), LoadError> {
    let failed = |source| MapsError::Kernel { name: map::RINGS, source };
    let rings = object.map_mut(map::RINGS).ok_or(MapsError::Absent { name: map::RINGS })?;
    let mut rings: ArrayOfMaps<_, MapData> = rings.try_into().map_err(failed)?;
    for (index, name, ring) in
        [(map::RING_CRITICAL, map::CRITICAL, critical), (map::RING_BULK, map::BULK, bulk)]
    {
        let Map::RingBuf(data) = ring else { return Err(RingError::NotARing { name }.into()) };
        rings.set(index, data, 0).map_err(failed)?;
    }
    Ok(())
}

impl Attached {
    fn attach(
        &self,
        object: &mut Ebpf,
        types: &aya::Btf,
        generation: &Generation,
        adopted: bool,
    ) -> Result<(), String> {
        let pin = generation.link(self.hook);
        if adopted && pin.exists() {
            return PinnedLink::from_pin(&pin).map(|_| ()).map_err(describe);
        }
        let program = load(object, self.program, self.tracepoint, types)?;
        let id = program.attach().map_err(describe)?;
        let link: FdLink = program.take_link(id).map_err(describe)?.into();
        program.pin(generation.program(self.hook)).map_err(describe)?;
        // The pin keeps the hook attached when this process is gone.
        link.pin(pin).map(|_| ()).map_err(describe)
    }
}

impl Handler {
    pub(super) fn install(
        &self,
        object: &mut Ebpf,
        types: &aya::Btf,
        generation: &Generation,
        adopted: bool,
    ) -> Result<(), String> {
        if adopted && generation.program(self.hook).exists() {
            return Ok(());
        }
        let program = load(object, self.program, "sys_exit", types)?;
        let fd = program.fd().and_then(|fd| fd.try_clone().map_err(ProgramError::from)).map_err(describe)?;
        let handlers = object.map_mut(map::SYS_EXIT_HANDLERS).ok_or("the object has no handler array")?;
        let mut handlers: ProgramArray<_> = handlers.try_into().map_err(describe)?;
        handlers.set(self.slot, &fd, 0).map_err(describe)?;
        // Last: its pin says that the slot is filled.
        let program: &mut BtfTracePoint = object
            .program_mut(self.program)
            .ok_or("the object has no such program")?
            .try_into()
            .map_err(describe)?;
        program.pin(generation.program(self.hook)).map_err(describe)
    }
}

pub(super) fn load<'a>(
    object: &'a mut Ebpf,
    name: &str,
    tracepoint: &str,
    types: &aya::Btf,
) -> Result<&'a mut BtfTracePoint, String> {
    let program = object.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
    let program: &mut BtfTracePoint = program.try_into().map_err(describe)?;
    retried(|| program.load(tracepoint, types)).map_err(describe)?;
    Ok(program)
}

/// The verifier gives up with EAGAIN when a signal is pending (kernel/bpf/verifier.c, `do_check`).
pub(super) fn retried(mut load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    const ATTEMPTS: usize = 10;
    let interrupted = |result: &Result<(), ProgramError>| matches!(result, Err(ProgramError::LoadError { io_error, .. }) if io_error.kind() == io::ErrorKind::WouldBlock);
    let mut result = load();
    for _ in 1..ATTEMPTS {
        if !interrupted(&result) {
            break;
        }
        result = load();
    }
    result
}

/// The task iterator; absent where the kernel has none.
pub struct TaskScan {
    /// Not the program alone: to get hold of it by its id takes `CAP_SYS_ADMIN`.
    object: Ebpf,
    has_program: bool,
}

const TASK_SCAN: &str = "task_scan";

fn load_scan(object: &mut Ebpf, types: &aya::Btf) -> Result<(), String> {
    let Some(Program::Iter(program)) = object.program_mut(TASK_SCAN) else {
        return Err(format!("the object has no iterator {TASK_SCAN}"));
    };
    retried(|| program.load("task", types)).map_err(describe)
}

impl TaskScan {
    /// A stream of scan records, one after the other; `None` where there is no iterator.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(&mut self) -> Option<io::Result<File>> {
        let Some(Program::Iter(program)) = self.object.program_mut(TASK_SCAN) else { return None };
        self.has_program.then(|| {
            program
                .attach()
                .and_then(|id| program.take_link(id))
                .map_err(io::Error::other)
                .and_then(|link| link.into_file().map_err(io::Error::other))
        })
    }
}

fn pinned_programs(generation: &Generation, hooks: &[(Hook, Result<(), String>)]) -> Vec<(Hook, OwnedFd)> {
    let attached = hooks.iter().filter(|(_, result)| result.is_ok());
    let single = attached.filter_map(|&(hook, _)| Some((hook, open_pin(&generation.program(hook))?)));
    single.chain(fexit::programs(generation).into_iter().map(|program| (Hook::Fexit, program))).collect()
}

fn recursion_misses(program: &OwnedFd) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let info = std::fs::read_to_string(path).ok()?;
    info.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

fn predecessors(pins: &Pins, current: &Generation) -> Result<Vec<Predecessor>, LoadError> {
    for other in pins.other_versions()? {
        other.remove()?;
    }
    let mut predecessors = Vec::new();
    for generation in pins.others(current)? {
        if !generation.is_complete() {
            generation.remove()?;
            continue;
        }
        match Predecessor::open(generation.clone()) {
            Ok(predecessor) => predecessors.push(predecessor),
            Err(error) => {
                tracing::warn!(error = describe(error), "records of the programs before cannot be read");
                generation.remove()?;
            }
        }
    }
    Ok(predecessors)
}

/// What the verifier adds after the reason (kernel/bpf/verifier.c, `print_verification_stats`).
const STATISTICS: [&str; 4] = ["verification time", "stack depth", "insns processed", "processed "];

/// The whole chain of causes in one line; of a verifier's log the end, where the reason stands.
pub(super) fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let is_said = |line: &&str| {
        !line.trim().is_empty() && !STATISTICS.iter().any(|statistic| line.starts_with(statistic))
    };
    let rest: Vec<_> = lines.filter(is_said).collect();
    let tail = &rest[rest.len().saturating_sub(4)..];
    if tail.is_empty() { first } else { format!("{first} … {}", tail.join(" | ")) }
}
