//! The events beside the rules: one that each must match, and one that it must not.

use std::collections::BTreeSet;

use rules::{event::Fixture, load::CompiledRule, value::Truth};
use serde::Deserialize;
use serde_json::Value;

use crate::set;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    #[serde(rename = "match")]
    matching: Value,
    /// What is other in the events that must not match.
    miss: Value,
}

struct OfRule {
    rule: String,
    file: String,
    fixture: Fixture,
}

fn fixtures() -> Vec<OfRule> {
    let files = set::files(&set::folder().join("fixtures"));
    let entries = files.iter().flat_map(|(file, text)| {
        let entries: Vec<Entry> =
            serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        entries.into_iter().map(move |entry| (file.clone(), entry))
    });
    let fixture = |(file, Entry { rule, matching, miss })| {
        let fixture = Fixture::new(&matching, &miss).unwrap_or_else(|error| panic!("{rule}: {error}"));
        OfRule { rule, file, fixture }
    };
    entries.map(fixture).collect()
}

#[test]
fn every_rule_has_events_that_hold_in_the_file_of_its_tactic() {
    let (rules, fixtures) = (set::rules(), fixtures());
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(fixtures.iter().map(|fixture| fixture.rule.as_str()).collect::<BTreeSet<_>>(), names);
    for rule in &rules {
        for OfRule { file, fixture, .. } in fixtures.iter().filter(|fixture| fixture.rule == rule.name) {
            let name = &rule.name;
            assert_eq!(Fixture::evaluate(rule, &fixture.matching), Truth::True, "{name}: match");
            assert_eq!(Fixture::evaluate(rule, &fixture.missing), Truth::False, "{name}: miss");
            // The engine asks a rule only for the types of events it can hold for.
            for event in &fixture.matching {
                let event_type = event.event_type().unwrap();
                assert!(rule.events().contains(event_type), "{name}: {}", event_type.name());
            }
            assert!((1..=4).contains(&fixture.differences), "{name}: a near miss is near");
            let tactic = format!("mitre_{}", file.trim_end_matches(".yaml"));
            assert!(rule.tags.contains(&tactic), "{name} is tested in {file}");
        }
    }
}

#[test]
fn what_is_benign_for_a_rule_is_not_worse_for_another_technique() {
    let (rules, fixtures) = (set::rules(), fixtures());
    let rule_of = |fixture: &OfRule| rules.iter().find(|rule| rule.name == fixture.rule).unwrap();
    let is_related = |one: &CompiledRule, other: &CompiledRule| {
        set::techniques(one).iter().any(|technique| other.tags.contains(*technique))
    };
    let mut worse = Vec::new();
    for fixture in &fixtures {
        let rule = rule_of(fixture);
        let others = rules.iter().filter(|other| {
            other.is_active
                // Priorities are ordered with the most urgent first.
                && other.priority < rule.priority
                && !is_related(rule, other)
                && Fixture::evaluate(other, &fixture.fixture.missing).is_true()
        });
        worse.extend(others.map(|other| format!("the near miss of {} is {}", rule.name, other.name)));
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}
