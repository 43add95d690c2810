//! Judges the node itself, by what was read of it.

use std::sync::Arc;

use super::{
    CONTROLS, Change, ControlId, ControlPosture, Evidence, Judgement, NODE, Outcome, Posture, Scope, Subject,
    Verdict, finding::Instance, hold::Hold, observation::Observation,
};
use crate::{context::ProcessId, inspect::node::NodeFacts, time::Clock};

impl Posture {
    /// The node was read.
    pub fn node_read(&mut self, facts: &NodeFacts, now: Clock, changes: &mut Vec<Change>) {
        for control in &NODE {
            if self.policy.judges(control.id) {
                self.take_node_judgement(control.id, (control.check)(facts), now, changes);
            }
        }
    }

    /// A control of the node says something; what it said before does not hold any more.
    pub(super) fn take_node_judgement(
        &mut self,
        control: ControlId,
        judgement: Judgement,
        now: Clock,
        changes: &mut Vec<Change>,
    ) {
        let before = self.node.get(&control);
        if before.is_some_and(|before| **before == judgement) {
            return;
        }
        let old = before.map_or(Verdict::Pass, |before| Verdict::of(before.outcome.class(), false));
        let new = Verdict::of(judgement.outcome.class(), false);
        let judgement = Arc::new(judgement);
        self.node.insert(control, Arc::clone(&judgement));
        let id = self.ledger.id_of(&Subject::Node, control);
        let process = ProcessId { start_ticks: 0, tgid: 0 };
        let observation = Observation { outcome: judgement.outcome, evidence: Evidence::NONE };
        if old != Verdict::Pass
            && let Some(finding) = self.ledger.get_mut(id)
        {
            if old == new {
                finding.update(process, 0, observation, Some(&judgement));
            } else {
                finding.remove(old, process, 0, now);
            }
        }
        if new != Verdict::Pass && new != old {
            let hold = Hold::until(now.boottime_ns);
            let Some(finding) = self.ledger.open(id, &Subject::Node, control, now, hold) else { return };
            // The node does not go.
            finding.attached = 1;
            let is_counted = finding.restored.is_none();
            let instance = Instance {
                container: None,
                names: None,
                process,
                tid: 0,
                ns_tgid: 0,
                exe: Arc::from([].as_slice()),
                comm: [0; 16],
                uid: 0,
                euid: 0,
                ns_euid: 0,
                judgement: Some(judgement),
                verdict: new,
                outcome: observation.outcome,
                evidence: observation.evidence,
                since: now,
            };
            finding.add(instance, is_counted, 1);
        }
        self.ledger.settle(id, now, changes);
    }

    /// What the controls of the node say that speak of something that is there, in the order of [`CONTROLS`].
    #[must_use]
    pub fn node_controls(&self) -> Vec<ControlPosture> {
        let judged = CONTROLS.iter().filter(|control| control.scope == Scope::Node);
        judged
            .filter_map(|control| {
                let judgement = self.node.get(&control.id)?;
                if judgement.outcome == Outcome::NotApplicable {
                    return None;
                }
                Some(ControlPosture {
                    control: control.id,
                    verdict: Verdict::of(judgement.outcome.class(), false),
                    severity: self.policy.severity(control.id),
                    unknown: judgement.outcome.unknown(),
                    exemption: None,
                    explanation: Some(judgement.explanation.clone()),
                })
            })
            .collect()
    }
}
