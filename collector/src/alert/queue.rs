//! What one channel has to tell, folded from its journal.
//!
//! A finding that is over before its message went out is told in one message (`Passed`). Over is told
//! only of what was told, or waits to be told, as open. A finding that the same one under its full
//! name replaces is not told as over: the other's message says so.
//!
//! A detection has no later state. Those of one rule and place are told as [`super::group`] says.

use std::collections::{HashMap, VecDeque};

use super::{
    entry::{Base, Entry, More, Place, Release, Result, Tally, Told},
    group::{Groups, Key},
    notice::{Kind, Notice, Subject, trimmed},
};
use crate::state::{
    Detected,
    transition::{Change, Transition},
};
use kestrel_proto::v1::{self, FindingState, NodeCondition, Priority, Resolution, Severity, Verdict};

/// Most notices that wait. What comes on top is counted and told as a number.
pub(crate) const WAITING: usize = 10_000;
/// Most things remembered as told and not over.
const OPEN: usize = 200_000;

/// Which changes a channel tells.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Findings below it are not told.
    pub min_severity: Severity,
    /// Whether it is told that something is over.
    pub resolved: bool,
    /// Detections that are less urgent are not told.
    pub min_priority: Priority,
    /// How long detections of a group are gathered.
    pub window_ns: i64,
}

impl Policy {
    fn wants(self, finding: &v1::Finding) -> bool {
        finding.alert
            && matches!(finding.verdict(), Verdict::Fail | Verdict::Drift)
            && finding.severity() >= self.min_severity
    }

    /// Whether detections of that priority are told.
    #[must_use]
    pub fn wants_priority(self, priority: Priority) -> bool {
        priority as i32 >= self.min_priority as i32
    }
}

/// The queue of one channel.
#[derive(Debug, Default)]
pub struct Queue {
    next_id: u64,
    taken: Option<Place>,
    open: HashMap<Subject, i32>,
    waiting: VecDeque<Notice>,
    attempted: usize,
    overflow: u64,
    attempted_overflow: u64,
    delivered: u64,
    failed: u64,
    groups: Groups,
    /// Detections among those that overflowed.
    overflow_detections: u64,
    attempted_detections: u64,
    tally: Tally,
}

impl Queue {
    /// The last transition that was taken.
    #[must_use]
    pub fn taken(&self) -> Option<Place> {
        self.taken
    }

    /// Notices that wait, those that may have arrived included.
    #[must_use]
    pub fn waiting(&self) -> &VecDeque<Notice> {
        &self.waiting
    }

    /// The notices, from the front, that were sent and may have arrived.
    #[must_use]
    pub fn attempted(&self) -> usize {
        self.attempted
    }

