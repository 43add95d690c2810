//! A graph under an assumption: what some leaves are is known.

use hashbrown::HashMap;

use super::dag::{Dag, Edge, Expr, Leaf, Pattern, SourceId};
use crate::value::Scalar;

/// What leaves are known to be, by their places.
pub(super) type Known = HashMap<usize, bool>;

/// Puts in what is known.
pub(super) struct Fold<'d> {
    dag: &'d mut Dag,
    known: Known,
    folded: Vec<Option<Edge>>,
}

impl<'d> Fold<'d> {
    pub(super) fn new(dag: &'d mut Dag, known: Known) -> Self {
        let folded = vec![None; dag.len()];
        Self { dag, known, folded }
    }

    /// What is left of a part that was there before.
    pub(super) fn edge(&mut self, edge: Edge) -> Edge {
        let node = edge.node();
        if let Some(Some(folded)) = self.folded.get(node) {
            return folded.negated_if(edge.is_negated());
        }
        let folded = match self.dag.expr(edge) {
            Expr::True => Edge::TRUE,
            Expr::Leaf(_) => match self.known.get(&node) {
                Some(true) => Edge::TRUE,
                Some(false) => Edge::FALSE,
                None => Edge::to(node),
            },
            Expr::And(parts) => {
                let parts = parts.clone();
                let folded: Vec<Edge> = parts.iter().map(|part| self.edge(*part)).collect();
                if *folded == *parts { Edge::to(node) } else { self.dag.and(folded) }
            }
        };
        if let Some(place) = self.folded.get_mut(node) {
            *place = Some(folded);
        }
        folded.negated_if(edge.is_negated())
    }
}

/// What is known when a source has this value, or none.
pub(super) fn assume(dag: &Dag, source: SourceId, value: Option<&Scalar<'_>>) -> Known {
    let of_source = dag.leaves().filter_map(|(place, leaf)| {
        let holds = match leaf {
            Leaf::Pattern(id, pattern) if *id == source => value.is_some_and(|value| pattern.holds(value)),
            Leaf::Test(id, over, test) if *id == source => {
                value.is_some_and(|value| over.holds(std::slice::from_ref(value), |it| test.0.holds(it)))
            }
            Leaf::Exists(id) if *id == source => value.is_some(),
            _ => return None,
        };
        Some((place, holds))
    });
    of_source.collect()
}

impl Pattern {
    fn holds(&self, scalar: &Scalar<'_>) -> bool {
        let Scalar::Text(text) = scalar else { return matches!(self, Self::NotEqual(_)) };
        match self {
            Self::Equal(other) => **text == **other,
            Self::NotEqual(other) => **text != **other,
            Self::Among(texts) => texts.binary_search_by(|other| (**other).cmp(text)).is_ok(),
            Self::StartsWith(start) => text.starts_with(start),
            Self::EndsWith(end) => text.ends_with(end),
            Self::Contains(part) => memchr::memmem::find(text, part).is_some(),
        }
    }
}
