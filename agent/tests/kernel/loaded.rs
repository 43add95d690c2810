//! Programs of a test's own, removed when it ends.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    map::RING_COUNT,
    record::Header,
};
use aya::programs::{
    links::{FdLink, PinnedLink},
    loaded_links,
};
use kestrel_agent::{
    decode::{Event, decode},
    filter::Filter,
    kernel::{Hierarchy, Hooks, Layout, Left, Mounted, Plan, Programs},
    source::SequenceCheck,
    syscall::{Family, Only, Wants},
};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::{environment::kernel_version, shared};

/// How long anything may take to happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Loaded {
    pub(crate) programs: Programs,
    pub(crate) pin_dir: PathBuf,
    hierarchy: Hierarchy,
    ring_bytes: [u32; RING_COUNT],
    wants: Wants,
    filter: Filter,
}

impl Loaded {
    pub(crate) fn new(ring_bytes: [u32; RING_COUNT], wants: Wants) -> Self {
        Self::on(Mounted::detect().unwrap().hierarchy, ring_bytes, wants)
    }

    /// With containers in that hierarchy, whatever this machine's are in.
    pub(crate) fn on(hierarchy: Hierarchy, ring_bytes: [u32; RING_COUNT], wants: Wants) -> Self {
        shared::release();
        static TESTS: AtomicU32 = AtomicU32::new(0);
        let number = TESTS.fetch_add(1, Ordering::Relaxed);
        let pin_dir = PathBuf::from(format!("/sys/fs/bpf/kestrel-test-{}-{number}", std::process::id()));
        let filter = Filter::default();
        let programs = carry_out(&pin_dir, hierarchy, ring_bytes, wants.clone(), filter.clone());
        Self { programs, pin_dir, hierarchy, ring_bytes, wants, filter }
    }

    /// As an agent that follows with another configuration.
    pub(crate) fn restart_as(&mut self, wants: Wants, filter: Filter) {
        (self.wants, self.filter) = (wants, filter);
        self.restart();
    }

    /// As an agent that follows one that was killed: the pins are all that is left of it.
    pub(crate) fn restart(&mut self) {
        self.restart_with(self.ring_bytes);
    }

    pub(crate) fn restart_with(&mut self, ring_bytes: [u32; RING_COUNT]) {
        self.ring_bytes = ring_bytes;
        self.programs =
            carry_out(&self.pin_dir, self.hierarchy, ring_bytes, self.wants.clone(), self.filter.clone());
    }

    /// As an agent of another configuration that follows.
    pub(crate) fn restart_wanting(&mut self, wants: Wants) {
        self.wants = wants;
        self.restart();
    }

    /// Detaches every hook; what the maps hold stays, and counters do not change any more.
    pub(crate) fn detach(&self) {
        let links = self.links();
        assert!(!links.is_empty(), "nothing is attached");
        self.unpin();
        let deadline = Instant::now() + DEADLINE;
        // A pinned link goes after a grace period, not with its file, and its number goes a little
        // before its hook does.
        while loaded_links().flatten().any(|link| links.contains(&link.id())) {
            assert!(Instant::now() < deadline, "still attached");
            std::thread::yield_now();
        }
        let mut before = self.counters();
        loop {
            wait_for_programs();
            be_seen();
            let now = self.counters();
            if now == before {
                return;
            }
            assert!(Instant::now() < deadline, "what is detached still counts");
            before = now;
        }
    }

    /// Removes the pins: hooks whose links nobody has open go, after a while.
    pub(crate) fn unpin(&self) {
        kestrel_agent::kernel::detach(&self.pin_dir).unwrap();
    }

    /// Numbers of the links that are pinned.
    fn links(&self) -> Vec<u32> {
        let number = |pin| FdLink::from(PinnedLink::from_pin(pin).unwrap()).info().unwrap().id();
        pinned_links(&self.pin_dir).into_iter().map(number).collect()
    }

    /// Gives the critical ring's events to `each` until it says that it has seen enough.
    pub(crate) fn until(&mut self, mut each: impl FnMut(&Event<'_>) -> bool) {
        let start = Instant::now();
        let mut done = false;
        while !done {
            assert!(start.elapsed() < DEADLINE, "the event did not come");
            let end = self.programs.critical.produced();
            self.programs.critical.drain(end, |bytes| {
                let event = decode(bytes).unwrap();
                done = done || each(&event);
            });
            std::thread::yield_now();
        }
    }

    /// Whether a hook is in force.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.programs.hooks.iter().any(|(known, result)| *known == hook && result.is_ok())
    }

    /// Runs of hooks that did not happen because a task was interrupted in the middle of one. Newer kernels do so at
    /// any time, and then the others on that CPU are not seen until that one goes on.
    pub(crate) fn missed(&self, hooks: &[Hook]) -> u64 {
        let missed = self.programs.recursion.read();
        missed.iter().filter(|(hook, _)| hooks.contains(hook)).map(|(_, count)| count).sum()
    }

    pub(crate) fn counters(&self) -> [HookCounters; HOOKS] {
        self.programs.counters.read().unwrap()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if self.pin_dir.exists() {
            self.unpin();
        }
    }
}

/// Pins of the links below a folder.
pub(crate) fn pinned_links(pins: &Path) -> Vec<PathBuf> {
    let mut folders = vec![pins.to_path_buf()];
    let mut links = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with("link_") {
                links.push(entry.path());
            }
        }
    }
    links
}

