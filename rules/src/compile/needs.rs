//! What all conditions of a type need, for whoever can leave events out early.

use super::{
    dag::{Dag, Edge, Expr, Leaf, Pattern},
    fold::{Fold, assume},
};
use crate::{
    eval::Source,
    field::{Field, Reference},
    value::Scalar,
};

/// More prefixes than this are none.
const MOST_PREFIXES: usize = 256;

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
}

/// Of which files a condition can hold: it is enough that one of these is true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// `fd.name` begins with one of these. `fd.directory` is its folder.
    pub prefixes: Vec<Box<[u8]>>,
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
        let all: Option<Vec<Files>> = conditions.iter().map(|edge| files(dag, &writes, *edge)).collect();
        let files = all.map(Files::any).filter(|files| files.prefixes.len() <= MOST_PREFIXES);
        Self { container_only, write_opens_only, files }
    }
}

impl Needs {
    /// What conditions of one or the other need.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let files = self.files.zip(other.files).map(|(one, two)| Files::any(vec![one, two]));
        Self {
            container_only: self.container_only && other.container_only,
            write_opens_only: self.write_opens_only && other.write_opens_only,
            files: files.filter(|files| files.prefixes.len() <= MOST_PREFIXES),
        }
    }
}

impl Files {
    fn below(prefixes: Vec<Box<[u8]>>) -> Self {
        Self { prefixes, ..Self::default() }
    }

    /// What is one of any of these.
    fn any(all: Vec<Self>) -> Self {
        let mut any = Self::default();
        for Self { prefixes, written, dotted } in all {
            any.prefixes.extend(prefixes);
            any.written |= written;
            any.dotted |= dotted;
        }
        any.prefixes = shortest(any.prefixes);
        any
    }

    /// Less is fewer files, as far as one can guess: names with dots are the rarest, and more is written
    /// than lies below a few folders. Below `/` is all.
    fn breadth(&self) -> usize {
        let is_any = self.prefixes.iter().any(|prefix| prefix.len() <= 1);
        let written = usize::from(self.written) + 2 * usize::from(is_any);
        written * 4 * MOST_PREFIXES + 2 * self.prefixes.len() + usize::from(self.dotted)
    }
}

/// Leaves that hold for no file but one that is opened for writing.
struct Writes(Vec<usize>);

impl Writes {
    fn of(dag: &mut Dag) -> Self {
        let Ok(reference) = Reference::parse(Field::EvtIsOpenWrite.definition().name, None) else {
            return Self(Vec::new());
        };
        let source = dag.source_id(&Source::Field(reference));
        let for_reading = assume(dag, source, Some(&Scalar::Bool(false)));
        let for_neither = assume(dag, source, None);
        let never =
            for_reading.iter().filter(|(leaf, holds)| !**holds && for_neither.get(*leaf) == Some(&false));
        Self(never.map(|(leaf, _)| *leaf).collect())
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

/// Of which files a part holds or may, if that is known.
fn files(dag: &Dag, writes: &Writes, part: Edge) -> Option<Files> {
    match dag.expr(part) {
        Expr::True => part.is_negated().then(Files::default),
        Expr::Leaf(_) if part.is_negated() => None,
        Expr::Leaf(_) if writes.0.contains(&part.node()) => Some(Files { written: true, ..Files::default() }),
        Expr::Leaf(Leaf::Pattern(source, pattern)) => match dag.source(*source)? {
            Source::Field(reference) => of_pattern(reference.field(), pattern),
            _ => None,
        },
        Expr::Leaf(_) => None,
        // All must hold, so one is enough: the one that leaves the fewest.
        Expr::And(parts) if !part.is_negated() => {
            parts.iter().filter_map(|part| files(dag, writes, *part)).min_by_key(Files::breadth)
        }
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
