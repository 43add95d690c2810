//! What is told of a rule that matched.

use std::{net::IpAddr, sync::Arc};

use rules::temporal::{Mark, Why};

use super::{
    field::{object, peer},
    rule_set::Rule,
    subject::{Subject, comm},
};
use crate::{
    context::ProcessId,
    pipeline::{
        Texts,
        lifecycle::{ContainerEntry, ProcessEntry, kept},
    },
    time::Clock,
};

/// Most forebears that are told.
const ANCESTORS: usize = 8;
/// Most bytes of an output, and of a value of a field.
const OUTPUT_BYTES: usize = 8 << 10;
const VALUE_BYTES: usize = 2 << 10;

/// A match of a rule.
#[derive(Debug)]
pub struct Detection {
    /// When it happened.
    pub at: Clock,
    /// The rule.
    pub rule: Arc<Rule>,
    /// Type of the event, as rules call it.
    pub event_type: &'static str,
    /// The output with its fields filled in. Parts of it are chosen by workloads.
    pub output: String,
    /// Values by name, as they print; `None`: the event has none.
    pub fields: Vec<(String, Option<String>)>,
    /// Who did it.
    pub process: Option<ProcessEntry>,
    /// What the pieces of the process are of.
    pub texts: Texts,
    /// Forebears, the parent first.
    pub ancestors: Vec<Ancestor>,
    /// Where; `None`: on the host.
    pub container: Option<ContainerEntry>,
    /// What it was about.
    pub object: Option<Object>,
    /// Matches of the rule that were held back before this one.
    pub held_back: u64,
    /// The container's names were not known.
    pub pending_names: bool,
}

/// A forebear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Who.
    pub id: ProcessId,
    /// Name of the task.
    pub comm: Vec<u8>,
    /// Its executable.
    pub exe: Vec<u8>,
}

/// What an event was about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A file.
    Path(Vec<u8>),
    /// The other end of a connection.
    Peer(IpAddr, u16),
}

impl Object {
    pub(super) fn of(subject: &Subject<'_>) -> Option<Self> {
        if let Some((address, port)) = peer(subject) {
            return Some(Self::Peer(address, port));
        }
        object(subject).map(|path| Self::Path(path.to_vec()))
    }
}

impl Detection {
    /// Of a subject that is shown.
    pub(super) fn of(
        subject: &Subject<'_>,
        rule: &Arc<Rule>,
        why: Option<&Why>,
        held_back: u64,
        pending_names: bool,
    ) -> Self {
        let mut texts = Texts::with_room(1024);
        let container = subject.container.map(ContainerEntry::from);
        let process = subject.process.map(|process| {
            let state = subject.state().unwrap_or(&process.state);
            kept(process, state, container.clone(), &mut texts)
        });
        let ancestors = subject.ancestors().take(ANCESTORS).map(|process| Ancestor {
            id: process.id,
            comm: comm(&process.state).to_vec(),
            exe: process.exe_path.clone(),
        });
        Self {
            at: subject.at,
            rule: Arc::clone(rule),
            event_type: subject.kind.name(),
            output: bounded(rule.output.render(subject), OUTPUT_BYTES),
            fields: why
                .into_iter()
                .flat_map(|why| led(why, subject.at))
                .chain(rule.values(subject, |value| bounded(value, VALUE_BYTES)))
                .collect(),
            ancestors: ancestors.collect(),
            object: Object::of(subject),
            process,
            texts,
            container,
            held_back,
            pending_names,
        }
    }

    /// That matches of a rule were held back, where no other follows that says so.
    pub(super) fn held_back(rule: &Arc<Rule>, at: Clock, held_back: u64) -> Self {
        Self {
            at,
            rule: Arc::clone(rule),
            event_type: "",
            output: format!(
                "{held_back} more matches of this rule were held back: they said the same, or came too fast"
            ),
            fields: Vec::new(),
            process: None,
            texts: Texts::with_room(0),
            ancestors: Vec::new(),
            container: None,
            object: None,
            held_back,
            pending_names: false,
        }
    }
}

/// What led to a match of a rule over several events, as fields: `kestrel.count` and `kestrel.since`, or
/// `kestrel.step[1]` and so on.
fn led(why: &Why, at: Clock) -> Vec<(String, Option<String>)> {
    let then = |at_ns: u64| {
        let ago_ns = at.boottime_ns.saturating_sub(at_ns);
        Clock { boottime_ns: at_ns, wall_ns: at.wall_ns.saturating_sub(ago_ns) }.rfc3339()
    };
    match why {
        Why::Count { count, since_ns } => vec![
            ("kestrel.count".to_owned(), Some(count.to_string())),
            ("kestrel.since".to_owned(), Some(then(*since_ns))),
        ],
        Why::Steps(marks) => {
            let step = |(number, mark): (usize, &Mark)| {
                let said = format!("{} {}", then(mark.at_ns), mark.by);
                (format!("kestrel.step[{}]", number + 1), Some(said))
            };
            marks.iter().enumerate().map(step).collect()
        }
    }
}

/// Cuts a text that is longer than `most` bytes, and says so by its last character.
pub(super) fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}
