//! In which order the conditions of a type are asked, and what of them is asked for many at once.
//!
//! A condition is what it needs, all of it. What several need is asked once, before them: the most telling
//! first. What is left of each is asked in a row, the cheap and telling first.

use hashbrown::HashMap;

use super::{
    build::Build,
    dag::{Dag, Edge, Expr, Leaf},
    group::Bits,
    implied::{Family, Implied, Needed, both, either},
    program::Step,
};

/// So deep needs may lie in each other.
const DEPTH: usize = 32;
/// What holds more often than this guards nothing.
const MOST_HOLD: f32 = 0.8;
/// What it costs to ask for patterns of a family, some of which were asked for before.
const ANY: f32 = 8.0;
/// From so many neighbours on that need a pattern of one word, all are asked for at once first.
const NEIGHBOURS: usize = 3;

/// A condition, and what it needs that was not asked yet.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    place: u32,
    needs: Vec<Edge>,
}

impl Wanted {
    pub(super) fn new(dag: &Dag, place: u32, condition: Edge) -> Self {
        let needs = match dag.expr(condition) {
            Expr::And(parts) if !condition.is_negated() => parts.to_vec(),
            _ if condition == Edge::TRUE => Vec::new(),
            _ => vec![condition],
        };
        Self { place, needs }
    }
}

/// Conditions that are asked together.
struct Branch {
    by: By,
    wanted: Vec<Wanted>,
}

/// Why conditions are asked together.
enum By {
    /// They need this, or a single one begins with it.
    Need(Edge),
    /// Each needs one of its patterns of this family.
    Family(Family),
    /// There is one, and it needs nothing more.
    Nothing,
}

