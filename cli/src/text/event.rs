//! One line an event.

use inert::{inert, push_inert};
use kestrel_proto::{
    raw,
    v1::{self, record::Event},
};

use crate::{
    look::{Cell, GAP, Look, Paint, cell, last_cell, place},
    text::{
        count, detection, finding, lane, node, paint_of,
        raw::{Said, cgroup, say},
        short_id, verdict,
    },
    time,
};

/// Columns of the line; place and evidence share what is left.
const TIME: usize = 8;
const DATE_TIME: usize = 24;
const NODE: usize = 16;
const WORD: usize = 8;
const SUBJECT: usize = 17;
const MOST_PLACE: usize = 44;

/// How lines of events look.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Width and colours.
    pub look: Look,
    /// Dates and nodes too.
    pub is_wide: bool,
}

/// What a line says, before it is fitted.
struct Line {
    word: Cell,
    subject: String,
    place: Place,
    text: String,
}

enum Place {
    Finding(Box<v1::Finding>),
    Names([String; 3]),
    Text(String),
}

impl Lines {
    /// Names of the columns.
    #[must_use]
    pub fn header(self) -> String {
        let place = Place::Text("NAMESPACE/POD/CONTAINER".to_owned());
        self.compose(
            "TIME",
            "NODE",
            &Line {
                word: "VERDICT".into(),
                subject: "CONTROL".to_owned(),
                place,
                text: "EVIDENCE".to_owned(),
            },
        )
    }

    /// An event. Nothing in it can move the cursor.
    #[must_use]
    pub fn event(self, envelope: &v1::Envelope) -> String {
        let record = envelope.record.as_ref();
        let unix_ns = record.map_or(envelope.received_unix_ns, |record| record.wall_unix_ns);
        let line = match record.and_then(|record| record.event.as_ref()) {
            Some(event) => line_of(event, envelope),
            None => Line {
                word: "?".into(),
                subject: "unknown".to_owned(),
                place: Place::Text(inert(&envelope.node)),
                text: "a newer collector's event: update kestrel".to_owned(),
            },
        };
        self.compose(&self.time(unix_ns), &inert(&envelope.node), &line)
    }

    /// Events that were missed.
    #[must_use]
    pub fn missed(self, missed: &v1::Missed, now_unix_ns: i64) -> String {
        let number = missed.records.map_or_else(|| "events".to_owned(), |records| count(records, "event"));
        let why = match missed.reason() {
            v1::MissedReason::Unspecified => "were not given",
            v1::MissedReason::Slow => "were skipped: this reader was too slow",
            v1::MissedReason::Expired => "are gone: the collector does not keep them that long",
            v1::MissedReason::Corrupt => "cannot be read in the collector's log",
        };
        self.compose(
            &self.time(now_unix_ns),
            "-",
            &Line {
                word: Cell::painted("MISSED", Paint::Worst),
                subject: missed.records.map_or_else(|| "-".to_owned(), |records| records.to_string()),
                place: Place::Text("collector".to_owned()),
                text: format!("{number} {why}"),
            },
        )
    }

    fn time(self, unix_ns: i64) -> String {
        if self.is_wide { time::rfc3339(unix_ns) } else { time::clock(unix_ns) }
    }

    fn compose(self, time: &str, node: &str, line: &Line) -> String {
        let mut taken = WORD + SUBJECT + 4 * GAP.len();
        taken += if self.is_wide { DATE_TIME + NODE + GAP.len() } else { TIME };
        let left = self.look.width().saturating_sub(taken);
        let place_columns = (left * 2 / 5).min(MOST_PLACE);
        let mut text = String::new();
        cell(&mut text, &time.into(), if self.is_wide { DATE_TIME } else { TIME }, self.look);
        if self.is_wide {
            cell(&mut text, &node.into(), NODE, self.look);
        }
        cell(&mut text, &line.word, WORD, self.look);
        cell(&mut text, &line.subject.as_str().into(), SUBJECT, self.look);
        cell(&mut text, &line.place.fitted(place_columns).into(), place_columns, self.look);
        last_cell(&mut text, &line.text.as_str().into(), left - place_columns, self.look);
        text.truncate(text.trim_end().len());
        text
    }
}

impl Place {
    fn fitted(&self, columns: usize) -> String {
        match self {
            Self::Finding(finding) => finding::place_of(finding, columns),
            Self::Names([namespace, pod, container]) => place([namespace, pod, container], columns),
            Self::Text(text) => text.clone(),
        }
    }

    /// Of a container, or of the host.
    fn of(envelope: &v1::Envelope, container_id: Option<&str>) -> Self {
        let container = envelope.container.as_ref();
        let id = container.map(|container| container.id.as_str()).or(container_id);
        match (container.and_then(|container| container.names.as_ref()), id) {
            (Some(names), _) => {
                let name = if names.sandbox { "(sandbox)" } else { &names.container };
                Self::Names([names.namespace.clone(), names.pod.clone(), name.to_owned()])
            }
            (None, Some(id)) if !id.is_empty() => {
                Self::Text(format!("container {} (name PENDING)", short_id(id)))
            }
            (None, _) => Self::Text(format!("host {}", inert(&envelope.node))),
        }
    }
}

