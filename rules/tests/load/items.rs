use rules::load::{Config, Loader, Priority};

use crate::lab::{condition, error, loaded, report, rule};

#[test]
fn lists_are_put_into_conditions_and_lists() {
    let lists = "- list: inner\n  items: [b, 'c d']\n- list: outer\n  items: [a, inner]\n";
    let text = format!("{lists}{}", rule("r", "evt.type = open and proc.name in (outer, e)", ""));
    assert_eq!(condition(&text), "(evt.type = open and proc.name in (a, b, \"c d\", e))");
}

#[test]
fn lists_after_a_condition_are_put_in_too() {
    let text =
        format!("{}- list: later\n  items: [a]\n", rule("r", "evt.type = open and proc.name in (later)", ""));
    assert_eq!(condition(&text), "(evt.type = open and proc.name in (a))");
}

#[test]
fn macros_see_what_was_defined_before() {
    let macros =
        "- macro: first\n  condition: proc.name = a\n- macro: second\n  condition: first or fd.name = b\n";
    let text = format!("{macros}{}", rule("r", "evt.type = open and second", ""));
    assert_eq!(condition(&text), "(evt.type = open and (proc.name = a or fd.name = b))");

    let macros =
        "- macro: second\n  condition: first or fd.name = b\n- macro: first\n  condition: proc.name = a\n";
    let text = format!("{macros}{}", rule("r", "second", ""));
    assert_eq!(error(&text), ("LOAD_ERR_VALIDATE", "Undefined macro 'first' used in filter.".to_owned()));
}

#[test]
fn rules_see_macros_of_later() {
    let text =
        format!("{}- macro: later\n  condition: proc.name = a\n", rule("r", "evt.type = open and later", ""));
    assert_eq!(condition(&text), "(evt.type = open and proc.name = a)");
}

#[test]
fn a_redefined_macro_may_close_no_loop() {
    let text =
        "- macro: a\n  condition: proc.name = x\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n";
    let (code, message) = error(text);
    assert_eq!(code, "LOAD_ERR_VALIDATE");
    assert!(message.starts_with("reference loop in macro"), "{message}");
}

#[test]
fn a_redefinition_keeps_the_place() {
    let text = [
        rule("one", "evt.type = open", ""),
        rule("two", "evt.type = open", ""),
        rule("one", "evt.type = close", ""),
    ];
    let loader = loaded(Config::default(), &text.concat());
    let names: Vec<_> = loader.rules().rules().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(loader.rules().rules()[0].expr.to_string(), "evt.type = close");
}

#[test]
fn a_rule_has_four_keys() {
    let whole = rule("r", "evt.type = open", "");
    for key in ["desc", "condition", "output", "priority"] {
        let without: String =
            whole.lines().filter(|line| !line.trim().starts_with(key)).map(|l| format!("{l}\n")).collect();
        assert_eq!(
            error(&without),
            ("LOAD_ERR_YAML_VALIDATE", format!("Item has no mapping for key '{key}'"))
        );
    }
    assert_eq!(error(&whole.replace("INFO", "URGENT")).1, "Invalid priority");
    assert_eq!(error(&whole.replace("INFO", "")).1, "Mapping for key 'priority' is empty");
}

#[test]
fn what_a_rule_says_of_itself() {
    let more = "  tags: [b, a]\n  capture: true\n  capture_duration: 2000\n  enabled: false\n";
    let loader = loaded(Config::default(), &rule("r", "evt.type = open", more));
    let rule = &loader.rules().rules()[0];
    assert_eq!(
        (rule.source.as_str(), rule.priority, rule.description.as_str()),
        ("syscall", Priority::Informational, "about r")
    );
    assert_eq!(rule.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((rule.capture, rule.capture_duration, rule.is_active), (true, Some(2000), false));
}

#[test]
fn documents_and_empty_files() {
    let two = format!(
        "---\n{}---\n# nothing\n---\n{}",
        rule("a", "evt.type = open", ""),
        rule("b", "evt.type = open", "")
    );
    assert_eq!(loaded(Config::default(), &two).rules().rules().len(), 2);
    assert!(report("").successful);
    assert!(report("# only this\n").successful);
    assert_eq!(error("some text"), ("LOAD_ERR_YAML_VALIDATE", "Rules content is not yaml".to_owned()));
    assert_eq!(error("a: b").1, "Rules content is not yaml array of objects");
    assert_eq!(error("- a\n").1, "Unexpected element type. Each element should be a yaml associative array.");
    assert_eq!(error("- a: [\n").0, "LOAD_ERR_YAML_PARSE");
}

#[test]
fn versions_are_compared() {
    assert!(report("- required_engine_version: 0.57.0\n").successful);
    assert!(report("- required_engine_version: 26\n").successful);
    let (code, message) = error("- required_engine_version: 0.99.0\n");
    assert_eq!(
        (code, message.as_str()),
        ("LOAD_ERR_VALIDATE", "Rules require engine version 0.99.0, but engine version is 0.62.0")
    );
    assert!(error("- required_engine_version: 99\n").1.contains("0.99.0"));
    assert_eq!(error("- required_engine_version: soon\n").0, "LOAD_ERR_YAML_VALIDATE");
    let plugins = "- required_plugin_versions:\n  - name: k8saudit\n    version: 0.1.0\n    alternatives:\n    - name: other\n      version: 0.2.0\n";
    let loader = loaded(Config::default(), plugins);
    assert_eq!(loader.rules().required_plugins()[0][1].name, "other");
    assert!(error(&plugins.replace("0.2.0", "x")).1.starts_with("Invalid required version"));
    assert!(error(&plugins.replace("other", "k8saudit")).1.starts_with("Defined multiple alternative"));
}

#[test]
fn a_file_that_is_refused_changes_nothing() {
    let mut loader = Loader::new(Config::default());
    assert!(loader.load("a.yaml", &rule("r", "evt.type = open", "")).successful);
    let broken = format!("{}{}", rule("r", "evt.type = close", ""), rule("s", "evt.type = ", ""));
    let report = loader.load("b.yaml", &broken);
    assert!(!report.successful);
    assert_eq!(loader.rules().rules()[0].expr.to_string(), "evt.type = open");
    let appended = "- rule: r\n  condition: and proc.name = a\n  override:\n    condition: append\n";
    assert!(loader.load("c.yaml", appended).successful);
    assert_eq!(loader.rules().rules()[0].expr.to_string(), "(evt.type = open and proc.name = a)");
}

#[test]
fn conditions_are_checked_against_fields() {
    for (condition, message) in [
        ("evt.type = open and proc.nam = a", "filter_check called with nonexistent field proc.nam"),
        ("evt.type = opn", "unknown event type opn"),
        ("evt.type in (open, opn)", "unknown event type opn"),
    ] {
        assert_eq!(error(&rule("r", condition, "")), ("LOAD_ERR_COMPILE_CONDITION", message.to_owned()));
    }
    for condition in ["toupper(evt.type) = OPEN", "evt.type = val(proc.name)", "evt.num = cat"] {
        assert_eq!(error(&rule("r", condition, "")).0, "LOAD_ERR_COMPILE_CONDITION", "{condition}");
    }
}

#[test]
fn outputs_are_checked_against_fields() {
    let text = rule("r", "evt.type = open", "").replace("%proc.name", "%no.such.field");
    let (code, message) = error(&text);
    assert_eq!(code, "LOAD_ERR_COMPILE_OUTPUT");
    assert!(message.contains("no.such.field"), "{message}");
}
