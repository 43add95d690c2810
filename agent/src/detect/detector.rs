//! Holds the rules in force against events, in the hot loop. Without a match it allocates nothing.

use std::{
    cell::Cell,
    sync::{Arc, mpsc::SyncSender},
};

use agent_abi::record::task_flag;
use rules::{
    compile::Scratch,
    field::EventType,
    temporal::{Limits as Remembered, Part, Tracker, Why},
    value::Truth,
};

use super::{
    Detection, Hosts, Limits, Object, Recorder, RuleSet, Users,
    images::Images,
    kind,
    limiter::{Limiter, Verdict},
    parked::{Awaited, Lot, Parked},
    peers::PeerNames,
    room::Room,
    steps::Steps,
    subject::{Scene, Subject, container_of, may_come, task},
};
use crate::{
    context::{Container, ContainerKey, Context, Enrichment, Process},
    decode::{Event, decode},
    image::{Answer, ImageId, Parts, Question},
    pipeline::{Former, lifecycle::is_of},
    posture::Posture,
    telemetry::{
        Telemetry,
        label::{HeldBack, Unparked},
    },
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

/// What an event may wait for, rather than be judged without.
#[derive(Clone, Copy)]
struct Waits {
    /// Names of its container.
    names: bool,
    /// What is read of its image.
    image: bool,
}

impl Waits {
    const ALL: Self = Self { names: true, image: true };
    const NONE: Self = Self { names: false, image: false };
}

/// What an event has to wait for, one of them at least.
struct Lacks {
    container: Option<ContainerKey>,
    image: Option<Question>,
    /// What rules over several events have noted of it all the same.
    noted: Vec<Part>,
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
    /// rules over several events have seen is forgotten with them.
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
        self.tracker = Tracker::new(Remembered::default());
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
        let parts = std::mem::replace(&mut self.parts, Vec::with_capacity(64));
        if self.steps.keep(at, parts, record) {
            self.settle_steps(u64::MAX, view, out);
        }
    }

    /// Takes what is part of rules over several events in the order of time: all that happened until then is read.
    pub fn settle_steps(&mut self, until_ns: u64, view: View<'_>, out: &mut Vec<Detection>) {
        for kept in self.steps.until(until_ns) {
            // It was decoded before.
            let Ok(event) = decode(kept.record.bytes()) else { continue };
            if let Some(kind) = self.wanted(&event) {
                self.judge(&event, kind, view, kept.at, Pass::Steps(&kept.parts), out);
            }
        }
        self.parts.clear();
    }

    /// Tells what matches. Conditions of rules over several events that hold are left in `parts`, but for those that
    /// were before; [`Pass::Steps`] takes them. Gives what it has to wait for.
    fn judge(
        &mut self,
        event: &Event<'_>,
        kind: EventType,
        view: View<'_>,
        at: Clock,
        pass: Pass<'_>,
        out: &mut Vec<Detection>,
    ) -> Option<Lacks> {
        self.parts.clear();
        let (waits, noted, steps) = match pass {
            Pass::Judge(waits, noted) => (waits, noted, None),
            Pass::Steps(steps) => (Waits::NONE, &[][..], Some(steps)),
        };
        let Self {
            rules,
            users,
            hosts,
            peers,
            images,
            hostname,
            started_ns,
            own_tgid,
            number,
            room,
            shown,
            scratch,
            found,
            parts,
            tracker,
            limiter,
            recorder,
            ..
        } = self;
        let rules = rules.as_ref()?;
        let task = *task(event)?;
        let known = view.context.process(&task);
        if known.is_some_and(|process| is_of(*own_tgid, process) || is_kernel(process)) {
            return None;
        }
        let process = with_image(event, known, view.former, at);
        let before = match event {
            Event::Credentials(_) => view.former.state(&task, at.boottime_ns),
            _ => None,
        };
        let container = match process {
            Some(process) if process.container.is_some() => container_of(process, view.context),
            _ => cgroup(event).and_then(|cgroup| view.context.container_of_cgroup(cgroup)),
        };
        let scene = Scene {
            context: view.context,
            posture: view.posture,
            users,
            hosts,
            peers,
            images,
            passing: rules.passing(),
            hostname,
            started_ns: *started_ns,
        };
        let image = match event {
            Event::Exec(exec) => Some(ImageId::of(&exec.record.state)),
            _ => process.map(|process| ImageId::of(&process.state)),
        };
        // One that was replaced, or whose process has ended, is not there to be read.
        let is_running = known.is_some_and(|now| image == Some(ImageId::of(&now.state)));
        let is_there = is_running && !matches!(event, Event::Exit(_));
        let lacks = Cell::default();
        room.clear();
        let subject = Subject {
            event,
            kind,
            at,
            number: *number,
            task,
            process,
            before,
            container,
            scene,
            room,
            image,
            reads_image: waits.image && is_there && images.can_ask(),
            lacks: &lacks,
            waits: waits.names,
            is_shown: false,
        };
        found.clear();
        let mut is_unknown = false;
        if let Some(steps) = steps {
            shown.clear();
            let shown = Subject { room: shown, waits: false, reads_image: false, is_shown: true, ..subject };
            let (forgotten, at_ns) = (tracker.evicted(), at.boottime_ns);
            let fired = steps.iter().filter_map(|part| tracker.note(&rules.temporal, *part, &shown, at_ns));
            let fired: Vec<_> = fired.map(|fired| (fired.place, Some(fired.why))).collect();
            self.telemetry.detect.forgotten.add(tracker.evicted() - forgotten);
            tell(rules, limiter, &self.telemetry, (&subject, &shown), fired, out);
            return None;
        }
        rules.programs.matches(scratch, Some(kind), &subject, rules.matching, |matched| {
            match matched.truth {
                Truth::True => found.push(matched.place),
                Truth::Unknown | Truth::False => is_unknown = true,
            }
        });
        rules.temporal.matches(scratch, Some(kind), &subject, |part, truth| match truth {
            Truth::True if noted.contains(&part) => {}
            Truth::True => parts.push(part),
            Truth::Unknown | Truth::False => is_unknown = true,
        });
        if found.is_empty() && parts.is_empty() && !is_unknown && recorder.is_none() {
            return None;
        }
        // What matches whatever the names are waits for them too, and for what is to be told of its image: nobody
        // wants an alert without.
        let tells = |place: usize| rules.rules.get(place).map_or(Parts::NONE, |rule| rule.tells);
        for tells in found.iter().copied().chain(parts.iter().map(|part| part.place)).map(tells) {
            for part in Parts::ALL.into_iter().filter(|part| tells.has(*part)) {
                subject.look(part);
            }
        }
        let container_key = container.filter(|it| waits.names && is_awaited(it)).map(|it| it.key);
        let question = image.filter(|_| lacks.get() != Parts::NONE).and_then(|id| {
            let file = match event {
                Event::Exec(exec) => exec.record.exe,
                _ => process?.exe,
            };
            Some(Question { id, file, parts: lacks.get() })
        });
        if container_key.is_some() {
            parts.clear();
            return Some(Lacks { container: container_key, image: question, noted: Vec::new() });
        }
        // What is certain of rules over several events is noted now: they go by the order of events.
        let is_held = question.is_some();
        parts.retain(|part| !is_held || tells(part.place) == Parts::NONE);
        let lacks = question.map(|question| Lacks {
            container: None,
            image: Some(question),
            noted: noted.iter().chain(parts.iter()).copied().collect(),
        });
        shown.clear();
        let shown = Subject { room: shown, waits: false, reads_image: false, is_shown: true, ..subject };
        if let Some(recorder) = recorder.as_ref().filter(|_| !is_held) {
            recorder.record(&shown);
        }
        let single = found.iter().filter(|_| !is_held).map(|&place| (place, None));
        tell(rules, limiter, &self.telemetry, (&subject, &shown), single, out);
        lacks
    }
}

