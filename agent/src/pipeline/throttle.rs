//! What the kernel programs held back, per container: told when it begins, then every few seconds.

use hashbrown::HashMap;

use super::{
    episode::Episodes,
    groups::{Groups, Owner},
    lifecycle::ContainerEntry,
};
use crate::{
    context::{ContainerKey, Context},
    time::{Clock, SECOND},
};

/// Between two reports on the same container.
const REPORT_NS: u64 = 10 * SECOND;
/// A container that was not throttled for so long is at rest.
const QUIET_NS: u64 = 60 * SECOND;
/// Subjects that wait for their report. Beyond, what the host's cgroups had held back is one.
const SUBJECTS: usize = 1024;

/// What the buckets counted since they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// By cgroup: how many events were held back.
    pub cgroups: Vec<(u64, u64)>,
    /// When that was looked at before.
    pub from: Clock,
    /// Now.
    pub to: Clock,
}

/// Events that were held back because a cgroup sent too many.
#[derive(Clone, Debug)]
pub struct Throttled {
    /// Whose; `None`: the host's, or a cgroup that is not known.
    pub container: Option<ContainerEntry>,
    /// The container's cgroup, or the one that is not known; 0 for several of the host's.
    pub cgroup: u64,
    /// How many.
    pub events: u64,
    /// Since when.
    pub from: Clock,
    /// Until when.
    pub to: Clock,
    /// It was at rest before.
    pub begins: bool,
}

#[derive(Debug)]
struct Waiting {
    events: u64,
    from: Clock,
    to: Clock,
    begins: bool,
    told_ns: u64,
    /// As it was when it was last known.
    container: Option<ContainerEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Container(ContainerKey),
    Cgroup(u64),
}

/// What is to be told.
#[derive(Debug)]
pub(super) struct Throttles {
    episodes: Episodes,
    waiting: HashMap<Subject, Waiting>,
}

impl Throttles {
    pub(super) fn new() -> Self {
        Self { episodes: Episodes::new(QUIET_NS), waiting: HashMap::new() }
    }

    /// Takes in what the buckets counted.
    pub(super) fn take(&mut self, throttling: &Throttling, groups: &Groups, context: &Context) {
        let Throttling { cgroups, from, to } = throttling;
        for &(cgroup, events) in cgroups {
            let (subject, container) = match groups.owner(cgroup, context) {
                Owner::Container(entry) => (Subject::Container(entry.key), Some(entry)),
                Owner::Other => (Subject::Cgroup(cgroup), None),
            };
            let is_full = self.waiting.len() >= SUBJECTS && !self.waiting.contains_key(&subject);
            let subject = if is_full { Subject::Cgroup(0) } else { subject };
            let begins = match subject {
                Subject::Container(key) => self.episodes.begins(Some(key), to.boottime_ns),
                Subject::Cgroup(_) => false,
            };
            let waiting = self.waiting.entry(subject).or_insert_with(|| Waiting {
                events: 0,
                from: *from,
                to: *to,
                begins: false,
                told_ns: 0,
                container: None,
            });
            if waiting.events == 0 {
                waiting.from = *from;
            }
            waiting.events += events;
            waiting.to = *to;
            waiting.begins |= begins;
            waiting.container = if is_full { None } else { container };
        }
    }

    /// Gives what is due at `now_ns`; `all`: what is not, too.
    pub(super) fn report(
        &mut self,
        now_ns: u64,
        all: bool,
        context: &Context,
        mut each: impl FnMut(Throttled),
    ) {
        if self.waiting.is_empty() {
            return;
        }
        for (subject, waiting) in &mut self.waiting {
            let is_due = all || waiting.begins || now_ns.saturating_sub(waiting.told_ns) >= REPORT_NS;
            if waiting.events == 0 || !is_due {
                continue;
            }
            let (known, cgroup) = match subject {
                Subject::Container(key) => (context.container(*key).map(ContainerEntry::from), key.cgroup),
                Subject::Cgroup(cgroup) => (None, *cgroup),
            };
            // Its names may have come since.
            let container = known.or_else(|| waiting.container.clone());
            let events = std::mem::take(&mut waiting.events);
            let begins = std::mem::take(&mut waiting.begins);
            waiting.told_ns = now_ns;
            each(Throttled { container, cgroup, events, from: waiting.from, to: waiting.to, begins });
        }
        self.waiting
            .retain(|_, waiting| waiting.events > 0 || now_ns.saturating_sub(waiting.told_ns) < REPORT_NS);
    }
}
