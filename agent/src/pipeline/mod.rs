//! The hot loop's stages in a row: decode → context → posture, on one plain thread.
//!
//! Nothing in here waits, and a record that changes nothing allocates nothing. What has to wait
//! (CRI, /proc, files) lives on the slow side, behind bounded channels: [`Message`]s come in,
//! [`Outlets`] go out.

pub mod canary;
pub mod clock;
pub mod lifecycle;
mod outgoing;
mod outlet;
mod reader;
#[cfg(test)]
mod tests;
mod untold;

use std::{
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    time::Duration,
};

use agent_abi::record::header_flag;
use hashbrown::HashMap;
use tokio::sync::{mpsc, oneshot};

use self::{
    canary::CanarySeen,
    clock::Clocks,
    lifecycle::{Activity, LifecycleSender, Lost},
    untold::Amount,
};
pub use self::{
    outgoing::{ContainerSnapshot, InventorySnapshot, Outgoing},
    outlet::{CgroupQuestion, Outlets},
    reader::Reader,
    untold::{Told, Untold},
};
use crate::{
    context::{
        Container, Context, Effect, Enrichment, PendingReason, Process, ProcessId, SeccompAllow, Why,
        cgroupfs, cri, proc,
    },
    decode::{DecodeError, Event, Exec, ImageSource, decode},
    kernel::prove::Observed,
    posture::{self, Cause, Change, Judged, Posture, Snapshot},
    source::{AlignedRecord, SequenceCheck},
    telemetry::{
        Telemetry,
        label::{EventKind, Queue, QueueDrop, Ring, ScanKind, Table},
    },
    time::Clock,
};

/// Messages taken in one round, so that answers cannot hold up records.
const MESSAGES_PER_ROUND: usize = 256;

/// Between two settings of the gauges.
const MEASURE_NS: u64 = 1_000_000_000;

/// What the slow side tells.
#[derive(Debug)]
pub enum Message {
    /// A container's names, or why there are none.
    Names(cri::Answer),
    /// Cgroups that a walk or a look-up found.
    Cgroups(Vec<cgroupfs::Found>),
    /// Records of the task iterator.
    Scanned(Vec<AlignedRecord>),
    /// Processes as /proc shows them, where there is no iterator.
    ScannedProc(Vec<proc::Scanned>),
    /// All records of a scan were sent.
    ScanDone(ScanKind),
    /// What /proc says of a process that a scan found.
    Described {
        /// The process.
        id: ProcessId,
        /// Its executable.
        exe_path: Option<Vec<u8>>,
        /// Its arguments, NUL-separated.
        argv: Vec<u8>,
    },
    /// Asks for what is to outlive the agent.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Asks for an [`Outgoing::Inventory`], which comes the way of the changes.
    Inventory,
}

/// Decode, context and posture.
pub struct Pipeline {
    context: Context,
    posture: Posture,
    telemetry: Arc<Telemetry>,
    messages: mpsc::Receiver<Message>,
    outlets: Outlets,
    sequence: SequenceCheck,
    clocks: Clocks,
    lifecycle: LifecycleSender,
    boot_id: String,
    /// The agent's own children are known by it.
    own_tgid: u32,
    /// Until the offset table is proved: takes the execs of the agent's own children.
    proof: Option<SyncSender<Observed>>,
    canary: Option<SyncSender<CanarySeen>>,
    changes: Vec<Change>,
    /// When the gauges were last set.
    measured_ns: u64,
    untold: Option<Untold>,
}

/// What a pipeline starts with.
pub struct Parts {
    /// Processes and containers.
    pub context: Context,
    /// Verdicts.
    pub posture: Posture,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// From the slow side.
    pub messages: mpsc::Receiver<Message>,
    /// To the slow side.
    pub outlets: Outlets,
    /// Takes what processes and containers do.
    pub lifecycle: LifecycleSender,
    /// The next numbers of the records.
    pub sequence: SequenceCheck,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Takes the execs of the agent's own children.
    pub proof: Option<SyncSender<Observed>>,
    /// Takes the execs of the agent's canaries.
    pub canary: Option<SyncSender<CanarySeen>>,
}

