//! One finding as the ledger keeps it.

use std::sync::Arc;

use super::{
    ControlId, Evidence, Exemption, Explanation, FindingId, FindingReport, InstanceReport, Judgement,
    Observation, Outcome, Severity, Subject, Verdict,
    control::{TASK, severity_of},
    hold::Hold,
};
use crate::{
    context::{ContainerId, ContainerKey, Names, PendingReason, ProcessId},
    time::Clock,
};

/// A task that violates a control.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// `None`: the node itself.
    pub(super) container: Option<(ContainerKey, ContainerId)>,
    pub(super) names: Option<Arc<Names>>,
    pub(super) process: ProcessId,
    pub(super) tid: u32,
    pub(super) ns_tgid: u32,
    pub(super) exe: Arc<[u8]>,
    pub(super) comm: [u8; 16],
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) ns_euid: u32,
    /// Of a control of containers or of the node; else what the evidence says.
    pub(super) judgement: Option<Arc<Judgement>>,
    pub(super) verdict: Verdict,
    pub(super) outcome: Outcome,
    pub(super) evidence: Evidence,
    pub(super) since: Clock,
}

impl Instance {
    /// Whether it is of that container.
    pub(super) fn is_of(&self, key: ContainerKey) -> bool {
        self.container.is_some_and(|(own, _)| own == key)
    }

    pub(super) fn observation(&self) -> Observation {
        Observation { outcome: self.outcome, evidence: self.evidence }
    }

    fn report(&self, control: ControlId) -> InstanceReport {
        InstanceReport {
            verdict: self.verdict,
            unknown: match self.outcome {
                Outcome::Unknown(reason) => Some(reason),
                _ => None,
            },
            container: self.container.map(|(_, id)| id),
            process: self.process,
            tid: self.tid,
            ns_tgid: self.ns_tgid,
            exe: self.exe.to_vec(),
            comm: self.comm,
            uid: self.uid,
            euid: self.euid,
            ns_euid: self.ns_euid,
            explanation: match (&self.judgement, TASK.get(control as usize)) {
                (Some(judgement), _) => judgement.explanation.clone(),
                (None, Some(task)) => (task.explain)(&self.evidence),
                (None, None) => Explanation::default(),
            },
            since: self.since,
        }
    }
}

/// Where a finding is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not told yet: it waits for a name until [`Finding::hold`].
    Held,
    /// Told.
    Open,
    /// Over; kept so that it comes back under the same id.
    Resolved,
}

#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) id: FindingId,
    pub(super) subject: Subject,
    pub(super) control: ControlId,
    /// Of a FAIL.
    pub(super) severity: Severity,
    pub(super) stage: Stage,
    pub(super) first_seen: Clock,
    /// When `live` last became empty; a live finding was last seen now.
    pub(super) last_seen: Clock,
    pub(super) count: u64,
    pub(super) reopened: u32,
    /// Violating tasks that are there now, by verdict.
    pub(super) live: [u32; Verdict::ALL.len()],
    /// Containers that are there and had a violation.
    pub(super) attached: u32,
    /// Some of the violating tasks.
    pub(super) instances: Vec<Instance>,
    /// The last one that went.
    pub(super) last: Option<Instance>,
    /// The one that the last run of the agent reported.
    pub(super) restored: Option<InstanceReport>,
    pub(super) pending: Option<PendingReason>,
    pub(super) exemption: Option<Arc<Exemption>>,
    /// Nothing worse than what was told goes out before.
    pub(super) hold: Hold,
    /// Boottime at which it began to wait to be told, while it is held.
    pub(super) held_since: u64,
    /// Worst verdict since the last change went out.
    pub(super) peak: Verdict,
    /// Verdict that was told last.
    pub(super) told: Verdict,
    pub(super) told_at: u64,
    /// Something that was told has changed since.
    pub(super) dirty: bool,
    pub(super) quiet_since: u64,
    /// From the last run of the agent, and not seen in this one yet.
    pub(super) unconfirmed: bool,
    pub(super) completes: Vec<FindingId>,
    /// The worst that was told of those in `completes`.
    pub(super) completes_told: Verdict,
}

impl Finding {
    pub(super) fn new(
        id: FindingId,
        subject: Subject,
        control: ControlId,
        severity: Severity,
        now: Clock,
        hold: Hold,
    ) -> Self {
        Self {
            id,
            subject,
            control,
            severity,
            stage: Stage::Held,
            first_seen: now,
            last_seen: now,
            count: 0,
            reopened: 0,
            live: [0; Verdict::ALL.len()],
            attached: 0,
            instances: Vec::new(),
            last: None,
            restored: None,
            pending: None,
            exemption: None,
            hold,
            held_since: now.boottime_ns,
            peak: Verdict::Pass,
            told: Verdict::Pass,
            told_at: 0,
            dirty: false,
            quiet_since: now.boottime_ns,
            unconfirmed: false,
            completes: Vec::new(),
            completes_told: Verdict::Pass,
        }
    }

