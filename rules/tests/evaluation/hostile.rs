//! Rules and events that want to cost more than they should.

use std::time::{Duration, Instant};

use rules::{
    condition::parse,
    eval::Condition,
    event::JsonEvent,
    load::{Config, Loader},
    value::Truth,
};
use serde_json::json;

/// So long nothing here may take, on a machine under load.
const LIMIT: Duration = Duration::from_secs(60);

fn event(name: &str) -> JsonEvent {
    JsonEvent::new(json!({ "proc.name": name }).as_object().unwrap().clone())
}

#[test]
fn a_pattern_that_makes_others_backtrack_takes_time_in_the_length_of_the_text() {
    let begin = Instant::now();
    let long = "a".repeat(200_000) + "!";
    for pattern in ["(a+)+b", "(a|aa)+b", "(.*a){10}b", "((a*)*)*b"] {
        let expr = parse(&format!("proc.name regex '{pattern}'")).unwrap();
        assert_eq!(Condition::check(&expr).unwrap().evaluate(&event(&long)), Truth::False, "{pattern}");
    }
    for operator in ["glob", "iglob"] {
        let pattern = "*a".repeat(60) + "b";
        let expr = parse(&format!("proc.name {operator} '{pattern}'")).unwrap();
        assert_eq!(Condition::check(&expr).unwrap().evaluate(&event(&long)), Truth::False, "{operator}");
    }
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
}

#[test]
fn patterns_that_grow_are_refused() {
    let begin = Instant::now();
    let stacked = "a".to_owned() + &"*".repeat(500_000);
    for pattern in [
        stacked.as_str(),
        "((a{100}){100}){100}",
        "(a{1000}){1000}",
        &("(".repeat(500) + "a" + &")".repeat(500)),
    ] {
        let expr = parse(&format!("proc.name regex '{pattern}'")).unwrap();
        let error = Condition::check(&expr).unwrap_err().to_string();
        assert!(error.contains("invalid regex pattern"), "{error}");
    }
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
}

#[test]
fn many_patterns_have_a_limit_together() {
    let begin = Instant::now();
    let rule = |name: usize, pattern: &str| {
        format!(
            "- rule: r{name}\n  desc: d\n  condition: evt.type = open and proc.name regex '{pattern}'\n  output: o\n  \
             priority: INFO\n"
        )
    };
    let same: String = (0..3000).map(|name| rule(name, "x{900}")).collect();
    let report = Loader::new(Config::default()).load("same.yaml", &same);
    assert!(report.successful, "what is the same counts once: {:?}", report.errors);
    let different: String = (0..3000).map(|name| rule(name, &format!("x{{900}}y{name}"))).collect();
    let report = Loader::new(Config::default()).load("different.yaml", &different);
    let message = &report.errors.first().expect("they are too many").message;
    assert!(message.contains("too large"), "{message}");
    assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
}
