//! What one channel has to tell, folded from its journal.
//!
//! A finding that is over before its message went out is told in one message (`Passed`). Over is told
//! only of what was told, or waits to be told, as open. A finding that the same one under its full
//! name replaces is not told as over: the other's message says so.

use std::collections::{HashMap, VecDeque};

use kestrel_proto::v1::{self, FindingState, NodeCondition, Resolution, Severity, Verdict};
use prost::Message;

use super::notice::{Kind, Notice, Subject, trimmed};
use crate::state::transition::{Change, Transition};

/// Most notices that wait. What comes on top is counted and told as a number.
pub(crate) const WAITING: usize = 10_000;
/// Most things remembered as told and not over.
const OPEN: usize = 200_000;

/// One entry of the journal. The fields are taken in their order.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// Everything: what the journal starts with.
    #[prost(message, optional, tag = "1")]
    pub base: Option<Base>,
    /// All transitions up to this one were taken.
    #[prost(message, optional, tag = "2")]
    pub taken: Option<Place>,
    /// To be told.
    #[prost(message, optional, tag = "3")]
    pub add: Option<Notice>,
    /// Over, and not to be told.
    #[prost(message, optional, tag = "4")]
    pub close: Option<Notice>,
    /// The first notices, so many, are about to be sent.
    #[prost(uint64, optional, tag = "5")]
    pub attempt: Option<u64>,
    /// How the attempt ended.
    #[prost(enumeration = "Result", optional, tag = "6")]
    pub result: Option<i32>,
}

/// How an attempt ended. While none of these is known, it may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Result {
    /// Received.
    Sent = 0,
    /// Surely not received; to be tried again.
    NotSent = 1,
    /// Refused for good.
    Refused = 2,
}

/// A transition's place in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Place {
    /// Number of the frame.
    #[prost(uint64, tag = "1")]
    pub frame: u64,
    /// Among the transitions of the frame.
    #[prost(uint32, tag = "2")]
    pub index: u32,
}

/// A whole queue.
#[derive(Clone, PartialEq, Message)]
pub struct Base {
    /// Of the next notice.
    #[prost(uint64, tag = "1")]
    pub next_id: u64,
    /// See [`Entry::taken`]; absent before the first.
    #[prost(message, optional, tag = "2")]
    pub taken: Option<Place>,
    /// What was told as open and not as over.
    #[prost(message, repeated, tag = "3")]
    pub open: Vec<Told>,
    /// Waiting notices, in order.
    #[prost(message, repeated, tag = "4")]
    pub waiting: Vec<Notice>,
    /// So many of them, from the front, may have arrived.
    #[prost(uint64, tag = "5")]
    pub attempted: u64,
    /// Notices that found no room and were not yet told as a number.
    #[prost(uint64, tag = "6")]
    pub overflow: u64,
    /// So many of these are in the attempt.
    #[prost(uint64, tag = "7")]
    pub attempted_overflow: u64,
    /// Notices received at the other end, ever.
    #[prost(uint64, tag = "8")]
    pub delivered: u64,
    /// Notices refused for good, ever.
    #[prost(uint64, tag = "9")]
    pub failed: u64,
}

/// Something told as open.
#[derive(Clone, PartialEq, Message)]
pub struct Told {
    /// Cluster.
    #[prost(string, tag = "1")]
    pub cluster: String,
    /// Node.
    #[prost(string, tag = "2")]
    pub node: String,
    /// Finding; empty: the node itself.
    #[prost(string, tag = "3")]
    pub finding: String,
    /// Verdict, or condition of the node, that was told.
    #[prost(int32, tag = "4")]
    pub value: i32,
}

/// Which changes a channel tells.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Findings below it are not told.
    pub min_severity: Severity,
    /// Whether it is told that something is over.
    pub resolved: bool,
}

impl Policy {
    fn wants(self, finding: &v1::Finding) -> bool {
        finding.alert
            && matches!(finding.verdict(), Verdict::Fail | Verdict::Drift)
            && finding.severity() >= self.min_severity
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
        let Transition { frame: _, index: _, at_unix_ns, cluster, node, change } = transition;
        let mut notice = Notice {
            cluster: cluster.to_string(),
            node: node.to_string(),
            at_unix_ns: *at_unix_ns,
            ..Notice::default()
        };
        let (wanted, over, value) = match change {
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

    /// Takes an entry of the journal.
    pub fn apply(&mut self, entry: Entry) {
        let Entry { base, taken, add, close, attempt, result } = entry;
        if let Some(base) = base {
            *self = Self::from(base);
        }
        if taken.is_some() {
            self.taken = self.taken.max(taken);
        }
        if let Some(notice) = add {
            self.add(notice);
        }
        if let Some(notice) = close {
            self.close(&notice.subject());
        }
        if let Some(count) = attempt {
            self.attempted = usize::try_from(count).unwrap_or(usize::MAX).min(self.waiting.len());
            self.attempted_overflow = self.overflow;
        }
        match result.map(Result::try_from) {
            Some(Ok(Result::Sent)) => {
                self.delivered += self.attempted as u64;
                self.done();
            }
            Some(Ok(Result::Refused)) => {
                self.failed += self.attempted as u64;
                self.done();
            }
            Some(Ok(Result::NotSent)) => self.attempted = 0,
            Some(Err(_)) | None => {}
        }
    }

    fn done(&mut self) {
        self.waiting.drain(..self.attempted);
        self.attempted = 0;
        self.overflow = self.overflow.saturating_sub(self.attempted_overflow);
        self.attempted_overflow = 0;
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
        self.next_id += 1;
        notice.id = self.next_id;
        if self.waiting.len() < WAITING {
            self.waiting.push_back(notice);
        } else {
            self.overflow += 1;
        }
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
            notice.finding.as_ref().map_or("", |finding| finding.id.as_str()) == finding
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
