use std::collections::BTreeSet;

use rules::load::{Addition, Config, Loader, Report};
use serde_json::Value;

use crate::{
    lab::{loaded, report},
    reference,
};

fn tags(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What Falco's test of this name adds to outputs; the data has only the rules.
fn additions(case: &str) -> Vec<Addition> {
    let of = |rule: Option<&str>, tag: &[&str], output: &str| Addition {
        rule: rule.map(str::to_owned),
        tags: tags(tag),
        output: Some(output.to_owned()),
        ..Addition::default()
    };
    match case {
        "extra_format_all" => vec![of(None, &[], "evt.type=%evt.type")],
        "extra_format_by_rule" => vec![of(Some("legit_rule"), &[], "evt.type=%evt.type")],
        "extra_format_by_tag_rule" => vec![
            of(None, &["tag1"], "extra 1"),
            of(Some("another_rule"), &["tag1"], "extra 2"),
            of(None, &["tag1", "tag2"], "extra 3"),
        ],
        _ => Vec::new(),
    }
}

fn messages(report: &Report) -> (Vec<&str>, Vec<&str>) {
    let errors = report.errors.iter().map(|finding| finding.message.as_str()).collect();
    (errors, report.warnings.iter().map(|finding| finding.message.as_str()).collect())
}

/// What differs from Falco in one case.
fn differing(case: &Value) -> Vec<String> {
    let name = case["case"].as_str().unwrap();
    let mut loader = Loader::new(Config { additions: additions(name), ..Config::default() });
    let mut report = None;
    let mut differing = Vec::new();
    for step in case["steps"].as_array().unwrap() {
        if step["op"] == "load" {
            report = Some(loader.load("rules.yaml", step["yaml"].as_str().unwrap()));
        }
        let Some(report) = &report else { continue };
        let (errors, warnings) = messages(report);
        let contains = |found: &[&str]| match step["msg"].as_str() {
            Some(part) => found.iter().any(|message| message.contains(part)),
            None => !found.is_empty(),
        };
        let holds = match step["op"].as_str().unwrap() {
            "load" => report.successful == step["expect_ok"],
            "error_contains" => contains(&errors) != (step["neg"] == true),
            "warning_contains" => contains(&warnings) != (step["neg"] == true),
            "compiled_output" => loader.rules().rules().iter().any(|rule| {
                rule.name == step["rule"].as_str().unwrap() && rule.output.text() == step["expect"]
            }),
            "num_rules" => {
                let expected = step["raw"].as_str().unwrap().rsplit(' ').next().unwrap();
                loader.rules().active().count().to_string() == expected
            }
            other => panic!("an unknown step {other}"),
        };
        if !holds {
            differing.push(format!("{name}: {step}\n{report}"));
        }
    }
    differing
}

#[test]
fn rules_load_as_in_falco() {
    let Some(cases) = reference::json("loader_cases.json") else { return };
    let differing: Vec<_> = cases.as_array().unwrap().iter().flat_map(differing).collect();
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn the_official_rules_load_without_a_warning() {
    let Some(text) = reference::text("falco_rules.yaml") else { return };
    let loader = loaded(Config::default(), &text);
    let counts = loader.counts();
    assert_eq!((counts.rules, counts.macros, counts.lists), (25, 87, 49));
    assert_eq!(loader.rules().rules().len(), 25);
    let report = report(&text);
    assert!(report.warnings.is_empty(), "{report}");
    assert_eq!(loader.rules().required_plugins()[0][0].name, "container");
}
