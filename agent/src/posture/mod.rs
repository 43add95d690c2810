//! Container state to findings: posture is state, not a log line.
//!
//! [`Posture`] judges tasks by the [`CONTROLS`] and keeps one finding per (workload, container
//! name, control). It lives on the hot loop's thread and does no input or output.

mod change;
mod confirm;
pub mod control;
mod controls;
mod entry;
mod exemption;
mod facts;
mod finding;
mod gone;
mod hold;
mod inspected;
mod inventory;
mod judge;
mod key;
mod ledger;
mod level;
mod naming;
mod node;
mod observation;
mod policy;
mod settings;
pub mod store;
mod syscall;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod witnessed;

pub use change::{Change, ChangeKind, FindingReport, InstanceReport, Resolution};
pub use control::{
    CONTAINER_CONTROLS, CONTROL_COUNT, CONTROLS, Control, ControlId, NODE, NODE_CONTROLS, NodeControl,
    PssLevel, Scope, Severity, TASK_CONTROLS, WORKLOAD_CONTROLS,
};
pub use exemption::{Exemption, ExemptionError, Exemptions, OneOrMany, RawExemption, ShippedExemption};
pub use facts::{Baseline, ContainerFacts, Facts, Gain, HostFacts, Surroundings};
pub use inventory::{ContainerPosture, ControlPosture, Summary, not_judged};
pub use judge::{Cause, Judged, Posture};
pub use key::{FindingId, Subject};
pub use level::Level;
pub use observation::{Evidence, Explanation, Judgement, Observation, Outcome, UnknownReason, Verdict};
pub use policy::{BUILT_IN, Policy};
pub use settings::{Counters, Settings, Sizes};
pub use store::Snapshot;
pub use witnessed::{PortBytes, Sight, Witnessed};
