//! No task runs as the host's root.
//!
//! Any of the real, effective, saved and file system user ids counts: a saved 0 is one call away
//! from an effective one. Root inside a user namespace that maps it to another id of the host is
//! what the standard allows (`hostUsers: false`); both ids are reported.

use agent_abi::record::{UNMAPPED, task_flag};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
    facts::{is_host_root, is_namespace_root, told, told_text},
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::RunAsNonRoot,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["cred_uid", "cred_euid", "cred_suid", "cred_fsuid", "user_ns_inum", "user_ns_level"],
        better_with: &["user_ns_uid_map_extent", "task_thread_status"],
    },
    check,
    explain,
};

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    uid: u32,
    euid: u32,
    suid: u32,
    fsuid: u32,
    ns_uid: u32,
    ns_euid: u32,
    user_ns: u32,
    user_level: u32,
    declared_user: u32,
    declared_user_ns: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let task = facts.task;
    let declared_user = facts.declared.and_then(|declared| declared.run_as_user);
    let declared_user_ns = facts.declared.and_then(|declared| declared.user_namespace);
    let numbers = Numbers {
        uid: task.ids.uid,
        euid: task.ids.euid,
        suid: task.ids.suid,
        fsuid: task.ids.fsuid,
        ns_uid: task.ids.ns_uid,
        ns_euid: task.ids.ns_euid,
        user_ns: task.ns.user,
        user_level: task.ns.user_level,
        declared_user: declared_user.unwrap_or(UNMAPPED),
        declared_user_ns: told(declared_user_ns),
    };
    let outcome = if is_host_root(task) {
        let declared_otherwise =
            declared_user.is_some_and(|user| user != 0) || declared_user_ns == Some(true);
        if declared_otherwise { Outcome::Drift } else { Outcome::Fail }
    } else if task.ns.user == 0 {
        Outcome::Unknown(UnknownReason::UserNamespaceNotRead)
    } else if task.ns.user_level > 0 && task.flags & task_flag::NS_IDS_NOT_READ != 0 {
        Outcome::Unknown(UnknownReason::NamespaceIdsNotRead)
    } else if task.ns.user_level == 0 && is_namespace_root(task) {
        // The initial namespace maps every id to itself.
        Outcome::Unknown(UnknownReason::ValueNotUnderstood)
    } else {
        Outcome::Pass
    };
    Observation::new(outcome, &numbers)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let mut observed = format!("uid {}", numbers.uid);
    for (name, id) in [("euid", numbers.euid), ("suid", numbers.suid), ("fsuid", numbers.fsuid)] {
        if id != numbers.uid {
            observed.push_str(&format!(", {name} {id}"));
        }
    }
    if numbers.user_level > 0 {
        let inside = match numbers.ns_euid {
            UNMAPPED => "unmapped".to_owned(),
            id => id.to_string(),
        };
        observed = format!("uid {inside} in user namespace {}, host {observed}", numbers.user_ns);
    }
    let mut declared = Vec::new();
    if numbers.declared_user != UNMAPPED {
        declared.push(format!("runAsUser {}", numbers.declared_user));
    }
    if let Some(own) = told_text(numbers.declared_user_ns) {
        declared.push(format!("user namespace {own}"));
    }
    Explanation { observed, declared: (!declared.is_empty()).then(|| declared.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        let id = ControlId::RunAsNonRoot;
        let root = task(|task| {
            task.ids.uid = 0;
            task.ids.euid = 0;
        });
        let saved = task(|task| task.ids.suid = 0);
        let mapped = task(|task| {
            task.ns.user_level = 1;
            task.ids.ns_uid = 0;
            task.ids.ns_euid = 0;
        });
        Case::new(id, task(|_| ())).gives(Outcome::Pass, "uid 1000");
        Case::new(id, root).gives(Outcome::Fail, "uid 0, suid 1000, fsuid 1000");
        Case::new(id, saved).gives(Outcome::Fail, "uid 1000, suid 0");
        Case::new(id, task(|task| task.ids.fsuid = 0)).gives(Outcome::Fail, "uid 1000, fsuid 0");
        Case::new(id, root).declares(|declared| declared.run_as_user = Some(0)).is(Outcome::Fail);
        Case::new(id, root).declares(|declared| declared.run_as_user = Some(101)).is(Outcome::Drift);
        Case::new(id, root).declares(|declared| declared.user_namespace = Some(true)).is(Outcome::Drift);
        Case::new(id, mapped).gives(Outcome::Pass, "uid 0 in user namespace 7, host uid 1000");
        let long_map = task(|task| {
            task.ns.user_level = 1;
            task.flags = task_flag::NS_IDS_NOT_READ;
        });
        Case::new(id, long_map).is(Outcome::Unknown(UnknownReason::NamespaceIdsNotRead));
        Case::new(id, task(|task| task.ns.user = 0))
            .is(Outcome::Unknown(UnknownReason::UserNamespaceNotRead));
        Case::new(id, root).entered(Some(task(|_| ()))).is(Outcome::NotApplicable);
        Case::new(id, root).entered(None).is(Outcome::Fail);
    }
}
