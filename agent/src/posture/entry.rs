//! What is kept of a process and of a container.

use std::sync::Arc;

use agent_abi::record::{Capabilities, Ids, TaskState};

use super::{
    Baseline, CONTAINER_CONTROLS, ControlId, Evidence, Exemption, Explanation, FindingId, Gain, Judgement,
    Observation, Outcome, Subject, Surroundings, TASK_CONTROLS, UnknownReason, Verdict, WORKLOAD_CONTROLS,
    Witnessed,
    control::TASK,
    controls::threads_differ,
    hold::Hold,
    ledger::Share,
    observation::{CLASSES, Class},
};
use crate::context::{ContainerId, ContainerKey, Names, PendingReason, ProcessId};

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

pub(super) type Marks = [Mark; TASK_CONTROLS];

/// What the leader of a process may do, to be compared with what its next program gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) permitted: u64,
    pub(super) euid: u32,
}

pub(super) struct ProcessEntry {
    pub(super) container: ContainerKey,
    pub(super) exec_id: u64,
    pub(super) leader: Marks,
    /// As it was last judged; `None`: not yet.
    pub(super) rights: Option<Rights>,
    /// What its present program gave it.
    pub(super) gain: Gain,
    /// Other threads that differ from the leader, or did.
    pub(super) threads: Vec<ThreadEntry>,
    /// Path of the executable, made when the first instance needs it.
    pub(super) exe: Option<Arc<[u8]>>,
}

pub(super) struct ThreadEntry {
    pub(super) tid: u32,
    /// What it may do, to be compared with its leader.
    pub(super) may: May,
    pub(super) marks: Marks,
}

/// What the threads of a process should have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct May {
    ids: Ids,
    caps: Capabilities,
    no_new_privs: u32,
    seccomp: (u32, u32),
}

impl May {
    pub(super) const fn of(task: &TaskState) -> Self {
        let seccomp = (task.seccomp_mode, task.seccomp_filters);
        Self { ids: task.ids, caps: task.caps, no_new_privs: task.no_new_privs, seccomp }
    }
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
    pub(super) exempt: [Option<Arc<Exemption>>; WORKLOAD_CONTROLS],
    /// Tasks by control and class; of a control of containers, the container itself.
    pub(super) tally: [[u32; CLASSES]; WORKLOAD_CONTROLS],
    pub(super) findings: [Option<FindingId>; WORKLOAD_CONTROLS],
    /// The newest observation that passed, and the newest that did not.
    pub(super) seen: [[Observation; 2]; TASK_CONTROLS],
    /// What was last said of the container itself.
    pub(super) judgements: [Option<Arc<Judgement>>; CONTAINER_CONTROLS],
    /// The process by which that was seen.
    pub(super) through: Option<ProcessId>,
    pub(super) around: Surroundings,
    pub(super) witnessed: Witnessed,
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

    /// The verdict on the container, why it is UNKNOWN, and what is behind it if that is still known.
    pub(super) fn verdict(&self, control: usize) -> (Verdict, Option<UnknownReason>, Option<Explanation>) {
        if let Some(place) = control.checked_sub(TASK_CONTROLS) {
            let (verdict, reason) = self.verdict_with_reason(control);
            let judgement = self.judgements[place].as_ref();
            return (verdict, reason, judgement.map(|judgement| judgement.explanation.clone()));
        }
        let (verdict, observation) = self.task_verdict(control);
        let explanation = observation
            .filter(|observation| observation.evidence != Evidence::NONE)
            .map(|observation| (TASK[control].explain)(&observation.evidence));
        (verdict, observation.and_then(|observation| observation.outcome.unknown()), explanation)
    }

    /// Whether a control has something to say of the container.
    pub(super) fn applies(&self, control: usize) -> bool {
        let judgement = control.checked_sub(TASK_CONTROLS).and_then(|place| self.judgements[place].as_ref());
        judgement.is_none_or(|judgement| judgement.outcome != Outcome::NotApplicable)
    }

    /// The verdict, and why it is UNKNOWN. Makes no text.
    pub(super) fn verdict_with_reason(&self, control: usize) -> (Verdict, Option<UnknownReason>) {
        let outcome = match control.checked_sub(TASK_CONTROLS) {
            None => {
                let (verdict, observation) = self.task_verdict(control);
                return (verdict, observation.and_then(|observation| observation.outcome.unknown()));
            }
            Some(place) => self.judgements[place]
                .as_ref()
                .map_or(Outcome::Unknown(UnknownReason::NotInspected), |judgement| judgement.outcome),
        };
        (Verdict::of(outcome.class(), self.exempt[control].is_some()), outcome.unknown())
    }

    fn task_verdict(&self, control: usize) -> (Verdict, Option<Observation>) {
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
    /// The leader is judged; `is_new`: for the first time with its present program.
    pub(super) fn observe_rights(&mut self, task: &TaskState, is_new: bool) {
        let rights = Rights { permitted: task.caps.permitted, euid: task.ids.euid };
        let before = self.rights.replace(rights);
        if !is_new {
            return;
        }
        self.gain = match before {
            None => Gain::default(),
            Some(before) => {
                // A change of uid that was lost is none of the program's.
                let by_file = rights.euid == 0 || rights.euid != task.ids.uid;
                Gain {
                    capabilities: rights.permitted & !before.permitted,
                    euid_before: (rights.euid != before.euid && by_file).then_some(before.euid),
                }
            }
        };
    }

    /// The marks of a thread; `None` when they need not or cannot be kept.
    pub(super) fn marks(
        &mut self,
        task: &TaskState,
        is_leader: bool,
        observations: &[Observation; TASK_CONTROLS],
    ) -> Option<&mut Marks> {
        if is_leader {
            return Some(&mut self.leader);
        }
        let (tid, may) = (task.task.tid, May::of(task));
        let place = match self.threads.iter().position(|kept| kept.tid == tid) {
            Some(place) => place,
            None => {
                let same = self.leader.iter().zip(observations).all(|(mark, new)| *mark == Mark::of(new));
                if same || self.threads.len() >= MAX_THREADS {
                    return None;
                }
                self.threads.push(ThreadEntry { tid, may, marks: [Mark::NONE; TASK_CONTROLS] });
                self.threads.len() - 1
            }
        };
        let thread = &mut self.threads[place];
        thread.may = may;
        Some(&mut thread.marks)
    }

    /// A thread that is said to differ from its leader, which is as `task` now, and does so no more.
    pub(super) fn thread_like(&mut self, task: &TaskState) -> Option<u32> {
        const CONTROL: usize = ControlId::ThreadsDiffer as usize;
        let pass = Mark::of(&threads_differ::alike());
        let may = May::of(task);
        let differs =
            |thread: &&mut ThreadEntry| thread.marks[CONTROL].class == Class::Fail && thread.may == may;
        let thread = self.threads.iter_mut().find(differs)?;
        thread.marks[CONTROL] = pass;
        Some(thread.tid)
    }
}
