//! The hot loop's stages in a row: decode → context → posture, on one plain thread.
//!
//! Nothing in here waits, and a record that changes nothing allocates nothing. What has to wait
//! (CRI, /proc, files) lives on the slow side, behind bounded channels: [`Message`]s come in,
//! [`Outlets`] go out.

mod buffers;
pub mod canary;
pub mod clock;
mod detected;
mod episode;
mod former;
mod groups;
mod inspections;
mod inventory;
pub mod lifecycle;
mod measure;
mod message;
mod node;
mod outgoing;
mod outlet;
pub mod raw;
mod reader;
mod rules;
mod stage;
#[cfg(test)]
mod tests;
mod texts;
mod throttle;
mod untold;
mod witness;

use std::sync::{Arc, atomic::Ordering, mpsc::SyncSender};

use agent_abi::record::header_flag;
use tokio::sync::mpsc;

pub use self::{
    buffers::{Buffer, Filled, Lost, Receiver},
    detected::{Detected, HIDDEN, THROTTLED},
    former::Former,
    inspections::InspectionQuestion,
    message::{Inspected, Message},
    outgoing::{ContainerSnapshot, InventorySnapshot, Outgoing},
    outlet::{CgroupQuestion, Outlets},
    reader::Reader,
    texts::{Piece, Texts},
    throttle::{Throttled, Throttling},
    untold::{Told, Untold},
};
use self::{
    canary::CanarySeen,
    clock::Clocks,
    detected::HiddenPaths,
    groups::Groups,
    inspections::Inspections,
    inventory::InventoryGate,
    lifecycle::{Activity, LifecycleSender},
    node::NodeReads,
    raw::RawSender,
    stage::{By, Seen, Stage},
    throttle::Throttles,
    untold::Amount,
};
use crate::{
    context::{Context, Effect, Enrichment, PendingReason, ProcessId, cgroupfs, cri},
    decode::{DecodeError, Event, Exec, ImageSource, decode},
    detect::{Detection, Detector},
    filter::CgroupMarks,
    kernel::prove::Observed,
    posture::{Change, Posture, Snapshot},
    source::SequenceCheck,
    telemetry::{
        Telemetry,
        label::{EventKind, Ring, ScanKind},
    },
    time::Clock,
};

/// Messages taken in one round, so that answers cannot hold up records.
const MESSAGES_PER_ROUND: usize = 256;

