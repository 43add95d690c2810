//! Every container and what each control says of it, for the checklist, the live view and metrics.

use std::sync::Arc;

use super::{
    CONTROL_COUNT, CONTROLS, ControlId, Exemption, Explanation, Level, Policy, Posture, Severity, Subject,
    UnknownReason, Verdict, WORKLOAD_CONTROLS, finding::Stage, level,
};
use crate::context::{ContainerId, ContainerKey, Names, PendingReason};

/// One container.
#[derive(Clone, Debug)]
pub struct ContainerPosture {
    /// By its cgroup.
    pub key: ContainerKey,
    /// The runtime's id.
    pub id: ContainerId,
    /// Whose findings it shares.
    pub subject: Subject,
    /// Names, when they are known.
    pub names: Option<Arc<Names>>,
    /// Why they are not.
    pub pending: Option<PendingReason>,
    /// One for each control that is judged and has something to say.
    pub controls: Vec<ControlPosture>,
    /// The Pod Security level that is kept; `None`: it cannot be told.
    pub observed: Option<Level>,
    /// The one that is declared; `None`: it is not told.
    pub declared: Option<Level>,
}

/// What one control says of one container.
#[derive(Clone, Debug)]
pub struct ControlPosture {
    /// The control.
    pub control: ControlId,
    /// The worst of what it says of the container's tasks.
    pub verdict: Verdict,
    /// Severity of a FAIL.
    pub severity: Severity,
    /// Why, if it is UNKNOWN.
    pub unknown: Option<UnknownReason>,
    /// Who answers for it, if it is EXEMPT.
    pub exemption: Option<Arc<Exemption>>,
    /// Declared and observed; `None` when the task it was seen on is gone.
    pub explanation: Option<Explanation>,
}

/// What the controls say of a container of which no task was judged.
#[must_use]
pub fn not_judged(policy: &Policy) -> Vec<ControlPosture> {
    let not_judged = |control: &super::Control| ControlPosture {
        control: control.id,
        verdict: Verdict::Unknown,
        severity: policy.severity(control.id),
        unknown: Some(UnknownReason::NotJudged),
        exemption: None,
        explanation: None,
    };
    let judged = CONTROLS[..WORKLOAD_CONTROLS].iter().filter(|control| policy.judges(control.id));
    judged.map(not_judged).collect()
}

/// Numbers by control and verdict, in the order of [`CONTROLS`] and [`Verdict::ALL`].
pub type Summary = [[u64; Verdict::ALL.len()]; CONTROL_COUNT];

impl Posture {
    /// Every container that is there, in the order of their ids.
    #[must_use]
    pub fn inventory(&self) -> Vec<ContainerPosture> {
        let mut containers: Vec<_> = self
            .containers
            .iter()
            .map(|(&key, entry)| ContainerPosture {
                key,
                id: entry.id,
                subject: entry.subject.clone(),
                names: entry.names.clone(),
                pending: entry.pending,
                observed: level::observed(entry, &self.policy.enabled),
                declared: entry.names.as_ref().and_then(|names| level::declared(&names.declared)),
                controls: CONTROLS[..WORKLOAD_CONTROLS]
                    .iter()
                    .enumerate()
                    .filter(|(index, control)| self.policy.judges(control.id) && entry.applies(*index))
                    .map(|(index, control)| {
                        let (verdict, unknown, explanation) = entry.verdict(index);
                        ControlPosture {
                            control: control.id,
                            verdict,
                            severity: self.policy.severity(control.id),
                            unknown,
                            exemption: entry
                                .exemption(index)
                                .filter(|_| verdict == Verdict::Exempt)
                                .map(Arc::clone),
                            explanation,
                        }
                    })
                    .collect(),
            })
            .collect();
        containers.sort_by_key(|container| (container.id, container.key));
        containers
    }

    /// The verdict of one control on a container, in small letters; `None`: it is not judged.
    #[must_use]
    pub fn verdict(&self, container: ContainerKey, control: &str) -> Option<&'static str> {
        let entry = self.containers.get(&container)?;
        let index = CONTROLS[..WORKLOAD_CONTROLS].iter().position(|known| known.slug == control)?;
        let is_judged = self.policy.judges(CONTROLS[index].id) && entry.applies(index);
        is_judged.then(|| match entry.verdict_with_reason(index).0 {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Drift => "drift",
            Verdict::Exempt => "exempt",
            Verdict::Unknown => "unknown",
        })
    }

    /// As [`not_judged`], by the policy that is in force.
    #[must_use]
    pub fn not_judged(&self) -> Vec<ControlPosture> {
        not_judged(&self.policy)
    }

    /// Containers by control and verdict: `kestrel_verdicts`.
    #[must_use]
    pub fn verdicts(&self) -> Summary {
        let mut summary = [[0; Verdict::ALL.len()]; CONTROL_COUNT];
        for entry in self.containers.values() {
            for (control, verdicts) in summary[..WORKLOAD_CONTROLS].iter_mut().enumerate() {
                if self.policy.enabled[control] && entry.applies(control) {
                    verdicts[entry.verdict_with_reason(control).0 as usize] += 1;
                }
            }
        }
        summary
    }

    /// Findings that are not resolved by control and verdict: `kestrel_findings`.
    #[must_use]
    pub fn findings(&self) -> Summary {
        let mut summary = [[0; Verdict::ALL.len()]; CONTROL_COUNT];
        for finding in self.ledger.sorted() {
            if finding.stage != Stage::Resolved {
                let verdict = finding.worst_live().unwrap_or_else(|| finding.verdict_to_tell());
                summary[finding.control as usize][verdict as usize] += 1;
            }
        }
        summary
    }

    /// Findings that were told and are not resolved, as of now: what a collector reconciles with.
    #[must_use]
    pub fn open_findings(&self, now: crate::time::Clock) -> Vec<super::FindingReport> {
        let open = self.ledger.sorted().into_iter().filter(|finding| finding.stage == Stage::Open);
        open.map(|finding| finding.report(finding.told, None, now)).collect()
    }
}
