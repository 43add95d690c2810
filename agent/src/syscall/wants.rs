//! Which calls are wanted: what all consumers together ask for, as the kernel's table.

use agent_abi::interest::{ABI_COMPAT, ABI_MASK, ABI_NATIVE, ABI_X32, Interest, SYSCALLS, Want, predicate};

use super::{Call, Capture, Family, all};

/// Of which calls a consumer wants to hear. All false: of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Those that succeeded.
    pub ok: bool,
    /// Those that failed.
    pub failed: bool,
    /// Those that open a file for writing.
    pub writes: bool,
    /// Those of containers.
    pub containers: bool,
    /// Those on files below the wanted prefixes.
    pub prefixes: bool,
}

impl Only {
    /// What two consumers want together.
    const fn or(self, other: Self) -> Self {
        Self {
            ok: self.ok && other.ok,
            failed: self.failed && other.failed,
            writes: self.writes && other.writes,
            containers: self.containers && other.containers,
            prefixes: self.prefixes && other.prefixes,
        }
    }

    const fn predicates(self) -> u8 {
        const fn bit(is_set: bool, bit: u8) -> u8 {
            if is_set { bit } else { 0 }
        }
        bit(self.ok, predicate::OK)
            | bit(self.failed, predicate::FAILED)
            | bit(self.writes, predicate::WRITES)
            | bit(self.containers, predicate::CONTAINERS)
            | bit(self.prefixes, predicate::PREFIXES)
    }
}

/// The calls that are wanted, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    calls: Vec<(&'static str, Only)>,
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

    /// Whether anybody wants a call.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.calls.iter().any(|(wanted, _)| *wanted == name)
    }

    /// The calls that anybody wants.
    pub fn calls(&self) -> impl Iterator<Item = &'static Call> {
        all().filter(|call| self.has(call.name))
    }

    /// The kernel's table, by number.
    #[must_use]
    pub fn table(&self) -> Vec<Interest> {
        let mut table = vec![Interest::NOTHING; SYSCALLS as usize];
        for call in all() {
            let Some((_, only)) = self.calls.iter().find(|(name, _)| *name == call.name) else { continue };
            if let Some(number) = call.native {
                set(&mut table, ABI_NATIVE, number, call.capture, *only);
            }
            for &number in call.compat {
                set(&mut table, ABI_COMPAT, number, call.capture_compat, *only);
            }
            if let Some(number) = call.x32.or(call.native) {
                set(&mut table, ABI_X32, number, call.capture, *only);
            }
        }
        table
    }
}

fn set(table: &mut [Interest], abi: u8, number: u32, Capture(want): Capture, only: Only) {
    let Some(slot) = table.get_mut(number as usize) else { return };
    let is_bulk = u32::from(want.ring) == agent_abi::map::RING_BULK;
    let bulk = if is_bulk { predicate::BULK } else { 0 };
    // What no consumer may change: a credential change counts for host and containers alike.
    slot.wants[usize::from(abi & ABI_MASK)] =
        Want { predicates: want.predicates | only.predicates() | bulk, ..want };
    slot.wanted |= 1 << abi;
}
