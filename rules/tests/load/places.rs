use rules::load::{Config, Loader, Report};
use serde_json::json;

use crate::lab::{report, rule};

/// Line, column and snippet of the first error.
fn place(report: &Report) -> (usize, usize, String) {
    let context = &report.errors[0].context;
    let position = &context.locations.last().unwrap().position;
    (position.line, position.column, context.snippet.clone())
}

#[test]
fn a_mistake_in_a_folded_condition() {
    let text = "- rule: r\n  desc: d\n  condition: >\n    evt.type = open\n    and proc.nam = a\n  output: o\n  priority: INFO\n";
    let expected = "    and proc.nam = a\n        ^\n";
    assert_eq!(place(&report(text)), (5, 9, expected.to_owned()));
    let broken = text.replace("proc.nam =", "proc.name ~");
    assert_eq!(place(&report(&broken)), (5, 19, "    and proc.name ~ a\n                  ^\n".to_owned()));
}

#[test]
fn a_mistake_after_a_list() {
    let list = "- list: l\n  items: [aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbb]\n";
    let text = list.to_owned() + &rule("r", "evt.type = open and fd.name in (l) and proc.nam = a", "");
    let (line, column, snippet) = place(&report(&text));
    assert_eq!((line, column), (5, 53));
    assert!(snippet.lines().nth(1).unwrap().len() == column, "{snippet}");
    let value = "- list: l\n  items: [open, opn]\n".to_owned() + &rule("r", "evt.type in (l)", "");
    assert_eq!(place(&report(&value)), (2, 17, "  items: [open, opn]\n                ^\n".to_owned()));
}

#[test]
fn a_mistake_in_a_macro_of_another_file() {
    let mut loader = Loader::new(Config::default());
    let macros = "- macro: m\n  condition: proc.name = a or evt.type = opn\n";
    assert!(loader.load("macros.yaml", macros).successful);
    let report = loader.load("rules.yaml", &rule("r", "evt.type = open and m", ""));
    let position = &report.errors[0].context.locations.last().unwrap().position;
    assert_eq!((position.name.as_str(), position.line, position.column), ("macros.yaml", 2, 42));
}

#[test]
fn a_mistake_in_an_appended_condition() {
    let text = rule("r", "evt.type = open", "")
        + "- rule: r\n  condition: and and\n  override:\n    condition: append\n";
    assert_eq!(place(&report(&text)).0, 7);
}

#[test]
fn a_mistake_in_an_exception() {
    let text = rule(
        "r",
        "evt.type = open",
        "  exceptions:\n  - name: e\n    fields: [evt.type]\n    values: [[opn]]\n",
    );
    assert_eq!(place(&report(&text)), (9, 15, "    values: [[opn]]\n              ^\n".to_owned()));
}

#[test]
fn a_mistake_in_an_output() {
    let text = rule("r", "evt.type = open", "").replace("out %proc.name", "out %proc.nme");
    assert_eq!(place(&report(&text)), (4, 15, "  output: out %proc.nme\n              ^\n".to_owned()));
}

#[test]
fn a_mistake_in_yaml() {
    let (line, column, _) = place(&report("- rule: r\n  desc: [a\n  b: {\n"));
    assert!(line >= 2 && column >= 1);
    assert_eq!(place(&report("- list: l\n  items: x\n")), (2, 10, "  items: x\n         ^\n".to_owned()));
    assert_eq!(place(&report(&rule("r", "evt.type = open", "  append: maybe\n"))).0, 6);
}

#[test]
fn the_report_is_falcos() {
    let report = report("- macro: m\n  condition: proc.name =\n");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json,
        json!({
            "name": "rules.yaml",
            "successful": false,
            "warnings": [],
            "errors": [{
                "code": "LOAD_ERR_COMPILE_CONDITION",
                "codedesc": "Error compiling condition",
                "message": report.errors[0].message,
                "context": {
                    "snippet": "  condition: proc.name =\n                        ^\n",
                    "locations": [
                        {"item_type": "rules content", "item_name": "",
                         "position": {"name": "rules.yaml", "line": 0, "column": 0, "offset": 0}},
                        {"item_type": "macro", "item_name": "m",
                         "position": {"name": "rules.yaml", "line": 0, "column": 2, "offset": 2}},
                        {"item_type": "macro condition", "item_name": "",
                         "position": {"name": "rules.yaml", "line": 1, "column": 13, "offset": 24}},
                        {"item_type": "condition expression", "item_name": "",
                         "position": {"name": "rules.yaml", "line": 1, "column": 24, "offset": 35}},
                    ],
                },
            }],
        })
    );
}

#[test]
fn a_report_reads_as_text() {
    let report = report(&(rule("r", "evt.type = open", "  colour: red\n") + "- macro: m\n  condition: ((\n"));
    let text = report.to_string();
    assert!(
        text.starts_with("rules.yaml: Invalid\nrules.yaml:8:16: LOAD_ERR_COMPILE_CONDITION: expected"),
        "{text}"
    );
    assert!(
        text.contains("rules.yaml:6:3: LOAD_UNKNOWN_KEY: Unknown key 'colour'\n  colour: red\n  ^\n"),
        "{text}"
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let report = Report::unreadable("gone.yaml", "no such file");
    assert!(!report.successful);
    assert_eq!(report.errors[0].code.code(), "LOAD_ERR_FILE_READ");
}
