//! No container is privileged.
//!
//! A container is when the bounding set of its tasks holds every capability that the host has:
//! runtimes bound any other container to fewer. That holds whatever user it runs as, since the
//! bounding set is what a set-uid or file capability can bring back. A task that made itself a
//! user namespace was given a full set by the kernel, valid inside only; that is not a privileged
//! container.

use agent_abi::record::UNMAPPED;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    capability::names,
    posture::{
        Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
        control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
        facts::{told, told_text},
    },
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::Privileged,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["cred_cap_bset", "cred_cap_effective", "user_ns_inum", "user_ns_level"],
        better_with: &["task_thread_status"],
    },
    check,
    explain,
};

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    bounding: u64,
    effective: u64,
    host: u64,
    declared_capabilities: u64,
    declared_privileged: u32,
    user_ns: u32,
    user_level: u32,
    nested: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let caps = &facts.task.caps;
    let host = facts.host.bounding;
    let privileged = facts.declared.and_then(|declared| declared.privileged);
    let capabilities = facts.declared.and_then(|declared| declared.capabilities);
    let nested = facts.is_in_nested_user_namespace();
    let has_all = |set: u64| set & host == host;
    let outcome = if host == 0 {
        Outcome::Unknown(UnknownReason::HostNotRead)
    } else if !has_all(caps.bounding) {
        Outcome::Pass
    } else {
        match nested {
            Some(true) => Outcome::Pass,
            None if facts.task.ns.user == 0 => Outcome::Unknown(UnknownReason::UserNamespaceNotRead),
            None => Outcome::Unknown(UnknownReason::InitNotKnown),
            // `capabilities.add: [ALL]` is declared, if not by that name.
            Some(false) if privileged == Some(false) && !capabilities.is_some_and(has_all) => Outcome::Drift,
            Some(false) => Outcome::Fail,
        }
    };
    let numbers = Numbers {
        bounding: caps.bounding,
        effective: caps.effective,
        host,
        declared_capabilities: capabilities.unwrap_or(0),
        declared_privileged: told(privileged),
        user_ns: facts.task.ns.user,
        user_level: facts.task.ns.user_level,
        nested: told(nested),
    };
    Observation::new(outcome, &numbers)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let all = numbers.host != 0 && numbers.bounding & numbers.host == numbers.host;
    let mut observed = if all {
        let effective = if numbers.effective & numbers.host == numbers.host {
            "ALL".to_owned()
        } else {
            names(numbers.effective)
        };
        format!("bounding set is the host's: all capabilities (effective {effective})")
    } else {
        format!("{} of {} capabilities", numbers.bounding.count_ones(), numbers.host.count_ones())
    };
    if numbers.user_level > 0 {
        let whose = if numbers.nested == 1 { " of its own" } else { "" };
        observed.push_str(&format!(", in user namespace {}{whose}", numbers.user_ns));
    }
    let mut declared = told_text(numbers.declared_privileged).map(|value| format!("privileged {value}"));
    if let Some(declared) = &mut declared
        && all
        && numbers.declared_privileged != UNMAPPED
        && numbers.declared_capabilities != 0
    {
        declared.push_str(&format!(", capabilities {}", names(numbers.declared_capabilities)));
    }
    Explanation { observed, declared }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capability::ALL,
        posture::controls::testing::{Case, HOST_USER_NS, task},
    };

    #[test]
    fn verdicts() {
        let id = ControlId::Privileged;
        let full = task(|task| {
            task.ns.user = HOST_USER_NS;
            task.caps.bounding = ALL;
        });
        Case::new(id, task(|_| ())).is(Outcome::Pass);
        Case::new(id, full)
            .gives(Outcome::Fail, "bounding set is the host's: all capabilities (effective none)");
        Case::new(id, full).declares(|declared| declared.privileged = Some(true)).is(Outcome::Fail);
        Case::new(id, full).declares(|declared| declared.privileged = Some(false)).is(Outcome::Drift);
        Case::new(id, full)
            .declares(|declared| {
                declared.privileged = Some(false);
                declared.capabilities = Some(ALL);
            })
            .is(Outcome::Fail)
            .declared("privileged false, capabilities ALL");
        Case::new(id, task(|task| task.caps.bounding = ALL & !1)).is(Outcome::Pass);
    }

    #[test]
    fn user_namespaces() {
        let id = ControlId::Privileged;
        let inside = task(|task| {
            task.caps.bounding = ALL;
            task.ns.user = 900;
            task.ns.user_level = 1;
        });
        // Made by the task itself, below the container's.
        Case::new(id, inside)
            .with_init(task(|_| ()))
            .is(Outcome::Pass)
            .observed("user namespace 900 of its own");
        // The container's own.
        let init = task(|task| {
            task.ns.user = 900;
            task.ns.user_level = 1;
        });
        Case::new(id, inside).with_init(init).is(Outcome::Fail);
        Case::new(id, inside).is(Outcome::Unknown(UnknownReason::InitNotKnown));
    }

    #[test]
    fn host_must_be_known() {
        let mut case = Case::new(ControlId::Privileged, task(|_| ()));
        case.host.bounding = 0;
        case.is(Outcome::Unknown(UnknownReason::HostNotRead));
    }
}
