//! The findings of one node, newest state each.

use std::{collections::HashMap, sync::Arc};

use kestrel_proto::v1::{Finding, FindingState, Resolution};
use prost::Message;

use super::transition::Change;

/// Most findings of a node.
pub const PER_NODE: usize = 20_000;
/// Most resolved ones among them.
const RESOLVED: usize = 2_000;
/// How long a resolved one is kept.
const KEPT_NS: i64 = 7 * 24 * 3600 * 1_000_000_000;

/// The newest word about a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// As it is.
    pub finding: Arc<Finding>,
    /// Outbox of the event, or of the event up to which the inventory went.
    pub epoch: u64,
    /// Its number there.
    pub sequence: u64,
    /// When it was taken, the collector's clock.
    pub changed_unix_ns: i64,
}

/// What a finding's event is taken from.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Outbox.
    pub epoch: u64,
    /// Number.
    pub sequence: u64,
    /// When it was taken.
    pub at_unix_ns: i64,
}

impl Entry {
    /// Whether it is not resolved.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.finding.state() != FindingState::Resolved
    }

    /// Whether a later event made it than this one. Numbers of one outbox compare; of two outboxes
    /// the later started counts, and where that is not known, what comes last does.
    fn is_newer_than(&self, seen: Seen, rank: &impl Fn(u64) -> u32) -> bool {
        if self.epoch == seen.epoch {
            self.sequence > seen.sequence
        } else {
            rank(self.epoch) > rank(seen.epoch)
        }
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    entries: HashMap<String, Entry>,
    open: usize,
    refused: u64,
}

impl Findings {
    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The one with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// How many are not resolved.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// How many found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes an event. `rank` orders the node's outboxes.
    pub fn event(&mut self, finding: &Finding, seen: Seen, rank: impl Fn(u64) -> u32) -> Option<Change> {
        if self.entries.get(&finding.id).is_some_and(|entry| entry.is_newer_than(seen, &rank)) {
            return None;
        }
        self.put(finding.clone(), seen)
    }

    /// Takes an inventory that holds all that is open up to an event. What a later event said stays.
    pub fn reconcile(&mut self, listed: &[Finding], after: Seen, rank: impl Fn(u64) -> u32) -> Vec<Change> {
        let is_newer = |entry: &Entry| entry.is_newer_than(after, &rank);
        let mut changes = Vec::new();
        let mut is_listed = HashMap::with_capacity(listed.len());
        for finding in listed.iter().filter(|finding| finding.state() != FindingState::Resolved) {
            is_listed.insert(finding.id.as_str(), ());
            if !self.entries.get(&finding.id).is_some_and(is_newer) {
                changes.extend(self.put(finding.clone(), after));
            }
        }
        let mut over: Vec<_> = self
            .entries
            .values()
            .filter(|entry| entry.is_open() && !is_newer(entry))
            .filter(|entry| !is_listed.contains_key(entry.finding.id.as_str()))
            .map(|entry| Arc::clone(&entry.finding))
            .collect();
        // The same log gives the same transitions, in the same order.
        over.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        for finding in over {
            let mut finding = Finding::clone(&finding);
            finding.set_state(FindingState::Resolved);
            finding.set_resolution(Resolution::NotInInventory);
            changes.extend(self.put(finding, after));
        }
        changes
    }

    fn put(&mut self, finding: Finding, seen: Seen) -> Option<Change> {
        let Seen { epoch, sequence, at_unix_ns } = seen;
        let before = self.entries.get(&finding.id);
        if before.is_none() && !self.make_room() {
            self.refused += 1;
            return None;
        }
        let before = self.entries.get(&finding.id);
        let was_open = before.is_some_and(Entry::is_open);
        let told = before.map(|entry| {
            let Finding { alert, verdict, severity, .. } = *entry.finding;
            (alert, verdict, severity)
        });
        let finding = Arc::new(finding);
        let entry = Entry { finding: Arc::clone(&finding), epoch, sequence, changed_unix_ns: at_unix_ns };
        let is_open = entry.is_open();
        self.open = self.open + usize::from(is_open) - usize::from(was_open);
        let now = (finding.alert, finding.verdict, finding.severity);
        self.entries.insert(finding.id.clone(), entry);
        match (was_open, is_open) {
            (false, true) => Some(Change::Opened(finding)),
            (true, false) => Some(Change::Resolved(finding)),
            (true, true) if told != Some(now) => Some(Change::Updated(finding)),
            (true, true) | (false, false) => None,
        }
    }

    /// Room for one more. The resolved one that is longest over goes first.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < PER_NODE {
            return true;
        }
        let resolved = self.entries.values().filter(|entry| !entry.is_open());
        let oldest = resolved.min_by(|one, other| oldest_first(one, other));
        let Some(id) = oldest.map(|entry| entry.finding.id.clone()) else { return false };
        self.entries.remove(&id).is_some()
    }

    /// Forgets what is over for long. Called with the time of a frame, so that the same log leaves the
    /// same findings.
    pub fn prune(&mut self, now_unix_ns: i64) {
        self.entries.retain(|_, entry| {
            entry.is_open() || now_unix_ns.saturating_sub(entry.changed_unix_ns) <= KEPT_NS
        });
        if self.entries.len() - self.open > RESOLVED {
            let mut over: Vec<_> = self.entries.values().filter(|entry| !entry.is_open()).cloned().collect();
            over.sort_unstable_by(oldest_first);
            for entry in &over[..over.len() - RESOLVED] {
                self.entries.remove(&entry.finding.id);
            }
        }
    }

    pub(super) fn store(&self) -> (Vec<StoredFinding>, u64) {
        let Self { entries, open: _, refused } = self;
        let mut stored: Vec<_> = entries
            .values()
            .map(|Entry { finding, epoch, sequence, changed_unix_ns }| StoredFinding {
                finding: Some(Finding::clone(finding)),
                epoch: *epoch,
                sequence: *sequence,
                changed_unix_ns: *changed_unix_ns,
            })
            .collect();
        stored.sort_unstable_by(|one, other| {
            let id = |stored: &StoredFinding| stored.finding.as_ref().map(|finding| finding.id.clone());
            id(one).cmp(&id(other))
        });
        (stored, *refused)
    }

    pub(super) fn restore(stored: Vec<StoredFinding>, refused: u64) -> Self {
        let entries: HashMap<_, _> = stored
            .into_iter()
            .filter_map(|StoredFinding { finding, epoch, sequence, changed_unix_ns }| {
                let finding = Arc::new(finding?);
                Some((finding.id.clone(), Entry { finding, epoch, sequence, changed_unix_ns }))
            })
            .collect();
        let open = entries.values().filter(|entry| entry.is_open()).count();
        Self { entries, open, refused }
    }
}

fn oldest_first(one: &Entry, other: &Entry) -> std::cmp::Ordering {
    (one.changed_unix_ns, &one.finding.id).cmp(&(other.changed_unix_ns, &other.finding.id))
}

/// A finding in the snapshot.
#[derive(Clone, PartialEq, Message)]
pub struct StoredFinding {
    #[prost(message, optional, tag = "1")]
    finding: Option<Finding>,
    #[prost(fixed64, tag = "2")]
    epoch: u64,
    #[prost(uint64, tag = "3")]
    sequence: u64,
    #[prost(int64, tag = "4")]
    changed_unix_ns: i64,
}
