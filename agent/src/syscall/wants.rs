//! Which calls are wanted: what all consumers together ask for, as the kernel's table.

use agent_abi::{
    hook::Hook,
    interest::{
        ABI_COMPAT, ABI_MASK, ABI_NATIVE, ABI_X32, ENTRY_SHIFT, Interest, SYSCALLS, Want, beside, predicate,
    },
    map::RING_BULK,
    uring::{OPERATIONS, Operation},
};

use super::{
    Call, Capture, Family, HookSet, all,
    network::{SOCKETCALL, SOCKETCALLS},
    uring::{OPERATION_ROWS, Row},
};
use crate::kernel::UringLayout;

/// [`RING_BULK`], as the tables have it.
const BULK: u8 = RING_BULK as u8;

/// Hooks that are always attached: what they see is rare, and changes what is known of containers or
/// of the agent itself.
const RARE: [Hook; 4] = [Hook::CgroupRename, Hook::CgroupRelease, Hook::OomKill, Hook::Signal];

/// Calls that may not return, or that may blind the agent before they do.
const SEEN_ON_ENTRY: [&str; 7] =
    ["bpf", "delete_module", "finit_module", "init_module", "kexec_file_load", "kexec_load", "reboot"];

/// Of which calls a consumer wants to hear. All false: of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Those that succeeded.
    pub ok: bool,
    /// Those that failed.
    pub failed: bool,
    /// Those that succeeded, and of those that failed these; not by landmarks.
    pub failed_beside: Option<Beside>,
    /// Those that open a file for writing.
    pub writes: bool,
    /// Those of containers.
    pub containers: bool,
    /// Those on files below the wanted prefixes, and on some others.
    pub below: Option<Beside>,
}

/// Which files are wanted although they are not below a wanted prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Those opened for writing.
    pub writes: bool,
    /// Those whose name was given with two dots in a row.
    pub dotted: bool,
    /// Those whose path has the names of a group of landmarks.
    pub landmarks: bool,
}

const fn bit(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

impl Beside {
    /// No others.
    pub const NONE: Self = Self { writes: false, dotted: false, landmarks: false };

    const fn or(self, other: Self) -> Self {
        Self {
            writes: self.writes || other.writes,
            dotted: self.dotted || other.dotted,
            landmarks: self.landmarks || other.landmarks,
        }
    }
}

impl Only {
    /// What two consumers want together.
    const fn or(self, other: Self) -> Self {
        Self {
            ok: self.ok && other.ok,
            failed: self.failed && other.failed,
            failed_beside: match (self.failures(), other.failures()) {
                (Some(one), Some(two)) if !(self.ok && other.ok) => Some(one.or(two)),
                _ => None,
            },
            writes: self.writes && other.writes,
            containers: self.containers && other.containers,
            below: match (self.below, other.below) {
                (Some(one), Some(two)) => Some(one.or(two)),
                // All that one wants is written, whatever it lies below.
                (Some(below), None) if other.writes => Some(Beside { writes: true, ..below }),
                (None, Some(below)) if self.writes => Some(Beside { writes: true, ..below }),
                _ => None,
            },
        }
    }

    /// Which of those that failed; `None`: all.
    const fn failures(self) -> Option<Beside> {
        if self.ok { Some(Beside::NONE) } else { self.failed_beside }
    }

    const fn beside(self) -> u8 {
        let of = if let Some(of) = self.below { of } else { Beside::NONE };
        let failed = if let Some(failed) = self.failed_beside { failed } else { Beside::NONE };
        bit(of.writes, beside::WRITES)
            | bit(of.dotted, beside::DOTTED)
            | bit(of.landmarks, beside::LANDMARKS)
            | bit(failed.writes, beside::FAILED_WRITES)
            | bit(failed.dotted, beside::FAILED_DOTTED)
    }

    const fn predicates(self) -> u8 {
        bit(self.ok, predicate::OK)
            | bit(self.failed, predicate::FAILED)
            | bit(self.failed_beside.is_some(), predicate::FAILED_BESIDE)
            | bit(self.writes, predicate::WRITES)
            | bit(self.containers, predicate::CONTAINERS)
            | bit(self.below.is_some(), predicate::PREFIXES)
    }
}

/// The calls that are wanted, by name, and the hooks that are not of system calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    calls: Vec<(&'static str, Only)>,
    hooks: HookSet,
    /// The names that opens were given.
    names: bool,
}

impl Wants {
    /// What posture needs: all that changes what a task may do.
    #[must_use]
    pub fn posture() -> Self {
        let mut wants = Self::default();
        wants.add_family(Family::Credentials, Only::default());
        wants
    }

