//! What a `kestrel_rule` may say.

use rules::load::{ErrorCode, Which};

use super::load;

fn rule(rest: &str) -> String {
    format!(
        "- kestrel_rule: r\n  desc: d\n  condition: evt.type = connect\n  output: o\n  priority: INFO\n{rest}"
    )
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let long = format!("  after: {{within: 1s, steps: [{}]}}\n", ["evt.type = open"; 8].join(", "));
    for (rest, place, said) in [
        ("", "1:3", "needs 'count' or 'after'"),
        ("  count: 3\n", "6:10", "not a mapping"),
        (
            "  count: {at_least: 3, within: 1s}\n  after: {within: 1s, steps: [evt.type = open]}\n",
            "7:10",
            "not both",
        ),
        ("  count: {at_least: 1, within: 1s}\n", "6:21", "from 2 to 1000"),
        ("  count: {at_least: 1001, within: 1s}\n", "6:21", "from 2 to 1000"),
        ("  count: {within: 1s}\n", "6:10", "from 2 to 1000"),
        ("  count: {at_least: 3, within: 61m}\n", "6:32", "from 1s to 3600s"),
        ("  count: {at_least: 3, within: 0s}\n", "6:32", "such as 30s"),
        ("  count: {at_least: 3, within: 18446744073709551615h}\n", "6:32", "such as 30s"),
        ("  count: {at_least: 3, within: 1s, by: nothing}\n", "6:40", "nothing"),
        ("  count: {at_least: 3, within: 1s, by: []}\n", "6:40", "1 to 8 fields"),
        ("  count: {at_least: 3, within: 1s, distinct: fd.nam}\n", "6:46", "fd.nam"),
        ("  after: {within: 1s, steps: []}\n", "6:30", "1 to 7 conditions"),
        (&long, "6:30", "1 to 7 conditions"),
        ("  after: {within: 1s, steps: [evt.type = ]}\n", "6:41", "expected"),
        ("  after: {within: 1s, steps: [evt.typ = open]}\n", "6:31", "evt.typ"),
    ] {
        let (report, set) = load(&rule(rest));
        assert!(!report.successful, "{rest}");
        assert!(set.rules().is_empty());
        let said_there = report.to_string();
        assert!(said_there.contains(said), "{rest}: {said_there}");
        assert!(said_there.contains(&format!("r.yaml:{place}")), "{rest}: {said_there}");
        let is_of_condition = ["evt.type = ]", "evt.typ ="].iter().any(|part| rest.contains(part));
        let code = if is_of_condition { ErrorCode::CompileCondition } else { ErrorCode::Extension };
        assert_eq!(report.errors[0].code, code, "{rest}");
    }
}

#[test]
fn it_is_a_rule_like_any_other() {
    let text = format!(
        "- macro: opens\n  condition: evt.type in (open, openat)\n- list: names\n  items: [a, b]\n{}\
         - kestrel_rule: r\n  condition: and proc.name in (names)\n  override: {{condition: append}}\n",
        rule(
            "  tags: [T1]\n  after: {within: 5m, by: [container.id, proc.pname], steps: [opens and proc.name in (names)]}\n"
        )
    );
    let (report, set) = load(&text);
    assert!(report.successful && report.warnings.is_empty(), "{report}");
    let [rule] = set.rules() else { panic!("{} rules", set.rules().len()) };
    assert_eq!(rule.expr.to_string(), "(evt.type = connect and proc.name in (a, b))");
    let before = rule.before.as_ref().unwrap();
    assert_eq!(before.steps()[0].expr.to_string(), "(evt.type in (open, openat) and proc.name in (a, b))");
    let by: Vec<_> = before.references().map(rules::field::Reference::text).collect();
    assert_eq!(by, ["container.id", "proc.pname"]);
    assert!(Which::Tag("T1".to_owned()).is(&rule.name, &rule.tags));
    // By itself it never matches.
    assert!(set.compile().wanted_events().is_empty());
    assert_eq!(set.compile_temporal().wanted_events().len(), 3);
}

#[test]
fn what_it_remembers_cannot_be_changed_by_half() {
    let text = format!(
        "{}- kestrel_rule: r\n  count: {{at_least: 9, within: 1s}}\n  condition: and proc.name = x\n  append: true\n",
        rule("  count: {at_least: 3, within: 1s}\n")
    );
    let (report, _) = load(&text);
    assert!(report.to_string().contains("'count' cannot be changed"), "{report}");
    // A rule of Falco's has none of it.
    let falco = rule("  count: {at_least: 3, within: 1s}\n").replace("kestrel_rule", "rule");
    let (report, set) = load(&falco);
    assert!(report.to_string().contains("Unknown key 'count'"), "{report}");
    assert!(set.rules()[0].before.is_none());
}
