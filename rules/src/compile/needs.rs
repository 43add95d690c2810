//! What all conditions of a type need, for whoever can leave events out early.

use std::cmp::Reverse;

use super::{
    dag::{Dag, Edge, Expr, Leaf, Pattern},
    fold::{Fold, Known, assume},
};
use crate::{
    eval::Source,
    field::{Field, Reference},
    value::Scalar,
};

/// More prefixes than this are none.
const MOST_PREFIXES: usize = 256;
/// More groups of names than this are none.
const MOST_GROUPS: usize = 64;
/// Of what a path must have, so many names are told: the rarest.
const MOST_NAMES: usize = 2;
/// Names that many paths have (the Filesystem Hierarchy Standard 3.0, and homes).
const COMMON: [&[u8]; 24] = [
    b"bin", b"data", b"dev", b"etc", b"home", b"lib", b"lib64", b"local", b"log", b"mnt", b"opt", b"proc",
    b"root", b"run", b"sbin", b"server", b"share", b"srv", b"src", b"sys", b"tmp", b"user", b"usr", b"var",
];

/// What an event needs so that any condition can hold for it. It never leaves out one for which one holds or
/// may; a field that is not yet known counts as what it will be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// `container.id` is not `host`.
    pub container_only: bool,
    /// `evt.is_open_write` is there, and true.
    pub write_opens_only: bool,
    /// The file is one of these; none: it may be any.
    pub files: Option<Files>,
    /// The same of an event whose `fd.num` is -1, and which no io_uring submitted: an open that failed.
    pub failed: Option<Files>,
}

/// Of which files a condition can hold: it is enough that one of these is true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// `fd.name` begins with one of these. `fd.directory` is its folder.
    pub prefixes: Vec<Box<[u8]>>,
    /// Among the names between the slashes of `fd.name` are all of one of these groups, none of which is empty
    /// or has all of another.
    pub landmarks: Vec<Box<[Box<[u8]>]>>,
    /// `evt.is_open_write` is there, and true.
    pub written: bool,
    /// `fd.nameraw` has two dots in a row.
    pub dotted: bool,
}

impl Needs {
    /// What such conditions need.
    pub(super) fn of(dag: &mut Dag, conditions: &[Edge]) -> Self {
        let host = Scalar::from("host");
        let container_only = never(dag, conditions, Field::ContainerId, Some(&host));
        let write_opens_only = never(dag, conditions, Field::EvtIsOpenWrite, Some(&Scalar::Bool(false)))
            && never(dag, conditions, Field::EvtIsOpenWrite, None);
        let writes = Writes::of(dag);
        let files = of_all(dag, &writes, conditions);
        let failed = if_failed(dag, conditions);
        let failed = of_all(dag, &writes, &failed);
        Self { container_only, write_opens_only, files, failed }
    }
}

impl Needs {
    /// What conditions of one or the other need.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let both = |one: Option<Files>, other: Option<Files>| {
            let files = one.zip(other).map(|(one, two)| Files::any(vec![one, two]));
            files.filter(Files::are_few)
        };
        Self {
            container_only: self.container_only && other.container_only,
            write_opens_only: self.write_opens_only && other.write_opens_only,
            files: both(self.files, other.files),
            failed: both(self.failed, other.failed),
        }
    }
}

impl Files {
    fn below(prefixes: Vec<Box<[u8]>>) -> Self {
        Self { prefixes, ..Self::default() }
    }

