//! What the log says of one node.

use std::collections::{BTreeMap, HashMap};

use kestrel_proto::v1::{self, NodeCondition, NodeStatus, record::Event};

use super::{
    detected::{Detected, Index},
    findings::{Findings, Seen},
    inventory::{Containers, Incoming},
    transition::Change,
    watermark::LaneMark,
};

/// Most lanes of a node's outboxes: some sixty starts of an agent that never got rid of its events.
const LANES: usize = 192;

/// One node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The last that it said when it connected; a default before.
    pub hello: v1::Hello,
    /// Condition, since when, why.
    pub status: NodeStatus,
    /// When the log's last frame of it was taken, the collector's clock.
    pub last_frame_unix_ns: i64,
    /// When its last inventory was taken in.
    pub inventory_unix_ns: Option<i64>,
    /// Numbers that will never arrive.
    pub gap_events: u64,
    /// Missing numbers of outboxes for which there was no room any more.
    pub lost_events: u64,
    /// Its findings.
    pub findings: Findings,
    /// Its containers.
    pub containers: Containers,
    /// What the controls of the node said in its last inventory.
    pub controls: Vec<v1::ControlPosture>,
    pub(super) incoming: Incoming,
    pub(super) lanes: BTreeMap<(u64, i32), LaneMark>,
}

