//! No capability beyond what runtimes give to every container.
//!
//! What Baseline asks for; Restricted asks for `capabilities`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    capability::{RUNTIME_DEFAULT, names},
    posture::{
        Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
        control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
        controls::capabilities,
    },
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::AddedCapabilities,
    requires: Requirements { hooks: TASK_HOOKS, ..capabilities::CONTROL.requires },
    check,
    explain,
};

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    added: u64,
    declared: u64,
    is_declared: u64,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let caps = &facts.task.caps;
    let all = caps.permitted | caps.effective | caps.ambient | caps.bounding | caps.inheritable;
    let added = all & !(RUNTIME_DEFAULT | facts.policy.capabilities);
    let declared = facts.declared.and_then(|declared| declared.capabilities);
    let outcome = if added == 0 {
        Outcome::Pass
    } else {
        match facts.is_in_nested_user_namespace() {
            Some(true) => Outcome::Pass,
            None if facts.task.ns.user == 0 => Outcome::Unknown(UnknownReason::UserNamespaceNotRead),
            None => Outcome::Unknown(UnknownReason::InitNotKnown),
            Some(false) if declared.is_some_and(|declared| added & !declared != 0) => Outcome::Drift,
            Some(false) => Outcome::Fail,
        }
    };
    let numbers =
        Numbers { added, declared: declared.unwrap_or(0), is_declared: u64::from(declared.is_some()) };
    Observation::new(outcome, &numbers)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    Explanation {
        observed: format!("beyond the default: {}", names(numbers.added)),
        declared: (numbers.is_declared == 1).then(|| names(numbers.declared)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        const SYS_ADMIN: u64 = 1 << 21;
        let id = ControlId::AddedCapabilities;
        let bounding = |set| task(|task| task.caps.bounding = set);
        Case::new(id, bounding(RUNTIME_DEFAULT)).gives(Outcome::Pass, "beyond the default: none");
        Case::new(id, bounding(RUNTIME_DEFAULT | SYS_ADMIN))
            .gives(Outcome::Fail, "beyond the default: SYS_ADMIN");
        Case::new(id, bounding(SYS_ADMIN)).declares(|all| all.capabilities = Some(0)).is(Outcome::Drift);
        Case::new(id, bounding(SYS_ADMIN))
            .declares(|all| all.capabilities = Some(SYS_ADMIN))
            .is(Outcome::Fail);
    }
}
