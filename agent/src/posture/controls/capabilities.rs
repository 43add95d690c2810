//! Every capability is dropped but those that the policy allows (NET_BIND_SERVICE).
//!
//! From all five sets: the bounding set limits what an exec can bring back, but not what comes by
//! way of the inheritable set, and a permitted capability outlives its removal from the bounding
//! set. As with `privileged`, what the kernel gives the maker of a user namespace does not count.

use agent_abi::record::UNMAPPED;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    capability::names,
    posture::{
        Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
        control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
        facts::told,
    },
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::Capabilities,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &[
            "cred_cap_inheritable",
            "cred_cap_permitted",
            "cred_cap_effective",
            "cred_cap_bset",
            "cred_cap_ambient",
            "user_ns_inum",
            "user_ns_level",
        ],
        better_with: &["task_thread_status"],
    },
    check,
    explain,
};

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    held: u64,
    bounding: u64,
    inheritable: u64,
    declared: u64,
    is_declared: u32,
    nested: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let caps = &facts.task.caps;
    let declared = facts.declared.and_then(|declared| declared.capabilities);
    let held = caps.permitted | caps.effective | caps.ambient;
    let all = held | caps.bounding | caps.inheritable;
    let nested = facts.is_in_nested_user_namespace();
    let outcome = if all & !facts.policy.capabilities == 0 {
        Outcome::Pass
    } else {
        match nested {
            Some(true) => Outcome::Pass,
            None if facts.task.ns.user == 0 => Outcome::Unknown(UnknownReason::UserNamespaceNotRead),
            None => Outcome::Unknown(UnknownReason::InitNotKnown),
            Some(false) if declared.is_some_and(|declared| all & !declared != 0) => Outcome::Drift,
            Some(false) => Outcome::Fail,
        }
    };
    let numbers = Numbers {
        held,
        bounding: caps.bounding,
        inheritable: caps.inheritable,
        declared: declared.unwrap_or(0),
        is_declared: u32::from(declared.is_some()),
        nested: told(nested),
    };
    Observation::new(outcome, &numbers)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let mut observed = format!("bounding {}", names(numbers.bounding));
    if numbers.held != 0 {
        observed.push_str(&format!("; permitted {}", names(numbers.held)));
    }
    if numbers.inheritable != 0 {
        observed.push_str(&format!("; inheritable {}", names(numbers.inheritable)));
    }
    if numbers.nested == 1 {
        observed.push_str("; in a user namespace of its own");
    } else if numbers.nested == UNMAPPED {
        observed.push_str("; user namespace not known to be the container's");
    }
    Explanation { observed, declared: (numbers.is_declared == 1).then(|| names(numbers.declared)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::NET_BIND_SERVICE;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        let id = ControlId::Capabilities;
        let bounding = |set| {
            task(|task| {
                task.caps = agent_abi::record::Capabilities { bounding: set, ..Default::default() };
            })
        };
        Case::new(id, bounding(0)).gives(Outcome::Pass, "bounding none");
        Case::new(id, bounding(NET_BIND_SERVICE)).is(Outcome::Pass);
        Case::new(id, bounding(1 << 13)).gives(Outcome::Fail, "bounding NET_RAW");
        Case::new(id, bounding(1 << 13))
            .declares(|declared| declared.capabilities = Some(1 << 13))
            .is(Outcome::Fail);
        Case::new(id, bounding(1 << 13))
            .declares(|declared| declared.capabilities = Some(0))
            .is(Outcome::Drift)
            .declared("none");
        let inheritable = task(|task| task.caps.inheritable = 1);
        Case::new(id, inheritable).gives(Outcome::Fail, "bounding none; inheritable CHOWN");
        let permitted = task(|task| task.caps.permitted = 1 << 21);
        Case::new(id, permitted).gives(Outcome::Fail, "bounding none; permitted SYS_ADMIN");
        let nested = task(|task| {
            task.caps.bounding = u64::MAX >> 23;
            task.ns.user = 900;
            task.ns.user_level = 1;
        });
        Case::new(id, nested).with_init(task(|_| ())).is(Outcome::Pass);
        Case::new(id, nested).is(Outcome::Unknown(UnknownReason::InitNotKnown));
    }
}
