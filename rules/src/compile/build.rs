//! From parts of a graph to a program.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    dag::{Dag, Edge, Expr, Leaf, Pattern, SourceId},
    group::{Bits, Draft, Group, Way, is_several},
    implied::Implications,
    order::Guesses,
    program::{Kind, Node, Program, Step},
};
use crate::eval::{Over, Source};

/// A program under way.
pub(super) struct Build<'d> {
    pub(super) dag: &'d Dag,
    pub(super) guesses: Guesses,
    pub(super) implications: Implications,
    pub(super) steps: Vec<Step>,
    nodes: Vec<Node>,
    /// How often nodes are asked for.
    uses: Vec<u32>,
    parts: Vec<Edge>,
    pub(super) any: Vec<Bits>,
    drafts: Vec<Draft>,
    groups: HashMap<(SourceId, Way), u32>,
    /// The bits of patterns, by their places in the graph.
    patterns: HashMap<usize, Bits>,
    /// What became of parts of the graph.
    made: HashMap<usize, Edge>,
    bits: HashMap<Bits, Edge>,
}

impl<'d> Build<'d> {
    pub(super) fn new(dag: &'d Dag, guesses: Guesses) -> Self {
        Self {
            dag,
            guesses,
            implications: Implications::default(),
            steps: Vec::new(),
            nodes: Vec::new(),
            uses: Vec::new(),
            parts: Vec::new(),
            any: Vec::new(),
            drafts: Vec::new(),
            groups: HashMap::new(),
            patterns: HashMap::new(),
            made: HashMap::new(),
            bits: HashMap::new(),
        }
    }

    pub(super) fn done(self) -> Program {
        let Self { dag, steps, mut nodes, uses, parts, any, drafts, .. } = self;
        let mut remembered = 0;
        for (node, uses) in nodes.iter_mut().zip(uses) {
            // What a group has is remembered as it is.
            if uses > 1 && !matches!(node.kind, Kind::True | Kind::Bits(_)) {
                node.memory = Some(remembered);
                remembered += 1;
            }
        }
        let mut words = 0;
        let groups = drafts
            .iter()
            .filter_map(|draft| {
                let group = Group::new(draft, dag.source(draft.source)?, words);
                words += group.width();
                Some(group)
            })
            .collect();
        Program {
            steps: steps.into(),
            nodes: nodes.into(),
            parts: parts.into(),
            any: any.into(),
            groups,
            remembered: remembered as usize,
            words,
        }
    }

    /// An edge of the program for one of the graph, counted as asked for.
    pub(super) fn edge(&mut self, edge: Edge) -> Edge {
        let node = edge.node();
        let made = match self.made.get(&node) {
            Some(made) => *made,
            None => {
                let made = match self.dag.expr(edge) {
                    Expr::True => self.push(Kind::True),
                    Expr::Leaf(leaf) => self.leaf(edge, leaf),
                    Expr::And(parts) => self.and(parts),
                };
                self.made.insert(node, made);
                made
            }
        };
        if let Some(uses) = self.uses.get_mut(made.node()) {
            *uses += 1;
        }
        made.negated_if(edge.is_negated())
    }

    fn and(&mut self, parts: &[Edge]) -> Edge {
        let mut sorted: Vec<(f32, Edge)> =
            parts.iter().map(|part| (self.guesses.of(self.dag, *part).rank(), *part)).collect();
        sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        // Patterns of one word that must all be absent are asked for together, where the first one stood.
        let mut absent: HashMap<(u32, u32), usize> = HashMap::new();
        let mut made: Vec<Result<Edge, Bits>> = Vec::new();
        for (_, part) in sorted {
            let bits = match self.dag.expr(part) {
                Expr::Leaf(Leaf::Pattern(source, pattern)) if part.is_negated() => {
                    self.pattern(part, *source, pattern)
                }
                _ => {
                    made.push(Ok(self.edge(part)));
                    continue;
                }
            };
            let place = *absent.entry((bits.group, bits.word)).or_insert(made.len());
            match made.get_mut(place) {
                Some(Err(merged)) => merged.mask |= bits.mask,
                _ => made.push(Err(bits)),
            }
        }
        let edges: Vec<Edge> =
            made.into_iter().map(|part| part.unwrap_or_else(|bits| !self.push_bits(bits))).collect();
        if let [one] = edges.as_slice() {
            return *one;
        }
        let begin = self.parts.len() as u32;
        self.parts.extend(edges);
        self.push(Kind::And(begin..self.parts.len() as u32))
    }

    fn leaf(&mut self, edge: Edge, leaf: &Leaf) -> Edge {
        let source = |id: &SourceId| self.dag.source(*id).cloned().unwrap_or(Source::List(Vec::new()));
        let kind = match leaf {
            Leaf::Pattern(source, pattern) => {
                let bits = self.pattern(edge, *source, pattern);
                return self.push_bits(bits);
            }
            Leaf::Test(id, over, test) => {
                let test = Arc::clone(&test.0);
                match source(id) {
                    Source::Field(field) if is_several(&field) => Kind::Each(Box::new((field, *over, test))),
                    Source::Field(field) if *over == Over::Some => Kind::Field(Box::new((field, test))),
                    source => Kind::Test(Box::new((source, *over, test))),
                }
            }
            Leaf::Exists(id) => Kind::Exists(Box::new(source(id))),
            Leaf::Against(against) => Kind::Against(against.clone()),
            Leaf::Around { time, middle, delta } => Kind::Around(Box::new((time.clone(), *middle, *delta))),
        };
        self.push(kind)
    }

    /// The bit of a pattern.
    pub(super) fn pattern(&mut self, edge: Edge, source: SourceId, pattern: &Pattern) -> Bits {
        if let Some(bits) = self.patterns.get(&edge.node()) {
            return *bits;
        }
        let way = Way::of(pattern);
        let group = *self.groups.entry((source, way)).or_insert_with(|| {
            self.drafts.push(Draft { source, way, patterns: Vec::new() });
            self.drafts.len() as u32 - 1
        });
        let patterns = self.drafts.get_mut(group as usize).map(|draft| &mut draft.patterns);
        let bit = patterns.map_or(0, |patterns| {
            patterns.push(pattern.clone());
            patterns.len() - 1
        });
        let bits = Bits { group, word: (bit / 64) as u32, mask: 1 << (bit % 64) };
        self.patterns.insert(edge.node(), bits);
        bits
    }

    fn push_bits(&mut self, bits: Bits) -> Edge {
        if let Some(edge) = self.bits.get(&bits) {
            return *edge;
        }
        let edge = self.push(Kind::Bits(bits));
        self.bits.insert(bits, edge);
        edge
    }

    fn push(&mut self, kind: Kind) -> Edge {
        self.nodes.push(Node { kind, memory: None });
        self.uses.push(0);
        Edge::to(self.nodes.len() - 1)
    }
}
