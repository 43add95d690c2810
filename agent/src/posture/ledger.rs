//! The findings: OPEN → UPDATED → RESOLVED, bounded, told neither twice nor too often.

use hashbrown::HashMap;

use super::{
    CONTROL_COUNT, Change, ChangeKind, ControlId, Counters, FindingId, Resolution, Settings, Severity,
    Subject, Verdict,
    finding::{Finding, Stage},
    hold::Hold,
};
use crate::{
    context::{ContainerKey, PendingReason},
    time::Clock,
};

/// What one container adds to a finding: tasks by verdict.
pub(super) type Share = [u32; Verdict::ALL.len()];

/// What moves along when a container changes its name.
pub(super) struct Transfer {
    pub(super) container: ContainerKey,
    pub(super) from: FindingId,
    pub(super) to: FindingId,
    pub(super) subject: Subject,
    pub(super) control: ControlId,
    /// What the container added so far, and what it adds from now on.
    pub(super) old_share: Share,
    pub(super) new_share: Share,
    pub(super) exempt: bool,
    /// The container's cgroup is still there.
    pub(super) is_attached: bool,
}

pub(super) struct Ledger {
    node: String,
    settings: Settings,
    /// Of a FAIL, by control.
    pub(super) severities: [Severity; CONTROL_COUNT],
    findings: HashMap<FindingId, Finding>,
    /// Told findings that go on under another id; their last word waits for the other's first.
    superseded: Vec<(Finding, FindingId)>,
    /// When the first of them came.
    superseded_ns: u64,
    /// No finding is due before this boottime.
    next_due: u64,
    pub(super) counters: Counters,
}

impl Ledger {
    pub(super) fn new(node: String, settings: Settings, severities: [Severity; CONTROL_COUNT]) -> Self {
        Self {
            node,
            settings,
            severities,
            findings: HashMap::new(),
            superseded: Vec::new(),
            superseded_ns: 0,
            next_due: u64::MAX,
            counters: Counters::default(),
        }
    }

    pub(super) fn id_of(&self, subject: &Subject, control: ControlId) -> FindingId {
        FindingId::of(&self.node, subject, control)
    }

    pub(super) fn len(&self) -> usize {
        self.findings.len()
    }

    pub(super) fn get_mut(&mut self, id: FindingId) -> Option<&mut Finding> {
        self.findings.get_mut(&id)
    }

    /// Findings in the order of their ids.
    pub(super) fn sorted(&self) -> Vec<&Finding> {
        let mut findings: Vec<_> = self.findings.values().collect();
        findings.sort_by_key(|finding| finding.id);
        findings
    }

    pub(super) fn insert_restored(&mut self, finding: Finding) {
        if self.findings.len() < self.settings.max_findings {
            self.findings.insert(finding.id, finding);
        } else {
            self.counters.findings_refused += 1;
        }
    }

    /// The finding of that id, made or brought back if need be; `None` when there is no room.
    pub(super) fn open(
        &mut self,
        id: FindingId,
        subject: &Subject,
        control: ControlId,
        now: Clock,
        hold: Hold,
    ) -> Option<&mut Finding> {
        if !self.findings.contains_key(&id) {
            if !self.make_room() {
                self.counters.findings_refused += 1;
                return None;
            }
            let severity = self.severities[control as usize];
            self.findings.insert(id, Finding::new(id, subject.clone(), control, severity, now, hold));
        }
        let finding = self.findings.get_mut(&id)?;
        finding.revive(hold, now);
        Some(finding)
    }

    fn make_room(&mut self) -> bool {
        if self.findings.len() < self.settings.max_findings {
            return true;
        }
        let oldest = self
            .findings
            .values()
            .filter(|finding| finding.stage == Stage::Resolved)
            .min_by_key(|finding| (finding.last_seen, finding.id))
            .map(|finding| finding.id);
        if let Some(oldest) = oldest {
            self.findings.remove(&oldest);
            self.counters.findings_evicted += 1;
        }
        oldest.is_some()
    }

    /// There is another reason why the finding's container has no name.
    pub(super) fn pends(&mut self, id: FindingId, reason: PendingReason) {
        if let Some(finding) = self.findings.get_mut(&id)
            && finding.pending.replace(reason) != Some(reason)
        {
            finding.dirty |= finding.stage == Stage::Open;
            self.next_due = 0;
        }
    }

    /// A container of the finding is gone.
    pub(super) fn detach(&mut self, id: FindingId, now: Clock, changes: &mut Vec<Change>) {
        if let Some(finding) = self.findings.get_mut(&id) {
            finding.attached = finding.attached.saturating_sub(1);
            self.settle(id, now, changes);
        }
    }