    /// The worst that is true now; `None` when nothing violates the control.
    pub(super) fn worst_live(&self) -> Option<Verdict> {
        Verdict::ALL.into_iter().rev().find(|&verdict| self.live[verdict as usize] > 0)
    }

    /// What to tell: the worst since the last change, or else what is true, or was last.
    pub(super) fn verdict_to_tell(&self) -> Verdict {
        if self.stage == Stage::Held || self.peak > self.told {
            self.peak
        } else {
            self.worst_live().unwrap_or(self.told)
        }
    }

    /// A resolved finding comes back.
    pub(super) fn revive(&mut self, hold: Hold, now: Clock) {
        if self.stage == Stage::Resolved {
            self.stage = Stage::Held;
            self.held_since = now.boottime_ns;
            self.hold = hold;
            self.reopened = self.reopened.saturating_add(1);
            self.peak = Verdict::Pass;
            self.told = Verdict::Pass;
            self.dirty = false;
        }
    }

    /// A task violates the control.
    pub(super) fn add(&mut self, instance: Instance, counted: bool, most: usize) {
        let verdict = instance.verdict;
        self.live[verdict as usize] += 1;
        self.unconfirmed = false;
        self.peak = self.peak.max(verdict);
        if counted {
            self.count = self.count.saturating_add(1);
            self.dirty = true;
        }
        self.count = self.count.max(1);
        self.keep(instance, most);
    }

    /// Keeps the worst: a full list gives up one that is less bad.
    pub(super) fn keep(&mut self, instance: Instance, most: usize) {
        if self.instances.len() < most {
            self.instances.push(instance);
        } else if let Some(mildest) = self.instances.iter_mut().min_by_key(|kept| kept.verdict)
            && mildest.verdict < instance.verdict
        {
            *mildest = instance;
        }
    }

    /// A task does not violate it any more, or is gone.
    pub(super) fn remove(&mut self, verdict: Verdict, process: ProcessId, tid: u32, now: Clock) {
        let live = &mut self.live[verdict as usize];
        *live = live.saturating_sub(1);
        let place = self.instances.iter().position(|kept| kept.process == process && kept.tid == tid);
        if let Some(place) = place {
            self.last = Some(self.instances.remove(place));
        }
        if self.worst_live().is_none() {
            self.last_seen = now;
            self.quiet_since = now.boottime_ns;
        }
    }

    /// The same verdict for another reason.
    pub(super) fn update(
        &mut self,
        process: ProcessId,
        tid: u32,
        observation: Observation,
        judgement: Option<&Arc<Judgement>>,
    ) {
        let kept = self.instances.iter_mut().find(|kept| kept.process == process && kept.tid == tid);
        if let Some(kept) = kept
            && (kept.observation() != observation || kept.judgement.as_ref() != judgement)
        {
            kept.outcome = observation.outcome;
            kept.evidence = observation.evidence;
            kept.judgement = judgement.map(Arc::clone);
            self.dirty = true;
        }
    }

    pub(super) fn report(
        &self,
        verdict: Verdict,
        superseded_by: Option<FindingId>,
        now: Clock,
    ) -> FindingReport {
        let mut order: Vec<&Instance> = self.instances.iter().collect();
        order.sort_by_key(|instance| (std::cmp::Reverse(instance.verdict), instance.since, instance.process));
        if order.is_empty() {
            order.extend(&self.last);
        }
        let names = order.first().and_then(|instance| instance.names.clone());
        let mut instances: Vec<_> = order.into_iter().map(|instance| instance.report(self.control)).collect();
        if instances.is_empty() {
            instances.extend(self.restored.clone());
        }
        let live: u64 = self.live.iter().map(|&live| u64::from(live)).sum();
        FindingReport {
            id: self.id,
            control: self.control,
            verdict,
            severity: severity_of(self.severity, verdict),
            subject: self.subject.clone(),
            pending: if names.is_some() { None } else { self.pending },
            names,
            exemption: if verdict == Verdict::Exempt { self.exemption.clone() } else { None },
            first_seen: self.first_seen,
            last_seen: if live > 0 { now } else { self.last_seen },
            count: self.count,
            reopened: self.reopened,
            more_instances: live.saturating_sub(instances.len() as u64),
            instances,
            completes: self.completes.clone(),
            superseded_by,
        }
    }
}
