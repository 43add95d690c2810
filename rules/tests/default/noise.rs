//! How much the set says of a recording of a machine on which a list of attacks was acted out between ordinary
//! work.

use std::collections::{BTreeMap, BTreeSet};

use rules::{
    compile::{Matching, Programs, Scratch},
    temporal::{Limits, Temporal, Tracker},
};

use crate::{session, set};

/// The most events of the recording that one rule may match.
const MOST_OF_A_RULE: usize = 6;
/// Of so many events, one may match.
const EVENTS_A_MATCH: usize = 350;

#[test]
fn the_set_is_no_louder_than_the_official_one() {
    let Some(events) = session::events() else { return };
    let rules: Vec<_> = set::rules().into_iter().filter(|rule| rule.is_active).collect();
    let single = rules.iter().enumerate().filter(|(_, rule)| rule.before.is_none());
    let programs = Programs::new(single.map(|(place, rule)| (place, &rule.condition)));
    let temporal = Temporal::new(rules.iter().enumerate());
    let (mut tracker, mut scratch) = (Tracker::new(Limits::default()), Scratch::default());
    let (mut counts, mut official) = (BTreeMap::<&str, usize>::new(), 0);
    let mut stable = 0;
    for recorded in &events {
        official += recorded.expected.len();
        let event = &recorded.event;
        let mut found = Vec::new();
        programs.matches(&mut scratch, event.event_type(), event, Matching::All, |it| found.push(it.place));
        let mut parts = Vec::new();
        temporal.matches(&mut scratch, event.event_type(), event, |part, truth| {
            parts.extend(truth.is_true().then_some(part));
        });
        let at_ns = event.time_ns().unwrap();
        let fired = parts.into_iter().filter_map(|part| tracker.note(&temporal, part, event, at_ns));
        found.extend(fired.map(|fired| fired.place));
        for place in found {
            let rule = &rules[place];
            *counts.entry(&rule.name).or_default() += 1;
            stable += usize::from(rule.tags.contains("maturity_stable"));
        }
    }
    let all: usize = counts.values().sum();
    println!(
        "{} events: {all} matches, {stable} of them of stable rules; {official} of the official stable ones",
        events.len()
    );
    for (rule, count) in &counts {
        println!("{count:4} {rule}");
        assert!(*count <= MOST_OF_A_RULE, "{rule} matches {count} events");
    }
    // The official rules that are recorded are the stable ones.
    assert!(stable <= official, "{stable} matches of stable rules, {official} of the official ones");
    assert!(all * EVENTS_A_MATCH <= events.len(), "{all} matches in {} events", events.len());
}

/// What is kept of a recording of real containers on a real node: `cargo run --release --bin kestrel-ordinary`
/// writes it.
const HOUR: &str = include_str!("hour.md");

#[test]
fn of_an_hour_of_ordinary_work_the_set_says_less_than_the_official_one() {
    let minutes: u64 =
        HOUR.strip_prefix("# ").and_then(|title| title.split(' ').next()).unwrap().parse().unwrap();
    let totals: BTreeMap<_, _> = rows("## Detections").map(|cells| (cells[0], count(cells[1]))).collect();
    let (ours, official) = (totals["Kestrel's"], totals["Falco's"]);
    println!("{minutes} minutes: {ours} detections of the set, {official} of the official one");
    let names: BTreeSet<_> = set::rules().into_iter().map(|rule| rule.name).collect();
    for cells in rows("## By Kestrel's rules") {
        println!("{:>6} {}", cells[1], cells[0]);
        assert!(names.contains(cells[0]), "{}: no rule of the set any more: record anew", cells[0]);
    }
    let sum = |title| rows(title).map(|cells| count(cells[1])).sum::<u64>();
    assert_eq!((sum("## By Kestrel's rules"), sum("## By Falco's rules")), (ours, official));
    assert!(minutes >= 60 && ours <= official);
    assert!(sum("## Events that either set wants") > 1_000_000);
    assert!(rows("## What was done").all(|cells| count(cells[1]) > 0 && count(cells[2]) == 0));
}

/// The cells of the table below a title, without its head.
fn rows(title: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let (_, below) = HOUR.split_once(title).unwrap_or_else(|| panic!("no {title}"));
    let table =
        below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn count(cell: &str) -> u64 {
    cell.parse().unwrap()
}