    /// A container has a name: what it adds moves to the workload's finding. Whether `to` exists
    /// afterwards is the answer. Nothing is told before the next tick, so that the container can
    /// be judged against its declaration first.
    pub(super) fn transfer(&mut self, transfer: Transfer, now: Clock) -> bool {
        let Transfer { container, from, to, subject, control, old_share, new_share, exempt, is_attached } =
            transfer;
        let Some(old) = self.findings.get_mut(&from) else { return false };
        for (live, share) in old.live.iter_mut().zip(old_share) {
            *live = live.saturating_sub(share);
        }
        if is_attached {
            old.attached = old.attached.saturating_sub(1);
        }
        let (mut moved, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut old.instances).into_iter().partition(|kept| kept.is_of(container));
        old.instances = kept;
        let is_empty = old.attached == 0 && old.worst_live().is_none();
        if is_empty {
            old.last_seen = now;
            old.quiet_since = now.boottime_ns;
        }
        // A container's own finding has no other container; a workload's stays for those it has.
        let is_over = is_empty && old.subject.is_pending();
        let old = if is_over { self.findings.remove(&from) } else { None };

        let boottime = now.boottime_ns;
        let most = self.settings.max_instances;
        let Some(new) = self.open(to, &subject, control, now, Hold::until(boottime)) else {
            // Its place was just given up, so this is a workload's finding that stays as it is.
            return false;
        };
        let moved_live: u32 = new_share.iter().sum();
        for (live, share) in new.live.iter_mut().zip(new_share) {
            *live += share;
        }
        new.unconfirmed = false;
        new.attached += u32::from(is_attached);
        new.pending = None;
        new.hold = Hold::until(boottime);
        new.dirty = true;
        let share_of = |verdict: Verdict| if exempt { verdict.min(Verdict::Exempt) } else { verdict };
        for instance in &mut moved {
            instance.verdict = Verdict::of(instance.outcome.class(), exempt);
        }
        let worst_moved = moved.iter().map(|instance| instance.verdict).max();
        for instance in moved {
            new.keep(instance, usize::MAX);
        }
        new.instances.sort_by_key(|instance| std::cmp::Reverse(instance.verdict));
        new.instances.truncate(most);
        if let Some(worst) = worst_moved.or(new.worst_live()) {
            new.peak = new.peak.max(worst);
        }
        match old {
            Some(mut old) => {
                new.first_seen = new.first_seen.min(old.first_seen);
                if old.stage == Stage::Held {
                    new.held_since = new.held_since.min(old.held_since);
                }
                new.count = new.count.saturating_add(old.count);
                if new.restored.is_none() {
                    new.restored = old.restored.clone();
                }
                if moved_live == 0 {
                    // It was over before it had a name.
                    new.peak = new.peak.max(share_of(old.peak.max(old.told)));
                    new.last = old.last.take();
                    if new.worst_live().is_none() {
                        new.last_seen = old.last_seen;
                        new.quiet_since = boottime;
                    }
                }
                if old.stage == Stage::Open {
                    new.completes.push(from);
                    new.completes_told = new.completes_told.max(old.told);
                    if self.superseded.is_empty() {
                        self.superseded_ns = boottime;
                    }
                    self.superseded.push((old, to));
                }
            }
            None => new.count = new.count.saturating_add(u64::from(moved_live)),
        }
        self.next_due = 0;
        true
    }

    /// An exemption came or went: the container's tasks count under another verdict.
    pub(super) fn reclassify(
        &mut self,
        id: FindingId,
        container: ContainerKey,
        old_share: Share,
        new_share: Share,
        verdict_of: impl Fn(super::Outcome) -> Verdict,
    ) {
        let Some(finding) = self.findings.get_mut(&id) else { return };
        for ((live, old), new) in finding.live.iter_mut().zip(old_share).zip(new_share) {
            *live = live.saturating_sub(old) + new;
        }
        for instance in finding.instances.iter_mut().filter(|kept| kept.is_of(container)) {
            instance.verdict = verdict_of(instance.outcome);
        }
        let worst = finding.worst_live();
        finding.peak = match finding.stage {
            Stage::Held => worst.unwrap_or(finding.peak),
            Stage::Open | Stage::Resolved => worst.unwrap_or(finding.told),
        };
        finding.dirty = true;
        self.next_due = 0;
    }

    /// Since when the longest held finding waits to be told.
    pub(super) fn untold_since(&self) -> Option<u64> {
        let last_words = self.superseded.iter().map(|_| self.superseded_ns);
        // What is held is due at some time.
        let due = (self.next_due != u64::MAX).then(|| self.findings.values());
        let held = due.into_iter().flatten().filter(|finding| finding.stage == Stage::Held);
        held.map(|finding| finding.held_since).chain(last_words).min()
    }

    /// What still waited for a name at `since` waits until `until`.
    pub(super) fn renew_holds(&mut self, since: u64, until: u64) {
        for finding in self.findings.values_mut() {
            finding.hold.renew(finding.pending, since, until);
        }
    }

    /// What is held is due at once.
    pub(super) fn release_held(&mut self) {
        for finding in self.findings.values_mut().filter(|finding| finding.stage == Stage::Held) {
            finding.hold = Hold::until(0);
        }
        self.next_due = 0;
    }