fn line_of(event: &Event, envelope: &v1::Envelope) -> Line {
    let node = || Place::Text(inert(&envelope.node));
    let process = envelope.process.as_ref();
    let in_container = |id: Option<&str>| {
        Place::of(envelope, id.or_else(|| process.and_then(|process| process.container_id.as_deref())))
    };
    match event {
        Event::Finding(finding) => Line {
            word: match finding.state() {
                v1::FindingState::Resolved => Cell::painted("RESOLVED", Paint::Good),
                _ => Cell::painted(verdict(finding.verdict()), paint_of(finding.verdict())),
            },
            subject: finding::control(finding),
            place: Place::Finding(Box::new(finding.clone())),
            text: finding::evidence(finding),
        },
        Event::Detection(detection) => Line {
            word: Cell::painted("DETECT", detection::paint(detection)),
            subject: inert(&detection.rule),
            place: in_container(detection.container_id.as_deref()),
            text: detection::text(detection, process),
        },
        Event::Exec(exec) => Line {
            word: Cell::painted("EXEC", Paint::Dim),
            subject: process
                .and_then(|process| process.state.as_ref())
                .map_or_else(|| "-".to_owned(), |state| format!("uid={}", state.euid)),
            place: in_container(None),
            text: command(process, &exec.filename, exec.process.as_ref()),
        },
        Event::Exit(exit) => Line {
            word: Cell::painted("EXIT", Paint::Dim),
            subject: status(exit.status),
            place: in_container(None),
            text: command(process, &[], exit.process.as_ref()),
        },
        Event::Credentials(change) => Line {
            word: Cell::painted("CREDS", Paint::Warn),
            subject: format!("syscall {}{}", change.syscall, if change.compat { " (32-bit)" } else { "" }),
            place: in_container(None),
            text: format!(
                "{}, {}",
                state(change.state.as_ref()),
                command(process, &[], change.process.as_ref())
            ),
        },
        Event::ContainerStarted(started) => container_line(
            "STARTED",
            &started.container_id,
            if started.found { "ran before the agent" } else { "" },
            envelope,
        ),
        Event::ContainerNamed(named) => container_line("NAMED", &named.container_id, "", envelope),
        Event::ContainerGone(gone) => container_line("GONE", &gone.container_id, "", envelope),
        event @ (Event::File(_)
        | Event::Path(_)
        | Event::Call(_)
        | Event::Socket(_)
        | Event::SocketState(_)
        | Event::Packet(_)
        | Event::UringDone(_)
        | Event::OomKill(_)
        | Event::AgentSignal(_)
        | Event::Sysctl(_)) => raw_line(event, envelope),
        Event::Gap(gap) => Line {
            word: Cell::painted("GAP", Paint::Worst),
            subject: lane(gap.lane()).to_owned(),
            place: node(),
            text: format!(
                "{} ({} to {}) will not come: {}",
                count(gap.to_sequence.saturating_sub(gap.from_sequence).saturating_add(1), "event"),
                gap.from_sequence,
                gap.to_sequence,
                match gap.reason() {
                    v1::GapReason::Unspecified => "the agent did not say why",
                    v1::GapReason::OutboxFull => "the node's outbox was full",
                    v1::GapReason::Corrupt => "they could not be read back from the node's disk",
                    v1::GapReason::NotOnDisk => "they were in the agent's memory only when it ended",
                    v1::GapReason::Refused => "the collector refused them",
                }
            ),
        },
        Event::Loss(loss) => Line {
            word: Cell::painted("LOSS", Paint::Worst),
            subject: inert(&loss.at),
            place: node(),
            text: format!(
                "{} lost: {}{}",
                count(loss.lost, "record"),
                inert(&loss.reason),
                interval(loss.interval.as_ref())
            ),
        },
        Event::Throttled(throttled) => Line {
            word: Cell::painted("THROTTLE", Paint::Warn),
            subject: throttled.events.to_string(),
            place: match throttled.container_id {
                Some(_) => in_container(throttled.container_id.as_deref()),
                None => Place::Text(format!("host {}, cgroup {}", inert(&envelope.node), throttled.cgroup)),
            },
            text: format!(
                "{} held back{}",
                count(throttled.events, "raw event"),
                interval(throttled.interval.as_ref())
            ),
        },
        Event::Blind(blind) => Line {
            word: Cell::painted("BLIND", Paint::Worst),
            subject: "-".to_owned(),
            place: node(),
            text: format!("{}{}", inert(&blind.reason), interval(blind.interval.as_ref())),
        },
        Event::Coverage(coverage) => {
            let (word, paint) = match coverage.support() {
                v1::Support::Unspecified => ("not known", Paint::Warn),
                v1::Support::Supported => ("supported", Paint::Dim),
                v1::Support::Degraded => ("degraded", Paint::Warn),
                v1::Support::Unsupported => ("unsupported", Paint::Bad),
            };
            let reason = inert(&coverage.reason);
            Line {
                word: Cell::painted("COVERAGE", paint),
                subject: inert(&coverage.at),
                place: node(),
                text: if reason.is_empty() { word.to_owned() } else { format!("{word}: {reason}") },
            }
        }
        Event::Ready(ready) => Line {
            word: Cell::painted("READY", Paint::Good),
            subject: "agent".to_owned(),
            place: node(),
            text: format!("{}, {}", count(ready.containers, "container"), process_count(ready.processes)),
        },
        Event::Stop(stop) => Line {
            word: Cell::painted("STOP", Paint::Warn),
            subject: "agent".to_owned(),
            place: node(),
            text: inert(&stop.reason),
        },
        Event::Node(status) => {
            let (word, paint) = node::condition(status.condition());
            Line {
                word: Cell::painted(word, paint),
                subject: "node".to_owned(),
                place: node(),
                text: inert(&status.detail),
            }
        }
    }
}

