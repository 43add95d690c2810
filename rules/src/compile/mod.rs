//! Many conditions as one decision.
//!
//! For each type of events there is a program: the conditions that can hold for it, with all that the type
//! decides put in. What is the same in several conditions is one part, evaluated once an event at most;
//! texts that one field is compared with are looked for together; what many conditions need is asked before
//! them, and if the event lacks it they are passed over together. What comes out is what the trees of
//! [`eval`](crate::eval) say one by one.

mod build;
mod convert;
mod dag;
mod fold;
mod group;
mod implied;
mod needs;
mod order;
mod plan;
mod program;
mod scratch;

use hashbrown::HashMap;

pub use needs::{Files, Needs};
pub use scratch::Scratch;

use self::{
    build::Build,
    convert::Convert,
    dag::{Dag, Edge},
    fold::{Fold, Known},
    order::Guesses,
    plan::Wanted,
    program::{Program, Run},
};
use crate::{
    eval::{Condition, Fields},
    field::{EventSet, EventType},
    value::Truth,
};

/// Which conditions of several that hold are told: Falco's `rule_matching`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// The first only.
    #[default]
    First,
    /// All.
    All,
}

/// A condition that holds, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The condition's place.
    pub place: usize,
    /// True, or unknown: then it is to be asked again when more is known.
    pub truth: Truth,
}

/// Conditions compiled together. It is not changed by evaluating: what is remembered of an event is in a
/// [`Scratch`].
#[derive(Debug, Clone)]
pub struct Programs {
    /// What types of events have in common.
    classes: Vec<Class>,
    /// The place of each type's class.
    by_type: Box<[u16]>,
    /// For events whose type is not in the table.
    unknown: Program,
}

/// Types of events for which the conditions say the same.
#[derive(Debug, Clone, Default)]
struct Class {
    program: Program,
    needs: Option<Needs>,
}

impl Programs {
    /// Compiles conditions; a match tells of one by the place that comes with it here. Places are told in
    /// ascending order.
    #[must_use]
    pub fn new<'c>(conditions: impl IntoIterator<Item = (usize, &'c Condition)>) -> Self {
        let mut dag = Dag::new();
        let mut convert = Convert::new(&mut dag);
        let mut roots = Vec::new();
        for (place, condition) in conditions {
            // A file has fewer rules than that.
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            roots.push(Root { place, edge: convert.node(&condition.root), events: condition.events() });
        }
        let types = convert.types();
        let all = roots.iter().map(|root| (root.place, root.edge)).collect();
        let unknown = program(&dag, all);
        let mut programs = Self { classes: Vec::new(), by_type: Box::default(), unknown };
        let mut places: HashMap<Vec<bool>, u16> = HashMap::new();
        let kinds = Kinds::new(&roots, &types);
        programs.by_type = EventType::all()
            .map(|event| {
                *places.entry(kinds.of(event)).or_insert_with(|| {
                    let class = class(&mut dag, &roots, &types, event);
                    programs.classes.push(class);
                    // There are no more classes than types.
                    (programs.classes.len() - 1) as u16
                })
            })
            .collect();
        programs
    }

    /// Tells of the conditions that hold for an event, or may, in the order of their places. With
    /// [`Matching::First`] the first that holds is the last one told; those before it that may hold would come
    /// first, if they do.
    ///
    /// The event's `evt.type` is the type given, its `evt.dir` is `<`, and its `evt.num`, if there is one, is
    /// 1 or more.
    pub fn matches<F: Fields + ?Sized>(
        &self,
        scratch: &mut Scratch,
        event_type: Option<EventType>,
        event: &F,
        matching: Matching,
        mut tell: impl FnMut(Match),
    ) {
        let program = match event_type {
            None => &self.unknown,
            Some(event_type) => match self.class(event_type) {
                Some(class) => &class.program,
                None => return,
            },
        };
        if program.steps.is_empty() {
            return;
        }
        scratch.begin(program.remembered, program.groups.len(), program.words);
        Run { program, event, scratch }.all();
        if scratch.found.is_empty() {
            return;
        }
        scratch.found.sort_unstable_by_key(|found| found.place);
        for found in &scratch.found {
            tell(*found);
            if matching == Matching::First && found.truth.is_true() {
                return;
            }
        }
    }

    /// The types of events that any condition can hold for.
    #[must_use]
    pub fn wanted_events(&self) -> EventSet {
        let is_wanted =
            |event: &EventType| self.class(*event).is_some_and(|class| !class.program.steps.is_empty());
        EventType::all().filter(is_wanted).collect()
    }

    /// What every condition needs of an event of a type; none if no condition can hold for it.
    #[must_use]
    pub fn needs(&self, event_type: EventType) -> Option<&Needs> {
        self.class(event_type)?.needs.as_ref()
    }

    fn class(&self, event_type: EventType) -> Option<&Class> {
        self.classes.get(usize::from(*self.by_type.get(event_type.place())?))
    }
}

/// A condition in the graph.
struct Root<'c> {
    place: u32,
    edge: Edge,
    events: &'c EventSet,
}

/// What tells types apart.
struct Kinds<'c> {
    sets: Vec<&'c EventSet>,
}

impl<'c> Kinds<'c> {
    fn new(roots: &[Root<'c>], types: &'c HashMap<usize, EventSet>) -> Self {
        let mut sets: Vec<&EventSet> = Vec::new();
        let mut seen = hashbrown::HashSet::new();
        for set in roots.iter().map(|root| root.events).chain(types.values()) {
            if seen.insert(set) {
                sets.push(set);
            }
        }
        Self { sets }
    }

    fn of(&self, event: EventType) -> Vec<bool> {
        self.sets.iter().map(|set| set.contains(event)).collect()
    }
}

fn class(dag: &mut Dag, roots: &[Root<'_>], types: &HashMap<usize, EventSet>, event: EventType) -> Class {
    let known: Known = types.iter().map(|(leaf, set)| (*leaf, set.contains(event))).collect();
    let mut fold = Fold::new(dag, known);
    let left: Vec<(u32, Edge)> = roots
        .iter()
        .filter(|root| root.events.contains(event))
        .map(|root| (root.place, fold.edge(root.edge)))
        .filter(|(_, edge)| *edge != Edge::FALSE)
        .collect();
    if left.is_empty() {
        return Class::default();
    }
    let edges: Vec<Edge> = left.iter().map(|(_, edge)| *edge).collect();
    let needs = Some(Needs::of(dag, &edges));
    Class { program: program(dag, left), needs }
}

fn program(dag: &Dag, conditions: Vec<(u32, Edge)>) -> Program {
    let guesses = Guesses::new(dag, conditions.iter().map(|(_, edge)| *edge));
    let wanted = conditions
        .into_iter()
        .filter(|(_, edge)| *edge != Edge::FALSE)
        .map(|(place, edge)| Wanted::new(dag, place, edge))
        .collect();
    let mut build = Build::new(dag, guesses);
    build.plan(wanted);
    build.done()
}
