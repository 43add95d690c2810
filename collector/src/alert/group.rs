//! Detections of one rule at one place. The first is told at once; those that follow within a window are
//! told as a number when it ends, with the first of them, and then a new window begins.
//!
//! The table is bounded: for a new group the oldest quarter goes, and what waits there is told early.

use std::collections::HashMap;

use prost::Message;

use super::{entry::More, notice::Notice};

/// Most groups of a channel.
pub(crate) const GROUPS: usize = 4096;

/// What detections of a group have in common.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
pub struct Key {
    /// Cluster of the node.
    #[prost(string, tag = "1")]
    pub cluster: String,
    /// Rule.
    #[prost(string, tag = "2")]
    pub rule: String,
    /// Namespace and workload, or pod; without names the container's id; on the host the node.
    #[prost(string, tag = "3")]
    pub place: String,
    /// Name of the container in its pod.
    #[prost(string, tag = "4")]
    pub container: String,
}

impl Key {
    /// Of a notice about detections; a default for another.
    #[must_use]
    pub fn of(notice: &Notice) -> Self {
        let Some(detected) = &notice.detected else { return Self::default() };
        // Names of Kubernetes have no NUL: no two places make the same text.
        let (place, container) = match (detected.names(), &detected.container) {
            (Some(names), _) => {
                let place = match &names.workload {
                    Some(owner) => format!("{}\0{}\0{}", owner.namespace, owner.kind, owner.name),
                    None => format!("{}\0{}", names.namespace, names.pod),
                };
                (place, names.container.clone())
            }
            (None, Some(container)) => (format!("{}\0{}", notice.node, container.id), String::new()),
            (None, None) => (notice.node.clone(), String::new()),
        };
        Self { cluster: notice.cluster.clone(), rule: detected.detection.rule.clone(), place, container }
    }
}

/// A group.
#[derive(Clone, PartialEq, Message)]
pub struct Group {
    /// What they have in common.
    #[prost(message, required, tag = "1")]
    pub key: Key,
    /// When its window began, the collector's clock.
    #[prost(int64, tag = "2")]
    pub since_unix_ns: i64,
    /// What came since.
    #[prost(message, optional, tag = "3")]
    pub untold: Option<Notice>,
}

impl Group {
    /// Whether a detection is told with those that wait.
    #[must_use]
    pub fn takes(&self, at_unix_ns: i64, window_ns: i64) -> bool {
        self.untold.is_some() || at_unix_ns.saturating_sub(self.since_unix_ns) < window_ns
    }
}

/// All groups of a channel.
#[derive(Debug, Default)]
pub struct Groups {
    of: HashMap<Key, Group>,
    untold: u64,
    early: u64,
}

impl Groups {
    /// As they stood in a journal.
    #[must_use]
    pub fn new(groups: Vec<Group>, early: u64) -> Self {
        let untold = groups.iter().filter_map(|group| group.untold.as_ref()).map(|notice| notice.count).sum();
        Self { of: groups.into_iter().map(|group| (group.key.clone(), group)).collect(), untold, early }
    }

    /// All, for a journal.
    #[must_use]
    pub fn all(&self) -> Vec<Group> {
        let mut all: Vec<_> = self.of.values().cloned().collect();
        all.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        all
    }

    /// One.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Group> {
        self.of.get(key)
    }

    /// Detections that wait for the end of their window.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// Detections that were told before their window ended, for want of room.
    #[must_use]
    pub fn early(&self) -> u64 {
        self.early
    }

    /// The first of a group is told: its window begins. Gives what has to be told for want of room.
    pub fn begin(&mut self, key: Key, at_unix_ns: i64) -> Vec<Notice> {
        let mut told = Vec::new();
        if self.of.len() >= GROUPS && !self.of.contains_key(&key) {
            let oldest = self.oldest(|_| true);
            for key in oldest.into_iter().take(GROUPS / 4) {
                let notice = self.of.remove(&key).and_then(|group| group.untold);
                told.extend(notice);
            }
            let count: u64 = told.iter().map(|notice| notice.count).sum();
            self.untold -= count;
            self.early += count;
        }
        self.of.insert(key.clone(), Group { key, since_unix_ns: at_unix_ns, untold: None });
        told
    }

    /// More of a group that there is.
    pub fn count(&mut self, more: More) {
        let More { key, count, held_back, until_unix_ns, first } = more;
        let Some(group) = self.of.get_mut(&key) else { return };
        if let Some(notice) = first.filter(|_| group.untold.is_none()) {
            group.untold = Some(Notice { count: 0, held_back: 0, ..notice });
        }
        let Some(notice) = &mut group.untold else { return };
        notice.count += count;
        notice.held_back = notice.held_back.saturating_add(held_back);
        notice.until_unix_ns = notice.until_unix_ns.max(until_unix_ns);
        self.untold += count;
    }

    /// What is to be told of the groups whose window began at `before` or earlier; also of those that
    /// began after `now`, for then the clock was set back. Where something is told the next window begins.
    pub fn release(&mut self, before: i64, now: i64) -> Vec<Notice> {
        let is_over = |group: &Group| group.since_unix_ns <= before || group.since_unix_ns > now;
        let mut told = Vec::new();
        for key in self.oldest(is_over) {
            let Some(group) = self.of.get_mut(&key) else { continue };
            match group.untold.take() {
                Some(notice) => {
                    group.since_unix_ns = now;
                    self.untold -= notice.count;
                    told.push(notice);
                }
                None => {
                    self.of.remove(&key);
                }
            }
        }
        told
    }

    /// How long until something is to be told.
    #[must_use]
    pub fn next(&self, now: i64, window_ns: i64) -> Option<i64> {
        let untold = self.of.values().filter(|group| group.untold.is_some());
        let left = untold.map(|group| match group.since_unix_ns {
            since if since > now => 0,
            since => since.saturating_add(window_ns).saturating_sub(now).max(0),
        });
        left.min()
    }

    /// The oldest first. The same journal gives the same order.
    fn oldest(&self, wanted: impl Fn(&Group) -> bool) -> Vec<Key> {
        let mut groups: Vec<_> = self.of.values().filter(|group| wanted(group)).collect();
        groups.sort_unstable_by(|one, other| {
            (one.since_unix_ns, &one.key).cmp(&(other.since_unix_ns, &other.key))
        });
        groups.into_iter().map(|group| group.key.clone()).collect()
    }
}
