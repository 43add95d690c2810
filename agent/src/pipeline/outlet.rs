//! From the hot loop to the slow side: bounded, and never waited for.
//!
//! | outlet | when it is full |
//! |---|---|
//! | changes of findings | kept in a bounded backlog and sent on the next tick; beyond that the oldest is dropped and counted, and the snapshot that follows heals the store |
//! | questions for names | dropped and counted; context asks again |
//! | cgroups to be found | dropped and counted; the rescan finds them |
//! | finished scans | the receiver counts, it cannot be full |

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::{mpsc, watch};

use super::Told;
use crate::{
    context::{ContainerKey, cri::Question},
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
    /// Changes of findings.
    pub changes: mpsc::Sender<Change>,
    /// Containers to be named.
    pub names: mpsc::Sender<Question>,
    /// Cgroups to be found.
    pub cgroups: mpsc::Sender<CgroupQuestion>,
    /// Start scans done.
    pub start_scan: watch::Sender<bool>,
    /// What came of the changes.
    pub told: Arc<Told>,
    sent: u64,
    backlog: VecDeque<Change>,
    /// Containers whose question found no room.
    pub(super) refused: Vec<ContainerKey>,
}

impl Outlets {
    /// With these ends.
    #[must_use]
    pub fn new(
        changes: mpsc::Sender<Change>,
        names: mpsc::Sender<Question>,
        cgroups: mpsc::Sender<CgroupQuestion>,
        start_scan: watch::Sender<bool>,
    ) -> Self {
        let told = Arc::default();
        let (backlog, refused) = (VecDeque::new(), Vec::new());
        Self { changes, names, cgroups, start_scan, told, sent: 0, backlog, refused }
    }

    pub(super) fn send_changes(&mut self, changes: &mut Vec<Change>, telemetry: &Telemetry) {
        for change in changes.drain(..) {
            if self.backlog.is_empty() {
                match self.changes.try_send(change) {
                    Ok(()) => self.sent += 1,
                    Err(mpsc::error::TrySendError::Full(change)) => self.backlog.push_back(change),
                    Err(mpsc::error::TrySendError::Closed(_)) => {
                        telemetry.queues.dropped.of(Queue::Findings, QueueDrop::Closed).add(1);
                    }
                }
            } else {
                if self.backlog.len() == BACKLOG {
                    self.backlog.pop_front();
                    telemetry.queues.dropped.of(Queue::Findings, QueueDrop::Full).add(1);
                }
                self.backlog.push_back(change);
            }
        }
    }

    /// Sends what the channel had no room for.
    pub(super) fn retry(&mut self, telemetry: &Telemetry) {
        while let Some(change) = self.backlog.pop_front() {
            match self.changes.try_send(change) {
                Ok(()) => self.sent += 1,
                Err(mpsc::error::TrySendError::Full(change)) => {
                    self.backlog.push_front(change);
                    break;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    telemetry.queues.dropped.of(Queue::Findings, QueueDrop::Closed).add(1);
                }
            }
        }
        let queued = self.changes.max_capacity() - self.changes.capacity() + self.backlog.len();
        telemetry.queues.depth.of(Queue::Findings).set(queued as u64);
        let asked = self.names.max_capacity() - self.names.capacity();
        telemetry.queues.depth.of(Queue::CriRequests).set(asked as u64);
    }

    /// Whether all changes are on disk, and all that this start had to tell.
    pub(super) fn are_told(&self) -> bool {
        self.backlog.is_empty()
            && self.told.changes.load(Ordering::Acquire) == self.sent
            && self.told.ready.load(Ordering::Acquire)
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