    /// Those whose path has such names; `None` where there are none.
    fn having<'n>(names: impl IntoIterator<Item = &'n [u8]>) -> Option<Self> {
        let mut names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.sort_unstable_by_key(|name| {
            (COMMON.contains(name), !name.starts_with(b"."), Reverse(name.len()), *name)
        });
        names.dedup();
        // One that begins with a dot is rare enough by itself.
        let most = if names.first().is_some_and(|name| name.starts_with(b".")) { 1 } else { MOST_NAMES };
        let mut group: Vec<Box<[u8]>> = names.into_iter().take(most).map(Into::into).collect();
        group.sort_unstable();
        (!group.is_empty()).then(|| Self { landmarks: vec![group.into()], ..Self::default() })
    }

    /// What is one of any of these.
    fn any(all: Vec<Self>) -> Self {
        let mut any = Self::default();
        for Self { prefixes, landmarks, written, dotted } in all {
            any.prefixes.extend(prefixes);
            any.landmarks.extend(landmarks);
            any.written |= written;
            any.dotted |= dotted;
        }
        any.prefixes = shortest(any.prefixes);
        any.landmarks = fewest(any.landmarks);
        any
    }

    fn are_few(&self) -> bool {
        self.prefixes.len() <= MOST_PREFIXES && self.landmarks.len() <= MOST_GROUPS
    }

    /// Less is fewer files, as far as one can guess: names with dots are the rarest, and more is written
    /// than lies below a few folders, or has common names. Below `/` is all. What is written may be wanted
    /// anyway.
    fn breadth(&self, with_written: bool) -> usize {
        let is_any = self.prefixes.iter().any(|prefix| prefix.len() <= 1);
        let is_common = self.landmarks.iter().any(|names| names.iter().all(|name| COMMON.contains(&&**name)));
        let written =
            usize::from(self.written && !with_written) + usize::from(is_common) + 3 * usize::from(is_any);
        let few = 2 * self.prefixes.len() + 2 * self.landmarks.len() + usize::from(self.dotted);
        written * 8 * MOST_PREFIXES + few
    }
}

/// Leaves that hold for no file but one that is opened for writing.
#[derive(Clone)]
struct Writes {
    leaves: Vec<usize>,
    /// Some condition wants all files that are written.
    are_wanted: bool,
}

impl Writes {
    fn of(dag: &mut Dag) -> Self {
        let Ok(reference) = Reference::parse(Field::EvtIsOpenWrite.definition().name, None) else {
            return Self { leaves: Vec::new(), are_wanted: false };
        };
        let source = dag.source_id(&Source::Field(reference));
        let for_reading = assume(dag, source, Some(&Scalar::Bool(false)));
        let for_neither = assume(dag, source, None);
        let never =
            for_reading.iter().filter(|(leaf, holds)| !**holds && for_neither.get(*leaf) == Some(&false));
        Self { leaves: never.map(|(leaf, _)| *leaf).collect(), are_wanted: false }
    }
}

/// Whether no condition holds or may when a field has this value, or none.
fn never(dag: &mut Dag, conditions: &[Edge], field: Field, value: Option<&Scalar<'_>>) -> bool {
    let Ok(reference) = Reference::parse(field.definition().name, None) else { return false };
    let source = dag.source_id(&Source::Field(reference));
    let known = assume(dag, source, value);
    if known.is_empty() {
        return false;
    }
    let mut fold = Fold::new(dag, known);
    conditions.iter().all(|condition| fold.edge(*condition) == Edge::FALSE)
}

/// What is left of conditions for an open that failed.
fn if_failed(dag: &mut Dag, conditions: &[Edge]) -> Vec<Edge> {
    let mut known = Known::new();
    for (field, value) in [(Field::FdNum, Scalar::Int(-1)), (Field::EvtViaIoUring, Scalar::Bool(false))] {
        if let Ok(reference) = Reference::parse(field.definition().name, None) {
            let source = dag.source_id(&Source::Field(reference));
            known.extend(assume(dag, source, Some(&value)));
        }
    }
    let mut fold = Fold::new(dag, known);
    conditions.iter().map(|condition| fold.edge(*condition)).collect()
}

fn of_all(dag: &Dag, writes: &Writes, conditions: &[Edge]) -> Option<Files> {
    let choose = |writes: &Writes| {
        let all: Option<Vec<Files>> = conditions.iter().map(|edge| files(dag, writes, *edge)).collect();
        all.map(Files::any)
    };
    let mut chosen = choose(writes)?;
    // Where all that is written is wanted anyway, nobody has to name what is.
    if chosen.written {
        chosen = choose(&Writes { are_wanted: true, ..writes.clone() })?;
    }
    Some(chosen).filter(Files::are_few)
}