impl Pipeline {
    /// With empty tables.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            context,
            posture,
            telemetry,
            messages,
            outlets,
            lifecycle,
            sequence,
            boot_id,
            proof,
            canary,
        } = parts;
        Self {
            context,
            posture,
            telemetry,
            messages,
            outlets,
            lifecycle,
            sequence,
            clocks: Clocks::read(),
            boot_id,
            own_tgid: std::process::id(),
            proof,
            canary,
            changes: Vec::with_capacity(64),
            measured_ns: 0,
            untold: None,
        }
    }

    /// Leaves word here of what is read and not told.
    pub fn leave_word(&mut self, untold: Untold) {
        self.untold = Some(untold);
    }

    /// For whoever sees to it that the rest is told.
    pub fn take_word(&mut self) -> Option<Untold> {
        self.untold.take()
    }

    /// Records that came up to now are about to be read.
    fn before_reading(&mut self) {
        if let Some(untold) = &mut self.untold {
            untold.reading(clock::boottime_ns());
        }
    }

    /// The records of a round are taken: what they made goes out, and it is looked what of it is
    /// told.
    pub fn end_round(&mut self) {
        let lost = self.lifecycle.end_round();
        self.tell_lost(lost);
        let Self { context, posture, outlets, lifecycle, untold, .. } = self;
        let Some(untold) = untold else { return };
        // Before that, what the start has to tell is not told.
        if !outlets.told.ready.load(Ordering::Acquire) {
            return;
        }
        if outlets.has_dropped() {
            untold.forget_markers();
        }
        let (changes, changes_told) = outlets.progress();
        let now_ns = clock::boottime_ns();
        if untold.wants_marker(now_ns) {
            let sent = Amount { changes, lifecycle: lifecycle.buffers() };
            let held =
                [posture.untold_since(), context.waits_since(), outlets.lost_since(), lifecycle.lost_since()];
            untold.mark(sent, held.into_iter().flatten().min(), now_ns);
        }
        let lifecycle_told = outlets.told.lifecycle.load(Ordering::Acquire);
        untold.told(Amount { changes: changes_told, lifecycle: lifecycle_told });
    }

    /// Tells what is held back; nothing follows.
    fn finish(&mut self) {
        let now = self.clocks.at(clock::boottime_ns());
        self.posture.finish(now, &mut self.changes);
        self.send_changes();
        let lost = self.lifecycle.finish();
        self.tell_lost(lost);
    }

    fn tell_lost(&mut self, lost: Option<Lost>) {
        if let Some(lost) = lost {
            self.outlets.send(Outgoing::Lost(lost), &self.telemetry);
        }
    }

    /// Takes a record of a ring.
    pub fn record(&mut self, bytes: &[u8]) {
        match decode(bytes) {
            Ok(event) => {
                let header = event.header();
                let ring = Ring::from_header(header.ring);
                self.telemetry.rings.record(ring, bytes.len());
                let missing = self.sequence.missing_before(header);
                if missing > 0 {
                    self.telemetry.rings.lost.of(ring).add(missing);
                }
                self.take_event(&event, Seen::Happen);
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Takes a record of the programs before these, whose numbers and counters are their own.
    pub fn left_record(&mut self, bytes: &[u8]) {
        self.other_record(bytes, Seen::Happen);
    }

    fn other_record(&mut self, bytes: &[u8], seen: Seen) {
        match decode(bytes) {
            Ok(event) => self.take_event(&event, seen),
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&self, error: DecodeError) {
        let count = self.telemetry.decode.failed.of(error.into());
        count.add(1);
        // Said once for each reason; the metric counts.
        if count.get() == 1 {
            tracing::warn!(%error, "a record is refused, and counted");
        }
    }

    /// Takes an event through context and posture.
    pub fn event(&mut self, event: &Event<'_>) {
        self.take_event(event, Seen::Happen);
    }

    fn take_event(&mut self, event: &Event<'_>, seen: Seen) {
        self.telemetry.context.events.of(EventKind::from(event)).add(1);
        if let Event::Exec(exec) = event
            && exec.source == ImageSource::Exec
            && exec.record.state.parent.tgid == self.own_tgid
        {
            self.own_child(exec);
        }
        let now = self.clocks.at(event.header().boottime_ns);
        // Of an exit that comes twice, the first counts.
        let host_ends = match event {
            Event::Exit(exit) => self.lifecycle.wants_host() && self.context.is_live(&exit.task),
            _ => false,
        };
        let by = match event {
            Event::Exec(exec) if exec.source == ImageSource::Exec => {
                By::Exec(ProcessId::of(&exec.record.state.task))
            }
            Event::Exit(exit) => By::Exit { status: exit.status },
            _ => By::Other,
        };
        let Self { context, posture, telemetry, outlets, lifecycle, clocks, changes, .. } = self;
        let mut stage = Stage { posture, telemetry, outlets, lifecycle, clocks, changes, now, seen, by };
        context.apply(event, &mut |effect| stage.follow(&effect));
        match event {
            Event::Exec(exec) if exec.source == ImageSource::Exec => lifecycle.exec(exec, context, now),
            Event::Credentials(credentials) => lifecycle.credentials(credentials, context, now),
            // Those in containers end before their container does.
            Event::Exit(exit) if host_ends => {
                if let Some(process) =
                    context.process(&exit.task).filter(|process| process.container.is_none())
                {
                    lifecycle.exit(process, None, exit.status, now);
                }
            }
            _ => {}
        }
        self.refuse_names();
        self.send_changes();
    }

    /// The agent has run a program.
    fn own_child(&self, exec: &Exec<'_>) {
        if let Some(proof) = &self.proof
            && Observed::is_subject(exec.argv.0)
        {
            // The proof waits for one; a second would be its own retry.
            let _ = proof.try_send(Observed::of(exec));
        }
        let Some(canary) = &self.canary else { return };
        let nonce = canary::nonce_of(exec.argv.0);
        let header = &exec.record.header;
        if nonce.is_some() || header.flags & header_flag::SHRUNK != 0 {
            let tgid = exec.record.state.task.tgid;
            // One that nobody takes is one that nobody waits for.
            let _ = canary.try_send(CanarySeen { nonce, tgid, boottime_ns: header.boottime_ns });
        }
    }

    /// Deadlines and gauges; some times a second.
    pub fn tick(&mut self, boottime_ns: u64) {
        self.clocks = Clocks::read();
        let now = self.clocks.at(boottime_ns);
        self.with_stage(now, Seen::Happen, |context, stage| {
            context.tick(boottime_ns, &mut |effect| stage.follow(&effect))
        });
        self.refuse_names();
        self.posture.tick(now, &mut self.changes);
        self.send_changes();
        self.outlets.retry(&self.telemetry);
        if boottime_ns.saturating_sub(self.measured_ns) >= MEASURE_NS {
            self.measured_ns = boottime_ns;
            self.measure();
        }
    }

    /// What is to outlive the agent.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.posture.snapshot(&self.boot_id, clock::now())
    }

    /// Takes what the slow side has sent; returns how much.
    pub fn take_answers(&mut self) -> usize {
        let mut taken = 0;
        while taken < MESSAGES_PER_ROUND
            && let Ok(message) = self.messages.try_recv()
        {
            taken += 1;
            self.take(message);
        }
        taken
    }

    fn take(&mut self, message: Message) {
        let now = self.clocks.at(clock::boottime_ns());
        match message {
            Message::Names(answer) => self.name(answer, now),
            Message::Cgroups(found) => {
                for cgroupfs::Found { key, path, root } in found {
                    self.with_stage(now, Seen::Found, |context, stage| {
                        context.cgroup_found(key, Some(&path), root, &mut |effect| stage.follow(&effect));
                    });
                }
            }
            Message::Scanned(records) => {
                for record in records {
                    self.other_record(record.bytes(), Seen::Found);
                }
            }
            Message::ScannedProc(scanned) => {
                for scanned in scanned {
                    self.take_event(&scanned.event(), Seen::Found);
                }
            }
            Message::ScanDone(kind) => {
                self.with_stage(now, Seen::Found, |context, stage| {
                    context.scan_finished(&mut |effect| stage.follow(&effect))
                });
                if kind == ScanKind::Start {
                    self.posture.scan_complete(now);
                }
                // Whoever hears of the end of the scan reads what it found.
                self.measure();
                self.outlets.scan_done(kind);
            }
            Message::Described { id, exe_path, argv } => {
                self.context.described(id, exe_path.as_deref(), &argv)
            }
            // Whoever asked may have given up.
            Message::Snapshot(answer) => drop(answer.send(self.posture.snapshot(&self.boot_id, now))),
            Message::Inventory => {
                let inventory = self.inventory(now);
                self.outlets.send(Outgoing::Inventory(Box::new(inventory)), &self.telemetry);
            }
        }
        self.refuse_names();
        self.send_changes();
    }

    /// The judge learns the names before the container's processes are judged by them.
    fn name(&mut self, answer: cri::Answer, now: Clock) {
        let cri::Answer { key, result } = answer;
        let before = self.context.container(key).map(|container| container.enrichment.clone());
        let mut told = false;
        self.with_stage(now, Seen::Found, |context, stage| {
            context.named(key, result, &mut |effect| {
                if let Effect::Judge { container, .. } = &effect
                    && !told
                {
                    stage.posture.named(container, now);
                    told = true;
                }
                stage.follow(&effect);
            });
        });
        let Some(container) = self.context.container(key) else { return };
        if !told {
            self.posture.named(container, now);
        }
        if let Enrichment::Complete(names) = &container.enrichment
            && !matches!(before, Some(Enrichment::Complete(before)) if before == *names)
        {
            self.lifecycle.container(container, now, |container| Activity::Named { container });
        }
    }

    /// What is true now. It waits for nothing that was told before: it goes behind it.
    fn inventory(&self, now: Clock) -> InventorySnapshot {
        let mut judged: HashMap<_, _> =
            self.posture.inventory().into_iter().map(|posture| (posture.key, posture.controls)).collect();
        let is_there =
            |container: &&Container| !container.gone || self.context.members(container.key).next().is_some();
        let mut containers: Vec<_> = self
            .context
            .containers()
            .filter(is_there)
            .map(|container| ContainerSnapshot {
                container: container.into(),
                controls: judged.remove(&container.key).unwrap_or_else(posture::not_judged),
            })
            .collect();
        containers.sort_by_key(|snapshot| (snapshot.container.id, snapshot.container.key));
        InventorySnapshot { at: now, containers, findings: self.posture.open_findings(now) }
    }

    fn with_stage(&mut self, now: Clock, seen: Seen, body: impl FnOnce(&mut Context, &mut Stage<'_>)) {
        let Self { context, posture, telemetry, outlets, lifecycle, clocks, changes, .. } = self;
        let by = By::Other;
        let mut stage = Stage { posture, telemetry, outlets, lifecycle, clocks, changes, now, seen, by };
        body(context, &mut stage);
    }

    /// Tells context which containers it has to ask for again soon.
    fn refuse_names(&mut self) {
        while let Some(key) = self.outlets.refused.pop() {
            // Only notes the reason: there is nothing to judge anew.
            self.context.named(key, Err(PendingReason::QueueFull), &mut |_| {});
        }
    }

    fn send_changes(&mut self) {
        if !self.changes.is_empty() {
            self.outlets.send_changes(&mut self.changes, &self.telemetry);
        }
    }

    fn measure(&self) {
        let counts = self.context.counts();
        let sizes = self.posture.sizes();
        let entries = &self.telemetry.context.entries;
        let evicted = &self.telemetry.context.evicted;
        entries.of(Table::Processes).set((counts.live + counts.exited) as u64);
        entries.of(Table::Containers).set(counts.containers as u64);
        entries.of(Table::Cgroups).set(counts.cgroups as u64);
        entries.of(Table::Findings).set(sizes.findings as u64);
        evicted.of(Table::Processes).set(counts.process.evicted);
        evicted.of(Table::Containers).set(counts.container.evicted);
        evicted.of(Table::Cgroups).set(counts.cgroup.evicted);
        evicted.of(Table::Findings).set(self.posture.counters().findings_evicted);
        let posture = self.posture.counters();
        let refused = &self.telemetry.context.refused;
        refused.of(Table::Containers).set(counts.container.refused + posture.containers_refused);
        refused.of(Table::Processes).set(posture.tasks_refused);
        refused.of(Table::Findings).set(posture.findings_refused);
        self.telemetry.posture.judged.set(posture.judged);
        let queues = &self.telemetry.queues;
        queues.depth.of(Queue::Lifecycle).set(self.lifecycle.depth());
        queues.dropped.of(Queue::Lifecycle, QueueDrop::Full).set(self.lifecycle.lost_ever());
        outlet::measure_verdicts(&self.posture, &self.telemetry);
    }
}

/// How something came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It was seen to happen.
    Happen,
    /// It was found to be there.
    Found,
}

/// What an effect of context acts on.
struct Stage<'a> {
    posture: &'a mut Posture,
    telemetry: &'a Telemetry,
    outlets: &'a mut Outlets,
    lifecycle: &'a mut LifecycleSender,
    clocks: &'a Clocks,
    changes: &'a mut Vec<Change>,
    now: Clock,
    seen: Seen,
    by: By,
}

/// What the effects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The exec of this process.
    Exec(ProcessId),
    /// The end of a process.
    Exit {
        /// As `wait` encodes it.
        status: u32,
    },
    /// Something else.
    Other,
}

