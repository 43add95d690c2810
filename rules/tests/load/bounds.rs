//! Rules that want to cost more than they should.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rules::load::MAX_FILE;

use crate::lab::{report, rule};

/// Loads within the time that a machine under load may take for it.
fn bounded(text: &str) -> rules::load::Report {
    let before = Instant::now();
    let report = report(text);
    assert!(before.elapsed() < Duration::from_secs(60), "took {:?}", before.elapsed());
    report
}

fn refused(text: &str, expected: &str) {
    let report = bounded(text);
    let message = &report.errors.first().unwrap_or_else(|| panic!("taken")).message;
    assert!(message.contains(expected), "{message}");
}

#[test]
fn macros_that_double() {
    let mut text = "- macro: m0\n  condition: proc.name = a\n".to_owned();
    for i in 1..40 {
        text += &format!("- macro: m{i}\n  condition: m{0} and m{0}\n", i - 1);
    }
    refused(&(text + &rule("r", "m39", "")), "parts with its macros");
}

#[test]
fn macros_in_a_chain() {
    let mut text = "- macro: m0\n  condition: proc.name = a\n".to_owned();
    for i in 1..5000 {
        text += &format!("- macro: m{i}\n  condition: m{}\n", i - 1);
    }
    refused(&text, "max depth");
    // The last one first, so that measuring it goes through all others.
    let backwards: String =
        (1..5000).map(|i| format!("- macro: m{i}\n  condition: proc.name = a\n")).collect();
    let redefined: String = (1..4999).map(|i| format!("- macro: m{i}\n  condition: m{}\n", i + 1)).collect();
    refused(&(backwards + &redefined), "max depth");
}

#[test]
fn many_rules_of_many_parts() {
    let parts = vec!["proc.name = a"; 2000].join(" and ");
    let text = format!("- macro: m\n  condition: {parts}\n");
    let rules: String = (0..1000).map(|i| rule(&format!("r{i}"), "evt.type = open and m", "")).collect();
    refused(&(text + &rules), "all conditions");
}

#[test]
fn lists_in_lists() {
    let mut text = "- list: l0\n  items: [a, b, c, d]\n".to_owned();
    for i in 1..40 {
        text += &format!("- list: l{i}\n  items: [l{0}, l{0}, l{0}, l{0}]\n", i - 1);
    }
    refused(&text, "the list has more than");
    let chain: String = (1..3000).map(|i| format!("- list: l{i}\n  items: [l{}]\n", i + 1)).collect();
    refused(&chain, "refer to lists deeper than");
}

#[test]
fn a_large_list_in_many_conditions() {
    let items = vec!["a".repeat(100); 5000].join(", ");
    let text = format!("- list: l\n  items: [{items}]\n");
    let rules: String =
        (0..500).map(|i| rule(&format!("r{i}"), "evt.type = open and proc.name in (l)", "")).collect();
    refused(&(text + &rules), "too long with its lists");
}

#[test]
fn many_lists_and_conditions() {
    let lists: String = (0..10_000).map(|i| format!("- list: l{i}\n  items: [a]\n")).collect();
    let rules: String =
        (0..2000).map(|i| rule(&format!("r{i}"), "evt.type = open and proc.name in (l1)", "")).collect();
    assert!(bounded(&(lists + &rules)).successful);
}

#[test]
fn a_list_with_a_doubt_for_each_item() {
    let items: Vec<_> = (0..40_000).map(|i| format!("proc.aname[{i}]")).collect();
    let text = rule("r", &format!("evt.type = open and proc.name in ({})", items.join(", ")), "");
    assert_eq!(bounded(&text).warnings.len(), rules::load::MAX_WARNINGS);
}

#[test]
fn exceptions_that_repeat_a_long_field() {
    let field = format!("proc.env[{}]", "A".repeat(100_000));
    let rows = vec!["[a]"; 100_000].join(", ");
    let exception = format!("  exceptions:\n  - name: e\n    fields: ['{field}']\n    values: [{rows}]\n");
    refused(&rule("r", "evt.type = open", &exception), "bytes with its exceptions");
    let many = "  - {name: e, fields: [proc.name]}\n".repeat(50_000);
    refused(&rule("r", "evt.type = open", &format!("  exceptions:\n{many}")), "no more than 1000 exceptions");
}

#[test]
fn names_that_are_repeated_in_reports() {
    let name = "n".repeat(1_000_000);
    let more: String = (0..5000).map(|i| format!("  k{i}: a\n")).collect();
    let report = bounded(&rule(&name, "evt.type = open", &more));
    assert!(serde_json::to_string(&report).unwrap().len() < 10_000_000);
}

#[test]
fn appends_without_end() {
    let appends = "- rule: r\n  desc: d\n  override: {desc: append}\n".repeat(50_000);
    assert!(bounded(&(rule("r", "evt.type = open", "") + &appends)).successful);
}

#[test]
fn aliases_that_multiply() {
    let mut text = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..15 {
        text += &format!("- &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    refused(&text, "more than");
}

#[test]
fn a_file_that_is_too_long() {
    refused(&"#".repeat(MAX_FILE + 1), "the limit is");
    let keys: String = (0..200_000).map(|i| format!("  k{i}: a\n")).collect();
    assert!(bounded(&rule("r", "evt.type = open", &keys)).warnings.len() <= rules::load::MAX_WARNINGS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_taken_or_refused(text in "(- (rule|macro|list|condition|items|output|desc|priority|exceptions|override): [a-z.=()%,\\[\\] ]{0,20}\n(  (condition|items|output|desc|priority|append|override|exceptions): ?[a-z.=()%,\\[\\]'\"> ]{0,20}\n){0,5}){0,4}") {
        let report = report(&text);
        prop_assert_eq!(report.successful, report.errors.is_empty());
        prop_assert!(serde_json::to_string(&report).is_ok());
    }
}

#[test]
fn as_deep_as_may_be() {
    // Each macro is three levels: its name, the negation and the conjunction.
    let deep = |macros: usize| {
        let mut text = "- macro: m0\n  condition: proc.name = a\n".to_owned();
        for i in 1..macros {
            text += &format!("- macro: m{i}\n  condition: not (proc.name = a and m{})\n", i - 1);
        }
        text + &rule("r", &format!("evt.type = open and m{}", macros - 1), "")
    };
    assert!(bounded(&deep(66)).successful);
    refused(&deep(80), "max depth");
}
