//! From the hot loop to the slow side: bounded, and never waited for.
//!
//! | outlet | when it is full |
//! |---|---|
//! | changes of findings | kept in a bounded backlog and sent on the next tick; beyond that the oldest is dropped and counted, and the snapshot that follows heals the store |
//! | questions for names | dropped and counted; context asks again |
//! | containers to be looked into | dropped and counted; asked again after half a second |
//! | the node to be read | dropped and counted; asked again after a second |
//! | cgroups to be found | dropped and counted; the rescan finds them |
//! | finished scans | the receiver counts, it cannot be full |

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::{mpsc, watch};

use super::{InspectionQuestion, Outgoing, Told, buffers::Lost};
use crate::{
    context::{ContainerKey, cri::Question},
    inspect::node::Candidate,
    posture::{CONTROLS, Change, Posture, Verdict},
    telemetry::{
        Telemetry,
        label::{Queue, QueueDrop, ScanKind, VerdictLabel},
    },
};

/// Changes kept while their channel is full.
const BACKLOG: usize = 4096;

/// A cgroup whose path is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupQuestion {
    /// Its inode number.
    pub cgroup: u64,
    /// A process that lies in it.
    pub tgid: u32,
}

/// The sending ends.
pub struct Outlets {
    /// Changes of findings, and inventories between them.
    pub changes: mpsc::Sender<Outgoing>,
    /// Containers to be named.
    pub names: mpsc::Sender<Question>,
    /// Cgroups to be found.
    pub cgroups: mpsc::Sender<CgroupQuestion>,
    /// Containers to be looked into.
    pub inspections: mpsc::Sender<InspectionQuestion>,
    /// Processes that may be parts of Kubernetes, when the node is to be read.
    pub node: mpsc::Sender<Vec<Candidate>>,
    /// Start scans done.
    pub start_scan: watch::Sender<bool>,
    /// What came of the changes.
    pub told: Arc<Told>,
    sent: u64,
    /// Left the backlog without being sent.
    dropped: u64,
    dropped_before: u64,
    backlog: VecDeque<Outgoing>,
    lost: Option<Lost>,
    /// Containers whose question found no room.
    pub(super) refused: Vec<ContainerKey>,
}