    /// Notices that found no room and belong into the next message as a number.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        if self.attempted > 0 { self.attempted_overflow } else { self.overflow }
    }

    /// Notices received at the other end, and refused for good.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.delivered, self.failed)
    }

    /// Groups of detections.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// What became of the detections so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What was told as open and not as over.
    pub fn open(&self) -> impl Iterator<Item = &Subject> {
        self.open.keys()
    }

    /// What a transition means for this channel; nothing for one that was taken before.
    #[must_use]
    pub fn decide(&self, transition: &Transition, policy: Policy) -> Option<Entry> {
        let place = Place { frame: transition.frame, index: transition.index };
        if self.taken.is_some_and(|taken| place <= taken) {
            return None;
        }
        Some(Entry { taken: Some(place), ..self.entry(transition, policy) })
    }

    /// What a transition means for this channel, whatever was taken.
    pub(crate) fn entry(&self, transition: &Transition, policy: Policy) -> Entry {
        let change = &transition.change;
        let mut notice = Notice {
            cluster: transition.cluster.to_string(),
            node: transition.node.to_string(),
            at_unix_ns: transition.at_unix_ns,
            ..Notice::default()
        };
        let (wanted, over, value) = match change {
            Change::Detected(detected) => return self.detection(notice, detected, policy),
            Change::Opened(finding) | Change::Updated(finding) => {
                notice.finding = Some(trimmed(finding));
                let over = matches!(finding.verdict(), Verdict::Pass | Verdict::Exempt);
                (policy.wants(finding), over, finding.verdict)
            }
            Change::Resolved(finding) => {
                notice.finding = Some(trimmed(finding));
                (false, true, finding.verdict)
            }
            Change::Node(status) => {
                notice.status = Some(status.clone());
                let condition = status.condition();
                let bad = matches!(condition, NodeCondition::Silent | NodeCondition::Blind);
                (bad, condition == NodeCondition::Healthy, status.condition)
            }
        };
        let told = self.open.get(&notice.subject()).copied();
        let is_node = notice.finding.is_none();
        match told {
            None if wanted => add(notice, Kind::Opened),
            Some(told) if wanted && (value > told || is_node && value != told) => add(notice, Kind::Worse),
            Some(_) if over => {
                let superseded = matches!(change, Change::Resolved(finding)
                    if finding.resolution() == Resolution::Superseded);
                if superseded || !policy.resolved {
                    Entry { close: Some(notice), ..Entry::default() }
                } else {
                    add(notice, Kind::Resolved)
                }
            }
            _ => Entry::default(),
        }
    }

    /// One that others like it were told before waits for them.
    fn detection(&self, mut notice: Notice, detected: &Detected, policy: Policy) -> Entry {
        if !policy.wants_priority(detected.urgency()) {
            return Entry::default();
        }
        notice.set_kind(Kind::Detected);
        notice.count = 1;
        notice.held_back = detected.detection.held_back;
        notice.until_unix_ns = detected.wall_unix_ns;
        notice.detected = Some(detected.clone());
        let key = Key::of(&notice);
        match self.groups.get(&key) {
            Some(group) if group.takes(notice.at_unix_ns, policy.window_ns) => {
                let Notice { count, held_back, until_unix_ns, .. } = notice;
                let first = group.untold.is_none().then(|| Notice { follows: true, ..notice });
                let more = More { key, count, held_back, until_unix_ns, first };
                Entry { more: Some(more), ..Entry::default() }
            }
            _ => Entry { add: Some(notice), ..Entry::default() },
        }
    }

    /// Takes an entry of the journal.
    pub fn apply(&mut self, entry: Entry) {
        let Entry { base, taken, add, close, attempt, result, restart, off, more, release, left_out } = entry;
        if let Some(base) = base {
            *self = Self::from(base);
        }
        if off {
            self.taken = None;
        }
        if restart.is_some() {
            self.taken = restart;
        }
        self.taken = self.taken.max(taken);
        if let Some(notice) = add {
            if notice.detected.is_some() { self.detected(notice) } else { self.add(notice) }
        }
        if let Some(more) = more {
            self.tally.wanted += more.count;
            self.groups.count(more);
        }
        if let Some(Release { before_unix_ns, now_unix_ns }) = release {
            let released = self.groups.release(before_unix_ns, now_unix_ns);
            released.into_iter().for_each(|notice| self.push(notice));
        }
        self.tally.wanted += left_out;
        self.overflow += left_out;
        self.overflow_detections += left_out;
        if let Some(notice) = close {
            self.close(&notice.subject());
        }
        if let Some(count) = attempt {
            self.attempted = usize::try_from(count).unwrap_or(usize::MAX).min(self.waiting.len());
            self.attempted_overflow = self.overflow;
            self.attempted_detections = self.overflow_detections;
        }
        match result.map(Result::try_from) {
            Some(Ok(Result::Sent)) => {
                self.delivered += self.attempted as u64;
                self.tally.told += self.detections_in_attempt();
                self.tally.counted += self.attempted_detections;
                self.done();
            }
            Some(Ok(Result::Refused)) => {
                self.failed += self.attempted as u64;
                self.tally.refused += self.detections_in_attempt() + self.attempted_detections;
                self.done();
            }
            Some(Ok(Result::NotSent)) => self.attempted = 0,
            Some(Err(_)) | None => {}
        }
    }

    fn detections_in_attempt(&self) -> u64 {
        self.waiting.iter().take(self.attempted).map(|notice| notice.count).sum()
    }

    fn done(&mut self) {
        self.waiting.drain(..self.attempted);
        self.attempted = 0;
        self.overflow = self.overflow.saturating_sub(self.attempted_overflow);
        self.attempted_overflow = 0;
        self.overflow_detections = self.overflow_detections.saturating_sub(self.attempted_detections);
        self.attempted_detections = 0;
    }

    /// The first of a group, or the first after its window.
    fn detected(&mut self, notice: Notice) {
        self.tally.wanted += notice.count;
        let early = self.groups.begin(Key::of(&notice), notice.at_unix_ns);
        early.into_iter().for_each(|notice| self.push(notice));
        self.push(notice);
    }

    /// To the end of what waits.
    fn push(&mut self, mut notice: Notice) {
        self.next_id += 1;
        notice.id = self.next_id;
        if self.waiting.len() < WAITING {
            self.waiting.push_back(notice);
        } else {
            self.overflow += notice.weight();
            self.overflow_detections += notice.count;
        }
    }

    fn add(&mut self, mut notice: Notice) {
        let subject = notice.subject();
        let value = match (&notice.finding, &notice.status) {
            (Some(finding), _) => finding.verdict,
            (None, status) => status.as_ref().map_or(0, |status| status.condition),
        };
        match notice.kind() {
            Kind::Opened | Kind::Worse => {
                if self.open.len() < OPEN || self.open.contains_key(&subject) {
                    self.open.insert(subject.clone(), value);
                }
            }
            Kind::Resolved | Kind::Passed => {
                self.open.remove(&subject);
            }
            // Comes by another way.
            Kind::Detected => {}
        }
        if let Some(last) = self.last_unsent(&subject) {
            match (self.waiting[last].kind(), notice.kind()) {
                (Kind::Opened, Kind::Worse) => {
                    notice.set_kind(Kind::Opened);
                    notice.id = self.waiting[last].id;
                    self.waiting[last] = notice;
                    return;
                }
                (Kind::Worse, Kind::Worse | Kind::Resolved) => {
                    notice.id = self.waiting[last].id;
                    self.waiting[last] = notice;
                    return;
                }
                (Kind::Opened, Kind::Resolved) => {
                    notice.set_kind(Kind::Passed);
                    notice.times = 1;
                    notice.id = self.waiting[last].id;
                    self.waiting.remove(last);
                    match self.last_unsent(&subject) {
                        Some(before) if self.waiting[before].kind() == Kind::Passed => {
                            notice.times += self.waiting[before].times;
                            self.waiting[before] = notice;
                        }
                        _ => self.waiting.insert(last, notice),
                    }
                    return;
                }
                _ => {}
            }
        }
        self.push(notice);
    }

    /// Over without a word: what waits to be told of it is not told either.
    fn close(&mut self, subject: &Subject) {
        self.open.remove(subject);
        while let Some(last) = self.last_unsent(subject) {
            if !matches!(self.waiting[last].kind(), Kind::Opened | Kind::Worse) {
                break;
            }
            self.waiting.remove(last);
        }
    }

    /// The last notice about it that surely did not arrive.
    fn last_unsent(&self, subject: &Subject) -> Option<usize> {
        let Subject { cluster, node, finding } = subject;
        let about = |notice: &Notice| {
            notice.detected.is_none()
                && notice.finding.as_ref().map_or("", |finding| finding.id.as_str()) == finding
                && notice.node == *node
                && notice.cluster == *cluster
        };
        (self.attempted..self.waiting.len()).rev().find(|&place| about(&self.waiting[place]))
    }

    /// All of it, for a new journal.
    #[must_use]
    pub fn base(&self) -> Entry {
        let Self {
            next_id,
            taken,
            open,
            waiting,
            attempted,
            overflow,
            attempted_overflow,
            delivered,
            failed,
            groups,
            overflow_detections,
            attempted_detections,
            tally,
        } = self;
        let open = open
            .iter()
            .map(|(Subject { cluster, node, finding }, &value)| Told {
                cluster: cluster.clone(),
                node: node.clone(),
                finding: finding.clone(),
                value,
            })
            .collect();
        let base = Base {
            next_id: *next_id,
            taken: *taken,
            open,
            waiting: waiting.iter().cloned().collect(),
            attempted: *attempted as u64,
            overflow: *overflow,
            attempted_overflow: *attempted_overflow,
            delivered: *delivered,
            failed: *failed,
            overflow_detections: *overflow_detections,
            attempted_detections: *attempted_detections,
            groups: groups.all(),
            early: groups.early(),
            tally: *tally,
        };
        Entry { base: Some(base), ..Entry::default() }
    }
}

