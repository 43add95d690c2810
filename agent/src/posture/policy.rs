//! What is asked of containers, and how much it matters.

use std::time::Duration;

use controls::Profile;

use super::control::{CONTROL_COUNT, CONTROLS, ControlId, Severity, WORKLOAD_CONTROLS};
use crate::capability::NET_BIND_SERVICE;

/// The policy that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which controls are judged.
    pub enabled: [bool; CONTROL_COUNT],
    /// Severity of a FAIL.
    pub severities: [Severity; CONTROL_COUNT],
    /// Capabilities that a container may hold, bit n for capability n.
    pub capabilities: u64,
    /// Registries, with any path below, that images may come from; empty: any.
    pub registries: Vec<String>,
    /// Ports that may be listened on without being declared.
    pub ports: Vec<u16>,
    /// How old an image may be; `None`: any age.
    pub image_age: Option<Duration>,
    /// Most files that a process may have open.
    pub open_files: u64,
}

/// Every control, as bad as it is by itself. What holds where nobody says anything is fewer: `Policy::load`.
/// What is asked for where nobody says otherwise.
pub const BUILT_IN: [Profile; 3] = [Profile::Restricted, Profile::ChecklistA, Profile::ChecklistB];

impl Default for Policy {
    fn default() -> Self {
        let is_asked_for = |index: usize| BUILT_IN.iter().any(|profile| profile.has(&CONTROLS[index]));
        Self {
            enabled: std::array::from_fn(is_asked_for),
            severities: std::array::from_fn(|index| CONTROLS[index].severity),
            capabilities: NET_BIND_SERVICE,
            registries: Vec::new(),
            ports: Vec::new(),
            image_age: None,
            open_files: 1 << 20,
        }
    }
}

impl Policy {
    /// How many controls of containers and their tasks are judged.
    #[must_use]
    pub fn judged(&self) -> usize {
        self.enabled[..WORKLOAD_CONTROLS].iter().filter(|&&is_judged| is_judged).count()
    }

    /// Whether a control is judged.
    #[must_use]
    pub const fn judges(&self, control: ControlId) -> bool {
        self.enabled[control as usize]
    }

    /// Severity of a FAIL.
    #[must_use]
    pub const fn severity(&self, control: ControlId) -> Severity {
        self.severities[control as usize]
    }
}
