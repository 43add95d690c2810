use rules::load::{Config, Loader};

use crate::lab::{condition, error, loaded, rule};

fn base() -> String {
    rule("r", "evt.type = open", "  tags: [a]\n")
}

#[test]
fn append_adds_at_the_end() {
    let more = "- rule: r\n  desc: more\n  condition: and proc.name = a\n  output: file=%fd.name\n  tags: [b]\n  override:\n    \
                condition: append\n    output: append\n    desc: append\n    tags: append\n";
    let loader = loaded(Config::default(), &(base() + more));
    let rule = &loader.rules().rules()[0];
    assert_eq!(rule.expr.to_string(), "(evt.type = open and proc.name = a)");
    assert_eq!(rule.output.text(), "out %proc.name file=%fd.name");
    assert_eq!(rule.description, "about r more");
    assert_eq!(rule.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn replace_puts_in_the_place() {
    let more = "- rule: r\n  desc: new\n  condition: evt.type = close\n  output: none\n  tags: [b]\n  priority: DEBUG\n  \
                enabled: false\n  warn_evttypes: false\n  skip-if-unknown-filter: true\n  capture: true\n  capture_duration: 5\n  \
                override:\n    condition: replace\n    output: replace\n    desc: replace\n    tags: replace\n    \
                priority: replace\n    enabled: replace\n    warn_evttypes: replace\n    \
                skip-if-unknown-filter: replace\n    capture: replace\n    capture_duration: replace\n";
    let loader = loaded(Config::default(), &(base() + more));
    let rule = &loader.rules().rules()[0];
    assert_eq!(
        (rule.expr.to_string().as_str(), rule.output.text(), rule.description.as_str()),
        ("evt.type = close", "none", "new")
    );
    assert_eq!((rule.tags.contains("b"), rule.is_active, rule.capture_duration), (true, false, Some(5)));
}

#[test]
fn one_item_can_append_and_replace() {
    let more = "- rule: r\n  condition: and proc.name = a\n  output: none\n  override:\n    condition: append\n    output: replace\n";
    let loader = loaded(Config::default(), &(base() + more));
    let rule = &loader.rules().rules()[0];
    assert_eq!(
        (rule.expr.to_string().as_str(), rule.output.text()),
        ("(evt.type = open and proc.name = a)", "none")
    );
}

#[test]
fn lists_and_macros_append_and_replace() {
    let text = "- list: l\n  items: [a]\n- list: l\n  items: [b]\n  override:\n    items: append\n\
                - macro: m\n  condition: proc.name in (l)\n- macro: m\n  condition: or fd.name = x\n  override:\n    condition: append\n\
                - macro: n\n  condition: user.name = a\n- macro: n\n  condition: user.name = b\n  override:\n    condition: replace\n";
    let all = format!("{text}{}", rule("r", "evt.type = open and m and n", ""));
    assert_eq!(
        condition(&all),
        "(evt.type = open and (proc.name in (a, b) or fd.name = x) and user.name = b)"
    );
}

#[test]
fn the_old_append_still_appends() {
    let more = "- rule: r\n  append: true\n  condition: and proc.name = a\n";
    assert_eq!(condition(&(base() + more)), "(evt.type = open and proc.name = a)");
    let empty = "- rule: r\n  append: true\n";
    assert_eq!(error(&(base() + empty)).1, "Appended rule must have exceptions or condition property");
}

#[test]
fn only_enabled_toggles() {
    let mut loader = Loader::new(Config::default());
    assert!(loader.load("a", &base()).successful);
    assert!(loader.load("b", "- rule: r\n  enabled: false\n").successful);
    assert_eq!(loader.rules().active().count(), 0);
    assert!(loader.load("c", "- rule: r\n  enabled: true\n").successful);
    assert_eq!(loader.rules().active().count(), 1);
    assert_eq!(
        error("- rule: none\n  enabled: true\n").1,
        "Rule has 'enabled' key but no rule by that name already exists"
    );
    assert_eq!(error(&(base() + "- rule: r\n")).1, "Item has no mapping for key 'enabled'");
}

#[test]
fn overrides_that_make_no_sense() {
    let cases = [
        (
            "  append: true\n  condition: and a\n  override:\n    condition: append\n",
            "cannot be used together",
        ),
        ("  condition: x\n  desc: y\n  override:\n    condition: replace\n", "Unexpected key 'desc'"),
        (
            "  override:\n    condition: append\n",
            "An append override for 'condition' was specified but 'condition' is not defined",
        ),
        (
            "  override:\n    desc: replace\n",
            "An replace override for 'desc' was specified but 'desc' is not defined",
        ),
        (
            "  priority: INFO\n  override:\n    priority: append\n",
            "Key 'priority' cannot be appended to, use 'replace' instead",
        ),
        ("  source: syscall\n  override:\n    source: replace\n", "Key 'source' cannot be replaced"),
        ("  desc: x\n  override:\n    desc: merge\n", "Invalid override operation for key 'desc': 'merge'"),
        ("  desc: x\n  override: desc\n", "Value of 'override' must be a mapping"),
        (
            "  desc: x\n  source: k8s_audit\n  override:\n    desc: append\n",
            "Rule has been re-defined with a different source",
        ),
    ];
    for (more, expected) in cases {
        let (_, message) = error(&format!("{}- rule: r\n{more}", base()));
        assert!(message.contains(expected), "{more}{message}");
    }
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    for (item, expected) in [
        ("- list: x\n  items: [a]\n  append: true\n", "List uses 'append'"),
        ("- macro: x\n  condition: a.b = c\n  override:\n    condition: append\n", "Macro uses 'append'"),
        ("- rule: x\n  condition: and a\n  append: true\n", "Rule uses 'append'"),
        ("- rule: x\n  desc: a\n  override:\n    desc: replace\n", "An 'override.<key>: replace' to a rule"),
    ] {
        let (code, message) = error(item);
        assert_eq!(code, "LOAD_ERR_VALIDATE");
        assert!(message.starts_with(expected), "{message}");
    }
}
