//! The hot loop's stages in a row: decode → context → posture, on one plain thread.
//!
//! Nothing in here waits, and a record that changes nothing allocates nothing. What has to wait
//! (CRI, /proc, files) lives on the slow side, behind bounded channels: [`Message`]s come in,
//! [`Outlets`] go out.

pub mod clock;
mod outlet;
mod reader;
mod untold;

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use self::clock::Clocks;
pub use self::{
    outlet::{CgroupQuestion, Outlets},
    reader::Reader,
    untold::{Told, Untold},
};
use crate::{
    context::{Context, Effect, PendingReason, Process, ProcessId, SeccompAllow, Why, cgroupfs, cri, proc},
    decode::{DecodeError, Event, ImageSource, decode},
    kernel::prove::Observed,
    posture::{Cause, Change, Judged, Posture, Snapshot},
    source::{AlignedRecord, SequenceCheck},
    telemetry::{
        Telemetry,
        label::{EventKind, Ring, ScanKind, Table},
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
    boot_id: String,
    /// Until the offset table is proved: takes the execs of the agent's own children.
    proof: Option<SyncSender<Observed>>,
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
    /// The next numbers of the records.
    pub sequence: SequenceCheck,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Takes the execs of the agent's own children.
    pub proof: Option<SyncSender<Observed>>,
}

impl Pipeline {
    /// With empty tables.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { context, posture, telemetry, messages, outlets, sequence, boot_id, proof } = parts;
        Self {
            context,
            posture,
            telemetry,
            messages,
            outlets,
            sequence,
            clocks: Clocks::read(),
            boot_id,
            proof,
            changes: Vec::with_capacity(64),
            measured_ns: 0,
            untold: None,
        }
    }

    /// Leaves word in this file of what is read and not told.
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

    fn after_reading(&mut self) {
        let Some(untold) = &mut self.untold else { return };
        let is_told = self.posture.is_told() && self.context.counts().waiting == 0 && self.outlets.are_told();
        match (is_told, untold.is_set()) {
            (true, true) => untold.clear(),
            (false, false) => untold.reading(clock::boottime_ns()),
            _ => {}
        }
    }

    /// Tells what is held back; nothing follows.
    fn finish(&mut self) {
        let now = self.clocks.at(clock::boottime_ns());
        self.posture.finish(now, &mut self.changes);
        self.send_changes();
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
                self.event(&event);
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Takes a record of the programs before these, whose numbers and counters are their own.
    pub fn left_record(&mut self, bytes: &[u8]) {
        match decode(bytes) {
            Ok(event) => self.event(&event),
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
        self.telemetry.context.events.of(EventKind::from(event)).add(1);
        if let (Event::Exec(exec), Some(proof)) = (event, &self.proof)
            && exec.source == ImageSource::Exec
            && exec.record.state.parent.tgid == std::process::id()
            && Observed::is_subject(exec.argv.0)
        {
            // The proof waits for one; a second would be its own retry.
            let _ = proof.try_send(Observed::of(exec));
        }
        let now = self.clocks.at(event.header().boottime_ns);
        let Self { context, posture, telemetry, outlets, changes, .. } = self;
        let mut stage = Stage { posture, telemetry, outlets, changes, now };
        context.apply(event, &mut |effect| stage.follow(&effect));
        self.refuse_names();
        self.send_changes();
    }

    /// Deadlines and gauges; some times a second.
    pub fn tick(&mut self, boottime_ns: u64) {
        self.clocks = Clocks::read();
        let now = self.clocks.at(boottime_ns);
        self.with_stage(now, |context, stage| context.tick(boottime_ns, &mut |effect| stage.follow(&effect)));
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
                    self.with_stage(now, |context, stage| {
                        context.cgroup_found(key, Some(&path), root, &mut |effect| stage.follow(&effect));
                    });
                }
            }
            Message::Scanned(records) => {
                for record in records {
                    self.left_record(record.bytes());
                }
            }
            Message::ScannedProc(scanned) => {
                for scanned in scanned {
                    self.event(&scanned.event());
                }
            }
            Message::ScanDone(kind) => {
                self.with_stage(now, |context, stage| {
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
        }
        self.refuse_names();
        self.send_changes();
    }

    /// The judge learns the names before the container's processes are judged by them.
    fn name(&mut self, answer: cri::Answer, now: Clock) {
        let cri::Answer { key, result } = answer;
        let mut told = false;
        self.with_stage(now, |context, stage| {
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
        if !told && let Some(container) = self.context.container(key) {
            self.posture.named(container, now);
        }
    }

    fn with_stage(&mut self, now: Clock, body: impl FnOnce(&mut Context, &mut Stage<'_>)) {
        let Self { context, posture, telemetry, outlets, changes, .. } = self;
        body(context, &mut Stage { posture, telemetry, outlets, changes, now });
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
        outlet::measure_verdicts(&self.posture, &self.telemetry);
    }
}

/// What an effect of context acts on.
struct Stage<'a> {
    posture: &'a mut Posture,
    telemetry: &'a Telemetry,
    outlets: &'a mut Outlets,
    changes: &'a mut Vec<Change>,
    now: Clock,
}

impl Stage<'_> {
    fn follow(&mut self, effect: &Effect<'_>) {
        match *effect {
            Effect::Judge { process, container, state, seccomp_allow, why } => {
                let judged = Judged { task: state, allow: seccomp_allow, process, container };
                self.posture.judge(judged, cause(why), self.now, self.changes);
                if why == Why::Exec {
                    self.observe_latency(process);
                }
            }
            Effect::ImageReplaced { process, .. } => {
                self.posture.image_replaced(process.id, self.now, self.changes);
            }
            Effect::ExitedProcess { process, .. } | Effect::ForgottenProcess { process, .. } => {
                self.posture.process_gone(process.id, self.now, self.changes);
            }
            Effect::ContainerSeen { .. } => {}
            Effect::ContainerGone { container } => {
                self.posture.container_gone(container.key, self.now, self.changes);
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
