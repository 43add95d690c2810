//! All conditions as one graph, in which what is the same is there once.
//!
//! There is only `and`; an edge can negate what it leads to, so that `or` is a negated `and` of negated parts.
//! Kleene's three values obey De Morgan and absorption; `a and not a` is not false there, and stays.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    ops::Not,
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::{
    eval::{Against, Over, Source},
    field::Reference,
    value::Test,
};

/// A part of a condition, or what it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge(u32);

impl Edge {
    pub(super) const TRUE: Self = Self(0);
    pub(super) const FALSE: Self = Self(1);

    /// To a node as it is.
    pub(super) const fn to(node: usize) -> Self {
        // A graph has as many nodes as conditions have parts, which files bound.
        Self((node as u32) << 1)
    }

    pub(super) const fn node(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(super) const fn is_negated(self) -> bool {
        self.0 & 1 == 1
    }

    /// Negated, if that is asked for.
    pub(super) const fn negated_if(self, negated: bool) -> Self {
        Self(self.0 ^ negated as u32)
    }
}

impl Not for Edge {
    type Output = Self;

    fn not(self) -> Self {
        self.negated_if(true)
    }
}

/// What stands at a place of the graph.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Expr {
    True,
    Leaf(Leaf),
    /// Two or more, in order, each once.
    And(Box<[Edge]>),
}

/// A place among the sources of the graph.
pub(super) type SourceId = u32;

/// What is asked of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Leaf {
    /// One of the source's values is a text like this.
    Pattern(SourceId, Pattern),
    /// Any other comparison with what the rule says.
    Test(SourceId, Over, Shared),
    Exists(SourceId),
    Against(Box<Against>),
    Around {
        time: Reference,
        middle: u64,
        delta: u64,
    },
}

/// What a text is like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Equal(Arc<[u8]>),
    NotEqual(Arc<[u8]>),
    /// In order, each once.
    Among(Arc<[Box<[u8]>]>),
    StartsWith(Arc<[u8]>),
    EndsWith(Arc<[u8]>),
    Contains(Arc<[u8]>),
}

/// A test that conditions share: it is the same where it is at the same place.
#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) Arc<Test>);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// The graph.
#[derive(Debug)]
pub(super) struct Dag {
    exprs: Vec<Expr>,
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    sources: Vec<Source>,
    source_ids: HashMap<Source, SourceId>,
}

impl Dag {
    pub(super) fn new() -> Self {
        let mut dag = Self {
            exprs: Vec::new(),
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            sources: Vec::new(),
            source_ids: HashMap::new(),
        };
        dag.intern(Expr::True);
        dag
    }

    pub(super) fn len(&self) -> usize {
        self.exprs.len()
    }

    /// What an edge leads to, without regard to negation.
    pub(super) fn expr(&self, edge: Edge) -> &Expr {
        self.exprs.get(edge.node()).unwrap_or(&Expr::True)
    }

    /// The leaves, with their places.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (usize, &Leaf)> {
        self.exprs.iter().enumerate().filter_map(|(place, expr)| match expr {
            Expr::Leaf(leaf) => Some((place, leaf)),
            Expr::True | Expr::And(_) => None,
        })
    }

    pub(super) fn source(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id as usize)
    }

    pub(super) fn source_id(&mut self, source: &Source) -> SourceId {
        if let Some(id) = self.source_ids.get(source) {
            return *id;
        }
        let id = self.sources.len() as SourceId;
        self.sources.push(source.clone());
        self.source_ids.insert(source.clone(), id);
        id
    }

    pub(super) fn leaf(&mut self, leaf: Leaf) -> Edge {
        self.intern(Expr::Leaf(leaf))
    }

    /// Either of them.
    pub(super) fn or(&mut self, parts: impl IntoIterator<Item = Edge>) -> Edge {
        !self.and(parts.into_iter().map(|part| !part))
    }

    /// All of them.
    pub(super) fn and(&mut self, parts: impl IntoIterator<Item = Edge>) -> Edge {
        let mut all = Vec::new();
        for part in parts {
            match self.expr(part) {
                Expr::And(inner) if !part.is_negated() => all.extend_from_slice(inner),
                _ => all.push(part),
            }
        }
        all.sort_unstable();
        all.dedup();
        all.retain(|part| *part != Edge::TRUE);
        if all.contains(&Edge::FALSE) {
            return Edge::FALSE;
        }
        self.absorb(&mut all);
        match all.as_slice() {
            [] => Edge::TRUE,
            [one] => *one,
            _ => self.intern(Expr::And(all.into())),
        }
    }

    /// `a and (a or b)` is `a`.
    fn absorb(&self, all: &mut Vec<Edge>) {
        let is_absorbed = |part: &Edge| match self.expr(*part) {
            Expr::And(inner) if part.is_negated() => {
                inner.iter().any(|negated| all.binary_search(&!*negated).is_ok())
            }
            _ => false,
        };
        if all.iter().any(is_absorbed) {
            *all = all.iter().copied().filter(|part| !is_absorbed(part)).collect();
        }
    }

    fn intern(&mut self, expr: Expr) -> Edge {
        let hash = self.hasher.hash_one(Some(&expr));
        let Self { exprs, places, hasher, .. } = self;
        if let Some(place) = places.find(hash, |place| exprs.get(*place as usize) == Some(&expr)) {
            return Edge::to(*place as usize);
        }
        let place = exprs.len();
        exprs.push(expr);
        places.insert_unique(hash, place as u32, |place| hasher.hash_one(exprs.get(*place as usize)));
        Edge::to(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(dag: &mut Dag, letter: u8) -> Edge {
        let source = dag.source_id(&Source::Text([].into()));
        dag.leaf(Leaf::Pattern(source, Pattern::Equal([letter].into())))
    }

    #[test]
    fn what_is_the_same_is_there_once() {
        let mut dag = Dag::new();
        let [a, b, c] = [b'a', b'b', b'c'].map(|name| letter(&mut dag, name));
        assert_eq!(letter(&mut dag, b'a'), a);
        let one = dag.and([a, b]);
        assert_eq!(dag.and([b, a, a]), one);
        let (left, right) = (dag.and([one, c]), dag.and([b, c]));
        assert_eq!(dag.and([a, right]), left, "what is nested lies flat");
        let or = dag.or([a, b]);
        assert_eq!(dag.and([!a, !b]), !or, "De Morgan");
    }

    #[test]
    fn what_decides_nothing_goes() {
        let mut dag = Dag::new();
        let [a, b] = [b'a', b'b'].map(|name| letter(&mut dag, name));
        assert_eq!(dag.and([]), Edge::TRUE);
        assert_eq!(dag.or([]), Edge::FALSE);
        assert_eq!(dag.and([a, Edge::TRUE]), a);
        assert_eq!(dag.and([a, Edge::FALSE]), Edge::FALSE);
        let or = dag.or([a, b]);
        assert_eq!(dag.and([a, or]), a, "absorption");
        let and = dag.and([a, b]);
        assert_eq!(dag.or([a, and]), a, "and the other way round");
        assert_ne!(dag.and([a, !a]), Edge::FALSE, "both may be unknown");
    }
}