impl Stage<'_> {
    fn follow(&mut self, effect: &Effect<'_>) {
        match *effect {
            Effect::Judge { process, container, state, seccomp_allow, why } => {
                let judged = Judged { task: state, allow: seccomp_allow, process, container };
                self.posture.judge(judged, cause(why), self.now, self.changes);
                match why {
                    Why::Exec => self.observe_latency(process),
                    Why::Joined | Why::Lingers if self.by != By::Exec(process.id) => {
                        self.lifecycle.joined(process, container, self.clocks);
                    }
                    _ => {}
                }
            }
            Effect::ImageReplaced { process, .. } => {
                self.posture.image_replaced(process.id, self.now, self.changes);
            }
            Effect::ExitedProcess { process, container } => {
                self.posture.process_gone(process.id, self.now, self.changes);
                if let By::Exit { status } = self.by {
                    self.lifecycle.exit(process, Some(container), status, self.now);
                }
            }
            Effect::ForgottenProcess { process, .. } => {
                self.posture.process_gone(process.id, self.now, self.changes);
            }
            Effect::ContainerSeen { container } => {
                let found = self.seen == Seen::Found;
                self.lifecycle
                    .container(container, self.now, |container| Activity::Started { container, found });
            }
            Effect::ContainerGone { container } => {
                self.posture.container_gone(container.key, self.now, self.changes);
                self.lifecycle.container(container, self.now, |container| Activity::Gone { container });
            }
            Effect::LeftContainer { process, container, .. } => {
                let allow: &SeccompAllow = &process.seccomp_allow;
                let judged = Judged { task: &process.state, allow, process, container };
                self.posture.judge(judged, Cause::Context, self.now, self.changes);
            }
            Effect::NeedName { key, id, runtime } => {
                self.outlets.ask_name(cri::Question { key, id, runtime }, self.telemetry);
            }
            Effect::NeedCgroup { key, tgid } => self.outlets.ask_cgroup(key.cgroup, tgid, self.telemetry),
        }
    }

    /// From the exec in the kernel to its verdict.
    fn observe_latency(&self, process: &Process) {
        let taken = clock::boottime_ns().saturating_sub(process.exec_ns);
        self.telemetry.posture.latency.observe(Duration::from_nanos(taken));
    }
}

const fn cause(why: Why) -> Cause {
    match why {
        Why::Exec => Cause::Exec,
        Why::Fork => Cause::Fork,
        Why::Scan | Why::Joined | Why::Lingers => Cause::Scan,
        Why::Credentials => Cause::Credentials,
        Why::Named => Cause::Context,
    }
}
