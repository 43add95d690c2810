//! How a control is judged. What it is, the crate [`controls`] says.

use agent_abi::hook::Hook;
pub use controls::{
    CONTAINER_CONTROLS, CONTROL_COUNT, CONTROLS, Control, ControlId, NODE_CONTROLS, PssLevel, Scope,
    Severity, TASK_CONTROLS,
};

pub use super::controls::{CONTAINER, NODE, TASK};
use super::{ContainerFacts, Evidence, Explanation, Facts, Judgement, Observation, Verdict};
use crate::inspect::node::NodeFacts;

/// Controls that speak of containers and their tasks: the first of [`CONTROLS`].
pub const WORKLOAD_CONTROLS: usize = TASK_CONTROLS + CONTAINER_CONTROLS;

/// What a control needs from the kernel, for the attach report.
#[derive(Clone, Copy, Debug)]
pub struct Requirements {
    /// Hooks without which it does not see.
    pub hooks: &'static [Hook],
    /// Names of kernel fields (`agent_abi::offset::FIELDS`) without which it does not see.
    pub fields: &'static [&'static str],
    /// Fields without which it sees less.
    pub better_with: &'static [&'static str],
}

/// The hooks that show every task's state.
pub(super) const TASK_HOOKS: &[Hook] = &[Hook::Fork, Hook::Exec, Hook::SysExit, Hook::Credentials];

/// How a control of [`Scope::Task`] is judged.
#[derive(Clone, Copy, Debug)]
pub struct TaskControl {
    /// The control.
    pub id: ControlId,
    /// What it needs.
    pub requires: Requirements,
    /// Judges one task. Called for every judged event: no allocation, no text.
    pub check: fn(&Facts<'_>) -> Observation,
    /// Turns the evidence of [`TaskControl::check`] into text.
    pub explain: fn(&Evidence) -> Explanation,
}

/// How a control of [`Scope::Container`] is judged.
#[derive(Clone, Copy, Debug)]
pub struct ContainerControl {
    /// The control.
    pub id: ControlId,
    /// Judges a container that was looked into.
    pub check: fn(&ContainerFacts<'_>) -> Judgement,
}

/// How a control of [`Scope::Node`] is judged.
#[derive(Clone, Copy, Debug)]
pub struct NodeControl {
    /// The control.
    pub id: ControlId,
    /// Judges a node that was read.
    pub check: fn(&NodeFacts) -> Judgement,
}

/// Severity of a verdict of a control whose FAIL has severity `fail`; DRIFT is a step worse.
#[must_use]
pub const fn severity_of(fail: Severity, verdict: Verdict) -> Severity {
    match verdict {
        Verdict::Drift => fail.raised(),
        Verdict::Fail => fail,
        Verdict::Pass | Verdict::Exempt | Verdict::Unknown => Severity::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order_and_name_what_exists() {
        let ids = TASK.iter().map(|control| control.id).chain(CONTAINER.iter().map(|control| control.id));
        let ids = ids.chain(NODE.iter().map(|control| control.id));
        for (index, id) in ids.enumerate() {
            assert_eq!(id as usize, index, "{id}");
        }
        for TaskControl { id, requires, .. } in TASK {
            for field in requires.fields.iter().chain(requires.better_with) {
                let is_known = agent_abi::offset::FIELDS.iter().any(|known| known.name == *field);
                assert!(is_known, "{id} requires {field}");
            }
        }
    }
}
