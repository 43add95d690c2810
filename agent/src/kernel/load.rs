//! Loads, attaches and pins the programs, or adopts those of the agent before.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use agent_abi::{hook::Hook, map};
use aya::{
    Ebpf, EbpfError, EbpfLoader, Endianness,
    maps::{ArrayOfMaps, Map, MapData},
};
use thiserror::Error;
use zerocopy::IntoBytes;

use super::{
    btf::{Btf, BtfError, Types},
    calls::Calls,
    cast::Cast,
    fexit::{self, Exits},
    filters::{Buckets, CgroupMap, Filters},
    maps::{self, Counters, InterestTable, MapsError, NestingMap, ProgressMap, Sequences},
    offsets::Layout,
    optional::{self, Scope},
    pins::{Generation, PinError, Pins, fingerprint},
    portable::ATTACHED,
    predecessor::Predecessor,
    program::describe,
    switches::Switches,
    symbols,
    task_scan::TaskScan,
    tier::{self, Choice, Hooks, Tier, TierError},
    untold::UntoldMap,
    watched::{LinkPins, RecursionCounters},
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

/// How the names of the other functions begin that programs are loaded for: LSM hooks and iterators.
const LOOKED_FOR: &[&str] = &["bpf_lsm_", "bpf_iter_"];

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
    /// Handlers at such exits, for as long as these are open.
    _arrays: Vec<Map>,
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
        let functions = fexit::distinct(Types::kernel(&kernel).functions(PREFIXES).collect());
        let tier = tier::choose(self.hooks, || tier::probe_exit(functions.first().copied()))?;
        let parts = [OBJECT, offsets.as_bytes(), boot.as_bytes(), tier.tier.name().as_bytes()];
        let generation = pins.generation(fingerprint(parts));
        let adopted = generation.is_complete();
        if !adopted {
            generation.remove()?;
            generation.create()?;
        }
        let ids: BTreeSet<_> = functions.iter().map(|function| function.id).collect();
        let is_looked_for =
            |id, name: &str| ids.contains(&id) || LOOKED_FOR.iter().any(|prefix| name.starts_with(prefix));
        let types = aya::Btf::parse(&kernel.with_functions(is_looked_for), Endianness::default())?;
        let mut object = self.load_object(&generation, &types, 0)?;
        let mut arrays = Vec::new();
        let again = |set| self.load_object(&generation, &types, set).map_err(describe);
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
        let symbols = if tier.tier == Tier::Enhanced { symbols::functions(PREFIXES) } else { &[] };
        let functions = fexit::functions(functions.into_iter(), symbols);
        let mut calls = Calls {
            object: &mut object,
            again: &again,
            arrays: &mut arrays,
            types: &types,
            generation: &generation,
            adopted,
        };
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
        let scan = TaskScan::load(&mut object, &types);
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
            links: LinkPins::of(&generation, &hooks),
            recursion: RecursionCounters::of(&generation, &hooks, NestingMap::take(&mut object)?),
            tier,
            exits,
            _arrays: arrays,
            hooks,
            adopted,
            predecessors: Predecessor::all(&pins, &generation)?,
            scan: TaskScan::new(object, has_scan),
        })
    }

    /// `set` is the number of its array of handlers at the exits of calls; all else is the same.
    fn load_object(&self, generation: &Generation, types: &aya::Btf, set: usize) -> Result<Ebpf, LoadError> {
        let Layout { offsets, boot, .. } = &self.layout;
        let [critical, bulk] = boot.ring_bytes;
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(types))
            .override_global(map::OFFSETS, offsets.as_bytes(), true)
            .override_global(map::BOOT, boot.as_bytes(), true)
            .map_max_entries(map::CRITICAL, critical)
            .map_max_entries(map::BULK, bulk);
        for name in PINNED {
            loader.map_pin_path(name, generation.map(name));
        }
        if set != 0 {
            loader
                .map_pin_path(map::FEXIT_HANDLERS, generation.map(&format!("{}_{set}", map::FEXIT_HANDLERS)));
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