/// What was done, and by whom.
fn raw_line(event: &Event, envelope: &v1::Envelope) -> Line {
    let process = envelope.process.as_ref();
    let id = raw::container_id(event).or_else(|| process.and_then(|process| process.container_id.as_deref()));
    let Said { word, subject, mut text } = say(event).unwrap_or_default();
    let actor = raw::actor(event);
    let by = command(process, &[], actor.and_then(|actor| actor.process.as_ref()));
    if !by.is_empty() {
        text.push_str(", ");
        text.push_str(&by);
    }
    // Whose a cgroup is may not be known: what names no container is not the host's for that.
    let place = if process.is_some() || id.is_some() {
        Place::of(envelope, id)
    } else {
        Place::Text(cgroup(event).map_or_else(|| "-".to_owned(), |cgroup| format!("cgroup {cgroup}")))
    };
    Line { word: Cell::painted(word, Paint::Dim), subject, place, text }
}

fn process_count(number: u64) -> String {
    format!("{number} process{}", if number == 1 { "" } else { "es" })
}

fn container_line(word: &str, id: &str, note: &str, envelope: &v1::Envelope) -> Line {
    let image = envelope.container.as_ref().and_then(|container| container.names.as_ref());
    let mut text = format!("container {}", short_id(id));
    if let Some(names) = image.filter(|names| !names.image.is_empty()) {
        text.push_str(", image ");
        push_inert(&mut text, names.image.as_bytes());
    }
    if !note.is_empty() {
        text.push_str(", ");
        text.push_str(note);
    }
    Line {
        word: Cell::painted(word, Paint::Dim),
        subject: "container".to_owned(),
        place: Place::of(envelope, Some(id)),
        text,
    }
}

/// The executable and its arguments; an argv of its own choosing does not hide what ran.
fn command(process: Option<&v1::Process>, filename: &[u8], id: Option<&v1::ProcessId>) -> String {
    let mut text = String::new();
    let exe = process.map_or(filename, |process| &process.exe);
    push_inert(&mut text, if exe.is_empty() { filename } else { exe });
    if let Some(process) = process {
        for arg in process.argv.iter().skip(1) {
            text.push(' ');
            push_inert(&mut text, arg);
        }
        if process.argv_truncated {
            text.push_str(" …");
        }
        if process.file.as_ref().is_some_and(|file| file.memfd) {
            text.push_str(" (memfd)");
        } else if process.file.as_ref().is_some_and(|file| file.unlinked) {
            text.push_str(" (deleted)");
        }
        if process.membership() == v1::Membership::Entered {
            text.push_str(" (entered)");
        }
    }
    if let Some(id) = id {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str("pid ");
        text.push_str(&id.tgid.to_string());
    }
    text
}

fn state(state: Option<&v1::TaskState>) -> String {
    let Some(state) = state else { return "state not known".to_owned() };
    let v1::TaskState { uid, euid, gid, egid, cap_effective, no_new_privs, seccomp_mode, .. } = state;
    let privileges = u8::from(*no_new_privs);
    format!(
        "uid {uid} euid {euid} gid {gid} egid {egid} caps {cap_effective:#x} no_new_privs {privileges} seccomp {seccomp_mode}"
    )
}

/// As `wait` encodes it.
fn status(status: u32) -> String {
    match status & 0x7f {
        0 => format!("code {}", (status >> 8) & 0xff),
        signal => format!("signal {signal}"),
    }
}

fn interval(interval: Option<&v1::Interval>) -> String {
    interval.map_or_else(String::new, |interval| {
        format!(", {} to {}", time::rfc3339(interval.from_unix_ns), time::rfc3339(interval.to_unix_ns))
    })
}
