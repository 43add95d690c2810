//! Container state to findings: posture is state, not a log line.

mod capability;
pub mod control;
mod controls;
mod facts;
mod observation;
mod syscall;

pub use control::{CONTROL_COUNT, CONTROLS, Control, ControlId, PssLevel, Severity};
pub use facts::{Baseline, Facts, HostFacts};
pub use observation::{Evidence, Explanation, Observation, Outcome, UnknownReason, Verdict};
