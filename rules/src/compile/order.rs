//! What is asked first: the cheap, and what is likely to settle the matter.
//!
//! The order changes no result. The numbers are guesses about an ordinary node: how often a comparison holds,
//! and what it costs in nanoseconds.

use hashbrown::HashMap;

use super::{
    dag::{Dag, Edge, Expr, Leaf, Pattern, SourceId},
    group::Way,
};
use crate::{
    eval::Source,
    field::{Argument, Field, Kind, Reference},
    value::{Scalar, Test},
};

/// What to expect of a part of a condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    /// What it costs.
    pub(super) cost: f32,
    /// How often it holds, from 0 to 1.
    pub(super) holds: f32,
}

impl Guess {
    const fn new(cost: f32, holds: f32) -> Self {
        Self { cost, holds }
    }

    const fn not(self) -> Self {
        Self { cost: self.cost, holds: 1.0 - self.holds }
    }

    /// The less, the earlier among parts that must all hold.
    pub(super) fn rank(self) -> f32 {
        self.cost / (1.0 - self.holds).max(0.001)
    }
}

/// Guesses by place in the graph, for some conditions: what several of them ask for costs each a part.
#[derive(Debug)]
pub(super) struct Guesses {
    known: Vec<Option<Guess>>,
    /// How often a place is asked for.
    uses: Vec<u32>,
    /// How many patterns are looked for together.
    together: HashMap<(SourceId, Way), u32>,
}

impl Guesses {
    /// For these conditions.
    pub(super) fn new(dag: &Dag, conditions: impl IntoIterator<Item = Edge>) -> Self {
        let mut this =
            Self { known: vec![None; dag.len()], uses: vec![0; dag.len()], together: HashMap::new() };
        let mut next: Vec<Edge> = conditions.into_iter().collect();
        while let Some(edge) = next.pop() {
            let Some(uses) = this.uses.get_mut(edge.node()) else { continue };
            *uses += 1;
            if *uses > 1 {
                continue;
            }
            match dag.expr(edge) {
                Expr::And(parts) => next.extend_from_slice(parts),
                Expr::Leaf(Leaf::Pattern(source, pattern)) => {
                    *this.together.entry((*source, Way::of(pattern))).or_default() += 1;
                }
                Expr::True | Expr::Leaf(_) => {}
            }
        }
        this
    }

    pub(super) fn of(&mut self, dag: &Dag, edge: Edge) -> Guess {
        let node = edge.node();
        let guess = match self.known.get(node).copied().flatten() {
            Some(guess) => guess,
            None => {
                let guess = self.guess(dag, edge);
                if let Some(place) = self.known.get_mut(node) {
                    *place = Some(guess);
                }
                guess
            }
        };
        if edge.is_negated() { guess.not() } else { guess }
    }

    fn guess(&mut self, dag: &Dag, edge: Edge) -> Guess {
        match dag.expr(edge) {
            Expr::True => Guess::new(0.0, 1.0),
            Expr::Leaf(leaf) => {
                let guess = of_leaf(dag, leaf);
                let sharing = match leaf {
                    Leaf::Pattern(source, pattern) => self.together.get(&(*source, Way::of(pattern))),
                    _ => self.uses.get(edge.node()),
                };
                let share = guess.cost / sharing.copied().unwrap_or(1).max(1) as f32;
                Guess::new(REMEMBERED + share, guess.holds)
            }
            Expr::And(parts) => {
                let mut parts: Vec<Guess> = parts.iter().map(|part| self.of(dag, *part)).collect();
                parts.sort_by(|a, b| a.rank().total_cmp(&b.rank()));
                let none = Guess::new(1.0, 1.0);
                parts.iter().fold(none, |all, part| {
                    Guess::new(all.cost + all.holds * part.cost, all.holds * part.holds)
                })
            }
        }
    }
}

fn of_leaf(dag: &Dag, leaf: &Leaf) -> Guess {
    match leaf {
        Leaf::Pattern(source, pattern) => dag.source(*source).map_or(NOTHING, |it| of_pattern(it, pattern)),
        Leaf::Test(source, _, test) => dag.source(*source).map_or(NOTHING, |it| of_test(it, &test.0)),
        Leaf::Exists(source) => Guess::new(dag.source(*source).map_or(READ, reading), 0.8),
        Leaf::Against(against) => Guess::new(reading(&against.left) + reading(&against.right) + 5.0, 0.2),
        Leaf::Around { .. } => Guess::new(READ, 0.1),
    }
}

