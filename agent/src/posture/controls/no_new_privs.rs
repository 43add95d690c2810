//! No task can gain privileges by executing a set-uid file.

use agent_abi::record::UNMAPPED;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
    facts::told,
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::NoNewPrivileges,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["task_atomic_flags"],
        better_with: &["task_thread_status"],
    },
    check,
    explain,
};

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    no_new_privs: u32,
    declared: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let declared = facts.declared.and_then(|declared| declared.no_new_privs);
    let outcome = match facts.task.no_new_privs {
        1 => Outcome::Pass,
        0 if declared == Some(true) => Outcome::Drift,
        // Not declared is as declared, and still not what Restricted asks for.
        0 => Outcome::Fail,
        _ => Outcome::Unknown(UnknownReason::ValueNotUnderstood),
    };
    Observation::new(outcome, &Numbers { no_new_privs: facts.task.no_new_privs, declared: told(declared) })
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    Explanation {
        observed: format!("no_new_privs {}", numbers.no_new_privs),
        declared: (numbers.declared != UNMAPPED)
            .then(|| format!("allowPrivilegeEscalation {}", numbers.declared == 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        let id = ControlId::NoNewPrivileges;
        let without = task(|task| task.no_new_privs = 0);
        Case::new(id, task(|_| ())).gives(Outcome::Pass, "no_new_privs 1");
        Case::new(id, without).gives(Outcome::Fail, "no_new_privs 0");
        Case::new(id, without).declares(|declared| declared.no_new_privs = Some(false)).is(Outcome::Fail);
        Case::new(id, without)
            .declares(|declared| declared.no_new_privs = Some(true))
            .is(Outcome::Drift)
            .declared("allowPrivilegeEscalation false");
        Case::new(id, task(|task| task.no_new_privs = 9))
            .is(Outcome::Unknown(UnknownReason::ValueNotUnderstood));
    }
}
