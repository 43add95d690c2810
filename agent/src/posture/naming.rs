//! Names and exemptions of containers, which come and go while their tasks run on.

use std::sync::Arc;

use super::{
    CONTROLS, Exemption, Exemptions, Posture, Subject, Verdict, WORKLOAD_CONTROLS, entry::ContainerEntry,
    hold::Hold, ledger::Transfer,
};
use crate::{
    context::{Container, Enrichment, Names},
    time::{Clock, Date},
};

impl Posture {
    pub(super) fn exemptions_of(
        &self,
        names: Option<&Names>,
        today: Date,
    ) -> [Option<Arc<Exemption>>; WORKLOAD_CONTROLS] {
        std::array::from_fn(|control| {
            self.exemptions.find(CONTROLS[control].id, names?, today).map(Arc::clone)
        })
    }

    /// A container that is new to this run may have findings of the last one, told before it had
    /// a name. Whether there were any: they go on under its name.
    pub(super) fn take_up_pending(&mut self, entry: &mut ContainerEntry) -> bool {
        let pending = Subject::Container(entry.id.as_str().to_owned());
        let mut any = false;
        for (control, finding) in entry.findings.iter_mut().enumerate() {
            let id = self.ledger.id_of(&pending, CONTROLS[control].id);
            if let Some(restored) = self.ledger.get_mut(id).filter(|restored| restored.unconfirmed) {
                restored.attached += 1;
                *finding = Some(id);
                any = true;
            }
        }
        any
    }

    /// A container has a name, or another reason not to have one. Judge its processes again
    /// afterwards (`Cause::Context`): what they declared is known now. What this changes is told
    /// by them and the next [`Posture::tick`].
    pub fn named(&mut self, container: &Container, now: Clock) {
        let names = match &container.enrichment {
            Enrichment::Complete(names) => names,
            Enrichment::Pending(reason) => {
                if let Some(entry) = self.containers.get_mut(&container.key)
                    && entry.names.is_none()
                {
                    entry.pending = Some(*reason);
                    for id in entry.findings.iter().flatten() {
                        self.ledger.pends(*id, *reason);
                    }
                }
                return;
            }
        };
        let exempt = self.exemptions_of(Some(names), now.date());
        let Some(entry) = self.containers.get_mut(&container.key) else { return };
        let subject = Subject::of_workload(names);
        let is_attached = entry.linger_until.is_none();
        for (control, exemption) in exempt.into_iter().enumerate() {
            let old_share = entry.share(control, entry.exempt[control].is_some());
            let new_share = entry.share(control, exemption.is_some());
            if let Some(from) = entry.findings[control] {
                let control_id = CONTROLS[control].id;
                let to = self.ledger.id_of(&subject, control_id);
                let is_exempt = exemption.is_some();
                let is_there = if from == to {
                    self.ledger.reclassify(from, container.key, old_share, new_share, |outcome| {
                        Verdict::of(outcome.class(), is_exempt)
                    });
                    true
                } else {
                    let transfer = Transfer {
                        container: container.key,
                        from,
                        to,
                        subject: subject.clone(),
                        control: control_id,
                        old_share,
                        new_share,
                        exempt: is_exempt,
                        is_attached,
                    };
                    self.ledger.transfer(transfer, now)
                };
                entry.findings[control] = is_there.then_some(to);
                if let Some(finding) = self.ledger.get_mut(to) {
                    finding.pending = None;
                    finding.hold = Hold::until(now.boottime_ns);
                    if is_exempt {
                        finding.exemption.clone_from(&exemption);
                    }
                    let own = finding.instances.iter_mut().chain(&mut finding.last);
                    for instance in own.filter(|instance| instance.is_of(container.key)) {
                        instance.names = Some(Arc::clone(names));
                    }
                }
            }
            entry.exempt[control] = exemption;
        }
        entry.subject = subject;
        entry.names = Some(Arc::clone(names));
        entry.pending = None;
        if !is_attached {
            self.containers.remove(&container.key);
        }
        self.ledger.wake();
    }

    /// Other exemptions hold from now on.
    pub fn set_exemptions(&mut self, exemptions: Exemptions) {
        self.exemptions = exemptions;
        self.today = None;
        self.ledger.wake();
    }

    pub(super) fn renew_exemptions(&mut self, today: Date) {
        for expired in self.exemptions.expired(today) {
            tracing::warn!(
                owner = %expired.owner,
                reason = %expired.reason,
                expired = expired.expires.map(tracing::field::display),
                "exemption has expired and counts as absent"
            );
        }
        let keys: Vec<_> = self.containers.keys().copied().collect();
        for key in keys {
            let Some(names) = self.containers.get(&key).and_then(|entry| entry.names.clone()) else {
                continue;
            };
            let exempt = self.exemptions_of(Some(&names), today);
            let Some(entry) = self.containers.get_mut(&key) else { continue };
            for (control, exemption) in exempt.into_iter().enumerate() {
                if entry.exempt[control] == exemption {
                    continue;
                }
                let old_share = entry.share(control, entry.exempt[control].is_some());
                let new_share = entry.share(control, exemption.is_some());
                if let Some(id) = entry.findings[control] {
                    let is_exempt = exemption.is_some();
                    self.ledger.reclassify(id, key, old_share, new_share, |outcome| {
                        Verdict::of(outcome.class(), is_exempt)
                    });
                    if let Some(finding) = self.ledger.get_mut(id) {
                        finding.exemption.clone_from(&exemption);
                    }
                }
                entry.exempt[control] = exemption;
            }
        }
    }
}