/// What is done with an event.
enum Pass<'a> {
    /// It is held against all conditions, but those that it was held against before.
    Judge(Waits, &'a [Part]),
    /// These conditions of rules over several events hold for it.
    Steps(&'a [Part]),
}

/// Tells of the rules that match, each with what led to it, or counts it.
fn tell(
    rules: &RuleSet,
    limiter: &mut Limiter,
    telemetry: &Telemetry,
    (subject, shown): (&Subject<'_>, &Subject<'_>),
    matched: impl IntoIterator<Item = (usize, Option<Why>)>,
    out: &mut Vec<Detection>,
) {
    let mut matched = matched.into_iter().peekable();
    if matched.peek().is_none() {
        return;
    }
    let object = Object::of(subject);
    let by = subject.process.map(|process| (process.id, process.state.exec_id));
    for (place, why) in matched {
        let Some(rule) = rules.rules.get(place) else { continue };
        telemetry.detect.matches.add(1);
        match limiter.decide(place, (by, &object), subject.at.boottime_ns) {
            Verdict::Tell(held) => {
                let is_pending = subject.container.is_some_and(|container| !is_named(container));
                out.push(Detection::of(shown, rule, why.as_ref(), held, is_pending));
            }
            Verdict::Repeated => telemetry.detect.held_back.of(HeldBack::Repeated).add(1),
            Verdict::TooFast => telemetry.detect.held_back.of(HeldBack::TooFast).add(1),
        }
    }
}

/// The process with the image that it had when the event happened.
fn with_image<'a>(
    event: &Event<'_>,
    known: Option<&'a Process>,
    former: &'a Former,
    at: Clock,
) -> Option<&'a Process> {
    match known {
        Some(process) if at.boottime_ns < process.exec_ns => {
            let then = former.at(process.id, at.boottime_ns);
            // An exec says most of its image itself.
            if matches!(event, Event::Exec(_)) { then.or(known) } else { then }
        }
        known => known,
    }
}

/// The cgroup that a record names.
fn cgroup(event: &Event<'_>) -> Option<u64> {
    match event {
        Event::Exec(exec) => Some(exec.record.state.cgroup_id),
        Event::Credentials(it) => Some(it.record.state.cgroup_id),
        Event::Exit(exit) => Some(exit.cgroup_id),
        event => kind::call(event).map(|call| call.cgroup_id),
    }
}

const fn is_kernel(process: &Process) -> bool {
    process.state.flags & task_flag::KERNEL_THREAD != 0
}

const fn is_named(container: &Container) -> bool {
    matches!(container.enrichment, Enrichment::Complete(_))
}

/// Whether the names of a container are on their way.
const fn is_awaited(container: &Container) -> bool {
    match container.enrichment {
        Enrichment::Complete(_) => false,
        Enrichment::Pending(reason) => may_come(reason),
    }
}
