//! The LSM hooks, and of which calls they tell.

use agent_abi::{
    hook::Hook,
    interest::{ABI_COMPAT, ABI_MASK, ABI_NATIVE, ABI_X32, Interest, predicate, test},
};
use aya::{
    Ebpf,
    programs::{Lsm, links::FdLink},
};

use super::{
    pins::Generation,
    program::{adopt, describe, retried},
    tier,
};
use crate::syscall::{Wants, by_name};

/// An LSM hook.
pub(super) struct LsmHook {
    pub(super) hook: Hook,
    program: &'static str,
    name: &'static str,
    /// Calls that it tells of.
    calls: &'static [&'static str],
    /// It tells of what the calls try, in place of those that succeed.
    replaces: bool,
}

pub(super) const HOOKS: [LsmHook; 3] = [
    LsmHook {
        hook: Hook::LsmOpen,
        program: "lsm_file_open",
        name: "file_open",
        calls: &["open", "openat", "openat2", "creat", "open_by_handle_at"],
        replaces: true,
    },
    LsmHook {
        hook: Hook::LsmConnect,
        program: "lsm_socket_connect",
        name: "socket_connect",
        calls: &["connect"],
        replaces: true,
    },
    LsmHook {
        hook: Hook::LsmExec,
        program: "lsm_bprm_check",
        name: "bprm_check_security",
        calls: &["execve", "execveat"],
        replaces: false,
    },
];

impl LsmHook {
    /// Whether it has anything to tell of.
    pub(super) fn is_wanted(&self, wants: &Wants) -> bool {
        self.calls.iter().any(|call| wants.has(call))
    }

    pub(super) fn attach(
        &self,
        object: &mut Ebpf,
        types: &aya::Btf,
        generation: &Generation,
        adopted: bool,
    ) -> Result<(), String> {
        tier::lsm_runs()?;
        let pin = generation.link(self.hook);
        if let Some(link) = adopt(&pin, adopted) {
            return link;
        }
        let program = object.program_mut(self.program);
        let program = program.ok_or_else(|| format!("the object has no program {}", self.program))?;
        let program: &mut Lsm = program.try_into().map_err(describe)?;
        retried(|| program.load(self.name, types)).map_err(describe)?;
        let id = program.attach().map_err(describe)?;
        let link: FdLink = program.take_link(id).map_err(describe)?.into();
        program.pin(generation.program(self.hook)).map_err(describe)?;
        link.pin(pin).map(|_| ()).map_err(describe)
    }

    /// Has it tell of its calls, where the exits of these would: one call is one event. Where only
    /// calls that fail are wanted it has nothing to tell.
    pub(super) fn take_over(&self, table: &mut [Interest]) {
        for call in self.calls.iter().filter_map(|name| by_name(name)) {
            let compat = call.compat.iter().map(|&number| (ABI_COMPAT, number));
            let native = call.native.map(|number| (ABI_NATIVE, number));
            let x32 = call.x32.or(call.native).map(|number| (ABI_X32, number));
            for (abi, number) in compat.chain(native).chain(x32) {
                let Some(slot) = table.get_mut(number as usize) else { continue };
                let want = &mut slot.wants[usize::from(abi & ABI_MASK)];
                let only_failed = want.predicates & predicate::FAILED != 0;
                if want.handler != 0 && want.test == test::NONE && !(self.replaces && only_failed) {
                    want.predicates |= predicate::BY_LSM;
                }
            }
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::syscall::{Family, Only};

    fn marked(hook: Hook, family: Family, only: Only) -> Vec<usize> {
        let mut wants = Wants::default();
        wants.add_family(family, only);
        let mut table = wants.table();
        HOOKS.iter().find(|known| known.hook == hook).expect("a hook of the table").take_over(&mut table);
        let is_marked = |slot: &Interest| slot.wants[0].predicates & predicate::BY_LSM != 0;
        (0..table.len()).filter(|&number| is_marked(&table[number])).collect()
    }

    #[test]
    fn calls_that_open_a_file_are_told_of_by_the_open() {
        assert_eq!(marked(Hook::LsmOpen, Family::Files, Only::default()), [2, 85, 257, 304, 437]);
        assert_eq!(marked(Hook::LsmConnect, Family::Network, Only::default()), [42]);
    }

    #[test]
    fn who_wants_failed_opens_alone_gets_no_others() {
        let failed = Only { failed: true, ..Only::default() };
        assert_eq!(marked(Hook::LsmOpen, Family::Files, failed), [0; 0]);
    }

    #[test]
    fn an_exec_is_told_of_beside_its_failure() {
        assert_eq!(marked(Hook::LsmExec, Family::Processes, Only::default()), [59, 322]);
    }

    #[test]
    fn only_wanted_hooks_are_attached() {
        let wants = Wants::posture();
        assert!(HOOKS.iter().all(|hook| !hook.is_wanted(&wants)));
    }
}
