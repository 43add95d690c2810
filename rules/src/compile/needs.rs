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
    /// `fd.name` is there and begins with one of these. `fd.directory` is its folder.
    pub path_prefixes: Option<Vec<Box<[u8]>>>,
}

impl Needs {
    /// What such conditions need.
    pub(super) fn of(dag: &mut Dag, conditions: &[Edge]) -> Self {
        let host = Scalar::from("host");
        let container_only = never(dag, conditions, Field::ContainerId, Some(&host));
        let write_opens_only = never(dag, conditions, Field::EvtIsOpenWrite, Some(&Scalar::Bool(false)))
            && never(dag, conditions, Field::EvtIsOpenWrite, None);
        let all: Option<Vec<_>> = conditions.iter().map(|condition| prefixes(dag, *condition)).collect();
        let path_prefixes = all.map(|all| shortest(all.concat())).filter(|all| all.len() <= MOST_PREFIXES);
        Self { container_only, write_opens_only, path_prefixes }
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

/// What the path begins with if a part holds or may: one of these, if that is known.
fn prefixes(dag: &Dag, part: Edge) -> Option<Vec<Box<[u8]>>> {
    match dag.expr(part) {
        Expr::True => part.is_negated().then(Vec::new),
        Expr::Leaf(Leaf::Pattern(source, pattern)) if !part.is_negated() => match dag.source(*source)? {
            Source::Field(reference) => of_pattern(reference.field(), pattern),
            _ => None,
        },
        Expr::Leaf(_) => None,
        // All must hold, so one is enough: the one that leaves the fewest.
        Expr::And(parts) if !part.is_negated() => {
            parts.iter().filter_map(|part| prefixes(dag, *part)).min_by_key(Vec::len)
        }
        Expr::And(parts) => {
            let all: Option<Vec<_>> = parts.iter().map(|part| prefixes(dag, !*part)).collect();
            all.map(|all| shortest(all.concat()))
        }
    }
}

fn of_pattern(field: Field, pattern: &Pattern) -> Option<Vec<Box<[u8]>>> {
    let folder =
        |text: &[u8]| -> Box<[u8]> { if text == b"/" { text.into() } else { [text, b"/"].concat().into() } };
    match (field, pattern) {
        (Field::FdName, Pattern::Equal(text) | Pattern::StartsWith(text)) => Some(vec![(**text).into()]),
        (Field::FdName, Pattern::Among(texts)) => Some(texts.to_vec()),
        (Field::FdDirectory, Pattern::Equal(text)) => Some(vec![folder(text)]),
        (Field::FdDirectory, Pattern::Among(texts)) => Some(texts.iter().map(|text| folder(text)).collect()),
        (Field::FdDirectory, Pattern::StartsWith(text)) => Some(vec![(**text).into()]),
        _ => None,
    }
}

/// Without those that begin with another one.
fn shortest(mut prefixes: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    prefixes.sort_unstable();
    prefixes.dedup_by(|later, kept| later.starts_with(kept));
    prefixes
}