    /// One more consumer of a call.
    pub fn add(&mut self, call: &Call, only: Only) {
        match self.calls.iter_mut().find(|(name, _)| *name == call.name) {
            Some((_, known)) => *known = known.or(only),
            None => self.calls.push((call.name, only)),
        }
    }

    /// One more consumer of a family of calls.
    pub fn add_family(&mut self, family: Family, only: Only) {
        for call in all().filter(|call| call.family == family) {
            self.add(call, only);
        }
    }

    /// One more consumer of a hook that is attached only where it is wanted.
    pub fn add_hook(&mut self, hook: Hook) {
        self.hooks.insert(hook);
    }

    /// A consumer wants the names that opens were given too, beside the paths of what they opened.
    pub fn add_names(&mut self) {
        self.names = true;
    }

    /// Those hooks, and those that see the wanted calls where `sys_exit` does not.
    #[must_use]
    pub fn hooks(&self) -> HookSet {
        let mut hooks = self.hooks;
        for hook in RARE {
            hooks.insert(hook);
        }
        if OPERATION_ROWS.iter().any(|row| self.of_row(row).is_some()) {
            hooks.insert(Hook::UringSubmit);
            hooks.insert(Hook::UringComplete);
        }
        if SEEN_ON_ENTRY.iter().any(|name| self.has(name)) {
            hooks.insert(Hook::SysEnter);
        }
        hooks
    }

    /// The kernel's table of io_uring's operations, by opcode.
    #[must_use]
    pub fn operations(&self, layout: &UringLayout) -> Vec<Operation> {
        let mut table = vec![Operation::UNWANTED; OPERATIONS as usize];
        for row in OPERATION_ROWS {
            let (Some(only), Some(slot)) = (self.of_row(row), table.get_mut(row.opcode as usize)) else {
                continue;
            };
            let predicates = only.predicates() | predicate::BULK;
            *slot = Operation { predicates, ring: BULK, ..layout.operation(row.opcode) };
        }
        table
    }

    /// Of which of an operation those hear that want one of its calls.
    fn of_row(&self, row: &Row) -> Option<Only> {
        let wanted = self.calls.iter().filter(|(name, _)| row.calls.contains(name));
        wanted.map(|(_, only)| *only).reduce(Only::or)
    }

    /// Whether anybody wants a call.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.calls.iter().any(|(wanted, _)| *wanted == name)
    }

    /// The calls that anybody wants.
    pub fn calls(&self) -> impl Iterator<Item = &'static Call> {
        all().filter(|call| self.only(call.name).is_some())
    }

    /// Of which of a call's anybody wants to hear. `socketcall` stands for others, and is wanted where
    /// any of them is: its handler looks up which.
    fn only(&self, name: &str) -> Option<Only> {
        let stands_for = if name == SOCKETCALL { SOCKETCALLS } else { &[] };
        let wanted = self.calls.iter().filter(|(known, _)| *known == name || stands_for.contains(known));
        wanted.map(|&(_, only)| only).reduce(Only::or)
    }

    /// The kernel's table, by number.
    #[must_use]
    pub fn table(&self) -> Vec<Interest> {
        let mut table = vec![Interest::NOTHING; SYSCALLS as usize];
        for call in all() {
            let Some(only) = self.only(call.name) else { continue };
            let on_entry = SEEN_ON_ENTRY.contains(&call.name);
            let mut wanted = |abi: u8, number: u32, capture: Capture| {
                let capture = if self.names { capture.with_name() } else { capture };
                set(&mut table, abi, number, capture, only);
                if let Some(slot) = table.get_mut(number as usize).filter(|_| on_entry) {
                    slot.wanted |= 1 << ENTRY_SHIFT << abi;
                }
            };
            if let Some(number) = call.native {
                wanted(ABI_NATIVE, number, call.capture);
            }
            for &number in call.compat {
                wanted(ABI_COMPAT, number, call.capture_compat);
            }
            if let Some(number) = call.x32.or(call.native) {
                wanted(ABI_X32, number, call.capture);
            }
        }
        table
    }
}

fn set(table: &mut [Interest], abi: u8, number: u32, Capture(want): Capture, only: Only) {
    let Some(slot) = table.get_mut(number as usize) else { return };
    let is_bulk = u32::from(want.ring) == RING_BULK;
    let bulk = if is_bulk { predicate::BULK } else { 0 };
    // What no consumer may change: a credential change counts for host and containers alike.
    slot.wants[usize::from(abi & ABI_MASK)] =
        Want { predicates: want.predicates | only.predicates() | bulk, beside: only.beside(), ..want };
    slot.wanted |= 1 << abi;
}
