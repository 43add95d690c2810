//! Judges tasks, and keeps what each one was judged to be so that only changes count.

use std::{collections::BTreeMap, sync::Arc};

use agent_abi::record::{TaskState, task_flag};
use hashbrown::HashMap;

use super::{
    Baseline, CONTAINER_CONTROLS, CONTROLS, Change, ControlId, Counters, Exemptions, Facts, Gain, HostFacts,
    Judgement, Observation, Policy, Settings, Sight, Sizes, Subject, Surroundings, TASK_CONTROLS, Verdict,
    WORKLOAD_CONTROLS, Witnessed,
    control::TASK,
    controls::threads_differ,
    entry::{ContainerEntry, MAX_THREADS, Mark, ProcessEntry},
    finding::Instance,
    hold::Hold,
    ledger::Ledger,
    observation::{CLASSES, Class},
};
use crate::{
    context::{
        Container, ContainerId, ContainerKey, Enrichment, PendingReason, Process, ProcessId, SeccompAllow,
        Stage,
    },
    time::{Clock, Date, SECOND},
};

/// From one look of the loop to the next, from which on it stood still: a turn takes some milliseconds.
const STANDSTILL_NS: u64 = SECOND;

const _: () = assert!(TASK_CONTROLS <= 64, "changed controls are the bits of a u64");

/// Why a task is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It replaced its image.
    Exec,
    /// It is a copy of its parent, which was judged already; not counted again.
    Fork,
    /// It changed its credentials, its seccomp filter or its namespaces.
    Credentials,
    /// It was found by the start scan or a rescan.
    Scan,
    /// What is known around it changed, such as its container's name; not counted again.
    Context,
}

/// One task to judge.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Its state now; a thread's own, if it is not the leader.
    pub task: &'a TaskState,
    /// What its seccomp filters allow.
    pub allow: &'a SeccompAllow,
    /// Its process.
    pub process: &'a Process,
    /// Its container.
    pub container: &'a Container,
}

/// What a control saw, and of whom.
pub(super) struct Sighting<'a> {
    pub(super) container: ContainerKey,
    pub(super) container_id: ContainerId,
    pub(super) process: ProcessId,
    /// The task; of a control of containers, the leader of the process by which the container was seen.
    pub(super) task: &'a TaskState,
    pub(super) exe_path: &'a [u8],
    pub(super) observation: Observation,
    /// Of a control of containers.
    pub(super) judgement: Option<&'a Arc<Judgement>>,
}

/// The judge and its ledger. Lives on the hot loop's thread; nothing in here waits.
pub struct Posture {
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) sight: Sight,
    pub(super) exemptions: Exemptions,
    host: HostFacts,
    /// Last day for which exemptions were looked up.
    pub(super) today: Option<Date>,
    pub(super) ledger: Ledger,
    pub(super) containers: HashMap<ContainerKey, ContainerEntry>,
    pub(super) processes: HashMap<ProcessId, ProcessEntry>,
    /// What the controls of the node last said.
    pub(super) node: BTreeMap<ControlId, Arc<Judgement>>,
    /// Who the containers of the last run belonged to.
    pub(super) remembered: HashMap<ContainerId, Subject>,
    /// There are findings of the last run that nothing confirmed yet.
    pub(super) has_unconfirmed: bool,
    /// The same of controls that look at containers and at the node as a whole.
    pub(super) has_unseen: bool,
    pub(super) scanned_at: Option<u64>,
    /// Boottime at which the loop last looked up, which records may be older than; 0 before the first time.
    looked_up_ns: u64,
}

impl Posture {
    /// A judge that knows nothing yet. `node` is part of every finding's id.
    #[must_use]
    pub fn new(
        settings: Settings,
        policy: Policy,
        exemptions: Exemptions,
        host: HostFacts,
        node: String,
    ) -> Self {
        let ledger = Ledger::new(node, settings, policy.severities);
        Self {
            settings,
            policy,
            sight: Sight::default(),
            exemptions,
            host,
            today: None,
            ledger,
            containers: HashMap::new(),
            processes: HashMap::new(),
            node: BTreeMap::new(),
            remembered: HashMap::new(),
            has_unconfirmed: false,
            has_unseen: false,
            scanned_at: None,
            looked_up_ns: 0,
        }
    }

