//! Which patterns an event must have one of for a part of a condition to hold.

use std::rc::Rc;

use hashbrown::HashMap;

use super::{
    dag::{Dag, Edge, Expr, Leaf, Pattern, SourceId},
    order::Guesses,
};
use crate::{eval::Source, field::Field};

/// More patterns than this say little, and are not kept.
const MOST: usize = 1024;

/// Sources whose patterns are asked for together: one, or those that say which file an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    File,
    Source(SourceId),
}

impl Family {
    fn of(dag: &Dag, id: SourceId) -> Self {
        match dag.source(id) {
            Some(Source::Field(reference)) => match reference.field() {
                Field::FdName | Field::FdDirectory | Field::FdFilename | Field::FdNameraw => Self::File,
                _ => Self::Source(id),
            },
            _ => Self::Source(id),
        }
    }
}

/// Patterns of a family, one of which the event must have.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    /// Leaves of the graph, in order.
    pub(super) patterns: Rc<[Edge]>,
    /// How often an event has one.
    pub(super) holds: f32,
}

/// What is needed of each family of which something is.
pub(super) type Implied = Rc<HashMap<Family, Needed>>;

/// What is implied, by part of the graph.
#[derive(Debug, Default)]
pub(super) struct Implications {
    known: HashMap<Edge, Implied>,
}

impl Implications {
    /// What must be so for a part to hold, or not to be false.
    pub(super) fn of(&mut self, dag: &Dag, guesses: &mut Guesses, edge: Edge) -> Implied {
        if let Some(known) = self.known.get(&edge) {
            return Rc::clone(known);
        }
        let implied = match dag.expr(edge) {
            Expr::True => Implied::default(),
            Expr::Leaf(Leaf::Pattern(source, pattern)) => {
                if edge.is_negated() || matches!(pattern, Pattern::NotEqual(_)) {
                    Implied::default()
                } else {
                    let needed = Needed { patterns: [edge].into(), holds: guesses.of(dag, edge).holds };
                    Rc::new([(Family::of(dag, *source), needed)].into_iter().collect())
                }
            }
            Expr::Leaf(_) => Implied::default(),
            Expr::And(parts) => {
                let negated = edge.is_negated();
                let parts: Vec<Implied> =
                    parts.iter().map(|part| self.of(dag, guesses, part.negated_if(negated))).collect();
                if negated { either(&parts) } else { both(parts) }
            }
        };
        self.known.insert(edge, Rc::clone(&implied));
        implied
    }
}

/// What is implied when all of some parts must hold.
pub(super) fn both(parts: impl IntoIterator<Item = Implied>) -> Implied {
    let mut parts = parts.into_iter().filter(|part| !part.is_empty());
    let Some(first) = parts.next() else { return Implied::default() };
    let Some(second) = parts.next() else { return first };
    let mut all = HashMap::clone(&first);
    for part in [second].into_iter().chain(parts) {
        for (family, needed) in part.iter() {
            let kept = all.entry(*family).or_insert_with(|| needed.clone());
            if needed.holds < kept.holds {
                *kept = needed.clone();
            }
        }
    }
    Rc::new(all)
}

/// What is implied when one of some parts must hold.
pub(super) fn either(parts: &[Implied]) -> Implied {
    let Some((first, rest)) = parts.split_first() else { return Implied::default() };
    if rest.is_empty() {
        return Rc::clone(first);
    }
    let in_all = |family: &&Family| rest.iter().all(|part| part.contains_key(*family));
    let union = |family: &Family| {
        let needed = || parts.iter().filter_map(|part| part.get(family));
        let mut patterns: Vec<Edge> = Vec::new();
        needed().for_each(|needed| patterns.extend_from_slice(&needed.patterns));
        patterns.sort_unstable();
        patterns.dedup();
        let holds = needed().map(|needed| needed.holds).sum::<f32>().min(1.0);
        (patterns.len() <= MOST).then(|| (*family, Needed { patterns: patterns.into(), holds }))
    };
    Rc::new(first.keys().filter(in_all).filter_map(union).collect())
}
