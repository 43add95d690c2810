//! One event held against the rules, and what it still lacks to be judged.

use std::cell::Cell;

use agent_abi::record::task_flag;
use rules::{
    field::EventType,
    temporal::{Part, Why},
    value::Truth,
};

use super::{
    super::{
        Detection, Object, RuleSet, kind,
        limiter::{Limiter, Verdict},
        subject::{Scene, Subject, container_of, may_come, task},
    },
    Detector, View,
};
use crate::{
    context::{Container, ContainerKey, Enrichment, Process},
    decode::Event,
    image::{ImageId, Parts, Question},
    pipeline::{Former, lifecycle::is_of},
    telemetry::{Telemetry, label::HeldBack},
    time::Clock,
};

/// What an event may wait for, rather than be judged without.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    /// Names of its container.
    pub(super) names: bool,
    /// What is read of its image.
    pub(super) image: bool,
}

impl Waits {
    pub(super) const ALL: Self = Self { names: true, image: true };
    pub(super) const NONE: Self = Self { names: false, image: false };
}

/// What an event has to wait for, one of them at least.
pub(super) struct Lacks {
    pub(super) container: Option<ContainerKey>,
    pub(super) image: Option<Question>,
    /// What rules over several events have noted of it all the same.
    pub(super) noted: Vec<Part>,
}

/// What is done with an event.
pub(super) enum Pass<'a> {
    /// It is held against all conditions, but those that it was held against before.
    Judge(Waits, &'a [Part]),
    /// These conditions of rules over several events hold for it.
    Steps(&'a [Part]),
}

impl Detector {
    /// Tells what matches. Conditions of rules over several events that hold are left in `parts`, but for those that
    /// were before; [`Pass::Steps`] takes them. Gives what it has to wait for.
    pub(super) fn judge(
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
pub(super) const fn is_awaited(container: &Container) -> bool {
    match container.enrichment {
        Enrichment::Complete(_) => false,
        Enrichment::Pending(reason) => may_come(reason),
    }
}