impl From<Base> for Queue {
    fn from(base: Base) -> Self {
        let Base {
            next_id,
            taken,
            open,
            waiting,
            attempted,
            overflow,
            attempted_overflow,
            delivered,
            failed,
            overflow_detections,
            attempted_detections,
            groups,
            early,
            tally,
        } = base;
        let open = open
            .into_iter()
            .map(|Told { cluster, node, finding, value }| (Subject { cluster, node, finding }, value))
            .collect();
        let attempted = usize::try_from(attempted).unwrap_or(usize::MAX).min(waiting.len());
        Self {
            next_id,
            taken,
            open,
            waiting: waiting.into(),
            attempted,
            overflow,
            attempted_overflow,
            delivered,
            failed,
            groups: Groups::new(groups, early),
            overflow_detections,
            attempted_detections,
            tally,
        }
    }
}

fn add(mut notice: Notice, kind: Kind) -> Entry {
    notice.set_kind(kind);
    if kind == Kind::Resolved
        && let Some(finding) = &mut notice.finding
        && finding.state() != FindingState::Resolved
    {
        // Exempt or passing by now: over, as far as a channel is concerned.
        finding.set_state(FindingState::Resolved);
    }
    Entry { add: Some(notice), ..Entry::default() }
}

#[cfg(test)]
mod tests;