/// What reading a field costs.
const READ: f32 = 3.0;
/// What it costs to ask again.
const REMEMBERED: f32 = 1.0;
const NOTHING: Guess = Guess::new(READ, 0.5);

/// What a pattern costs alone, and how often an event has it.
fn of_pattern(source: &Source, pattern: &Pattern) -> Guess {
    let read = reading(source);
    // How often a text that a rule names is there. Files are many, programs fewer; some ancestor is soon one
    // that is named.
    let named = match source {
        Source::Field(reference) => match reference.field() {
            // A node runs containers and the host.
            Field::ContainerId => 0.5,
            Field::FdTypechar => 0.7,
            Field::FdName | Field::FdDirectory | Field::FdFilename | Field::FdNameraw => 0.002,
            Field::ProcName | Field::ProcPname | Field::ProcExe | Field::ProcExepath => 0.005,
            Field::ProcAname | Field::ProcAexe | Field::ProcAexepath => 0.03,
            _ => 0.02,
        },
        _ => 0.02,
    };
    match pattern {
        Pattern::Equal(_) => Guess::new(read + 4.0, named),
        Pattern::NotEqual(_) => Guess::new(read + 4.0, 1.0 - named),
        Pattern::Among(texts) => Guess::new(read + 4.0, (named * texts.len() as f32).min(0.5)),
        Pattern::StartsWith(_) => Guess::new(read + 6.0, (named * 4.0).min(0.5)),
        Pattern::EndsWith(_) => Guess::new(read + 4.0, (named * 2.0).min(0.5)),
        Pattern::Contains(_) => Guess::new(read + 15.0, (named * 2.0).min(0.5)),
    }
}

fn of_test(source: &Source, test: &Test) -> Guess {
    let read = reading(source);
    let Source::Field(reference) = source else { return Guess::new(read + 10.0, 0.2) };
    match reference.kind() {
        Kind::Bool => {
            let is_true = test.holds(&Scalar::Bool(true));
            let guess = Guess::new(read, often(reference));
            if is_true { guess } else { guess.not() }
        }
        Kind::Text | Kind::Bytes | Kind::Dynamic => {
            let costly = if test.is_costly() { 150.0 } else { 40.0 };
            Guess::new(read + costly, 0.1)
        }
        // A call that did not fail, a descriptor that is one.
        _ if test.is_not_negative() => Guess::new(read + 1.0, 0.95),
        Kind::Address | Kind::Network => Guess::new(read + 8.0, 0.3),
        _ => Guess::new(read + 1.0, 0.2),
    }
}

/// How often a field is true.
fn often(reference: &Reference) -> f32 {
    match reference.field() {
        Field::EvtIsOpenRead => 0.85,
        Field::EvtIsOpenWrite => 0.15,
        _ => 0.1,
    }
}

fn reading(source: &Source) -> f32 {
    match source {
        Source::Field(reference) => match (reference.field(), reference.argument()) {
            (Field::EvtArg | Field::EvtRawarg | Field::EvtArgs, _) => 2.0 * READ,
            (Field::ProcEnv | Field::ContainerMountDest | Field::ProcHash, _) => 10.0 * READ,
            _ if reference.is_each_ancestor() => 10.0 * READ,
            (_, Argument::Index(_)) => 2.0 * READ,
            _ => READ,
        },
        Source::Text(_) => 0.0,
        Source::Each(_, inner) | Source::Length(inner) | Source::Count(inner) => reading(inner) + 5.0,
        Source::Words(inner) => reading(inner) + 50.0,
        Source::List(all) | Source::Concat(all) => all.iter().map(reading).sum::<f32>() + 50.0,
        Source::Join(one, other) | Source::Options(one, other) => reading(one) + reading(other) + 100.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cheap_and_fails_often_comes_first() {
        let write = Guess::new(READ, 0.15);
        let regex = Guess::new(150.0, 0.1);
        let not_failed = Guess::new(READ, 0.95);
        assert!(write.rank() < not_failed.rank() && not_failed.rank() < regex.rank());
    }
}
