//! Conditions and rules over the recorded events, held against Falco's own answers.

use std::{collections::BTreeSet, thread};

use rules::{
    compile::{Matching, Programs, Scratch},
    condition::parse,
    eval::Condition,
    field::Reference,
    load::{Config, Loader},
    value::Truth,
};
use serde::Deserialize;
use sha1::{Digest, Sha1};

use crate::{
    reference,
    session::{self, Recorded},
};

/// Conditions that differ because paths were made anonymous after recording, and the field whose path was
/// longer, or had other letters, when Falco answered. With the events in which that path was changed, Falco's
/// answer comes out again, which the test asks for.
const ANONYMOUS: &[(&str, &str)] = &[
    ("len(proc.args) > 26", "proc.args"),
    ("len(proc.pcmdline) > 34", "proc.pcmdline"),
    ("len(proc.exe) > 23", "proc.exe"),
    ("fd.name contains allof ('/', 's')", "fd.name"),
    ("fd.directory contains allof ('/', 'e')", "fd.directory"),
    ("proc.cmdline contains allof ('r', 'r')", "proc.cmdline"),
];

/// The path that stands in place of another.
const INSTEAD: &str = "/tmp/lab";

#[derive(Deserialize)]
struct Case {
    condition: String,
    matches: usize,
    sha1_of_matching_event_numbers: String,
}

fn condition(text: &str) -> Condition {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Condition::check(&expr).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matching(condition: &Condition, events: &[Recorded]) -> Vec<String> {
    let holds = |recorded: &&Recorded| condition.evaluate(&recorded.event) == Truth::True;
    events.iter().filter(holds).map(|recorded| recorded.number.to_string()).collect()
}

/// What is wrong with the answer to a case, if anything is.
fn difference(case: &Case, events: &[Recorded]) -> Option<String> {
    let changed = ANONYMOUS.iter().find(|(condition, _)| *condition == case.condition);
    let text = match changed {
        Some((text, field)) => format!("({text}) or {field} contains {INSTEAD}"),
        None => case.condition.clone(),
    };
    let numbers = matching(&condition(&text), events);
    let digest: String = Sha1::digest(numbers.join(",")).iter().map(|byte| format!("{byte:02x}")).collect();
    let same = numbers.len() == case.matches && digest == case.sha1_of_matching_event_numbers;
    (!same).then(|| format!("{text}: {} instead of {}", numbers.len(), case.matches))
}

#[test]
fn conditions_match_the_events_they_match_in_falco() {
    let (Some(events), Some(cases)) = (session::events(), reference::json("conditions.json")) else {
        return;
    };
    let cases: Vec<Case> = serde_json::from_value(cases).unwrap();
    let events = &events;
    let wrong: Vec<String> = thread::scope(|scope| {
        let halves = cases.chunks(cases.len().div_ceil(2));
        let workers: Vec<_> = halves
            .map(|half| {
                scope.spawn(|| half.iter().filter_map(|case| difference(case, events)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (right, all) = (cases.len() - wrong.len(), cases.len());
    println!("{right} of {all} conditions are as in Falco, {} of them but for a path", ANONYMOUS.len());
    assert!(wrong.is_empty(), "{right} of {all}; not these:\n{}", wrong.join("\n"));
}

#[test]
fn the_recording_has_no_field_and_no_event_that_is_not_in_the_tables() {
    let Some(events) = session::events() else {
        return;
    };
    let names: BTreeSet<&String> = events.iter().flat_map(|recorded| &recorded.names).collect();
    for name in names {
        let (field, argument) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((field, argument)) => (field, Some(argument)),
            None => (name.as_str(), None),
        };
        let reference = Reference::parse(field, argument).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reference.text(), name);
    }
    let nameless = events.iter().find(|recorded| recorded.event.event_type().is_none());
    assert_eq!(nameless.map(|recorded| recorded.number), None);
}

#[test]
fn the_stable_rules_match_the_events_they_match_in_falco() {
    let (Some(events), Some(text)) = (session::events(), reference::text("falco_rules.yaml")) else {
        return;
    };
    let mut loader = Loader::new(Config::default());
    let report = loader.load("falco_rules.yaml", &text);
    assert!(report.errors.is_empty() && report.warnings.is_empty(), "{report:#?}");
    // All rules, also those that are not enabled: the recording was made so.
    let rules = loader.rules().rules();
    let programs = Programs::new(rules.iter().map(|rule| &rule.condition).enumerate());
    let mut scratch = Scratch::default();
    let (mut wrong, mut total) = (Vec::new(), 0);
    for recorded in &events {
        let mut names = Vec::new();
        programs.matches(
            &mut scratch,
            recorded.event.event_type(),
            &recorded.event,
            Matching::All,
            |found| names.push(rules[found.place].name.as_str()),
        );
        names.sort_unstable();
        let mut expected: Vec<&str> = recorded.expected.iter().map(String::as_str).collect();
        expected.sort_unstable();
        total += expected.len();
        if names != expected {
            wrong.push(format!("event {}: {names:?} instead of {expected:?}", recorded.number));
        }
    }
    println!("{total} matches in {} events", events.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(total, 29);
}