impl Node {
    /// Numbers that are missing and that no gap explains.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        self.lost_events + self.lanes.values().map(LaneMark::unexplained).sum::<u64>()
    }

    /// Whether what is known of it may not be true any more.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self.status.condition(), NodeCondition::Silent | NodeCondition::Stopped)
    }

    /// How far these outboxes got; nothing of one that is not known.
    #[must_use]
    pub fn watermarks(&self, epochs: &[u64]) -> Vec<v1::Watermark> {
        self.lanes
            .iter()
            .filter(|((epoch, _), _)| epochs.contains(epoch))
            .map(|(&(epoch, lane), mark)| v1::Watermark { epoch, lane, sequence: mark.sequence() })
            .collect()
    }

    pub(super) fn hello(&mut self, hello: &v1::Hello, at_unix_ns: i64) {
        if self.hello.boot_id != hello.boot_id {
            self.containers.clear();
        }
        let listed = |epoch: u64| hello.epochs.iter().any(|listed| listed.epoch == epoch);
        // A gap that explains what one of them lacks may still be on its way, in a later outbox.
        self.lanes.retain(|&(epoch, _), mark| listed(epoch) || mark.unexplained() > 0);
        self.incoming.restart(listed);
        self.findings.prune(at_unix_ns);
        self.hello = hello.clone();
        // Nobody was told that it stopped, so nobody is told that it is back.
        if matches!(self.status.condition(), NodeCondition::Unspecified | NodeCondition::Stopped) {
            self.status = NodeStatus { since_unix_ns: at_unix_ns, ..NodeStatus::default() };
            self.status.set_condition(NodeCondition::Healthy);
        }
    }

    pub(super) fn batch(&mut self, batch: &v1::Batch, boot_id: &str, at_unix_ns: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.make_room((batch.epoch, batch.lane));
        let mark = self.lanes.entry((batch.epoch, batch.lane)).or_default();
        let known = mark.take(batch.first_sequence, batch.records.len() as u64);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let (mut containers, mut index) = (None, None);
        for (place, record) in batch.records.iter().enumerate().skip(known) {
            let seen = Seen { epoch: batch.epoch, sequence: batch.first_sequence + place as u64, at_unix_ns };
            match &record.event {
                Some(Event::Finding(finding)) => {
                    changes.extend(self.findings.event(finding, seen, rank(&self.hello)));
                }
                Some(Event::Detection(detection)) => {
                    let index = index.get_or_insert_with(|| Index::new(batch));
                    let detected = Detected::new(record, detection, index);
                    changes.push(Change::Detected(detected.into()));
                }
                Some(Event::Gap(gap)) => {
                    self.make_room((gap.epoch, gap.lane));
                    let mark = self.lanes.entry((gap.epoch, gap.lane)).or_default();
                    self.gap_events += mark.gap(gap.from_sequence, gap.to_sequence);
                }
                // What an earlier start left behind says nothing of the one that runs.
                Some(Event::Stop(stop)) if self.is_current(batch.epoch) => {
                    self.status.since_unix_ns = at_unix_ns;
                    self.status.detail.clone_from(&stop.reason);
                    // Who is silent or blind stays it until it is well again.
                    if self.status.condition() == NodeCondition::Healthy {
                        self.status.set_condition(NodeCondition::Stopped);
                    }
                }
                Some(
                    event @ (Event::ContainerStarted(_) | Event::ContainerNamed(_) | Event::ContainerGone(_)),
                ) if boot_id == self.hello.boot_id => {
                    let defined = containers.get_or_insert_with(|| defined(batch));
                    self.container(event, defined, record.boottime_ns);
                }
                _ => {}
            }
        }
        changes.extend(self.reconcile(at_unix_ns));
        changes
    }

    fn is_current(&self, epoch: u64) -> bool {
        self.hello.epochs.last().is_none_or(|current| current.epoch == epoch)
    }

    /// Room for one more lane: one that the node does not name any more goes first.
    fn make_room(&mut self, lane: (u64, i32)) {
        if self.lanes.len() < LANES || self.lanes.contains_key(&lane) {
            return;
        }
        let listed = |epoch: u64| self.hello.epochs.iter().any(|listed| listed.epoch == epoch);
        let unlisted = self.lanes.keys().find(|&&(epoch, _)| !listed(epoch));
        let goes = unlisted.or_else(|| self.lanes.keys().next()).copied();
        if let Some(mark) = goes.and_then(|goes| self.lanes.remove(&goes)) {
            self.lost_events += mark.unexplained();
        }
    }

    fn container(&mut self, event: &Event, defined: &HashMap<&str, &v1::Container>, boottime_ns: u64) {
        let id = match event {
            Event::ContainerStarted(started) => &started.container_id,
            Event::ContainerNamed(named) => &named.container_id,
            Event::ContainerGone(gone) => {
                self.containers.gone(&gone.container_id, boottime_ns);
                return;
            }
            _ => return,
        };
        match defined.get(id.as_str()) {
            Some(container) => self.containers.there(container, boottime_ns),
            None => {
                let unnamed = v1::Container { id: id.clone(), ..v1::Container::default() };
                self.containers.there(&unnamed, boottime_ns);
            }
        }
    }

    pub(super) fn inventory(&mut self, part: &v1::Inventory, at_unix_ns: i64) -> Vec<Change> {
        self.incoming.part(part);
        self.reconcile(at_unix_ns)
    }

    /// Takes in an inventory whose time has come.
    fn reconcile(&mut self, at_unix_ns: i64) -> Vec<Change> {
        let lanes = &self.lanes;
        let reached = |after: &v1::Watermark| {
            lanes.get(&(after.epoch, after.lane)).is_some_and(|mark| mark.sequence() >= after.sequence)
        };
        let Some(inventory) = self.incoming.ready(reached) else { return Vec::new() };
        let after = inventory.after.unwrap_or_default();
        // Without an outbox's number it is as of the current one's begin.
        let epoch = if after.epoch == 0 {
            self.hello.epochs.last().map_or(0, |epoch| epoch.epoch)
        } else {
            after.epoch
        };
        let seen = Seen { epoch, sequence: after.sequence, at_unix_ns };
        let changes = self.findings.reconcile(&inventory.findings, seen, rank(&self.hello));
        self.containers.reconcile(inventory.containers, inventory.boottime_ns);
        self.controls = inventory.node_controls;
        self.inventory_unix_ns = Some(at_unix_ns);
        self.findings.prune(at_unix_ns);
        changes
    }

    pub(super) fn status(&mut self, status: &NodeStatus) -> Option<Change> {
        let before = self.status.condition();
        self.status = status.clone();
        (before != status.condition()).then(|| Change::Node(status.clone()))
    }
}

/// Outboxes in the order in which the node began them, from 1; 0 for one that it does not name.
fn rank(hello: &v1::Hello) -> impl Fn(u64) -> u32 {
    |epoch| {
        let place = hello.epochs.iter().position(|listed| listed.epoch == epoch);
        place.map_or(0, |place| u32::try_from(place).map_or(u32::MAX, |place| place.saturating_add(1)))
    }
}

fn defined(batch: &v1::Batch) -> HashMap<&str, &v1::Container> {
    batch.containers.iter().map(|container| (container.id.as_str(), container)).collect()
}