impl Outlets {
    /// With these ends.
    #[must_use]
    pub fn new(
        changes: mpsc::Sender<Outgoing>,
        names: mpsc::Sender<Question>,
        cgroups: mpsc::Sender<CgroupQuestion>,
        inspections: mpsc::Sender<InspectionQuestion>,
        node: mpsc::Sender<Vec<Candidate>>,
        start_scan: watch::Sender<bool>,
    ) -> Self {
        Self {
            changes,
            names,
            cgroups,
            inspections,
            node,
            start_scan,
            told: Arc::default(),
            sent: 0,
            dropped: 0,
            dropped_before: 0,
            lost: None,
            backlog: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn send_changes(&mut self, changes: &mut Vec<Change>, telemetry: &Telemetry) {
        for change in changes.drain(..) {
            self.send(Outgoing::Change(Box::new(change)), telemetry);
        }
    }

    /// Sends it, behind all that was sent before.
    pub(super) fn send(&mut self, outgoing: Outgoing, telemetry: &Telemetry) {
        if !self.backlog.is_empty() {
            if self.backlog.len() == BACKLOG
                && let Some(oldest) = self.backlog.pop_front()
            {
                self.drop_one(&oldest, QueueDrop::Full, telemetry);
            }
            self.backlog.push_back(outgoing);
            return;
        }
        if let Some(outgoing) = self.try_send(outgoing, telemetry) {
            self.backlog.push_back(outgoing);
        }
    }

    /// Gives it back if there is no room.
    fn try_send(&mut self, outgoing: Outgoing, telemetry: &Telemetry) -> Option<Outgoing> {
        match self.changes.try_send(outgoing) {
            Ok(()) => {
                self.sent += 1;
                None
            }
            Err(mpsc::error::TrySendError::Full(outgoing)) => Some(outgoing),
            Err(mpsc::error::TrySendError::Closed(outgoing)) => {
                self.drop_one(&outgoing, QueueDrop::Closed, telemetry);
                None
            }
        }
    }

    fn drop_one(&mut self, outgoing: &Outgoing, why: QueueDrop, telemetry: &Telemetry) {
        self.dropped += 1;
        telemetry.queues.dropped.of(Queue::Findings, why).add(1);
        match outgoing {
            Outgoing::Change(change) => {
                Lost::add(&mut self.lost, "queue findings", "queue full", change.at);
            }
            Outgoing::Lost(lost) => {
                // What it tells of is lost all the same.
                let told = self.lost.get_or_insert(Lost { lost: 0, ..*lost });
                told.lost += lost.lost;
                (told.from, told.to) = (told.from.min(lost.from), told.to.max(lost.to));
            }
            Outgoing::Throttled(throttled) => {
                Lost::add(&mut self.lost, "queue findings", "queue full", throttled.to);
            }
            Outgoing::Detected(detected) => {
                Lost::add(&mut self.lost, "queue findings", "queue full", detected.at);
            }
            Outgoing::Detection(detection) => {
                Lost::add(&mut self.lost, "queue findings", "queue full", detection.at);
            }
            // Another is asked for within minutes.
            Outgoing::Inventory(_) => {}
        }
    }

    /// Sends what the channel had no room for.
    pub(super) fn retry(&mut self, telemetry: &Telemetry) {
        while let Some(outgoing) = self.backlog.pop_front() {
            if let Some(outgoing) = self.try_send(outgoing, telemetry) {
                self.backlog.push_front(outgoing);
                break;
            }
        }
        if self.backlog.is_empty()
            && let Some(lost) = self.lost.take()
        {
            self.send(Outgoing::Lost(lost), telemetry);
        }
        let queued = self.changes.max_capacity() - self.changes.capacity() + self.backlog.len();
        telemetry.queues.depth.of(Queue::Findings).set(queued as u64);
        let asked = self.names.max_capacity() - self.names.capacity();
        telemetry.queues.depth.of(Queue::CriRequests).set(asked as u64);
    }

    /// What was given to it, and how much of that is told or was dropped.
    pub(super) fn progress(&self) -> (u64, u64) {
        let given = self.sent + self.dropped + self.backlog.len() as u64;
        (given, self.told.changes.load(Ordering::Acquire) + self.dropped)
    }

    /// Whether something was dropped since this was last asked.
    pub(super) const fn has_dropped(&mut self) -> bool {
        let before = self.dropped_before;
        self.dropped_before = self.dropped;
        self.dropped > before
    }

    /// Since when something is lost that is not told as lost yet.
    pub(super) fn lost_since(&self) -> Option<u64> {
        self.lost.map(|lost| lost.from.boottime_ns)
    }

    /// Asks, unless the queue is full: then context has to ask again soon.
    pub(super) fn ask_name(&mut self, question: Question, telemetry: &Telemetry) {
        if let Err(error) = self.names.try_send(question) {
            telemetry.queues.dropped.of(Queue::CriRequests, reason(&error)).add(1);
            self.refused.push(question.key);
        }
    }

    pub(super) fn ask_cgroup(&mut self, cgroup: u64, tgid: u32, telemetry: &Telemetry) {
        if let Err(error) = self.cgroups.try_send(CgroupQuestion { cgroup, tgid }) {
            telemetry.queues.dropped.of(Queue::CgroupRequests, reason(&error)).add(1);
        }
    }

    /// Whether there was room.
    pub(super) fn ask_inspection(&mut self, question: InspectionQuestion, telemetry: &Telemetry) -> bool {
        let sent = self.inspections.try_send(question);
        if let Err(error) = &sent {
            telemetry.queues.dropped.of(Queue::Inspections, reason(error)).add(1);
        }
        sent.is_ok()
    }

    /// Whether there was room: there is none while the node is being read.
    pub(super) fn ask_node(&mut self, candidates: Vec<Candidate>, telemetry: &Telemetry) -> bool {
        let sent = self.node.try_send(candidates);
        if let Err(error) = &sent {
            telemetry.queues.dropped.of(Queue::NodeReads, reason(error)).add(1);
        }
        sent.is_ok()
    }

    pub(super) fn scan_done(&mut self, kind: ScanKind) {
        if kind == ScanKind::Start {
            self.start_scan.send_replace(true);
        }
    }
}

const fn reason<T>(error: &mpsc::error::TrySendError<T>) -> QueueDrop {
    match error {
        mpsc::error::TrySendError::Full(_) => QueueDrop::Full,
        mpsc::error::TrySendError::Closed(_) => QueueDrop::Closed,
    }
}

/// Findings and containers by control and verdict, as gauges.
pub(super) fn measure_verdicts(posture: &Posture, telemetry: &Telemetry) {
    let gauges = &telemetry.posture;
    for (summary, gauge) in [(posture.findings(), &gauges.findings), (posture.verdicts(), &gauges.containers)]
    {
        for (control, by_verdict) in CONTROLS.iter().zip(summary) {
            let Some(cells) = gauge.of(control.slug) else { continue };
            for verdict in Verdict::ALL {
                cells.of(VerdictLabel::from(verdict)).set(by_verdict[verdict as usize]);
            }
        }
    }
}
