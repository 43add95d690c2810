//! The hooks that system calls are seen by, in the tier that was chosen, and which of them tells of
//! which call.

use agent_abi::{
    hook::Hook,
    interest::{BY_FEXIT, BY_SYS_EXIT, Interest},
};
use aya::{Ebpf, maps::Map};

use super::{
    fexit::{self, Exits, Functions, LoadAgain},
    lsm::{self, LsmHook},
    pins::Generation,
    portable::HANDLERS,
    tier::Tier,
};
use crate::syscall::Wants;

/// What is needed to attach.
pub(super) struct Calls<'a> {
    pub(super) object: &'a mut Ebpf,
    pub(super) again: LoadAgain<'a>,
    /// What it loads and somebody has to keep open.
    pub(super) arrays: &'a mut Vec<Map>,
    pub(super) types: &'a aya::Btf,
    pub(super) generation: &'a Generation,
    /// The pins are those of programs that run.
    pub(super) adopted: bool,
}

impl Calls<'_> {
    /// Loads the handlers and attaches the hooks of the enhanced tier.
    pub(super) fn attach(
        &mut self,
        tier: Tier,
        functions: &Functions,
        wants: &Wants,
        hooks: &mut Vec<(Hook, Result<(), String>)>,
    ) -> Routing {
        let Self { object, again, arrays, types, generation, adopted } = self;
        let mut routing = Routing::default();
        if tier == Tier::Enhanced {
            let exits = fexit::attach(object, *again, arrays, types, functions, generation, wants);
            hooks.push((Hook::Fexit, exits.as_ref().map(|_| ()).map_err(Clone::clone)));
            routing.exits = exits.ok();
        }
        for handler in &HANDLERS {
            let mut result = routing.exits.as_ref().map_or(Ok(()), |exits| exits.handler(handler.hook));
            if routing.has_sys_exit() {
                result = result.and(handler.install(object, types, generation, *adopted));
            }
            hooks.push((handler.hook, result));
        }
        for hook in &lsm::HOOKS {
            if tier == Tier::Portable {
                continue;
            }
            if !hook.is_wanted(wants) {
                if let Err(error) = generation.detach(hook.hook) {
                    tracing::warn!(hook = hook.hook.name(), %error, "a hook that nobody wants stays attached");
                }
                continue;
            }
            let result = hook.attach(object, types, generation, *adopted);
            if result.is_ok() {
                routing.lsm.push(hook);
            }
            hooks.push((hook.hook, result));
        }
        routing
    }
}

/// Which hook tells of which call.
#[derive(Default)]
pub(super) struct Routing {
    /// The programs at the exits of single calls.
    pub(super) exits: Option<Exits>,
    /// LSM hooks that run.
    lsm: Vec<&'static LsmHook>,
}

impl Routing {
    /// Whether `sys_exit` has anything to tell.
    pub(super) fn has_sys_exit(&self) -> bool {
        self.exits.as_ref().is_none_or(Exits::needs_sys_exit)
    }

    /// Says so in the table of what is wanted.
    pub(super) fn apply(&self, table: &mut [Interest]) {
        if let Some(exits) = &self.exits {
            exits.take_over(table);
        }
        for hook in &self.lsm {
            hook.take_over(table);
        }
    }

    /// Wanted calls that no hook tells of: those that nobody wanted when the hooks were attached.
    pub(super) fn unseen(&self, wants: &Wants, table: &[Interest]) -> Vec<&'static str> {
        let Some(exits) = self.exits.as_ref().filter(|exits| !exits.needs_sys_exit()) else {
            return Vec::new();
        };
        let is_unseen = |number: u32| {
            let wanted = table.get(number as usize).map_or(0, |slot| slot.wanted);
            wanted >> BY_SYS_EXIT & 1 != 0 && wanted >> BY_FEXIT & 1 == 0
        };
        let calls = wants.calls().filter(|call| !exits.absent.contains(&call.name));
        calls.filter(|call| call.native.is_some_and(is_unseen)).map(|call| call.name).collect()
    }
}