    /// The loop looks up, at this boottime. Where it did not for a while (stopped, throttled, suspended, much to
    /// read) it took no names either, so what waits for one begins to wait anew, some times at most; the answer is
    /// whether that is so.
    pub fn look_up(&mut self, now_ns: u64) -> bool {
        let since = std::mem::replace(&mut self.looked_up_ns, now_ns);
        let stood_still = since != 0 && now_ns.saturating_sub(since) >= STANDSTILL_NS;
        if stood_still {
            let until = now_ns.saturating_add(self.settings.name_wait_ns);
            for entry in self.containers.values_mut() {
                if entry.names.is_none() {
                    entry.hold.renew(entry.pending, since, until);
                }
            }
            self.ledger.renew_holds(since, until);
        }
        stood_still
    }

    /// Judges a task by every control. Does not allocate unless something changed. A task that
    /// still runs the runtime's code is left alone.
    pub fn judge(&mut self, judged: Judged<'_>, cause: Cause, now: Clock, changes: &mut Vec<Change>) {
        let Judged { task, allow, process, container } = judged;
        if process.stage == Stage::Runtime || task.flags & task_flag::KERNEL_THREAD != 0 {
            return;
        }
        if !self.known(container, now) {
            return;
        }
        let key = container.key;
        let Some(entry) = self.containers.get_mut(&key) else { return };
        let is_leader = task.task.tid == task.task.tgid;
        let is_init = is_leader && container.init == Some(process.id);
        if is_init && entry.baseline.is_none() && task.ns.user != 0 {
            entry.baseline = Some(Baseline { state: *task });
        }
        let (baseline, around) = (entry.baseline, entry.around);
        let is_sandboxed = entry.names.as_ref().is_some_and(|names| names.sandboxed_runtime);
        if !self.make_process(process.id, key, task.exec_id, cause, now, changes) {
            return;
        }
        self.ledger.counters.judged += 1;
        let Some(entry) = self.processes.get_mut(&process.id) else { return };
        if is_leader {
            entry.observe_rights(task, cause == Cause::Exec);
        }

        let facts = Facts {
            task,
            allow,
            process,
            container,
            declared: Facts::declared_of(container),
            host: &self.host,
            baseline: baseline.as_ref(),
            gain: if is_leader { entry.gain } else { Gain::default() },
            around,
            policy: &self.policy,
            is_scan: cause == Cause::Scan,
        };
        let mut observations = [Observation::NOT_APPLICABLE; TASK_CONTROLS];
        for ((observation, control), enabled) in observations.iter_mut().zip(&TASK).zip(self.policy.enabled) {
            if !enabled {
                continue;
            }
            *observation = if is_sandboxed { Observation::SANDBOXED } else { (control.check)(&facts) };
        }
        let Some(marks) = entry.marks(task, is_leader, &observations) else {
            if is_leader || entry.threads.len() >= MAX_THREADS {
                self.refuse(key);
            }
            return;
        };
        let mut changed = 0_u64;
        let mut old = [Class::NotApplicable; TASK_CONTROLS];
        for (control, (mark, observation)) in marks.iter_mut().zip(&observations).enumerate() {
            let new = Mark::of(observation);
            if *mark != new {
                changed |= 1 << control;
                old[control] = mark.class;
                *mark = new;
            }
        }
        while changed != 0 {
            let control = changed.trailing_zeros() as usize;
            changed &= changed - 1;
            let sighting = Sighting {
                container: key,
                container_id: container.id,
                process: process.id,
                task,
                exe_path: &process.exe_path,
                observation: observations[control],
                judgement: None,
            };
            self.turn(control, old[control], &sighting, cause, now, changes);
        }
        if is_leader {
            self.settle_threads(judged, now, changes);
        }
    }

    /// The leader of a process may something else than before: threads that differed may be like it now.
    fn settle_threads(&mut self, judged: Judged<'_>, now: Clock, changes: &mut Vec<Change>) {
        let Judged { task, process, container, .. } = judged;
        while let Some(tid) = self.processes.get_mut(&process.id).and_then(|entry| entry.thread_like(task)) {
            let mut thread = *task;
            thread.task.tid = tid;
            let sighting = Sighting {
                container: container.key,
                container_id: container.id,
                process: process.id,
                task: &thread,
                exe_path: &process.exe_path,
                observation: threads_differ::alike(),
                judgement: None,
            };
            let control = ControlId::ThreadsDiffer as usize;
            self.turn(control, Class::Fail, &sighting, Cause::Context, now, changes);
        }
    }

