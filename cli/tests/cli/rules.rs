//! `rules`, which asks no collector.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use tempfile::TempDir;

use super::{expect, kestrel, parts};

const RULES: &str = r#"
- list: shells
  items: [sh, bash]

- macro: in_container
  condition: (container.id != host)

- rule: Shell in a container
  desc: Somebody is in there
  condition: evt.type in (execve, execveat) and proc.name in (shells) and in_container
  output: shell %proc.name by %user.name of %container.name (parent %proc.pname)
  priority: NOTICE
  tags: [container, mitre_execution]

- rule: Any shell
  desc: A shell starts
  condition: evt.type = execve and proc.name in (shells)
  output: shell %proc.name
  priority: DEBUG
  enabled: false
"#;

const EVENTS: &str = r#"{"fields":{"evt.num":1,"evt.type":"execve","proc.name":"sh","container.id":"c0ffee","user.name":"root"}}
{"output_fields":{"evt.num":2,"evt.type":"execve","proc.name":"sh","container.id":"host"}}
{"evt.num":3,"evt.type":"openat","proc.name":"bash","container.id":"c0ffee"}
"#;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("rules.yaml", RULES.as_bytes());
        folder.write("events.jsonl", EVENTS.as_bytes());
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The program in the folder, so that messages name files as they were given.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        parts(&kestrel().current_dir(&self.0).arg("rules").args(args).output().unwrap())
    }
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn good_files_are_good_and_what_is_wrong_has_a_place() {
    let folder = Folder::new();
    let (code, out, err) = folder.run(&["check", "rules.yaml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    expect("rules-check.txt", &out);

    folder.write("bad.yaml", b"- rule: Wrong\n  desc: x\n  condition: evt.type = open and prc.name = x\n  output: y\n  priority: INFO\n");
    folder.write("doubtful.yaml", b"- macro: unused\n  condition: proc.pid = 1\n  colour: red\n");
    let (code, out, _) = folder.run(&["check", "rules.yaml", "bad.yaml", "doubtful.yaml", "missing.yaml"]);
    assert_eq!(code, 1);
    expect("rules-check-bad.txt", &out);
}

#[test]
fn programs_get_falcos_result() {
    let folder = Folder::new();
    folder.write(
        "bad.yaml",
        b"- rule: Wrong\n  desc: x\n  condition: evt.type = open and prc.name = x\n  output: y\n  priority: INFO\n",
    );
    let (code, out, _) = folder.run(&["check", "rules.yaml", "bad.yaml", "-o", "json"]);
    assert_eq!(code, 1);
    let [result] = &objects(&out)[..] else { panic!("{out}") };
    let files = result["falco_load_results"].as_array().unwrap();
    assert_eq!(files[0]["successful"], true);
    assert_eq!(files[1]["successful"], false);
    let error = &files[1]["errors"][0];
    assert_eq!(error["code"], "LOAD_ERR_COMPILE_CONDITION");
    let place = error["context"]["locations"].as_array().unwrap().last().unwrap();
    assert_eq!(place["position"]["name"], "bad.yaml");
    // From 0, as Falco counts.
    assert_eq!((&place["position"]["line"], &place["position"]["column"]), (&2.into(), &33.into()));
    assert!(error["message"].as_str().unwrap().contains("prc.name"));
}

#[test]
fn rules_are_shown_with_everything_put_in() {
    let folder = Folder::new();
    let (code, out, _) = folder.run(&["list", "--rules", "rules.yaml"]);
    assert_eq!(code, 0);
    expect("rules-list.txt", &out);
    let (_, out, _) =
        folder.run(&["list", "Shell*", "--tag", "container", "--rules", "rules.yaml", "-o", "json"]);
    assert_eq!(objects(&out).len(), 1);
    let (code, out, _) = folder.run(&["show", "Shell in a container", "--rules", "rules.yaml"]);
    assert_eq!(code, 0);
    expect("rules-show.txt", &out);
    let (code, _, err) = folder.run(&["show", "shell in container", "--rules", "rules.yaml"]);
    assert_eq!(code, 2);
    assert!(err.contains("was `Shell in a container` meant?"), "{err}");
}

#[test]
fn matches_are_lines_with_number_and_rule() {
    let folder = Folder::new();
    let eval = |args: &[&str]| {
        let (code, out, err) = folder.run(&[&["eval", "--events", "events.jsonl"], args].concat());
        assert_eq!(code, 0, "{err}");
        let pair =
            |line: &Value| (line["evt.num"].as_u64().unwrap(), line["rule"].as_str().unwrap().to_owned());
        objects(&out).iter().map(pair).collect::<Vec<_>>()
    };
    let matched = |number, rule: &str| (number, rule.to_owned());
    let (container, any) = ("Shell in a container", "Any shell");
    assert_eq!(eval(&["--rules", "rules.yaml"]), [matched(1, container)]);
    assert_eq!(
        eval(&["--rules", "rules.yaml", "--all"]),
        [matched(1, container), matched(1, any), matched(2, any)]
    );
    let condition = "proc.name = bash";
    assert_eq!(eval(&["--condition", condition]), [matched(3, condition)]);

    let (_, out, _) = folder.run(&["eval", "--events", "events.jsonl", "--rules", "rules.yaml"]);
    let line = &objects(&out)[0];
    assert_eq!(line["output"], "shell sh by root of <NA> (parent <NA>)");
    assert_eq!(line["priority"], "Notice");
}

#[test]
fn gzip_is_told_by_the_content_and_bad_lines_are_named() {
    let folder = Folder::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(EVENTS.replacen("{\"output_fields\"", "[", 1).as_bytes()).unwrap();
    folder.write("events.jsonl", &gzip.finish().unwrap());
    let (code, out, err) = folder.run(&[
        "eval",
        "--condition",
        "proc.pid exists or proc.name exists",
        "--events",
        "events.jsonl",
    ]);
    assert_eq!(code, 1);
    assert_eq!(objects(&out).len(), 2, "{out}");
    assert!(err.starts_with("kestrel: events.jsonl:2: no JSON object: "), "{err}");
}

#[test]
fn each_part_says_what_it_is_of_the_event() {
    let folder = Folder::new();
    let explain = ["explain", "Shell in a container", "events.jsonl", "--rules", "rules.yaml"];
    let (code, out, _) = folder.run(&[&explain[..], &["--num", "2"]].concat());
    assert_eq!(code, 0);
    expect("rules-explain.txt", &out);
    let (_, out, _) = folder.run(&[&explain[..], &["--num", "2", "-o", "json"]].concat());
    let explained = &objects(&out)[0];
    assert_eq!(explained["explanation"]["truth"], "false");
    assert_eq!(explained["explanation"]["parts"][2]["value"], "host");
    let (code, _, err) = folder.run(&[&explain[..], &["--num", "9"]].concat());
    assert_eq!((code, err.as_str()), (2, "kestrel: error: events.jsonl has no event 9\n"));
}

#[test]
fn rules_that_cannot_be_used_say_why() {
    let folder = Folder::new();
    folder.write(
        "bad.yaml",
        b"- rule: Wrong\n  desc: x\n  condition: evt.type = \n  output: y\n  priority: INFO\n",
    );
    let (code, out, err) =
        folder.run(&["eval", "--rules", "rules.yaml", "bad.yaml", "--events", "events.jsonl"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.contains("bad.yaml:3:") && err.ends_with("error: 1 of 2 files of rules cannot be used\n"),
        "{err}"
    );
    for (args, said) in [
        (&["eval", "--condition", "a.b = c", "--events", "events.jsonl"][..], "nonexistent field a.b"),
        (&["eval", "--condition", "proc.name = x", "--events", "none.jsonl"][..], "cannot read none.jsonl"),
        (&["eval", "--events", "events.jsonl"][..], "--rules"),
    ] {
        let (code, _, err) = folder.run(args);
        assert_eq!(code, 2, "{args:?}");
        assert!(err.contains(said), "{err}");
    }
}

/// What a team brings: the official rules over a recording, held against what Falco said of it.
#[test]
fn the_stable_rules_match_what_they_match_in_falco() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/falco");
    if !reference.is_dir() {
        eprintln!("SKIPPED: there are no reference data at {}", reference.display());
        return;
    }
    let [rules, events] = ["falco_rules.yaml", "session.events.jsonl.gz"].map(|name| reference.join(name));
    let output =
        kestrel().args(["rules", "eval", "--all", "--rules"]).arg(rules).arg("--events").arg(events).output();
    let (code, out, err) = parts(&output.unwrap());
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(objects(&out).len(), 29);
}

const FIXTURES: &str = "
- rule: Shell in a container
  match: {evt.type: execve, proc.name: sh, container.id: c0ffee}
  miss: {container.id: host}
- rule: Any shell
  match: {evt.type: execve, proc.name: sh}
  miss: {proc.name: ~}
";

#[test]
fn rules_are_tested_with_the_events_beside_them() {
    let folder = Folder::new();
    fs::create_dir(folder.0.path().join("fixtures")).unwrap();
    folder.write("fixtures/rules.yaml", FIXTURES.as_bytes());
    for rules in ["rules.yaml", "."] {
        let (code, out, err) = folder.run(&["test", rules]);
        let told = "ok      Shell in a container\nok      Any shell\n2 rules, 0 of them failed\n";
        assert_eq!((code, out.as_str(), err.as_str()), (0, told, ""), "{rules}");
    }
    let more = "- rule: No such rule\n  match: {}\n  miss: {}\n";
    let wrong = FIXTURES
        .replace("execve, proc.name: sh}", "open, proc.name: sh}")
        .replace("container.id: host", "proc.name: bash");
    folder.write("wrong.yaml", format!("{wrong}{more}").as_bytes());
    let (code, out, _) = folder.run(&["test", "rules.yaml", "--fixtures", "wrong.yaml"]);
    assert_eq!(code, 1);
    expect("rules-test.txt", &out);

    let (code, out, _) = folder.run(&["test", "rules.yaml", "--fixtures", "wrong.yaml", "-o", "json"]);
    assert_eq!(code, 1);
    let told: Vec<_> = objects(&out).iter().map(|one| one["ok"] == true).collect();
    assert_eq!(told, [false, false, false]);
    assert_eq!(objects(&out)[1]["failures"][0]["explanation"]["truth"], "false");
}

#[test]
fn a_rule_that_nothing_tests_has_failed() {
    let folder = Folder::new();
    let (code, out, _) = folder.run(&["test", "rules.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(out.matches("it has no fixtures").count(), 2, "{out}");
    folder.write("bad.yaml", b"- rule: Any shell\n  match: {}\n");
    let (code, _, err) = folder.run(&["test", "rules.yaml", "--fixtures", "bad.yaml"]);
    assert_eq!(code, 2);
    assert!(err.contains("bad.yaml: ") && err.contains("miss"), "{err}");
}