/// Waits until every program that runs now has come to its end: they do not run across a grace period,
/// and `MEMBARRIER_CMD_GLOBAL` (membarrier(2)) waits for one.
fn wait_for_programs() {
    membarrier(MembarrierCommand::Global).unwrap();
}

/// Numbers that no record has.
pub(crate) struct Gaps {
    check: SequenceCheck,
    newest: HashMap<(u16, u16), u64>,
    /// Per ring: numbers that were passed over, and those of them that came after all, because a task was interrupted
    /// in the middle of sending.
    passed: [u64; RING_COUNT],
    late: [u64; RING_COUNT],
}

impl Gaps {
    /// From the next record on.
    pub(crate) fn new(loaded: &Loaded) -> Self {
        let check = SequenceCheck::new(loaded.programs.sequences.read().unwrap());
        Self { check, newest: HashMap::new(), passed: [0; RING_COUNT], late: [0; RING_COUNT] }
    }

    /// Takes a record in the order of its ring.
    pub(crate) fn take(&mut self, header: &Header) {
        let ring = usize::from(header.ring);
        self.passed[ring] += self.check.missing_before(header);
        let newest = self.newest.entry((header.ring, header.cpu)).or_default();
        self.late[ring] += u64::from(header.sequence < *newest);
        *newest = header.sequence.max(*newest);
    }

    pub(crate) fn of(&self, ring: u32) -> u64 {
        self.passed[ring as usize] - self.late[ring as usize]
    }
}

/// Makes a call of each family and one of posture's, which do nothing.
fn be_seen() {
    drop(std::fs::File::open("/dev/null"));
    drop(std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)));
    nix::sys::signal::kill(nix::unistd::getpid(), None).unwrap();
    nix::sched::unshare(nix::sched::CloneFlags::empty()).unwrap();
}

/// Posture's calls, and those of a family.
pub(crate) fn with(family: Family, only: Only) -> Wants {
    let mut wants = Wants::posture();
    wants.add_family(family, only);
    wants
}

fn carry_out(
    pin_dir: &Path,
    hierarchy: Hierarchy,
    ring_bytes: [u32; RING_COUNT],
    wants: Wants,
    filter: Filter,
) -> Programs {
    let layout = Layout::read(hierarchy, ring_bytes).unwrap();
    let plan = Plan { pin_dir: pin_dir.to_path_buf(), layout, wants, filter, hooks: hooks() };
    let programs = plan.carry_out().unwrap();
    for (hook, result) in &programs.hooks {
        assert_eq!(result, &Ok(()), "{}", hook.name());
    }
    if let Some(exits) = &programs.exits {
        // The types of Linux 5.10 do not say what many functions are given, nor all that there are
        // (kernel/uid16.c): sys_exit serves these.
        let is_known = |left: &&Left| {
            let reasons = ["this kernel's types do not say", "no function of the 32-bit call"];
            kernel_version() <= (5, 10) && reasons.iter().any(|reason| left.reason.starts_with(reason))
        };
        let left: Vec<_> = exits.left.iter().filter(|left| !is_known(left)).collect();
        assert!(left.is_empty(), "sys_exit is not needed: {left:?}");
    }
    programs
}

/// Hooks that the tests are run with: `KESTREL_HOOKS`, or what the kernel allows.
pub(crate) fn hooks() -> Hooks {
    match std::env::var("KESTREL_HOOKS") {
        Ok(hooks) => kestrel_agent::config::value::hooks(&hooks).unwrap(),
        Err(_) => Hooks::Auto,
    }
}

/// `seen = submitted + lost + filtered + throttled + errors + handed_on + tail_failed`, for every hook.
pub(crate) fn assert_balanced(counters: &[HookCounters; HOOKS]) {
    assert_eq!(imbalance(counters), None);
}

/// The same as soon as nothing happens any more, while the hooks stay: what is missing for good stays missing.
pub(crate) fn assert_quiet_sums(loaded: &Loaded) {
    let switches = &loaded.programs.switches;
    // To read them takes calls that are counted; of the agent's no handler is told.
    switches.set_agent(std::process::id());
    let start = Instant::now();
    while let Some(imbalance) = imbalance(&loaded.counters()) {
        assert!(start.elapsed() < DEADLINE, "{imbalance}");
        std::thread::yield_now();
    }
    switches.set_agent(0);
}

fn imbalance(counters: &[HookCounters; HOOKS]) -> Option<String> {
    for (hook, counters) in Hook::ALL.into_iter().zip(counters) {
        let HookCounters { submitted, lost, tail_failed, shrunk, submitted_bulk, lost_bulk, .. } = *counters;
        let is_balanced = counters.seen == counters.accounted()
            && tail_failed == 0
            && shrunk <= submitted
            && submitted_bulk <= submitted
            && lost_bulk <= lost;
        if !is_balanced {
            return Some(format!("{}: {counters:?}", hook.name()));
        }
    }
    let of = |hook: Hook| counters[hook as usize];
    let handlers = [Hook::Credentials, Hook::File, Hook::Path, Hook::Plain, Hook::Socket];
    let handled: u64 = handlers.into_iter().map(|hook| of(hook).seen).sum();
    let handed_on = of(Hook::SysExit).handed_on + of(Hook::Fexit).handed_on;
    (handed_on != handled).then(|| format!("{handed_on} calls were handed on, and {handled} came"))
}
