//! What an event costs that no rule matches: held against a set of rules tree by tree, and compiled.

mod events;
mod sets;

use std::{hint::black_box, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use rules::{
    compile::{Matching, Programs, Scratch},
    eval::Condition,
};

use self::{
    events::{Event, Kind},
    sets::Set,
};
use crate::{
    bars::{self, Limit},
    interrupt, machine, progress,
    replay::{allocated_bytes, allocations},
    report::{Measure, Unit},
    stats::Estimate,
};

pub use sets::official;

/// Events of a round, for the compiled form.
const EVENTS: usize = 40_000;
/// The trees take so much longer that fewer will do.
const EVENTS_BY_TREE: usize = 4_000;
/// Rules of the large set.
const MANY: usize = 1_000;
/// How often the large set is compiled.
const COMPILATIONS: usize = 11;

/// Measures the official rules, where their file is, and all rules that come with Kestrel, on `cpu`.
///
/// # Errors
/// When a file of rules is refused, or a rule matches an event.
pub fn measure(rounds: usize, cpu: usize, official: Option<&Path>) -> Result<Vec<Measure>> {
    machine::pin(cpu)?;
    let mut sets = Vec::new();
    if let Some(path) = official {
        sets.push((Set::official(path)?, 1.0));
    }
    sets.push((Set::default_rules()?, 2.0));
    let mut measures = Vec::new();
    for (set, factor) in &sets {
        measures.extend(of_set(set, *factor, rounds)?);
    }
    measures.extend(many(&sets.iter().map(|(set, _)| set).collect::<Vec<_>>())?);
    Ok(measures)
}

/// The bar of events of a kind over the official rules.
const fn bar(kind: Kind) -> f64 {
    match kind {
        Kind::Openat => bars::RULES_OPENAT,
        Kind::Execve => bars::RULES_EXECVE,
        Kind::Close => bars::RULES_CLOSE,
    }
}

fn of_set(set: &Set, factor: f64, rounds: usize) -> Result<Vec<Measure>> {
    let name = set.name;
    let conditions = set.conditions();
    let before = allocated_bytes();
    let programs = Programs::new(conditions.iter().copied().enumerate());
    let bytes = allocated_bytes().wrapping_sub(before);
    progress(&format!("rules: {name}, {} rules", conditions.len()));
    let mut measures = vec![
        Measure::exact(&format!("{name}, compiled"), bytes as f64, Unit::Bytes)
            .note(format!("{} rules", conditions.len())),
    ];
    for kind in Kind::ALL {
        measures.extend(of_kind(name, &conditions, &programs, kind, factor, rounds)?);
    }
    Ok(measures)
}

fn of_kind(
    set: &str,
    conditions: &[&Condition],
    programs: &Programs,
    kind: Kind,
    factor: f64,
    rounds: usize,
) -> Result<Vec<Measure>> {
    let events = kind.events();
    let event_type = events.first().context("there is no such type of events")?.event_type();
    let met: Vec<&Condition> =
        conditions.iter().copied().filter(|condition| condition.events().contains(event_type)).collect();
    let mut scratch = Scratch::default();
    let (mut trees, mut compiled, mut allocated) = (Vec::new(), Vec::new(), 0);
    // The first round warms up.
    for round in 0..=rounds {
        interrupt::check()?;
        let by_tree = || by_trees(&met, &events);
        let before_tree = (round % 2 == 0).then(by_tree).transpose()?;
        let before = allocations();
        let took = by_programs(programs, &mut scratch, &events)?;
        let after = allocations();
        let tree = before_tree.map_or_else(by_tree, Ok)?;
        if round > 0 {
            allocated += after - before;
            compiled.push(took);
            trees.push(tree);
        }
    }
    let few = "too few rounds for an interval";
    let name = format!("{set}, {}", kind.name());
    let note = format!("{} rules", met.len());
    let per_event = allocated as f64 / (rounds * EVENTS) as f64;
    Ok(vec![
        Measure::new(&name, Estimate::of(&compiled).context(few)?, Unit::Nanoseconds)
            .held_against(Limit::AtMost(bar(kind) * factor))
            .note(note),
        Measure::new(&format!("{name}, by trees"), Estimate::of(&trees).context(few)?, Unit::Nanoseconds),
        Measure::new(
            &format!("{name}, compiled to trees"),
            Estimate::of_ratios(&compiled, &trees).context(few)?,
            Unit::Ratio,
        ),
        Measure::exact(&format!("allocations per event, {name}"), per_event, Unit::Count)
            .held_against(bars::RULES_ALLOCATIONS),
    ])
}

/// Nanoseconds an event, one condition after the other.
fn by_trees(conditions: &[&Condition], events: &[Event]) -> Result<f64> {
    let passes = EVENTS_BY_TREE / events.len();
    let mut matches = 0;
    let start = Instant::now();
    for event in (0..passes).flat_map(|_| events) {
        let event = black_box(event);
        matches += conditions.iter().filter(|condition| condition.evaluate(event).is_true()).count();
    }
    let took = start.elapsed();
    ensure!(matches == 0, "a rule matches an event that was to match none");
    Ok(took.as_nanos() as f64 / (passes * events.len()) as f64)
}

/// Nanoseconds an event, compiled.
fn by_programs(programs: &Programs, scratch: &mut Scratch, events: &[Event]) -> Result<f64> {
    let passes = EVENTS / events.len();
    let mut matches = 0;
    let start = Instant::now();
    for event in (0..passes).flat_map(|_| events) {
        let event = black_box(event);
        programs.matches(scratch, Some(event.event_type()), event, Matching::First, |_| matches += 1);
    }
    let took = start.elapsed();
    ensure!(matches == 0, "a rule matches an event that was to match none");
    Ok(took.as_nanos() as f64 / (passes * events.len()) as f64)
}

/// A set of many rules: copies of those of others, with other texts.
fn many(sets: &[&Set]) -> Result<Vec<Measure>> {
    let conditions = sets::copies(sets, MANY)?;
    progress(&format!("rules: {} copies", conditions.len()));
    let mut seconds = Vec::new();
    let mut bytes = 0;
    for _ in 0..COMPILATIONS {
        interrupt::check()?;
        let before = allocated_bytes();
        let start = Instant::now();
        let programs = black_box(Programs::new(conditions.iter().enumerate()));
        seconds.push(start.elapsed().as_secs_f64());
        bytes = allocated_bytes().wrapping_sub(before);
        drop(programs);
    }
    let seconds = Estimate::of(&seconds).context("too few compilations for an interval")?;
    let mut measures = vec![
        Measure::new(&format!("{MANY} rules, compiling"), seconds, Unit::Seconds)
            .held_against(bars::RULES_COMPILING),
        Measure::exact(&format!("{MANY} rules, compiled"), bytes as f64, Unit::Bytes),
    ];
    let programs = Programs::new(conditions.iter().enumerate());
    let mut scratch = Scratch::default();
    for kind in Kind::ALL {
        let events = kind.events();
        by_programs(&programs, &mut scratch, &events)?;
        let took: Result<Vec<f64>> =
            (0..COMPILATIONS).map(|_| by_programs(&programs, &mut scratch, &events)).collect();
        let took = Estimate::of(&took?).context("too few rounds for an interval")?;
        measures.push(Measure::new(&format!("{MANY} rules, {}", kind.name()), took, Unit::Nanoseconds));
    }
    Ok(measures)
}
