//! No task leaves its container's cgroup, and with it the container's limits.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::LeftContainer,
    requires: Requirements {
        hooks: &[agent_abi::hook::Hook::CgroupAttach, TASK_HOOKS[0], TASK_HOOKS[1], TASK_HOOKS[2]],
        fields: &["task_cgroups", "css_cgroup", "kernfs_node_id"],
        better_with: &[],
    },
    check,
    explain,
};

#[derive(Default, IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    cgroup: u64,
    container: u64,
    left: u64,
}

fn check(facts: &Facts<'_>) -> Observation {
    if !facts.process.left_container {
        // Which cgroup of the subtree it is in does not matter and would look like a change.
        return Observation::new(Outcome::Pass, &Numbers::default());
    }
    let numbers = Numbers { cgroup: facts.task.cgroup_id, container: facts.container.key.cgroup, left: 1 };
    Observation::new(Outcome::Fail, &numbers)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let observed = if numbers.left == 1 {
        format!("in cgroup {}, outside of the container's {}", numbers.cgroup, numbers.container)
    } else {
        "in the container's cgroup".into()
    };
    Explanation { observed, declared: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        let id = ControlId::LeftContainer;
        Case::new(id, task(|_| ())).gives(Outcome::Pass, "in the container's cgroup");
        let mut left = Case::new(id, task(|task| task.cgroup_id = 1));
        left.process.left_container = true;
        left.gives(Outcome::Fail, "in cgroup 1, outside of the container's 42");
    }
}
