//! What is done for events of a type.

use std::{ops::ControlFlow, ops::Range, sync::Arc};

use super::{
    Match,
    dag::Edge,
    group::{Bits, Group},
    scratch::Scratch,
};
use crate::{
    eval::{Against, Fields, Over, Presence, Source, exists},
    field::Reference,
    value::{Scalar, Test, Truth, Value, is_around},
};

/// Steps, and the parts of conditions that they ask for. Edges lead to `nodes`.
#[derive(Debug, Clone, Default)]
pub(super) struct Program {
    pub(super) steps: Box<[Step]>,
    pub(super) nodes: Box<[Node]>,
    /// The parts of all `and` nodes.
    pub(super) parts: Box<[Edge]>,
    /// The patterns of all `any` steps.
    pub(super) any: Box<[Bits]>,
    pub(super) groups: Box<[Group]>,
    /// How many nodes are remembered.
    pub(super) remembered: usize,
    /// How many words the groups have.
    pub(super) words: usize,
}

/// A step. It guards those after it, up to `end`.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The conditions within need one of these, among `any`: if the event has none, go on at `end`.
    Any { bits: Range<u32>, end: u32 },
    /// The conditions within need this.
    Needs { edge: Edge, end: u32 },
    /// This condition holds.
    Holds { place: u32 },
}

/// A part of conditions.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where its truth is remembered, if it is asked for from several places.
    pub(super) memory: Option<u32>,
}

/// What a part says.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    True,
    /// One of some patterns of a group.
    Bits(Bits),
    And(Range<u32>),
    /// A field with one value.
    Field(Box<(Reference, Arc<Test>)>),
    /// A field that can have several.
    Each(Box<(Reference, Over, Arc<Test>)>),
    Test(Box<(Source, Over, Arc<Test>)>),
    Exists(Box<Source>),
    Against(Box<Against>),
    Around(Box<(Reference, u64, u64)>),
}

/// A program at an event.
pub(super) struct Run<'r, F: ?Sized> {
    pub(super) program: &'r Program,
    pub(super) event: &'r F,
    pub(super) scratch: &'r mut Scratch,
}

impl<F: Fields + ?Sized> Run<'_, F> {
    /// Finds the conditions that hold or may, in any order.
    pub(super) fn all(&mut self) {
        self.steps(0, self.program.steps.len(), Truth::True);
    }

    /// Takes steps. What they find is no truer than `most`.
    fn steps(&mut self, begin: usize, end: usize, most: Truth) {
        let program = self.program;
        let mut at = begin;
        while at < end {
            let Some(step) = program.steps.get(at) else { return };
            at += 1;
            match step {
                Step::Any { bits, end } => {
                    let any = program.any.get(bits.start as usize..bits.end as usize).unwrap_or_default();
                    if any.iter().all(|bits| self.bits(*bits) == Truth::False) {
                        at = *end as usize;
                    }
                }
                Step::Needs { edge, end } => match self.edge(*edge) {
                    Truth::True => {}
                    Truth::False => at = *end as usize,
                    // Once is enough: what follows is no truer in any case.
                    Truth::Unknown if most == Truth::True => {
                        self.steps(at, *end as usize, Truth::Unknown);
                        at = *end as usize;
                    }
                    Truth::Unknown => {}
                },
                Step::Holds { place } => {
                    self.scratch.found.push(Match { place: *place as usize, truth: most });
                }
            }
        }
    }

    fn edge(&mut self, edge: Edge) -> Truth {
        let truth = self.node(edge);
        if edge.is_negated() { !truth } else { truth }
    }

    fn node(&mut self, edge: Edge) -> Truth {
        let program = self.program;
        let Some(node) = program.nodes.get(edge.node()) else { return Truth::False };
        let Some(memory) = node.memory else { return self.kind(&node.kind) };
        let kept = self.scratch.nodes.get(memory as usize).copied().unwrap_or_default();
        if kept >> 2 == self.scratch.event {
            return match kept & 3 {
                0 => Truth::False,
                1 => Truth::Unknown,
                _ => Truth::True,
            };
        }
        let truth = self.kind(&node.kind);
        if let Some(kept) = self.scratch.nodes.get_mut(memory as usize) {
            *kept = self.scratch.event << 2 | truth as u32;
        }
        truth
    }

    fn kind(&mut self, kind: &Kind) -> Truth {
        let event = self.event;
        match kind {
            Kind::True => Truth::True,
            Kind::Bits(bits) => self.bits(*bits),
            Kind::And(parts) => self.and(parts),
            Kind::Field(field) => match event.field(&field.0) {
                Value::One(scalar) => field.1.holds(&scalar).into(),
                value => several(&value, Over::Some, &field.1),
            },
            Kind::Each(each) => self.each(&each.0, each.1, &each.2),
            Kind::Test(test) => several(&test.0.value(event), test.1, &test.2),
            Kind::Exists(source) => exists(source, &source.value(event)),
            Kind::Against(against) => against.evaluate(event),
            Kind::Around(around) => match event.field(&around.0) {
                Value::One(Scalar::UInt(time)) => is_around(time, around.1, around.2).into(),
                Value::Pending => Truth::Unknown,
                _ => Truth::False,
            },
        }
    }

    fn and(&mut self, parts: &Range<u32>) -> Truth {
        let program = self.program;
        let mut truth = Truth::True;
        for part in program.parts.get(parts.start as usize..parts.end as usize).unwrap_or_default() {
            truth = truth.and(self.edge(*part));
            if truth == Truth::False {
                break;
            }
        }
        truth
    }

    fn bits(&mut self, bits: Bits) -> Truth {
        match self.program.groups.get(bits.group as usize) {
            Some(group) => group.truth(bits, self.event, self.scratch),
            None => Truth::False,
        }
    }

    fn each(&mut self, reference: &Reference, over: Over, test: &Test) -> Truth {
        let (mut any, mut one_holds, mut all_hold) = (false, false, true);
        let mut take = |scalar: &Scalar<'_>| {
            any = true;
            if test.holds(scalar) {
                one_holds = true;
            } else {
                all_hold = false;
            }
            let is_settled = if over == Over::Some { one_holds } else { !all_hold };
            if is_settled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match self.event.each(reference, &mut take) {
            Presence::Missing => Truth::False,
            Presence::Pending if test.is_never() => Truth::False,
            Presence::Pending => Truth::Unknown,
            Presence::There => match over {
                Over::Some => one_holds,
                Over::Every => all_hold,
                Over::Both => any && all_hold,
            }
            .into(),
        }
    }
}

fn several(value: &Value<'_>, over: Over, test: &Test) -> Truth {
    match value {
        Value::Missing => Truth::False,
        Value::Pending if test.is_never() => Truth::False,
        Value::Pending => Truth::Unknown,
        value => over.holds(value.scalars(), |scalar| test.holds(scalar)).into(),
    }
}
