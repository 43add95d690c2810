use std::collections::BTreeMap;

use rules::load::{Config, Loader};

use crate::lab::{condition, loaded, report, rule, warnings};

#[test]
fn what_nothing_uses() {
    let text = "- list: l\n  items: [a]\n- macro: m\n  condition: proc.name = a\n";
    assert_eq!(warnings(text), ["LOAD_UNUSED_MACRO", "LOAD_UNUSED_LIST"]);
    assert!(
        warnings(&format!("{text}{}", rule("r", "evt.type = open and m and fd.name in (l)", ""))).is_empty()
    );
}

#[test]
fn items_and_keys_that_are_not_known() {
    assert_eq!(warnings("- thing: a\n"), ["LOAD_UNKNOWN_ITEM"]);
    assert_eq!(warnings(&rule("r", "evt.type = open", "  colour: red\n")), ["LOAD_UNKNOWN_KEY"]);
    let exception = "  exceptions:\n  - name: e\n    field: x\n    fields: [proc.name]\n";
    assert_eq!(warnings(&rule("r", "evt.type = open", exception)), ["LOAD_UNKNOWN_KEY"]);
}

#[test]
fn old_forms() {
    let base = rule("r", "evt.type = open", "");
    assert_eq!(
        warnings(&format!("{base}- rule: r\n  append: true\n  condition: and proc.name = a\n")),
        ["LOAD_DEPRECATED_ITEM"]
    );
    assert_eq!(warnings(&format!("{base}- rule: r\n  enabled: false\n")), ["LOAD_DEPRECATED_ITEM"]);
    let info = base.replace("%proc.name", "%proc.name %container.info");
    assert_eq!(warnings(&info), ["LOAD_DEPRECATED_ITEM"]);
    assert_eq!(loaded(Config::default(), &info).rules().rules()[0].output.text(), "out %proc.name ");
    assert_eq!(warnings(&rule("r", "evt.type = open and evt.dir = <", "")), ["LOAD_DEPRECATED_ITEM"]);
    assert_eq!(warnings(&base.replace("%proc.name", "%evt.latency")), ["LOAD_DEPRECATED_ITEM"]);
}

#[test]
fn rules_for_too_many_events() {
    assert_eq!(warnings(&rule("r", "proc.name = a", "")), ["LOAD_NO_EVTTYPE"]);
    assert_eq!(warnings(&rule("r", "not evt.type = open", "")), ["LOAD_NO_EVTTYPE"]);
    assert!(warnings(&rule("r", "proc.name = a", "  warn_evttypes: false\n")).is_empty());
    assert!(warnings(&rule("r", "evt.num = 0", "")).is_empty());
}

#[test]
fn names_that_conditions_cannot_refer_to() {
    assert_eq!(warnings("- list: a b\n  items: [x]\n")[0], "LOAD_INVALID_LIST_NAME");
    assert_eq!(warnings("- macro: a-b\n  condition: proc.name = x\n")[0], "LOAD_INVALID_MACRO_NAME");
}

#[test]
fn sources_that_are_not_here() {
    let text = rule("r", "ka.verb = get", "  source: k8s_audit\n");
    assert_eq!(warnings(&text), ["LOAD_UNKNOWN_SOURCE"]);
    assert_eq!(loaded(Config::default(), &text).rules().rules().len(), 0);
}

#[test]
fn unknown_fields_may_skip_their_rule() {
    let skip = "  skip-if-unknown-filter: true\n";
    let text = rule("r", "evt.type = open and proc.nam = a", skip)
        + &rule("s", "evt.type = opn", skip)
        + &rule("t", "evt.type = open", "");
    assert_eq!(warnings(&text), ["LOAD_UNKNOWN_FILTER", "LOAD_UNKNOWN_FILTER"]);
    assert_eq!(loaded(Config::default(), &text).rules().rules().len(), 1);
    let output = rule("r", "evt.type = open", skip).replace("%proc.name", "%no.such");
    assert_eq!(warnings(&output), ["LOAD_UNKNOWN_FILTER"]);
}

#[test]
fn absent_values_are_not_compared() {
    let report = report(&rule("r", "ka.verb = <NA>", ""));
    assert_eq!(report.warnings[0].code.code(), "LOAD_UNSAFE_NA_CHECK");
}

#[test]
fn fields_that_never_have_a_value_are_named() {
    let unanswered = BTreeMap::from([("proc.duration".to_owned(), "it is not measured".to_owned())]);
    let mut loader = Loader::new(Config { unanswered, ..Config::default() });
    let text = "- macro: m\n  condition: proc.duration > 1 or proc.duration < 2\n".to_owned()
        + &rule("r", "evt.type = open and m", "").replace("%proc.name", "%proc.duration");
    let report = loader.load("rules.yaml", &text);
    let [warning] = &report.warnings[..] else { panic!("{report}") };
    assert_eq!(warning.code.code(), "LOAD_COMPILE_CONDITION");
    assert_eq!(warning.message, "field 'proc.duration' never has a value here: it is not measured");
}

#[test]
fn texts_that_read_as_fields() {
    for comparison in
        ["proc.name = proc.pname", "proc.name in (a, 'proc.pname ')", "proc.name = 'toupper( proc.pname)'"]
    {
        let report = report(&rule("r", &format!("evt.type = open and {comparison}"), ""));
        let [warning] = &report.warnings[..] else { panic!("{report}") };
        assert_eq!(warning.code.code(), "LOAD_COMPILE_CONDITION");
        assert!(warning.message.ends_with("misused as a const string value"), "{}", warning.message);
    }
    assert!(
        warnings(&rule("r", "evt.type = open and proc.name in (x.so, tolower, proc.nam)", "")).is_empty()
    );
}

#[test]
fn lists_are_found_even_by_a_bad_name() {
    let text =
        "- list: test list\n  items: [open, openat]\n".to_owned() + &rule("r", "evt.type in (test list)", "");
    assert_eq!(warnings(&text), ["LOAD_INVALID_LIST_NAME"]);
    assert_eq!(condition(&text), "evt.type in (open, openat)");
}

#[test]
fn regular_expressions_that_need_not_be() {
    let with =
        |pattern: &str| warnings(&rule("r", &format!("evt.type = open and proc.name regex '{pattern}'"), ""));
    assert_eq!(with(".*abc"), ["LOAD_COMPILE_CONDITION"]);
    assert!(with("a|b").is_empty());
}
