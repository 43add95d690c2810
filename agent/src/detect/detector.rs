//! Holds the rules in force against events, in the hot loop. Without a match it allocates nothing.

mod judging;

use std::sync::{Arc, mpsc::SyncSender};

use rules::{
    compile::Scratch,
    field::EventType,
    temporal::{Limits as Remembered, Part, Tracker},
};

use self::judging::{Lacks, Pass, Waits, is_awaited};
use super::{
    Detection, Hosts, Limits, Recorder, RuleSet, Users,
    images::Images,
    kind,
    limiter::Limiter,
    parked::{Awaited, Lot, Parked},
    peers::PeerNames,
    room::Room,
    steps::Steps,
};
use crate::{
    context::Context,
    decode::{Event, decode},
    image::{Answer, Question},
    pipeline::Former,
    posture::Posture,
    telemetry::{Telemetry, label::Unparked},
    time::Clock,
};

/// What the rest of the hot loop knows.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Processes and containers.
    pub context: &'a Context,
    /// Verdicts.
    pub posture: &'a Posture,
    /// Images that were replaced.
    pub former: &'a Former,
}

/// Holds rules against events.
pub struct Detector {
    rules: Option<Arc<RuleSet>>,
    limits: Limits,
    limiter: Limiter,
    users: Arc<Users>,
    hosts: Arc<Hosts>,
    peers: PeerNames,
    images: Images,
    hostname: String,
    started_ns: u64,
    /// How long an event waits for the names of its container, and for what is read of its image.
    name_wait_ns: u64,
    own_tgid: u32,
    number: u64,
    room: Room,
    /// Of an event as it is shown.
    shown: Room,
    lot: Lot,
    scratch: Scratch,
    /// Places of the rules that an event matches.
    found: Vec<usize>,
    /// Conditions of rules over several events that hold.
    parts: Vec<Part>,
    /// Events that such conditions hold for.
    steps: Steps,
    /// What such rules have seen.
    tracker: Tracker,
    telemetry: Arc<Telemetry>,
    recorder: Option<Recorder>,
}

