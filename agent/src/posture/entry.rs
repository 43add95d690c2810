//! What is kept of a process and of a container.

use std::sync::Arc;

use super::{
    Baseline, CONTROL_COUNT, Evidence, Exemption, FindingId, Observation, Outcome, Subject, UnknownReason,
    Verdict,
    hold::Hold,
    ledger::Share,
    observation::{CLASSES, Class},
};
use crate::context::{ContainerId, ContainerKey, Names, PendingReason};

/// Threads of a process that are kept apart because they differ from its leader.
pub(super) const MAX_THREADS: usize = 64;

/// What a control last said of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) class: Class,
    pub(super) digest: u32,
}

impl Mark {
    pub(super) const NONE: Self = Self { class: Class::NotApplicable, digest: 0 };

    pub(super) fn of(observation: &Observation) -> Self {
        Self { class: observation.outcome.class(), digest: observation.evidence.digest() }
    }
}

pub(super) type Marks = [Mark; CONTROL_COUNT];

pub(super) struct ProcessEntry {
    pub(super) container: ContainerKey,
    pub(super) exec_id: u64,
    pub(super) leader: Marks,
    /// Other threads that differ from the leader, or did.
    pub(super) threads: Vec<(u32, Marks)>,
    /// Path of the executable, made when the first instance needs it.
    pub(super) exe: Option<Arc<[u8]>>,
}

/// What is kept of a container.
pub(super) struct ContainerEntry {
    pub(super) id: ContainerId,
    pub(super) subject: Subject,
    pub(super) names: Option<Arc<Names>>,
    pub(super) pending: Option<PendingReason>,
    /// Its findings wait for its name.
    pub(super) hold: Hold,
    pub(super) baseline: Option<Baseline>,
    pub(super) exempt: [Option<Arc<Exemption>>; CONTROL_COUNT],
    /// Tasks by control and class.
    pub(super) tally: [[u32; CLASSES]; CONTROL_COUNT],
    pub(super) findings: [Option<FindingId>; CONTROL_COUNT],
    /// The newest observation that passed, and the newest that did not.
    pub(super) seen: [[Observation; 2]; CONTROL_COUNT],
    pub(super) processes: u32,
    /// Some tasks were not judged for want of room.
    pub(super) is_incomplete: bool,
    pub(super) is_gone: bool,
    /// Gone and counted out, waiting for its name until then.
    pub(super) linger_until: Option<u64>,
}

impl ContainerEntry {
    pub(super) fn share(&self, control: usize, exempt: bool) -> Share {
        let mut share = Share::default();
        for class in [Class::Unknown, Class::Fail, Class::Drift] {
            share[Verdict::of(class, exempt) as usize] += self.tally[control][class as usize];
        }
        share
    }

    /// The verdict on the container, and the observation behind it if that is still known.
    pub(super) fn verdict(&self, control: usize) -> (Verdict, Option<Observation>) {
        let tally = &self.tally[control];
        let seen = &self.seen[control];
        let worst = [Class::Drift, Class::Fail, Class::Unknown, Class::Pass]
            .into_iter()
            .find(|&class| tally[class as usize] > 0);
        match worst {
            None => (Verdict::Unknown, Some(Observation::NOT_JUDGED)),
            Some(Class::Pass) if self.is_incomplete => (
                Verdict::Unknown,
                Some(Observation {
                    outcome: Outcome::Unknown(UnknownReason::NotAllJudged),
                    evidence: Evidence::NONE,
                }),
            ),
            Some(class) => {
                let newest = seen[usize::from(class > Class::Pass)];
                let is_current = newest.outcome.class() == class;
                (Verdict::of(class, self.exempt[control].is_some()), is_current.then_some(newest))
            }
        }
    }

    pub(super) fn exemption(&self, control: usize) -> Option<&Arc<Exemption>> {
        self.exempt[control].as_ref()
    }
}

impl ProcessEntry {
    /// The marks of a thread; `None` when they need not or cannot be kept.
    pub(super) fn marks(
        &mut self,
        tid: u32,
        is_leader: bool,
        observations: &[Observation; CONTROL_COUNT],
    ) -> Option<&mut Marks> {
        if is_leader {
            return Some(&mut self.leader);
        }
        let place = match self.threads.iter().position(|(kept, _)| *kept == tid) {
            Some(place) => place,
            None => {
                let same = self.leader.iter().zip(observations).all(|(mark, new)| *mark == Mark::of(new));
                if same || self.threads.len() >= MAX_THREADS {
                    return None;
                }
                self.threads.push((tid, [Mark::NONE; CONTROL_COUNT]));
                self.threads.len() - 1
            }
        };
        Some(&mut self.threads[place].1)
    }
}
