//! From checked conditions to the graph.

use std::sync::Arc;

use hashbrown::HashMap;

use super::dag::{Dag, Edge, Leaf, Pattern, Shared, SourceId};
use crate::{
    eval::{Node, Over, Source, is_event_type},
    field::{Argument, EventSet, EventType, Field},
    value::{Pattern as Asked, Scalar, Test},
};

/// What is asked of an event's source in a certain way, by the test's place.
type TestKey = (SourceId, Over, *const Test);

/// Conditions on their way into a graph.
#[derive(Debug)]
pub(super) struct Convert<'d> {
    dag: &'d mut Dag,
    tests: HashMap<TestKey, Edge>,
    /// For which types a leaf holds, where nothing but the type decides it.
    types: HashMap<usize, EventSet>,
}

impl<'d> Convert<'d> {
    pub(super) fn new(dag: &'d mut Dag) -> Self {
        Self { dag, tests: HashMap::new(), types: HashMap::new() }
    }

    /// The leaves that the type of the event decides, by their places, and for which types they hold.
    pub(super) fn types(self) -> HashMap<usize, EventSet> {
        self.types
    }

    pub(super) fn node(&mut self, node: &Node) -> Edge {
        match node {
            Node::And(parts) => {
                let parts: Vec<Edge> = parts.iter().map(|part| self.node(part)).collect();
                self.dag.and(parts)
            }
            Node::Or(parts) => {
                let parts: Vec<Edge> = parts.iter().map(|part| self.node(part)).collect();
                self.dag.or(parts)
            }
            Node::Not(inner) => !self.node(inner),
            Node::Exists(source) => {
                let id = self.dag.source_id(source);
                let edge = self.dag.leaf(Leaf::Exists(id));
                if of_type(source).is_some() {
                    self.types.insert(edge.node(), EventSet::all());
                }
                edge
            }
            Node::Test(source, over, test) => self.test(source, *over, test),
            Node::Against(against) => self.dag.leaf(Leaf::Against(against.clone())),
            Node::Around { time, middle, delta } => {
                self.dag.leaf(Leaf::Around { time: time.clone(), middle: *middle, delta: *delta })
            }
        }
    }

    fn test(&mut self, source: &Source, over: Over, test: &Arc<Test>) -> Edge {
        let id = self.dag.source_id(source);
        let key = (id, over, Arc::as_ptr(test));
        if let Some(edge) = self.tests.get(&key) {
            return *edge;
        }
        let edge = self.new_test(source, id, over, test);
        self.tests.insert(key, edge);
        edge
    }

    fn new_test(&mut self, source: &Source, id: SourceId, over: Over, test: &Arc<Test>) -> Edge {
        let whole = Leaf::Test(id, over, Shared(Arc::clone(test)));
        if let Some(of_type) = of_type(source) {
            let edge = self.dag.leaf(whole);
            let holds = |event: &EventType| test.holds(&of_type.value(*event));
            self.types.insert(edge.node(), EventType::all().filter(holds).collect());
            return edge;
        }
        if over != Over::Some {
            return self.dag.leaf(whole);
        }
        if test.is_never() || is_number(source) && test.is_never_of_counts() {
            return Edge::FALSE;
        }
        if let Some(patterns) = test.patterns() {
            let edges: Vec<Edge> = patterns.into_iter().map(|asked| self.pattern(id, asked)).collect();
            return self.dag.or(edges);
        }
        let mut edges: Vec<Edge> = test.implied().into_iter().map(|asked| self.pattern(id, asked)).collect();
        edges.push(self.dag.leaf(whole));
        self.dag.and(edges)
    }

    fn pattern(&mut self, id: SourceId, asked: Asked<'_>) -> Edge {
        let pattern = match asked {
            Asked::Equal(text) => Pattern::Equal(text.into()),
            Asked::NotEqual(text) => Pattern::NotEqual(text.into()),
            Asked::Among(texts) => {
                let mut texts: Vec<Box<[u8]>> = texts.iter().cloned().collect();
                texts.sort_unstable();
                match texts.as_slice() {
                    [one] => Pattern::Equal((**one).into()),
                    _ => Pattern::Among(texts.into()),
                }
            }
            Asked::StartsWith(text) => Pattern::StartsWith(text.into()),
            Asked::EndsWith(text) => Pattern::EndsWith(text.into()),
            Asked::Contains(text) => Pattern::Contains(text.into()),
        };
        self.dag.leaf(Leaf::Pattern(id, pattern))
    }
}

/// A field that the type of the event decides.
#[derive(Clone, Copy)]
enum OfType<'s> {
    Name,
    Is(&'s str),
    /// Events are ends of calls.
    Direction,
}

impl OfType<'_> {
    fn value(self, event: EventType) -> Scalar<'static> {
        match self {
            Self::Name => Scalar::from(event.name()),
            Self::Is(name) => Scalar::UInt(u64::from(event.name() == name)),
            Self::Direction => Scalar::from("<"),
        }
    }
}

fn of_type(source: &Source) -> Option<OfType<'_>> {
    let Source::Field(reference) = source else { return None };
    match (reference.field(), reference.argument()) {
        _ if is_event_type(source) => Some(OfType::Name),
        (Field::EvtTypeIs, Argument::Name(name)) => Some(OfType::Is(name)),
        (Field::EvtDir, _) => Some(OfType::Direction),
        _ => None,
    }
}

/// Whether it is the number of the event: events are counted from 1.
fn is_number(source: &Source) -> bool {
    matches!(source, Source::Field(reference) if reference.field() == Field::EvtNum)
}