    /// Whether the container is kept, which it is from now on if there is room.
    pub(super) fn known(&mut self, container: &Container, now: Clock) -> bool {
        match self.containers.get(&container.key) {
            Some(entry) => {
                if entry.names.is_none() && matches!(container.enrichment, Enrichment::Complete(_)) {
                    self.named(container, now);
                }
                // Counted out already: a late event of a container that is no more.
                self.containers.get(&container.key).is_some_and(|entry| entry.linger_until.is_none())
            }
            None if container.gone => false,
            None if self.containers.len() >= self.settings.max_containers => {
                self.ledger.counters.containers_refused += 1;
                false
            }
            None => {
                let mut entry = self.new_container(container, now);
                let goes_on = self.has_unconfirmed && self.take_up_pending(&mut entry);
                self.containers.insert(container.key, entry);
                if goes_on {
                    self.named(container, now);
                }
                true
            }
        }
    }

    fn new_container(&self, container: &Container, now: Clock) -> ContainerEntry {
        let (names, pending) = match &container.enrichment {
            Enrichment::Complete(names) => (Some(Arc::clone(names)), None),
            Enrichment::Pending(reason) => (None, Some(*reason)),
        };
        let remembered = self.remembered.get(&container.id).filter(|_| names.is_none()).cloned();
        let wait = match pending {
            // Nobody is asked, so nothing is worth waiting for.
            None | Some(PendingReason::NoRuntime) => 0,
            Some(_) => self.settings.name_wait_ns,
        };
        ContainerEntry {
            id: container.id,
            subject: remembered.unwrap_or_else(|| Subject::of(container)),
            exempt: self.exemptions_of(names.as_deref(), now.date()),
            names,
            pending,
            // A record may be read late, and only then is asked for the name.
            hold: Hold::for_name(now.boottime_ns.max(self.looked_up_ns), wait),
            baseline: None,
            tally: [[0; CLASSES]; WORKLOAD_CONTROLS],
            findings: [None; WORKLOAD_CONTROLS],
            seen: [[Observation::NOT_JUDGED; 2]; TASK_CONTROLS],
            judgements: [const { None }; CONTAINER_CONTROLS],
            through: None,
            around: Surroundings::default(),
            witnessed: Witnessed::default(),
            processes: 0,
            is_incomplete: false,
            is_gone: false,
            linger_until: None,
        }
    }

    /// Whether the process is kept with its present image, which it is from now on if there is
    /// room.
    fn make_process(
        &mut self,
        id: ProcessId,
        container: ContainerKey,
        exec_id: u64,
        cause: Cause,
        now: Clock,
        changes: &mut Vec<Change>,
    ) -> bool {
        if let Some(entry) = self.processes.get_mut(&id) {
            // 0: not read, as in a scan of /proc, which sees images and no changes of them.
            let is_read = entry.exec_id != 0 && exec_id != 0;
            let is_same_image = entry.exec_id == exec_id || (!is_read && cause != Cause::Exec);
            let is_same_container = entry.container == container;
            entry.exec_id = if is_same_image { entry.exec_id.max(exec_id) } else { exec_id };
            if is_same_container {
                if !is_same_image {
                    self.image_replaced(id, now, changes);
                }
                return true;
            }
            self.process_gone(id, now, changes);
        }
        if self.processes.len() >= self.settings.max_processes {
            self.refuse(container);
            return false;
        }
        let Some(entry) = self.containers.get_mut(&container) else { return false };
        entry.processes += 1;
        self.processes.insert(
            id,
            ProcessEntry {
                container,
                exec_id,
                leader: [Mark::NONE; TASK_CONTROLS],
                rights: None,
                gain: Gain::default(),
                threads: Vec::new(),
                exe: None,
            },
        );
        true
    }

    fn refuse(&mut self, container: ContainerKey) {
        self.ledger.counters.tasks_refused += 1;
        if let Some(entry) = self.containers.get_mut(&container) {
            entry.is_incomplete = true;
        }
    }

