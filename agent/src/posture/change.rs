//! What the ledger says when a finding changes: everything a reader needs, owned.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ControlId, Exemption, Explanation, FindingId, Severity, Subject, UnknownReason, Verdict};
use crate::{
    context::{ContainerId, Names, PendingReason, ProcessId},
    time::Clock,
};

/// Why a finding was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// Nothing violated the control for the quiet time.
    Quiet,
    /// Every container that did is gone.
    Gone,
    /// It was open when the agent last ran and nothing confirmed it since.
    NotThereAfterRestart,
    /// The container has a name now, and the finding goes on under another id.
    Superseded,
    /// There were more findings than the agent keeps.
    Evicted,
}

impl Resolution {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Gone => "gone",
            Self::NotThereAfterRestart => "gone, not there after restart",
            Self::Superseded => "superseded",
            Self::Evicted => "evicted",
        }
    }
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is there, for the first time or again.
    Open,
    /// It goes on, changed.
    Updated,
    /// It is over.
    Resolved(Resolution),
}

/// A change of a finding.
#[derive(Clone, Debug)]
pub struct Change {
    /// What became of it.
    pub kind: ChangeKind,
    /// Whether somebody is to be told; otherwise it is only listed.
    pub alert: bool,
    /// When.
    pub at: Clock,
    /// The finding as it is now.
    pub finding: FindingReport,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct FindingReport {
    /// Its id.
    pub id: FindingId,
    /// The control.
    pub control: ControlId,
    /// The worst of what is true now; of a resolved one, what was last true.
    pub verdict: Verdict,
    /// Severity of the verdict.
    pub severity: Severity,
    /// Whose it is.
    pub subject: Subject,
    /// Names of the container that is named first, when they are known.
    pub names: Option<Arc<Names>>,
    /// Why there are no names; `None` when there are.
    pub pending: Option<PendingReason>,
    /// Who answers for it, when the verdict is EXEMPT.
    pub exemption: Option<Arc<Exemption>>,
    /// When it was first seen.
    pub first_seen: Clock,
    /// When it was last true.
    pub last_seen: Clock,
    /// How many images were seen to violate the control since.
    pub count: u64,
    /// How often it came back after it was resolved.
    pub reopened: u32,
    /// Tasks that violate it, the worst first; of a resolved one, the last that did.
    pub instances: Vec<InstanceReport>,
    /// How many more there are.
    pub more_instances: u64,
    /// Findings that went out before the container had a name, and go on in this one.
    pub completes: Vec<FindingId>,
    /// The finding in which this one goes on.
    pub superseded_by: Option<FindingId>,
}

/// A task that violates a control, or could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceReport {
    /// Verdict on this task alone.
    pub verdict: Verdict,
    /// Why, if it is UNKNOWN.
    pub unknown: Option<UnknownReason>,
    /// Its container; `None`: the node itself.
    pub container: Option<ContainerId>,
    /// Its process.
    pub process: ProcessId,
    /// The thread; the leader's is the tgid.
    pub tid: u32,
    /// Thread group id as the container sees it.
    pub ns_tgid: u32,
    /// Path of the executable; hostile.
    pub exe: Vec<u8>,
    /// Name of the task, NUL-padded; hostile.
    pub comm: [u8; 16],
    /// Real user id on the host.
    pub uid: u32,
    /// Effective user id on the host.
    pub euid: u32,
    /// Effective user id inside its user namespace.
    pub ns_euid: u32,
    /// Declared and observed.
    pub explanation: Explanation,
    /// Since when.
    pub since: Clock,
}
