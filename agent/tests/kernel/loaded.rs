//! Programs of a test's own, removed when it ends.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    map::RING_COUNT,
};
use aya::programs::{
    links::{FdLink, PinnedLink},
    loaded_links,
};
use kestrel_agent::{
    decode::{Event, decode},
    filter::Filter,
    kernel::{Hierarchy, Hooks, Layout, Mounted, Plan, Programs},
    syscall::{Family, Only, Wants},
};
use nix::libc;

use crate::environment::kernel_version;

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
        std::fs::remove_dir_all(&self.pin_dir).unwrap();
    }

    /// Numbers of the links that are pinned.
    fn links(&self) -> Vec<u32> {
        let mut folders = vec![self.pin_dir.clone()];
        let mut links = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_name().to_string_lossy().starts_with("link_") {
                    let link = FdLink::from(PinnedLink::from_pin(entry.path()).unwrap());
                    links.push(link.info().unwrap().id());
                }
            }
        }
        links
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

    pub(crate) fn counters(&self) -> [HookCounters; HOOKS] {
        self.programs.counters.read().unwrap()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.pin_dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => result.unwrap(),
        }
    }
}

/// Waits until every program that runs now has come to its end: they do not run across a grace period,
/// and `MEMBARRIER_CMD_GLOBAL` (membarrier(2)) waits for one.
fn wait_for_programs() {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: a call without memory.
    #[expect(unsafe_code, reason = "no library has it")]
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    assert_eq!(result, 0, "{}", nix::errno::Errno::last());
}

/// Posture's calls, and those of a family.
pub(crate) fn with(family: Family, only: Only) -> Wants {
    let mut wants = Wants::posture();
    wants.add_family(family, only);
    wants
}

fn carry_out(
    pin_dir: &std::path::Path,
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
    // The types of Linux 5.10 do not say what the 16-bit forms of calls are given (kernel/uid16.c):
    // sys_exit serves these.
    if let Some(exits) = programs.exits.as_ref().filter(|_| kernel_version() > (5, 10)) {
        assert_eq!(exits.left, [""; 0], "sys_exit is not needed");
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
    for (hook, counters) in Hook::ALL.into_iter().zip(counters) {
        assert_eq!(counters.seen, counters.accounted(), "{}: {counters:?}", hook.name());
        let HookCounters { submitted, lost, tail_failed, shrunk, submitted_bulk, lost_bulk, .. } = *counters;
        assert_eq!(tail_failed, 0, "{}", hook.name());
        assert!(shrunk <= submitted && submitted_bulk <= submitted && lost_bulk <= lost, "{}", hook.name());
    }
    let of = |hook: Hook| counters[hook as usize];
    let handlers = [Hook::Credentials, Hook::File, Hook::Path, Hook::Plain, Hook::Socket];
    let handled: u64 = handlers.into_iter().map(|hook| of(hook).seen).sum();
    assert_eq!(of(Hook::SysExit).handed_on + of(Hook::Fexit).handed_on, handled);
}
