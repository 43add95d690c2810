//! Judges tasks, and keeps what each one was judged to be so that only changes count.

use std::sync::Arc;

use agent_abi::record::{TaskState, task_flag};
use hashbrown::HashMap;

use super::{
    Baseline, CONTROL_COUNT, CONTROLS, Change, ControlId, Counters, Exemptions, Facts, HostFacts,
    Observation, Settings, Sizes, Subject, Verdict,
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

/// How long a container that went before it was named can still get its name.
const LINGER_NS: u64 = 30 * SECOND;
/// From one look of the loop to the next, from which on it stood still: a turn takes some milliseconds.
const STANDSTILL_NS: u64 = SECOND;

const _: () = assert!(CONTROL_COUNT <= 64, "changed controls are the bits of a u64");

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

/// The judge and its ledger. Lives on the hot loop's thread; nothing in here waits.
pub struct Posture {
    settings: Settings,
    pub(super) exemptions: Exemptions,
    host: HostFacts,
    /// Last day for which exemptions were looked up.
    pub(super) today: Option<Date>,
    pub(super) ledger: Ledger,
    pub(super) containers: HashMap<ContainerKey, ContainerEntry>,
    processes: HashMap<ProcessId, ProcessEntry>,
    /// Who the containers of the last run belonged to.
    pub(super) remembered: HashMap<ContainerId, Subject>,
    /// There are findings of the last run that nothing confirmed yet.
    pub(super) has_unconfirmed: bool,
    scanned_at: Option<u64>,
    /// Boottime at which the loop last looked up, which records may be older than; 0 before the first time.
    looked_up_ns: u64,
}

impl Posture {
    /// A judge that knows nothing yet. `node` is part of every finding's id.
    #[must_use]
    pub fn new(settings: Settings, exemptions: Exemptions, host: HostFacts, node: String) -> Self {
        Self {
            settings,
            exemptions,
            host,
            today: None,
            ledger: Ledger::new(node, settings),
            containers: HashMap::new(),
            processes: HashMap::new(),
            remembered: HashMap::new(),
            has_unconfirmed: false,
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
        let baseline = entry.baseline;
        if !self.make_process(process.id, key, task.exec_id, cause, now, changes) {
            return;
        }
        self.ledger.counters.judged += 1;

        let facts = Facts {
            task,
            allow,
            process,
            container,
            declared: Facts::declared_of(container),
            host: &self.host,
            baseline: baseline.as_ref(),
        };
        let mut observations = [Observation::NOT_APPLICABLE; CONTROL_COUNT];
        for (observation, control) in observations.iter_mut().zip(&CONTROLS) {
            *observation = (control.check)(&facts);
        }

        let Some(entry) = self.processes.get_mut(&process.id) else { return };
        let Some(marks) = entry.marks(task.task.tid, is_leader, &observations) else {
            if is_leader || entry.threads.len() >= MAX_THREADS {
                self.refuse(key);
            }
            return;
        };
        let mut changed = 0_u64;
        let mut old = [Class::NotApplicable; CONTROL_COUNT];
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
            self.turn(control, old[control], &observations[control], judged, cause, now, changes);
        }
    }

    /// Whether the container is kept, which it is from now on if there is room.
    fn known(&mut self, container: &Container, now: Clock) -> bool {
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
            hold: Hold::until(now.boottime_ns.max(self.looked_up_ns).saturating_add(wait)),
            baseline: None,
            tally: [[0; CLASSES]; CONTROL_COUNT],
            findings: [None; CONTROL_COUNT],
            seen: [[Observation::NOT_JUDGED; 2]; CONTROL_COUNT],
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
                leader: [Mark::NONE; CONTROL_COUNT],
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

    /// One control says something else of a task than before.
    #[expect(clippy::too_many_arguments, reason = "one step of `judge`, split off to be read")]
    fn turn(
        &mut self,
        control: usize,
        old: Class,
        observation: &Observation,
        judged: Judged<'_>,
        cause: Cause,
        now: Clock,
        changes: &mut Vec<Change>,
    ) {
        let Judged { task, process, container, .. } = judged;
        let Some(entry) = self.containers.get_mut(&container.key) else { return };
        let new = observation.outcome.class();
        if old != new {
            let tally = &mut entry.tally[control];
            tally[old as usize] = tally[old as usize].saturating_sub(1);
            tally[new as usize] += 1;
        }
        if new != Class::NotApplicable {
            entry.seen[control][usize::from(new > Class::Pass)] = *observation;
        }

        let exempt = entry.exempt[control].is_some();
        let (old, new) = (Verdict::of(old, exempt), Verdict::of(new, exempt));
        let (process_id, tid) = (process.id, task.task.tid);
        let kept = entry.findings[control].and_then(|id| self.ledger.get_mut(id));
        if old == new && old != Verdict::Pass {
            if let Some(finding) = kept {
                finding.update(process_id, tid, *observation);
                let id = finding.id;
                self.ledger.settle(id, now, changes);
            }
            return;
        }
        let has_finding = kept.is_some();
        if old != Verdict::Pass
            && let Some(finding) = kept
        {
            finding.remove(old, process_id, tid, now);
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
                finding.hold.until = finding.hold.until.max(hold.until);
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
            let Some(process_entry) = self.processes.get_mut(&process_id) else { return };
            let exe = process_entry.exe.get_or_insert_with(|| Arc::from(process.exe_path.as_slice()));
            let instance = Instance {
                container: container.key,
                container_id: container.id,
                names: entry.names.clone(),
                process: process_id,
                tid,
                ns_tgid: task.ns_tgid,
                exe: Arc::clone(exe),
                comm: task.comm,
                uid: task.ids.uid,
                euid: task.ids.euid,
                ns_euid: task.ids.ns_euid,
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

    /// A process has ended.
    pub fn process_gone(&mut self, process: ProcessId, now: Clock, changes: &mut Vec<Change>) {
        self.image_replaced(process, now, changes);
        let Some(ProcessEntry { container: key, .. }) = self.processes.remove(&process) else { return };
        let Some(entry) = self.containers.get_mut(&key) else { return };
        entry.processes = entry.processes.saturating_sub(1);
        if entry.is_gone && entry.processes == 0 {
            self.count_out(key, now, changes);
        }
    }

    /// A process has replaced its image: nothing that was said of it holds, and its other threads
    /// are gone. It is judged anew next. [`Posture::judge`] sees that by itself where the kernel
    /// tells the image's version.
    pub fn image_replaced(&mut self, process: ProcessId, now: Clock, changes: &mut Vec<Change>) {
        let Some(kept) = self.processes.get_mut(&process) else { return };
        kept.exe = None;
        let leader = std::mem::replace(&mut kept.leader, [Mark::NONE; CONTROL_COUNT]);
        let tasks = std::iter::once((process.tgid, leader)).chain(kept.threads.drain(..));
        let Some(entry) = self.containers.get_mut(&kept.container) else { return };
        for (tid, marks) in tasks {
            for (control, mark) in marks.into_iter().enumerate() {
                let tally = &mut entry.tally[control][mark.class as usize];
                *tally = tally.saturating_sub(1);
                let verdict = Verdict::of(mark.class, entry.exempt[control].is_some());
                if verdict != Verdict::Pass
                    && let Some(id) = entry.findings[control]
                    && let Some(finding) = self.ledger.get_mut(id)
                {
                    finding.remove(verdict, process, tid, now);
                    self.ledger.settle(id, now, changes);
                }
            }
        }
    }

    /// A container's cgroup was removed. Tasks that had left it live on and are still its own.
    pub fn container_gone(&mut self, key: ContainerKey, now: Clock, changes: &mut Vec<Change>) {
        let Some(entry) = self.containers.get_mut(&key) else { return };
        if entry.linger_until.is_some() {
            return;
        }
        entry.is_gone = true;
        if entry.processes == 0 {
            self.count_out(key, now, changes);
            return;
        }
        let left = ControlId::LeftContainer as usize;
        let mut ended: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, entry)| entry.container == key && entry.leader[left].class != Class::Fail)
            .map(|(&id, _)| id)
            .collect();
        ended.sort_unstable();
        for process in ended {
            self.process_gone(process, now, changes);
        }
    }

    /// The last of a container that is gone.
    fn count_out(&mut self, key: ContainerKey, now: Clock, changes: &mut Vec<Change>) {
        let Some(entry) = self.containers.get_mut(&key) else { return };
        for id in entry.findings.iter().flatten() {
            self.ledger.detach(*id, now, changes);
        }
        if entry.names.is_none() && entry.findings.iter().any(Option::is_some) {
            entry.linger_until = Some(now.boottime_ns.saturating_add(LINGER_NS));
        } else {
            self.containers.remove(&key);
        }
    }

    /// How long a finding waits for a name, in nanoseconds.
    #[must_use]
    pub const fn name_wait_ns(&self) -> u64 {
        self.settings.name_wait_ns
    }

    /// The start scan is done: what the last run left open must be confirmed by now.
    pub fn scan_complete(&mut self, now: Clock) {
        self.scanned_at = Some(now.boottime_ns);
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
        if self.has_unconfirmed
            && let Some(scanned_at) = self.scanned_at
        {
            let waits = self.containers.values().any(|entry| entry.names.is_none());
            if !waits || now.boottime_ns >= scanned_at.saturating_add(self.settings.name_wait_ns) {
                self.ledger.resolve_unconfirmed(now, changes);
                self.has_unconfirmed = false;
                self.remembered = HashMap::new();
            }
        }
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
