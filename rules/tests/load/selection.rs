use std::collections::BTreeSet;

use rules::load::{Addition, Config, Priority, Selection, Which};

use crate::lab::{loaded, rule};

fn rules() -> String {
    rule("Read shadow", "evt.type = open", "  tags: [host, file]\n")
        + &rule("Read key", "evt.type = open", "  tags: [file]\n").replace("INFO", "ERROR")
        + &rule("Open socket", "evt.type = socket", "  tags: [network]\n  enabled: false\n")
}

fn name(enable: bool, pattern: &str) -> Selection {
    Selection { enable, which: Which::Name(pattern.to_owned()) }
}

fn tag(enable: bool, tag: &str) -> Selection {
    Selection { enable, which: Which::Tag(tag.to_owned()) }
}

/// Names of the rules that are active.
fn active(selections: Vec<Selection>) -> Vec<String> {
    let loader = loaded(Config { selections, ..Config::default() }, &rules());
    loader.rules().active().map(|rule| rule.name.clone()).collect()
}

#[test]
fn enabled_decides_without_selections() {
    assert_eq!(active(Vec::new()), ["Read shadow", "Read key"]);
}

#[test]
fn names_are_selected_by_pattern() {
    assert_eq!(active(vec![name(false, "Read *")]), Vec::<String>::new());
    assert_eq!(active(vec![name(false, "*"), name(true, "*socket")]), ["Open socket"]);
    assert_eq!(active(vec![name(false, "Read")]).len(), 2);
}

#[test]
fn tags_are_selected_whole() {
    assert_eq!(active(vec![tag(true, "network")]).len(), 3);
    assert_eq!(active(vec![tag(false, "file"), tag(true, "host")]), ["Read shadow"]);
    assert_eq!(active(vec![tag(false, "fil")]).len(), 2);
}

#[test]
fn priorities_have_a_threshold() {
    let config = Config { minimum_priority: Priority::Warning, ..Config::default() };
    let loader = loaded(config, &rules());
    let names: Vec<_> = loader.rules().active().map(|rule| rule.name.as_str()).collect();
    assert_eq!((names, loader.rules().rules().len()), (vec!["Read key"], 3));
}

#[test]
fn configuration_adds_outputs_fields_and_tags() {
    let tags = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    let additions = vec![
        Addition { tags: tags(&["file"]), output: Some("f=%fd.name".to_owned()), ..Addition::default() },
        Addition {
            rule: Some("Read key".to_owned()),
            fields: vec![("kind".to_owned(), "%evt.type".to_owned())],
            extra_tags: tags(&["audit"]),
            ..Addition::default()
        },
        Addition {
            source: Some("k8s_audit".to_owned()),
            output: Some("never".to_owned()),
            ..Addition::default()
        },
    ];
    let selections = vec![name(false, "*"), tag(true, "audit")];
    let loader = loaded(Config { additions, selections, ..Config::default() }, &rules());
    let key = loader.rules().active().next().unwrap();
    assert_eq!((key.name.as_str(), key.output.text()), ("Read key", "out %proc.name f=%fd.name"));
    assert_eq!((key.fields[0].0.as_str(), key.fields[0].1.text()), ("kind", "%evt.type"));
    assert_eq!(loader.rules().rules()[2].output.text(), "out %proc.name");
}
