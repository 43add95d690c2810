//! Links in conditions on names that the kernel resolved.

use rules::{
    event::JsonEvent,
    load::{Config, Loader},
    value::Truth,
};
use serde_json::json;

fn load(condition: &str, resolved_names: bool) -> rules::load::CompiledRule {
    let mut loader = Loader::new(Config { resolved_names, ..Config::default() });
    let text = format!("- {{rule: r, desc: d, condition: {condition:?}, output: o, priority: INFO}}\n");
    let report = loader.load("r.yaml", &text);
    assert!(report.successful, "{report}");
    loader.rules().rules()[0].clone()
}

/// What a condition on opens means where names are resolved.
fn meant(condition: &str) -> String {
    let expr = load(&format!("evt.type = open and {condition}"), true).expr.to_string();
    let rest = expr.strip_prefix("(evt.type = open and ").unwrap_or_else(|| panic!("{expr}"));
    rest.strip_suffix(')').unwrap_or_else(|| panic!("{expr}")).to_owned()
}

#[test]
fn a_link_means_what_it_leads_to_as_well() {
    for (written, means) in [
        (
            "fd.name startswith /var/run/secrets",
            "(fd.name startswith /var/run/secrets or fd.name startswith /run/secrets)",
        ),
        // What it leads to has links in it: the name that was given says which file is meant.
        (
            "fd.name = /var/run/secrets/token",
            "(fd.name = /var/run/secrets/token or fd.name = /run/secrets/token or \
             (fd.name startswith /run/secrets/ and fd.nameraw = /var/run/secrets/token))",
        ),
        // On a machine where both are folders the one is not the other.
        (
            "fd.name startswith /bin/",
            "(fd.name startswith /bin/ or (fd.name startswith /usr/bin/ and fd.nameraw startswith /bin/))",
        ),
        (
            "fd.name in (/bin/a, /etc/b, /bin/c)",
            "(fd.name in (/bin/a, /etc/b, /bin/c) or \
             (fd.name startswith /usr/bin/ and fd.nameraw in (/bin/a, /bin/c)))",
        ),
        (
            "fd.directory in (/sbin, /usr/sbin)",
            "(fd.directory in (/sbin, /usr/sbin) or \
             (fd.directory in (/usr/sbin) and fd.nameraw startswith /sbin/))",
        ),
        (
            "fd.name glob /proc/self/task/*/mem",
            "(fd.name glob /proc/self/task/*/mem or \
             (fd.name startswith /proc/ and fd.nameraw glob /proc/self/task/*/mem))",
        ),
        ("fd.name = /proc/self/exe", "(fd.name = /proc/self/exe or fd.nameraw = /proc/self/exe)"),
        // Nobody is to be excluded by a name that leads anywhere.
        ("not fd.name = /proc/self/exe", "not fd.name = /proc/self/exe"),
        ("fd.name != /dev/stdin", "fd.name != /dev/stdin"),
        (
            "fd.name != /var/run/a",
            "(fd.name != /var/run/a and not fd.name = /run/a and \
             not (fd.name startswith /run/ and fd.nameraw = /var/run/a))",
        ),
        ("not fd.name pmatch (/var/lock)", "not (fd.name pmatch (/var/lock) or fd.name pmatch (/run/lock))"),
    ] {
        assert_eq!(meant(written), means, "{written}");
    }
}

#[test]
fn what_is_no_link_is_left_alone() {
    for written in [
        "fd.name startswith /var/runner",
        "fd.name startswith /usr/bin/",
        "fd.name endswith /bin/sh",
        "fd.name contains /bin/",
        "fd.name in (/etc/a, /etc/b)",
        "fd.filename = bin",
        "proc.exepath startswith /bin/",
        "fd.name exists",
    ] {
        assert_eq!(meant(written), written);
    }
    // Where names are as they were given, all is.
    let written = "(evt.type = open and fd.name startswith /var/run/)";
    assert_eq!(load(written, false).expr.to_string(), written);
}

#[test]
fn a_token_that_is_read_by_its_usual_name_is_found_however_it_is_stored() {
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    let event = json!({
        "evt.type": "open",
        "fd.name": "/run/secrets/kubernetes.io/serviceaccount/..2026_11_23_10_00_00.1/token",
        "fd.nameraw": token,
    });
    let event = JsonEvent::new(event.as_object().unwrap().clone());
    for condition in [
        format!("evt.type = open and fd.name = {token}"),
        "evt.type = open and fd.name startswith /var/run/secrets/kubernetes.io".to_owned(),
        format!("evt.type = open and fd.name in (/etc/shadow, {token})"),
    ] {
        assert_eq!(load(&condition, true).condition.evaluate(&event), Truth::True, "{condition}");
        assert_eq!(load(&condition, false).condition.evaluate(&event), Truth::False, "{condition}");
    }
}

#[test]
fn conditions_at_their_bounds_stay_in_them() {
    let many: Vec<_> = (0..5000).map(|number| format!("/bin/{number}")).collect();
    let means = meant(&format!("fd.name in ({})", many.join(", ")));
    assert_eq!(means.matches(" or ").count(), 1, "not once for each");
    // As deep as the language lets it be.
    let deep =
        (0..45).fold("fd.name = /var/run/a".to_owned(), |inner, _| format!("(not (fd.num > 1 or {inner}))"));
    let rule = load(&format!("evt.type = open and {deep}"), true);
    let event = json!({"evt.type": "open", "fd.num": 1, "fd.name": "/run/a", "fd.nameraw": "a"});
    let event = JsonEvent::new(event.as_object().unwrap().clone());
    let programs = rules::compile::Programs::new([(0, &rule.condition)]);
    let mut found = 0;
    let matching = rules::compile::Matching::All;
    let scratch = &mut rules::compile::Scratch::default();
    programs.matches(scratch, event.event_type(), &event, matching, |_| found += 1);
    assert_eq!(found > 0, rule.condition.evaluate(&event) == Truth::True);
}