    /// Asks for a look at the findings in the next tick.
    pub(super) fn wake(&mut self) {
        self.next_due = 0;
    }

    /// Tells what is due of one finding.
    pub(super) fn settle(&mut self, id: FindingId, now: Clock, changes: &mut Vec<Change>) {
        if let Some(finding) = self.findings.get_mut(&id) {
            let due = settle(finding, &self.settings, now, changes);
            self.next_due = self.next_due.min(due);
        }
    }

    /// Tells what is due by now.
    pub(super) fn tick(&mut self, now: Clock, changes: &mut Vec<Change>) {
        if now.boottime_ns < self.next_due {
            return;
        }
        let before = changes.len();
        let mut next_due = u64::MAX;
        for finding in self.findings.values_mut() {
            next_due = next_due.min(settle(finding, &self.settings, now, changes));
        }
        // Tables have no order that a reader could rely on.
        changes[before..].sort_by_key(|change| change.finding.id);
        self.next_due = next_due;
        for (old, by) in self.superseded.drain(..) {
            changes.push(Change {
                kind: ChangeKind::Resolved(Resolution::Superseded),
                alert: false,
                at: now,
                finding: old.report(old.told, Some(by), now),
            });
        }
    }

    /// What the last run of the agent left open, of these controls, and nothing has confirmed is over.
    pub(super) fn resolve_unconfirmed(
        &mut self,
        is_of: impl Fn(ControlId) -> bool,
        now: Clock,
        changes: &mut Vec<Change>,
    ) {
        let before = changes.len();
        let unconfirmed = |finding: &&mut Finding| finding.unconfirmed && is_of(finding.control);
        for finding in self.findings.values_mut().filter(unconfirmed) {
            finding.unconfirmed = false;
            finding.stage = Stage::Resolved;
            changes.push(Change {
                kind: ChangeKind::Resolved(Resolution::NotThereAfterRestart),
                alert: finding.told.alerts(),
                at: now,
                finding: finding.report(finding.told, None, now),
            });
        }
        changes[before..].sort_by_key(|change| change.finding.id);
    }
}

/// Tells what is due of a finding; the answer is the boottime at which more may be.
fn settle(finding: &mut Finding, settings: &Settings, now: Clock, changes: &mut Vec<Change>) -> u64 {
    let boottime = now.boottime_ns;
    match finding.stage {
        Stage::Resolved => return u64::MAX,
        Stage::Held if boottime < finding.hold.ends(finding.pending) => {
            return finding.hold.ends(finding.pending);
        }
        Stage::Held => tell(finding, ChangeKind::Open, now, changes),
        Stage::Open => {}
    }
    if finding.unconfirmed {
        return u64::MAX;
    }
    let mut due = u64::MAX;

    let is_worse = finding.peak > finding.told;
    let is_follow_up = !finding.completes.is_empty();
    let worst = finding.worst_live();
    if is_worse || is_follow_up || finding.dirty || worst.is_some_and(|worst| worst != finding.told) {
        let at = if is_worse {
            finding.hold.ends(finding.pending)
        } else if is_follow_up {
            0
        } else {
            finding.told_at.saturating_add(settings.update_interval_ns)
        };
        if boottime >= at {
            tell(finding, ChangeKind::Updated, now, changes);
        } else {
            due = at;
        }
    }

    if worst.is_none() {
        let is_gone = finding.attached == 0;
        let wait = if is_gone && finding.reopened == 0 { settings.gone_after_ns } else { settings.quiet_ns };
        let at = finding.quiet_since.saturating_add(wait);
        if boottime >= at {
            let why = if is_gone { Resolution::Gone } else { Resolution::Quiet };
            tell(finding, ChangeKind::Resolved(why), now, changes);
            return u64::MAX;
        }
        due = due.min(at);
    } else if finding.worst_live() != Some(finding.told) {
        // Told at its peak, which is over already.
        due = due.min(finding.told_at.saturating_add(settings.update_interval_ns));
    }
    due
}

fn tell(finding: &mut Finding, kind: ChangeKind, now: Clock, changes: &mut Vec<Change>) {
    let verdict = finding.verdict_to_tell();
    let alert = match kind {
        ChangeKind::Open => verdict.alerts() && verdict > finding.completes_told,
        ChangeKind::Updated => verdict.alerts() && verdict > finding.told.max(finding.completes_told),
        ChangeKind::Resolved(_) => verdict.alerts(),
    };
    let report = finding.report(verdict, None, now);
    finding.stage = match kind {
        ChangeKind::Resolved(_) => Stage::Resolved,
        ChangeKind::Open | ChangeKind::Updated => Stage::Open,
    };
    finding.told = verdict;
    finding.told_at = now.boottime_ns;
    finding.peak = finding.worst_live().unwrap_or(verdict);
    finding.dirty = false;
    finding.completes.clear();
    finding.completes_told = Verdict::Pass;
    changes.push(Change { kind, alert, at: now, finding: report });
}
