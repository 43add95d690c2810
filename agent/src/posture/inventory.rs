//! Every container and what each control says of it, for the checklist, the live view and metrics.

use std::sync::Arc;

use super::{
    CONTROL_COUNT, CONTROLS, ControlId, Exemption, Explanation, Outcome, Posture, Subject, UnknownReason,
    Verdict, finding::Stage,
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
    /// One for each control.
    pub controls: Vec<ControlPosture>,
}

/// What one control says of one container.
#[derive(Clone, Debug)]
pub struct ControlPosture {
    /// The control.
    pub control: ControlId,
    /// The worst of what it says of the container's tasks.
    pub verdict: Verdict,
    /// Why, if it is UNKNOWN.
    pub unknown: Option<UnknownReason>,
    /// Who answers for it, if it is EXEMPT.
    pub exemption: Option<Arc<Exemption>>,
    /// Declared and observed; `None` when the task it was seen on is gone.
    pub explanation: Option<Explanation>,
}

/// What the controls say of a container of which no task was judged.
#[must_use]
pub fn not_judged() -> Vec<ControlPosture> {
    let not_judged = |control: &super::Control| ControlPosture {
        control: control.id,
        verdict: Verdict::Unknown,
        unknown: Some(UnknownReason::NotJudged),
        exemption: None,
        explanation: None,
    };
    CONTROLS.iter().map(not_judged).collect()
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
                controls: CONTROLS
                    .iter()
                    .enumerate()
                    .map(|(index, control)| {
                        let (verdict, observation) = entry.verdict(index);
                        ControlPosture {
                            control: control.id,
                            verdict,
                            unknown: observation.and_then(|observation| match observation.outcome {
                                Outcome::Unknown(reason) => Some(reason),
                                _ => None,
                            }),
                            exemption: entry
                                .exemption(index)
                                .filter(|_| verdict == Verdict::Exempt)
                                .map(Arc::clone),
                            explanation: observation
                                .filter(|observation| observation.evidence != super::Evidence::NONE)
                                .map(|observation| (control.explain)(&observation.evidence)),
                        }
                    })
                    .collect(),
            })
            .collect();
        containers.sort_by_key(|container| (container.id, container.key));
        containers
    }

    /// Containers by control and verdict: `kestrel_verdicts`.
    #[must_use]
    pub fn verdicts(&self) -> Summary {
        let mut summary = Summary::default();
        for entry in self.containers.values() {
            for (control, verdicts) in summary.iter_mut().enumerate() {
                verdicts[entry.verdict(control).0 as usize] += 1;
            }
        }
        summary
    }

    /// Findings that are not resolved by control and verdict: `kestrel_findings`.
    #[must_use]
    pub fn findings(&self) -> Summary {
        let mut summary = Summary::default();
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