impl Build<'_> {
    /// Takes up conditions.
    pub(super) fn plan(&mut self, wanted: Vec<Wanted>) {
        self.block(wanted, None, DEPTH);
    }

    /// Asks for conditions. Those that all need patterns of the family `asked` come when one was found.
    fn block(&mut self, mut wanted: Vec<Wanted>, asked: Option<Family>, depth: usize) {
        // What all need guards the whole rest.
        let mut guards = Vec::new();
        for need in self.common(&mut wanted) {
            let edge = self.edge(need);
            guards.push(self.open(Step::Needs { edge, end: 0 }));
        }
        if let [only] = wanted.as_slice() {
            self.steps.push(Step::Holds { place: only.place });
        } else {
            self.branches(wanted, asked, depth);
        }
        guards.into_iter().for_each(|guard| self.close(Some(guard)));
    }

    fn branches(&mut self, wanted: Vec<Wanted>, asked: Option<Family>, depth: usize) {
        let mut branches: Vec<(Option<(Family, Needed)>, Branch)> = self
            .split(wanted, asked, depth)
            .into_iter()
            .map(|branch| (self.needed(&branch), branch))
            .collect();
        let family = |needed: &Option<(Family, Needed)>| needed.as_ref().map(|(family, _)| *family);
        branches.sort_by_key(|(needed, _)| family(needed));
        let count = branches.len();
        for neighbours in branches.chunk_by_mut(|(one, _), (other, _)| family(one) == family(other)) {
            let patterns: Vec<Edge> = neighbours
                .iter()
                .filter_map(|(needed, _)| Some(&*needed.as_ref()?.1.patterns))
                .collect::<Vec<_>>()
                .concat();
            let were_asked = neighbours.len() == count
                && neighbours.first().is_some_and(|(needed, _)| asked.is_some() && family(needed) == asked);
            let is_worth = neighbours.len() >= NEIGHBOURS && !patterns.is_empty() && !were_asked;
            let guard = is_worth.then(|| self.open_any(&patterns));
            for (needed, Branch { by, wanted }) in neighbours {
                let wanted = std::mem::take(wanted);
                let depth = depth.saturating_sub(1);
                match (by, needed) {
                    (By::Need(need), _) => {
                        let edge = self.edge(*need);
                        let own = self.open(Step::Needs { edge, end: 0 });
                        self.block(wanted, None, depth);
                        self.close(Some(own));
                    }
                    (By::Family(family), Some((_, needed))) => {
                        let own = guard.is_none().then(|| self.open_any(&needed.patterns));
                        self.block(wanted, Some(*family), depth);
                        self.close(own);
                    }
                    (By::Family(_) | By::Nothing, _) => self.block(wanted, None, depth),
                }
            }
            self.close(guard);
        }
    }

    /// Of which patterns of one family all conditions of a branch need one: of the family they are asked
    /// together by, or else of that which says the most.
    fn needed(&mut self, branch: &Branch) -> Option<(Family, Needed)> {
        let all: Vec<Implied> = branch.wanted.iter().map(|one| self.implied(one)).collect();
        let own = match branch.by {
            By::Need(need) => Some(self.implications.of(self.dag, &mut self.guesses, need)),
            By::Family(_) | By::Nothing => None,
        };
        let implied = both(own.into_iter().chain([either(&all)]));
        let of = |family: &Family| Some((*family, implied.get(family)?.clone()));
        match &branch.by {
            By::Family(family) => of(family),
            By::Need(_) | By::Nothing => of(telling(&implied)?),
        }
    }

    fn implied(&mut self, wanted: &Wanted) -> Implied {
        let Self { dag, implications, guesses, .. } = self;
        both(wanted.needs.iter().map(|need| implications.of(dag, guesses, *need)))
    }

    /// Begins to guard by patterns.
    fn open_any(&mut self, patterns: &[Edge]) -> usize {
        let mut words: Vec<Bits> = Vec::new();
        for edge in patterns {
            let Expr::Leaf(Leaf::Pattern(source, pattern)) = self.dag.expr(*edge) else { continue };
            let bits = self.pattern(*edge, *source, pattern);
            match words.iter_mut().find(|word| (word.group, word.word) == (bits.group, bits.word)) {
                Some(word) => word.mask |= bits.mask,
                None => words.push(bits),
            }
        }
        let begin = self.any.len() as u32;
        self.any.extend(words);
        self.open(Step::Any { bits: begin..self.any.len() as u32, end: 0 })
    }

    /// Takes out what all need, in the order in which it is asked.
    fn common(&mut self, wanted: &mut [Wanted]) -> Vec<Edge> {
        let Some((first, rest)) = wanted.split_first() else { return Vec::new() };
        let mut common = first.needs.clone();
        for other in rest {
            common.retain(|need| other.needs.binary_search(need).is_ok());
        }
        for wanted in wanted {
            wanted.needs.retain(|need| common.binary_search(need).is_err());
        }
        self.sort(&mut common);
        common
    }

    /// Parts conditions by what several of them need, the most telling first.
    fn split(&mut self, wanted: Vec<Wanted>, asked: Option<Family>, depth: usize) -> Vec<Branch> {
        let mut branches = Vec::new();
        let shared = if depth > 0 { self.shared(&wanted, asked) } else { Vec::new() };
        let mut left: Vec<Option<Wanted>> = wanted.into_iter().map(Some).collect();
        for Shared { by, places, .. } in shared {
            let is_left = |place: &&usize| left.get(**place).is_some_and(Option::is_some);
            let fewest = if matches!(by, By::Family(_)) { NEIGHBOURS } else { 2 };
            if places.iter().filter(is_left).count() >= fewest {
                let with = places.iter().filter_map(|place| left.get_mut(*place)?.take()).collect();
                branches.push(Branch::new(by, with));
            }
        }
        for alone in left.into_iter().flatten() {
            let mut rank = |need: &Edge| self.guesses.of(self.dag, *need).rank();
            let first = alone.needs.iter().copied().min_by(|a, b| rank(a).total_cmp(&rank(b)));
            branches.push(Branch::new(first.map_or(By::Nothing, By::Need), vec![alone]));
        }
        branches
    }

    /// What more than one of them needs, the most telling first.
    fn shared(&mut self, wanted: &[Wanted], asked: Option<Family>) -> Vec<Shared> {
        let mut needs: HashMap<Edge, Vec<usize>> = HashMap::new();
        let mut families: HashMap<Family, (Vec<usize>, f32)> = HashMap::new();
        for (place, one) in wanted.iter().enumerate() {
            one.needs.iter().for_each(|need| needs.entry(*need).or_default().push(place));
            let implied = self.implied(one);
            if let Some(family) = telling(&implied) {
                let (places, holds) = families.entry(*family).or_default();
                places.push(place);
                *holds += implied.get(family).map_or(1.0, |needed| needed.holds);
            }
        }
        let mut shared: Vec<Shared> = Vec::new();
        for (need, places) in needs.into_iter().filter(|(_, places)| places.len() > 1) {
            let telling = places.len() as f32 / self.guesses.of(self.dag, need).rank();
            shared.push(Shared { telling, order: need, by: By::Need(need), places });
        }
        for (family, (places, holds)) in families {
            let is_same = asked == Some(family) && places.len() == wanted.len();
            if places.len() >= NEIGHBOURS && holds < MOST_HOLD && !is_same {
                let telling = places.len() as f32 * (1.0 - holds) / ANY;
                shared.push(Shared { telling, order: Edge::TRUE, by: By::Family(family), places });
            }
        }
        shared.sort_by(|a, b| b.telling.total_cmp(&a.telling).then(a.order.cmp(&b.order)));
        shared
    }

    fn sort(&mut self, needs: &mut [Edge]) {
        needs.sort_by(|a, b| {
            let (a, b) = (self.guesses.of(self.dag, *a).rank(), self.guesses.of(self.dag, *b).rank());
            a.total_cmp(&b)
        });
    }

    /// Begins to guard.
    fn open(&mut self, guard: Step) -> usize {
        self.steps.push(guard);
        self.steps.len() - 1
    }

    /// A guard guards up to here.
    fn close(&mut self, guard: Option<usize>) {
        let here = self.steps.len() as u32;
        let guard = guard.and_then(|guard| self.steps.get_mut(guard));
        if let Some(Step::Any { end, .. } | Step::Needs { end, .. }) = guard {
            *end = here;
        }
    }
}

/// What several conditions need.
struct Shared {
    telling: f32,
    /// Where two say the same.
    order: Edge,
    by: By,
    places: Vec<usize>,
}

impl Branch {
    /// Conditions that are asked together, without what they are asked by.
    fn new(by: By, mut wanted: Vec<Wanted>) -> Self {
        if let By::Need(need) = by {
            wanted.iter_mut().for_each(|one| one.needs.retain(|other| *other != need));
        }
        Self { by, wanted }
    }
}

/// The family that says the most.
fn telling(implied: &Implied) -> Option<&Family> {
    let telling = implied.iter().filter(|(_, needed)| needed.holds < MOST_HOLD);
    let most =
        telling.min_by(|(family, a), (other, b)| a.holds.total_cmp(&b.holds).then_with(|| family.cmp(other)));
    most.map(|(family, _)| family)
}