    /// One control says something else than before.
    pub(super) fn turn(
        &mut self,
        control: usize,
        old: Class,
        sighting: &Sighting<'_>,
        cause: Cause,
        now: Clock,
        changes: &mut Vec<Change>,
    ) {
        let Sighting { task, process, observation, .. } = *sighting;
        let Some(entry) = self.containers.get_mut(&sighting.container) else { return };
        let new = observation.outcome.class();
        if old != new {
            let tally = &mut entry.tally[control];
            tally[old as usize] = tally[old as usize].saturating_sub(1);
            tally[new as usize] += 1;
        }
        if new != Class::NotApplicable
            && let Some(seen) = entry.seen.get_mut(control)
        {
            seen[usize::from(new > Class::Pass)] = observation;
        }

        let exempt = entry.exempt[control].is_some();
        let (old, new) = (Verdict::of(old, exempt), Verdict::of(new, exempt));
        let kept = entry.findings[control].and_then(|id| self.ledger.get_mut(id));
        if old == new && old != Verdict::Pass {
            if let Some(finding) = kept {
                finding.update(process, task.task.tid, observation, sighting.judgement);
                let id = finding.id;
                self.ledger.settle(id, now, changes);
            }
            return;
        }
        let has_finding = kept.is_some();
        if old != Verdict::Pass
            && let Some(finding) = kept
        {
            finding.remove(old, process, task.task.tid, now);
        }
        if new != Verdict::Pass {
            let control_id = CONTROLS[control].id;
            let id = entry.findings[control].unwrap_or_else(|| self.ledger.id_of(&entry.subject, control_id));
            let is_pending = entry.names.is_none();
            let hold = if is_pending { entry.hold } else { Hold::until(now.boottime_ns) };
            let Some(finding) = self.ledger.open(id, &entry.subject, control_id, now, hold) else {
                entry.findings[control] = None;
                return;
            };
            if !has_finding {
                finding.attached += 1;
                entry.findings[control] = Some(id);
            }
            finding.pending = entry.pending;
            if is_pending {
                finding.hold.extend(hold);
            }
            if let Some(exemption) = &entry.exempt[control] {
                finding.exemption = Some(Arc::clone(exemption));
            }
            let is_counted = match cause {
                Cause::Exec | Cause::Credentials => old == Verdict::Pass,
                // What the last run counted is not counted again.
                Cause::Scan => old == Verdict::Pass && finding.restored.is_none(),
                Cause::Fork | Cause::Context => false,
            };
            let exe = match self.processes.get_mut(&process) {
                Some(entry) => Arc::clone(entry.exe.get_or_insert_with(|| Arc::from(sighting.exe_path))),
                None => Arc::from(sighting.exe_path),
            };
            let instance = Instance {
                container: Some((sighting.container, sighting.container_id)),
                names: entry.names.clone(),
                process,
                tid: task.task.tid,
                ns_tgid: task.ns_tgid,
                exe,
                comm: task.comm,
                uid: task.ids.uid,
                euid: task.ids.euid,
                ns_euid: task.ids.ns_euid,
                judgement: sighting.judgement.map(Arc::clone),
                verdict: new,
                outcome: observation.outcome,
                evidence: observation.evidence,
                since: now,
            };
            finding.add(instance, is_counted, self.settings.max_instances);
        }
        if let Some(id) = entry.findings[control] {
            self.ledger.settle(id, now, changes);
        }
    }

    /// How long a finding waits for a name, in nanoseconds.
    #[must_use]
    pub const fn name_wait_ns(&self) -> u64 {
        self.settings.name_wait_ns
    }

    /// Since when the longest held finding waits to be told. Cheap when nothing is due.
    #[must_use]
    pub fn untold_since(&self) -> Option<u64> {
        self.ledger.untold_since()
    }

    /// Tells what is held back for a name: nobody waits for one any more.
    pub fn finish(&mut self, now: Clock, changes: &mut Vec<Change>) {
        self.ledger.release_held();
        self.ledger.tick(now, changes);
    }

    /// Deadlines and quiet times. Cheap when nothing is due; call it several times a second.
    pub fn tick(&mut self, now: Clock, changes: &mut Vec<Change>) {
        let today = now.date();
        if self.today != Some(today) {
            self.today = Some(today);
            self.renew_exemptions(today);
        }
        self.containers.retain(|_, entry| entry.linger_until.is_none_or(|until| now.boottime_ns < until));
        self.resolve_unconfirmed(now, changes);
        self.ledger.tick(now, changes);
    }

    /// What did not fit, since start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.ledger.counters
    }

    /// How much is kept.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            findings: self.ledger.len(),
            containers: self.containers.len(),
            processes: self.processes.len(),
        }
    }
}