/// Between two settings of the gauges.
const MEASURE_NS: u64 = 1_000_000_000;

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
    raw: RawSender,
    boot_id: String,
    /// The agent's own children are known by it.
    own_tgid: u32,
    /// Until the offset table is proved: takes the execs of the agent's own children.
    proof: Option<SyncSender<Observed>>,
    canary: Option<SyncSender<CanarySeen>>,
    changes: Vec<Change>,
    /// When the gauges were last set.
    measured_ns: u64,
    /// When the loop looked up last: all that happened before is read at the end of the round.
    looked_up_ns: u64,
    inventories: InventoryGate,
    untold: Option<Untold>,
    groups: Groups,
    throttles: Throttles,
    hidden: HiddenPaths,
    inspections: Inspections,
    node_reads: NodeReads,
    former: Former,
    detector: Detector,
    detections: Vec<Detection>,
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
    /// Takes raw events.
    pub raw: RawSender,
    /// Holds rules against events.
    pub detector: Detector,
    /// The next numbers of the records.
    pub sequence: SequenceCheck,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Takes the execs of the agent's own children.
    pub proof: Option<SyncSender<Observed>>,
    /// Takes the execs of the agent's canaries.
    pub canary: Option<SyncSender<CanarySeen>>,
    /// How often containers are looked into, nanoseconds.
    pub inspect_every_ns: u64,
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
            raw,
            detector,
            sequence,
            boot_id,
            proof,
            canary,
            inspect_every_ns,
        } = parts;
        let inventories = InventoryGate::new(posture.name_wait_ns());
        Self {
            context,
            posture,
            telemetry,
            messages,
            outlets,
            lifecycle,
            raw,
            sequence,
            clocks: Clocks::read(),
            boot_id,
            own_tgid: std::process::id(),
            proof,
            canary,
            changes: Vec::with_capacity(64),
            measured_ns: 0,
            looked_up_ns: 0,
            inventories,
            untold: None,
            groups: Groups::new(),
            throttles: Throttles::new(),
            hidden: HiddenPaths::new(),
            inspections: Inspections::new(inspect_every_ns),
            node_reads: NodeReads::default(),
            former: Former::new(),
            detector,
            detections: Vec::with_capacity(64),
        }
    }

    /// Marks cgroups for the kernel programs from now on, and tells which are gone.
    pub fn mark_cgroups(&mut self, marks: CgroupMarks, gone: SyncSender<u64>) {
        self.groups.connect(marks, gone);
    }

    /// Leaves word here of what is read and not told.
    pub fn leave_word(&mut self, untold: Untold) {
        self.untold = Some(untold);
    }

    /// For whoever sees to it that the rest is told.
    pub fn take_word(&mut self) -> Option<Untold> {
        self.untold.take()
    }

    /// The loop looks up from what it does: it takes what others tell next, or tells what is due.
    pub fn look_up(&mut self) {
        let now_ns = clock::boottime_ns();
        self.looked_up_ns = now_ns;
        if self.posture.look_up(now_ns) {
            self.context.wait_anew(now_ns);
        }
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
        self.settle_images();
        self.settle_steps();
        let lost = self.lifecycle.out.end_round();
        self.tell_lost(lost);
        self.raw.end_round().into_iter().for_each(|lost| self.tell_lost(lost));
        let Self { context, posture, outlets, lifecycle, raw, untold, .. } = self;
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
            let sent = Amount {
                changes,
                lifecycle: lifecycle.out.buffers(),
                rare: raw.rare.buffers(),
                bulk: raw.bulk.buffers(),
            };
            let held = [
                posture.untold_since(),
                context.waits_since(),
                outlets.lost_since(),
                lifecycle.out.lost_since(),
            ];
            let held = held.into_iter().chain(raw.lost_since()).flatten().min();
            untold.mark(sent, held, now_ns);
        }
        let told = &outlets.told;
        untold.told(Amount {
            changes: changes_told,
            lifecycle: told.lifecycle.load(Ordering::Acquire),
            rare: told.rare.load(Ordering::Acquire),
            bulk: told.bulk.load(Ordering::Acquire),
        });
    }

    /// Tells what is held back; nothing follows.
    fn finish(&mut self) {
        let now = self.clocks.at(clock::boottime_ns());
        self.finish_rules(now);
        self.posture.finish(now, &mut self.changes);
        self.send_changes();
        self.report_throttled(now.boottime_ns, true);
        let lost = self.lifecycle.out.finish();
        self.tell_lost(lost);
        self.raw.finish().into_iter().for_each(|lost| self.tell_lost(lost));
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
                self.take_raw(&event, bytes);
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Holds an event against the rules, and lets a raw one go out as it came.
    fn take_raw(&mut self, event: &Event<'_>, bytes: &[u8]) {
        let at = self.clocks.at(event.header().boottime_ns);
        self.detect(event, bytes, at);
        self.raw.take(event, bytes, &self.context, &self.former, at);
    }

    /// Takes a record of the programs before these, whose numbers and counters are their own.
    pub fn left_record(&mut self, bytes: &[u8]) {
        self.other_record(bytes, Seen::Happen);
    }

    fn other_record(&mut self, bytes: &[u8], seen: Seen) {
        match decode(bytes) {
            Ok(event) => {
                self.take_event(&event, seen);
                self.take_raw(&event, bytes);
            }
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
        if let Event::Exec(exec) = event
            && exec.source == ImageSource::Exec
            && (self.raw.is_on() || self.detector.is_on())
            && let Some(process) = self.context.process(&exec.record.state.task)
        {
            // What it did with the old image may come yet.
            self.former.remember(process, now.boottime_ns);
        }
        if let Event::Credentials(credentials) = event
            && self.detector.is_on()
            && let task = credentials.record.state.task
            && let Some(process) = self.context.process(&task)
        {
            self.former.remember_state(process, task, now.boottime_ns);
        }
        if let Some(detected) = self.hidden.look(event, &self.context, now) {
            self.outlets.send(Outgoing::Detected(Box::new(detected)), &self.telemetry);
        }
        self.with_stage(now, seen, by, |context, stage| {
            context.apply(event, &mut |effect| stage.follow(&effect));
        });
        let Self { context, lifecycle, posture, inspections, .. } = self;
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
        if let Some(key) = witness::take(event, context, posture) {
            inspections.soon(key, now.boottime_ns);
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
        self.with_stage(now, Seen::Happen, By::Other, |context, stage| {
            context.tick(boottime_ns, &mut |effect| stage.follow(&effect))
        });
        self.refuse_names();
        let Self { inspections, context, outlets, telemetry, .. } = self;
        inspections.tick(context, boottime_ns, |question| outlets.ask_inspection(question, telemetry));
        let Self { node_reads, context, outlets, telemetry, .. } = self;
        node_reads.tick(context, boottime_ns, |candidates| outlets.ask_node(candidates, telemetry));
        self.posture.tick(now, &mut self.changes);
        self.send_changes();
        self.give_inventory(now);
        self.tick_rules(now);
        self.report_throttled(boottime_ns, false);
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
                    self.with_stage(now, Seen::Found, By::Other, |context, stage| {
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
                self.with_stage(now, Seen::Found, By::Other, |context, stage| {
                    context.scan_finished(&mut |effect| stage.follow(&effect))
                });
                if kind == ScanKind::Start {
                    self.posture.scan_complete(now);
                    self.inventories.scanned(now.boottime_ns);
                    let named = now.boottime_ns.saturating_add(self.posture.name_wait_ns());
                    self.node_reads.begin(named);
                }
                self.groups.scanned();
                // Whoever hears of the end of the scan reads what it found.
                self.measure();
                self.outlets.scan_done(kind);
            }
            Message::Described { id, exe_path, argv } => {
                self.context.described(id, exe_path.as_deref(), &argv)
            }
            Message::NodeRead(facts) => self.posture.node_read(&facts, now, &mut self.changes),
            Message::Inspected(inspected) => self.inspected(*inspected, now),
            // Whoever asked may have given up.
            Message::Snapshot(answer) => drop(answer.send(self.posture.snapshot(&self.boot_id, now))),
            Message::Rules { rules, users } => self.put_in_force(rules, users, now),
            Message::Image(answer) => self.detector.take_image(answer),
            Message::Hosts(hosts) => self.detector.know_hosts(hosts),
            Message::Throttling(throttling) => {
                self.throttles.take(&throttling, &self.groups, &self.context);
                self.report_throttled(now.boottime_ns, false);
            }
            Message::Inventory => {
                self.inventories.ask();
                self.give_inventory(now);
            }
        }
        self.refuse_names();
        self.send_changes();
    }

    /// What was held back, and of a container that begins to be throttled the detection.
    fn report_throttled(&mut self, now_ns: u64, all: bool) {
        let Self { throttles, context, outlets, telemetry, .. } = self;
        throttles.report(now_ns, all, context, |throttled| {
            let detected = throttled
                .container
                .clone()
                .filter(|_| throttled.begins)
                .map(|container| detected::throttled(throttled.events, throttled.to, container));
            outlets.send(Outgoing::Throttled(Box::new(throttled)), telemetry);
            if let Some(detected) = detected {
                outlets.send(Outgoing::Detected(Box::new(detected)), telemetry);
            }
        });
    }

    /// Behind the changes that it holds.
    fn give_inventory(&mut self, now: Clock) {
        if self.inventories.take(now.boottime_ns) {
            let inventory = self.inventory(now);
            self.outlets.send(Outgoing::Inventory(Box::new(inventory)), &self.telemetry);
        }
    }

    /// The judge learns the names before the container's processes are judged by them.
    fn name(&mut self, answer: cri::Answer, now: Clock) {
        let cri::Answer { key, result } = answer;
        let before = self.context.container(key).map(|container| container.enrichment.clone());
        let mut told = false;
        self.with_stage(now, Seen::Found, By::Other, |context, stage| {
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
            self.inspections.soon(key, now.boottime_ns);
        }
    }

    /// A container was looked into.
    fn inspected(&mut self, inspected: Inspected, now: Clock) {
        let Inspected { key, inspection } = inspected;
        let Self { context, posture, changes, inspections, .. } = self;
        let Some(container) = context.container(key) else { return };
        let seen = inspection
            .as_ref()
            .and_then(|inspection| Some((inspection, context.process_by_id(inspection.through)?)));
        let Some((inspection, process)) = seen else {
            inspections.again(key, now.boottime_ns);
            return;
        };
        if posture.inspected(container, process, inspection, now, changes) {
            self.with_stage(now, Seen::Found, By::Other, |context, stage| {
                context.judge_again(key, &mut |effect| stage.follow(&effect));
            });
        }
    }

    fn with_stage(
        &mut self,
        now: Clock,
        seen: Seen,
        by: By,
        body: impl FnOnce(&mut Context, &mut Stage<'_>),
    ) {
        let Self {
            context,
            posture,
            telemetry,
            outlets,
            lifecycle,
            clocks,
            changes,
            groups,
            inspections,
            ..
        } = self;
        let mut stage = Stage {
            posture,
            telemetry,
            outlets,
            lifecycle,
            clocks,
            changes,
            groups,
            inspections,
            now,
            seen,
            by,
        };
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
}