/// Of which files a part holds or may, if that is known.
fn files(dag: &Dag, writes: &Writes, part: Edge) -> Option<Files> {
    match dag.expr(part) {
        Expr::True => part.is_negated().then(Files::default),
        Expr::Leaf(_) if part.is_negated() => None,
        Expr::Leaf(_) if writes.leaves.contains(&part.node()) => {
            Some(Files { written: true, ..Files::default() })
        }
        Expr::Leaf(Leaf::Pattern(source, pattern)) => match dag.source(*source)? {
            Source::Field(reference) => of_pattern(reference.field(), pattern),
            _ => None,
        },
        Expr::Leaf(_) => None,
        // All must hold, so one is enough: the one that leaves the fewest.
        Expr::And(parts) if !part.is_negated() => parts
            .iter()
            .filter_map(|part| files(dag, writes, *part))
            .min_by_key(|files| files.breadth(writes.are_wanted)),
        Expr::And(parts) => {
            let all: Option<Vec<Files>> = parts.iter().map(|part| files(dag, writes, !*part)).collect();
            all.map(Files::any)
        }
    }
}

fn of_pattern(field: Field, pattern: &Pattern) -> Option<Files> {
    let folder =
        |text: &[u8]| -> Box<[u8]> { if text == b"/" { text.into() } else { [text, b"/"].concat().into() } };
    let prefixes = match (field, pattern) {
        (Field::FdName, Pattern::Equal(text) | Pattern::StartsWith(text)) => vec![(**text).into()],
        (Field::FdName, Pattern::Among(texts)) => texts.to_vec(),
        (Field::FdDirectory, Pattern::Equal(text)) => vec![folder(text)],
        (Field::FdDirectory, Pattern::Among(texts)) => texts.iter().map(|text| folder(text)).collect(),
        (Field::FdDirectory, Pattern::StartsWith(text)) => vec![(**text).into()],
        // What stands between two slashes is a whole name, and so is what ends at the end.
        (Field::FdName | Field::FdDirectory, Pattern::Contains(text)) => {
            let names = text.split(|byte| *byte == b'/').skip(1);
            return Files::having(names.clone().take(names.count().saturating_sub(1)));
        }
        (Field::FdName | Field::FdDirectory, Pattern::EndsWith(text)) => {
            return Files::having(text.split(|byte| *byte == b'/').skip(1));
        }
        (Field::FdFilename, Pattern::Equal(text)) => return Files::having([&**text]),
        (Field::FdFilename, Pattern::Among(texts)) => {
            let all: Option<Vec<_>> = texts.iter().map(|text| Files::having([&**text])).collect();
            return all.map(Files::any);
        }
        (
            Field::FdNameraw,
            Pattern::Equal(text)
            | Pattern::StartsWith(text)
            | Pattern::EndsWith(text)
            | Pattern::Contains(text),
        ) => {
            let is_dotted = text.windows(2).any(|two| two == b"..");
            return is_dotted.then(|| Files { dotted: true, ..Files::default() });
        }
        _ => return None,
    };
    Some(Files::below(prefixes))
}

/// Without those that begin with another one.
fn shortest(mut prefixes: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    prefixes.sort_unstable();
    prefixes.dedup_by(|later, kept| later.starts_with(kept));
    prefixes
}

/// Without those that have all names of another one, if they are not too many anyway.
fn fewest(mut groups: Vec<Box<[Box<[u8]>]>>) -> Vec<Box<[Box<[u8]>]>> {
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MOST_GROUPS {
        return groups;
    }
    let has_all = |group: &[Box<[u8]>], other: &[Box<[u8]>]| other.iter().all(|name| group.contains(name));
    let is_more: Vec<bool> = groups
        .iter()
        .map(|group| groups.iter().any(|other| other.len() < group.len() && has_all(group, other)))
        .collect();
    let mut is_more = is_more.into_iter();
    groups.retain(|_| !is_more.next().unwrap_or_default());
    groups
}
