//! Container state to findings: posture is state, not a log line.
//!
//! [`Posture`] judges tasks by the [`CONTROLS`] and keeps one finding per (workload, container
//! name, control). It lives on the hot loop's thread and does no input or output.

mod change;
pub mod control;
mod controls;
mod entry;
mod exemption;
mod facts;
mod finding;
mod hold;
mod inventory;
mod judge;
mod key;
mod ledger;
mod naming;
mod observation;
mod settings;
pub mod store;
mod syscall;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeKind, FindingReport, InstanceReport, Resolution};
pub use control::{CONTROL_COUNT, CONTROLS, Control, ControlId, PssLevel, Severity};
pub use exemption::{Exemption, ExemptionError, Exemptions, OneOrMany, RawExemption};
pub use facts::{Baseline, Facts, HostFacts};
pub use inventory::{ContainerPosture, ControlPosture, Summary, not_judged};
pub use judge::{Cause, Judged, Posture};
pub use key::{FindingId, Subject};
pub use observation::{Evidence, Explanation, Observation, Outcome, UnknownReason, Verdict};
pub use settings::{Counters, Settings, Sizes};
pub use store::Snapshot;
