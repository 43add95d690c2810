use crate::lab::{condition, error, rule, warnings};

/// The condition of a rule with these exceptions.
fn with(exceptions: &str) -> String {
    condition(&rule("r", "evt.type = open or evt.type = close", &format!("  exceptions:\n{exceptions}")))
}

fn refused(exceptions: &str) -> String {
    error(&rule("r", "evt.type = open", &format!("  exceptions:\n{exceptions}"))).1
}

#[test]
fn fields_are_compared_one_by_one() {
    let exceptions = "  - name: e\n    fields: [proc.name, fd.name]\n    comps: [=, startswith]\n    values:\n    \
                      - [a, /etc]\n    - [b c, /usr]\n";
    assert_eq!(
        with(exceptions),
        "((evt.type = open or evt.type = close) and not ((proc.name = a and fd.name startswith /etc) or \
         (proc.name = \"b c\" and fd.name startswith /usr)))"
    );
}

#[test]
fn without_comps_all_are_equal() {
    assert_eq!(
        with("  - name: e\n    fields: [proc.name, fd.name]\n    values:\n    - [a, b]\n"),
        "((evt.type = open or evt.type = close) and not (proc.name = a and fd.name = b))"
    );
}

#[test]
fn one_field_is_in_a_list() {
    assert_eq!(
        with("  - name: e\n    fields: proc.name\n    values: [a, b c]\n"),
        "((evt.type = open or evt.type = close) and not proc.name in (a, \"b c\"))"
    );
    let below = with("  - name: e\n    fields: fd.name\n    comps: pmatch\n    values: [/etc]\n");
    assert!(below.contains("fd.name pmatch (/etc)"), "{below}");
}

#[test]
fn values_may_be_lists() {
    let lists = "- list: shells\n  items: [bash, sh]\n";
    let exceptions = "  exceptions:\n  - name: e\n    fields: [proc.name, fd.name]\n    comps: [in, endswith oneof]\n    values:\n    \
                      - [shells, [.so, .a]]\n    - [[a, b], .x]\n    - [(c), .y]\n";
    let text = format!("{lists}{}", rule("r", "evt.type = open", exceptions));
    assert_eq!(
        condition(&text),
        "(evt.type = open and not ((proc.name in (bash, sh) and fd.name endswith oneof (.so, .a)) or \
         (proc.name in (a, b) and fd.name endswith oneof (.x)) or (proc.name in (c) and fd.name endswith oneof (.y))))"
    );
}

#[test]
fn exceptions_without_values_except_nothing() {
    assert_eq!(with("  - name: e\n    fields: [proc.name]\n"), "(evt.type = open or evt.type = close)");
}

#[test]
fn transformers_may_stand_in_them() {
    assert!(
        with("  - name: e\n    fields: [tolower(proc.name)]\n    values: [[a]]\n")
            .contains("tolower(proc.name) = a")
    );
}

#[test]
fn values_are_appended_by_name() {
    let base = rule(
        "r",
        "evt.type = open",
        "  exceptions:\n  - name: e\n    fields: [proc.name]\n    values: [[a]]\n",
    );
    let more = "- rule: r\n  exceptions:\n  - name: e\n    values: [[b]]\n  - name: f\n    fields: fd.name\n    values: [c]\n  override:\n    exceptions: append\n";
    assert_eq!(
        condition(&(base.clone() + more)),
        "(evt.type = open and not (proc.name = a or proc.name = b) and not fd.name in (c))"
    );
    let wrong = |exceptions: &str| {
        error(&format!("{base}- rule: r\n  exceptions:\n{exceptions}  override:\n    exceptions: append\n")).1
    };
    assert!(
        wrong("  - name: e\n    fields: [proc.name]\n    values: [[b]]\n")
            .contains("Can not append exception fields")
    );
    assert!(
        wrong("  - name: e\n    comps: [=]\n    values: [[b]]\n").contains("Can not append exception comps")
    );
    assert!(wrong("  - name: g\n    values: [[b]]\n").contains("must have fields property"));
    assert!(wrong("  - name: g\n    fields: [proc.name]\n").contains("must have values property"));
}

#[test]
fn exceptions_are_replaced() {
    let base = rule(
        "r",
        "evt.type = open",
        "  exceptions:\n  - name: e\n    fields: [proc.name]\n    values: [[a]]\n",
    );
    let more = "- rule: r\n  exceptions:\n  - name: f\n    fields: [fd.name]\n    values: [[c]]\n  override:\n    exceptions: replace\n";
    assert_eq!(condition(&(base.clone() + more)), "(evt.type = open and not fd.name = c)");
    let without = more.replace("    fields: [fd.name]\n", "");
    assert_eq!(error(&(base + &without)).1, "Item has no mapping for key 'fields'");
}

#[test]
fn what_is_wrong_with_an_exception() {
    for (exceptions, expected) in [
        ("  - name: e\n    values: [[a]]\n", "Item has no mapping for key 'fields'"),
        ("  - fields: [proc.name]\n", "Item has no mapping for key 'name'"),
        ("  - x\n", "Rule exception must be a mapping"),
        (
            "  - name: e\n    fields: [proc.name, fd.name]\n    comps: [=]\n",
            "Fields and comps lists must have equal length",
        ),
        (
            "  - name: e\n    fields: [proc.name]\n    comps: [like]\n",
            "'like' is not a supported comparison operator",
        ),
        ("  - name: e\n    fields: [proc.nam]\n", "'proc.nam' is not a supported filter field"),
        ("  - name: e\n    fields: proc.name\n    comps: [in]\n", "Fields and comps must both be strings"),
        (
            "  - name: e\n    fields: proc.name\n    comps: =\n",
            "comps must be one of (in, pmatch, intersects)",
        ),
        (
            "  - name: e\n    fields: [proc.name, fd.name]\n    values: [[a]]\n",
            "Fields and values lists must have equal length",
        ),
        (
            "  - name: e\n    fields: proc.name\n    values: [[a]]\n",
            "Expected values array to contain a list of strings",
        ),
        ("  - name: e\n    fields: [proc.name]\n    values: a\n", "Rule exception values must be a sequence"),
    ] {
        let message = refused(exceptions);
        assert!(message.contains(expected), "{exceptions}{message}");
    }
    let text = rule("r", "evt.type = open", "  exceptions: x\n");
    assert_eq!(error(&text).1, "Rule exceptions must be a sequence");
}

#[test]
fn names_twice_and_no_values_are_doubtful() {
    let twice = "  exceptions:\n  - name: e\n    fields: [proc.name]\n  - name: e\n    fields: [fd.name]\n";
    assert_eq!(warnings(&rule("r", "evt.type = open", twice)), ["LOAD_EXCEPTION_NAME_NOT_UNIQUE"]);
    let base = rule(
        "r",
        "evt.type = open",
        "  exceptions:\n  - name: e\n    fields: [proc.name]\n    values: [[a]]\n",
    );
    let none = "- rule: r\n  exceptions:\n  - name: e\n  override:\n    exceptions: append\n";
    assert_eq!(warnings(&(base + none)), ["LOAD_APPEND_NO_VALUES"]);
}
