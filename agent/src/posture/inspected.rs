//! Judges containers as a whole, by what was seen when they were looked into.

use std::sync::Arc;

use super::{
    CONTROLS, Change, ContainerFacts, Evidence, Judgement, Observation, Outcome, Posture, TASK_CONTROLS,
    UnknownReason, Verdict,
    control::CONTAINER,
    judge::{Cause, Sighting},
    observation::Class,
};
use crate::{
    context::{Container, ContainerKey, Enrichment, Process},
    inspect::Inspection,
    time::{Clock, SECOND},
};

impl Posture {
    /// A container was looked into by way of `process`. Whether its tasks are to be judged again
    /// (`Cause::Context`) is the answer: they are judged by what was seen around them.
    pub fn inspected(
        &mut self,
        container: &Container,
        process: &Process,
        inspection: &Inspection,
        now: Clock,
        changes: &mut Vec<Change>,
    ) -> bool {
        if container.gone || !self.known(container, now) {
            return false;
        }
        let names = match &container.enrichment {
            Enrichment::Complete(names) => Some(names.as_ref()),
            Enrichment::Pending(_) => None,
        };
        let is_sandboxed = names.is_some_and(|names| names.sandboxed_runtime);
        let Some(entry) = self.containers.get_mut(&container.key) else { return false };
        if let Ok(listeners) = &inspection.listeners {
            let reached = listeners.iter().filter(|listener| !listener.is_loopback && !listener.is_udp);
            entry.witnessed.listens(reached.map(|listener| listener.port));
        }
        let witnessed = entry.witnessed.clone();
        // With the name comes another look, so what only the runtime tells is not yet missing.
        let waits_for_name = names.is_none() && now.boottime_ns < entry.hold.ends(entry.pending);
        for (place, control) in CONTAINER.iter().enumerate() {
            if !self.policy.judges(control.id) {
                continue;
            }
            let judgement = if is_sandboxed {
                Judgement::unknown(UnknownReason::SandboxedRuntime)
            } else {
                (control.check)(&ContainerFacts {
                    inspection,
                    container,
                    names,
                    declared: names.map(|names| &names.declared),
                    witnessed: &witnessed,
                    sight: self.sight,
                    policy: &self.policy,
                    now_unix: i64::try_from(now.wall_ns / SECOND).unwrap_or(i64::MAX),
                })
            };
            if waits_for_name && judgement.outcome == Outcome::Unknown(UnknownReason::NotTold) {
                continue;
            }
            self.take_judgement(place, judgement, container, process, now, changes);
        }
        let Some(entry) = self.containers.get_mut(&container.key) else { return false };
        entry.through = Some(process.id);
        let before = entry.around;
        if let Ok(mounts) = &inspection.mounts {
            entry.around.root_dev = mounts.root_dev;
        }
        entry.around.listeners = Some(inspection.listeners.as_ref().map(|_| ()).map_err(|why| *why));
        let serves = inspection.listeners.as_ref().is_ok_and(|all| all.iter().any(|one| !one.is_loopback));
        if serves && entry.around.serves_since == 0 {
            entry.around.serves_since = inspection.at_ns;
        }
        entry.around != before
    }

    fn take_judgement(
        &mut self,
        place: usize,
        judgement: Judgement,
        container: &Container,
        process: &Process,
        now: Clock,
        changes: &mut Vec<Change>,
    ) {
        let Some(entry) = self.containers.get_mut(&container.key) else { return };
        let before = entry.judgements[place].as_ref();
        if before.is_some_and(|before| **before == judgement) {
            return;
        }
        let old = before.map_or(Class::NotApplicable, |before| before.outcome.class());
        let judgement = Arc::new(judgement);
        let through = entry.through.unwrap_or(process.id);
        entry.judgements[place] = Some(Arc::clone(&judgement));
        let mut task = process.state;
        // The instance stays the one that it was, although it may be seen by another process by now.
        (task.task.tid, task.task.tgid) = (through.tgid, through.tgid);
        let sighting = Sighting {
            container: container.key,
            container_id: container.id,
            process: through,
            task: &task,
            exe_path: &process.exe_path,
            observation: Observation { outcome: judgement.outcome, evidence: Evidence::NONE },
            judgement: Some(&judgement),
        };
        self.turn(TASK_CONTROLS + place, old, &sighting, Cause::Scan, now, changes);
    }

    /// A container is no more: what was said of it as a whole holds no longer.
    pub(super) fn forget_judgements(&mut self, key: ContainerKey, now: Clock, changes: &mut Vec<Change>) {
        let Some(entry) = self.containers.get_mut(&key) else { return };
        let Some(through) = entry.through.take() else { return };
        for (place, judgement) in entry.judgements.iter_mut().enumerate() {
            let Some(judgement) = judgement.take() else { continue };
            let control = TASK_CONTROLS + place;
            let class = judgement.outcome.class();
            let tally = &mut entry.tally[control][class as usize];
            *tally = tally.saturating_sub(1);
            let verdict = Verdict::of(class, entry.exempt[control].is_some());
            if verdict != Verdict::Pass
                && let Some(id) = entry.findings[control]
                && let Some(finding) = self.ledger.get_mut(id)
            {
                debug_assert_eq!(finding.control, CONTROLS[control].id);
                finding.remove(verdict, through, through.tgid, now);
                self.ledger.settle(id, now, changes);
            }
        }
    }
}