impl Detector {
    /// Without rules.
    #[must_use]
    pub fn new(
        limits: Limits,
        name_wait_ns: u64,
        hostname: String,
        started: Clock,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            rules: None,
            limits,
            limiter: Limiter::new(limits, 0),
            users: Arc::default(),
            hosts: Arc::default(),
            peers: PeerNames::new(),
            images: Images::default(),
            hostname,
            started_ns: started.wall_ns,
            name_wait_ns,
            own_tgid: std::process::id(),
            number: 0,
            room: Room::default(),
            shown: Room::default(),
            lot: Lot::default(),
            scratch: Scratch::default(),
            found: Vec::with_capacity(64),
            parts: Vec::with_capacity(64),
            steps: Steps::default(),
            tracker: Tracker::new(Remembered::default()),
            telemetry,
            recorder: None,
        }
    }

    /// Writes every event that rules want to a recording.
    pub fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Asks there for what rules want of files and environments of processes.
    pub fn read_images(&mut self, reader: SyncSender<Question>) {
        self.images.connect(reader);
    }

    /// Whether there are rules.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.rules.is_some()
    }

    /// Puts rules in force, and names of the node's users. What the rules before held back is told first. What
    /// was seen of rules over several events counts on, where they are the same.
    pub fn put_in_force(
        &mut self,
        rules: Arc<RuleSet>,
        users: Arc<Users>,
        view: View<'_>,
        now: Clock,
        out: &mut Vec<Detection>,
    ) {
        // What waits was to be judged by the rules of its time.
        while let Some(parked) = self.lot.pop() {
            self.judge_parked(&parked, Unparked::End, view, out);
        }
        self.settle_steps(u64::MAX, view, out);
        self.tell_rest(now, out);
        self.limiter = Limiter::new(self.limits, rules.rules.len());
        self.rules = Some(rules);
        self.users = users;
    }

    /// Knows addresses by these names from now on.
    pub fn know_hosts(&mut self, hosts: Arc<Hosts>) {
        self.hosts = hosts;
    }

    /// Takes an event whose record is `record`; `view` has taken in what came before it, and itself.
    pub fn take(
        &mut self,
        event: &Event<'_>,
        record: &[u8],
        view: View<'_>,
        at: Clock,
        out: &mut Vec<Detection>,
    ) {
        if let Event::Packet(packet) = event {
            if self.rules.as_ref().is_some_and(|rules| rules.hears_peer_names()) {
                self.peers.take(packet, view.context, at.boottime_ns, &self.telemetry.peers);
            }
            return;
        }
        let Some(kind) = self.wanted(event) else { return };
        self.number += 1;
        let lacks = self.judge(event, kind, view, at, Pass::Judge(Waits::ALL, &[]), out);
        self.keep_steps(record, at, view, out);
        let until_ns = at.boottime_ns.saturating_add(self.name_wait_ns);
        if let Some(lacks) = lacks {
            self.wait(lacks, (event, kind, record), view, (at, until_ns), out);
        }
    }

    /// Parks an event until what it lacks is there.
    fn wait(
        &mut self,
        lacks: Lacks,
        (event, kind, record): (&Event<'_>, EventType, &[u8]),
        view: View<'_>,
        (at, until_ns): (Clock, u64),
        out: &mut Vec<Detection>,
    ) {
        let Lacks { container, image, noted } = lacks;
        let asked = image
            .filter(|question| self.images.ask(*question, &self.telemetry.queues, &self.telemetry.images));
        if container.is_none() && asked.is_none() {
            // Nobody reads it.
            self.judge(event, kind, view, at, Pass::Judge(Waits::NONE, &noted), out);
            self.keep_steps(record, at, view, out);
            return;
        }
        let awaited = Awaited { container, image: asked.map(|question| (question.id, question.parts)) };
        self.telemetry.detect.parked.add(1);
        if let Some(gone) = self.lot.park(awaited, at, record, noted, until_ns) {
            self.judge_parked(&gone, Unparked::Room, view, out);
        }
    }

    /// Takes what was read of an image.
    pub fn take_image(&mut self, answer: Answer) {
        self.images.take(answer);
    }

    /// Whether something was read of images that is not looked at yet.
    #[must_use]
    pub const fn has_images(&self) -> bool {
        self.images.has_fresh()
    }

    /// Judges what waited for it. All that happened before it was read is taken.
    pub fn settle_images(&mut self, view: View<'_>, now: Clock, out: &mut Vec<Detection>) {
        self.images.believe(view.context, &self.telemetry.images);
        self.judge_due(view, now, out);
    }

    /// Judges what waited for names that have come, or waited long enough, and tells what was held back
    /// for long.
    pub fn tick(&mut self, view: View<'_>, now: Clock, out: &mut Vec<Detection>) {
        self.judge_due(view, now, out);
        self.telemetry.detect.waiting.set(self.lot.len() as u64);
        self.telemetry.detect.remembered.set(self.tracker.marks() as u64);
        self.peers.tick(view.context, now.boottime_ns, &self.telemetry.peers);
        let Some(rules) = &self.rules else { return };
        self.limiter.overdue(now.boottime_ns, |rule, held| {
            out.extend(rules.rules.get(rule).map(|rule| Detection::held_back(rule, now, held)));
        });
    }

    fn judge_due(&mut self, view: View<'_>, now: Clock, out: &mut Vec<Detection>) {
        let images = &self.images;
        let is_there = |awaited: &Awaited| {
            let container = awaited.container.and_then(|key| view.context.container(key));
            let is_read = awaited.image.is_none_or(|(id, parts)| !images.is_awaited(&id, parts));
            is_read && container.is_none_or(|container| !is_awaited(container))
        };
        for (parked, why) in self.lot.due(now.boottime_ns, is_there) {
            self.judge_parked(&parked, why, view, out);
        }
    }

    /// Nothing follows: judges what waits, tells what is held back.
    pub fn finish(&mut self, view: View<'_>, now: Clock, out: &mut Vec<Detection>) {
        while let Some(parked) = self.lot.pop() {
            self.judge_parked(&parked, Unparked::End, view, out);
        }
        self.settle_steps(u64::MAX, view, out);
        self.tell_rest(now, out);
    }

    fn tell_rest(&mut self, now: Clock, out: &mut Vec<Detection>) {
        let Some(rules) = &self.rules else { return };
        self.limiter.rest(|rule, held| {
            out.extend(rules.rules.get(rule).map(|rule| Detection::held_back(rule, now, held)));
        });
    }

    fn wanted(&self, event: &Event<'_>) -> Option<EventType> {
        let rules = self.rules.as_ref()?;
        kind::of(event).filter(|kind| rules.wants(*kind))
    }

    fn judge_parked(&mut self, parked: &Parked, why: Unparked, view: View<'_>, out: &mut Vec<Detection>) {
        self.telemetry.detect.unparked.of(why).add(1);
        // It was decoded before.
        let Ok(event) = decode(parked.record.bytes()) else { return };
        if let Some(kind) = self.wanted(&event) {
            // What only its names showed to be wanted of its image is read now.
            let is_first = parked.awaited.image.is_none() && why == Unparked::Named;
            let waits = Waits { names: false, image: is_first };
            let pass = Pass::Judge(waits, &parked.noted);
            let lacks = self.judge(&event, kind, view, parked.at, pass, out);
            self.keep_steps(parked.record.bytes(), parked.at, view, out);
            if let Some(lacks) = lacks {
                let times = (parked.at, parked.until_ns);
                self.wait(lacks, (&event, kind, parked.record.bytes()), view, times, out);
            }
        }
    }

    /// Keeps the event that was judged last where it is part of a rule over several.
    fn keep_steps(&mut self, record: &[u8], at: Clock, view: View<'_>, out: &mut Vec<Detection>) {
        if self.parts.is_empty() {
            return;
        }
        if self.steps.keep(at, &mut self.parts, record) {
            self.settle_steps(u64::MAX, view, out);
        }
    }

    /// Takes what is part of rules over several events in the order of time: all that happened until then is read.
    pub fn settle_steps(&mut self, until_ns: u64, view: View<'_>, out: &mut Vec<Detection>) {
        let due = self.steps.until(until_ns);
        for kept in &due {
            // It was decoded before.
            let Ok(event) = decode(kept.record.bytes()) else { continue };
            if let Some(kind) = self.wanted(&event) {
                self.judge(&event, kind, view, kept.at, Pass::Steps(&kept.parts), out);
            }
        }
        self.steps.give_back(due);
        self.parts.clear();
    }
}
