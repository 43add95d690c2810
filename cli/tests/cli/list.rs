//! `findings`, `inventory`, `nodes`.

use inert::is_hostile;
use kestrel_proto::v1;
use serde_json::Value;

use crate::{
    data, expect, run,
    server::{Script, Server},
};

fn server() -> Server {
    Server::start(Script {
        findings: data::findings(),
        inventory: data::inventory(),
        nodes: data::nodes(),
        status: data::healthy(),
        ..Default::default()
    })
}

#[test]
fn tables() {
    let server = server();
    for command in ["findings", "inventory", "nodes"] {
        for (name, args) in [("text", &[command][..]), ("wide", &[command, "-o", "wide"])] {
            let (code, out, err) = run(&server, args);
            assert_eq!((code, err.as_str()), (0, ""));
            assert!(!out.chars().any(|char| char != '\n' && is_hostile(char)), "{out}");
            // What a test that runs for long would change.
            let since = out.lines().map(|line| match line.split_once('Z') {
                Some((time, rest)) if name == "wide" && time.contains('T') && time.len() == 23 => {
                    format!("2027-01-15T08:00:00.000Z{rest}\n")
                }
                _ => format!("{line}\n"),
            });
            expect(&format!("{command}-{name}.txt"), &since.collect::<String>());
        }
    }
}

#[test]
fn colours_are_the_only_escapes() {
    let (_, out, _) = run(&server(), &["findings", "--color", "always"]);
    assert!(out.contains("\x1b[1;31mDRIFT\x1b[0m") && out.contains("\x1b[31mFAIL\x1b[0m"), "{out}");
    let rest = ["\x1b[1;31m", "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[2m", "\x1b[0m"]
        .iter()
        .fold(out, |out, code| out.replace(code, ""));
    assert!(!rest.contains('\x1b'), "{rest}");
}

#[test]
fn json_is_one_inert_object_a_line() {
    let server = server();
    let (code, out, _) = run(&server, &["findings", "-o", "json"]);
    assert_eq!(code, 0);
    assert!(!out.chars().any(|char| char != '\n' && is_hostile(char)), "{out}");
    let all: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 4);
    let drift = all.iter().find(|one| one["finding"]["verdict"] == "drift").unwrap();
    assert_eq!(drift["node"], "worker-1");
    assert_eq!(drift["stale"], false);
    let finding = &drift["finding"];
    assert_eq!(finding["state"], "open");
    assert_eq!(finding["severity"], "high");
    assert_eq!(finding["control"]["slug"], "run-as-non-root");
    assert_eq!(finding["last_seen"], "2027-01-15T08:00:00.000Z");
    assert_eq!(finding["instances"][0]["exe"], "/usr/bin/server");
    assert_eq!(finding["completes"], serde_json::json!([]));
    // Nothing of what the workload chose is lost.
    let hostile = all.iter().find(|one| one["finding"]["pod"] == data::HOSTILE).unwrap();
    assert_eq!(hostile["finding"]["image"], data::HOSTILE);
    let exe = hostile["finding"]["instances"][0]["exe"].as_str().unwrap();
    assert_eq!(exe, r"\x1b[2J\x1b]0;x\x07\u{202e}cba\x0d\x0a12:00:00  PASS");

    let (_, out, _) = run(&server, &["nodes", "-o", "json"]);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["name"], "worker-1");
    assert_eq!(first["status"]["condition"], "healthy");
    assert_eq!(first["gap_events"], 0);
}

#[test]
fn filters_reach_the_collector() {
    let server = server();
    let args = [
        "findings",
        "-n",
        "shop,test",
        "--pod",
        "cart-*",
        "--container",
        "app",
        "--image",
        "*shop*",
        "--control",
        "seccomp",
        "--verdict",
        "FAIL,drift",
        "--severity",
        "High",
        "--rule",
        "r",
        "--priority",
        "info",
        "--tag",
        "T1059,T1552*",
        "--node",
        "a",
        "--node",
        "b",
        "--resolved",
    ];
    assert_eq!(run(&server, &args).0, 0);
    let asked = server.asked().findings.remove(0);
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert!(asked.resolved);
    assert_eq!(
        asked.filter.unwrap(),
        v1::Filter {
            kinds: Vec::new(),
            min_severity: v1::Severity::High.into(),
            namespaces: texts(&["shop", "test"]),
            pods: texts(&["cart-*"]),
            containers: texts(&["app"]),
            images: texts(&["*shop*"]),
            controls: texts(&["seccomp"]),
            verdicts: vec![v1::Verdict::Fail.into(), v1::Verdict::Drift.into()],
            rules: texts(&["r"]),
            nodes: texts(&["a", "b"]),
            min_priority: v1::Priority::Informational.into(),
            tags: texts(&["T1059", "T1552*"]),
        }
    );
}

#[test]
fn a_pipeline_can_ask_whether_something_is_open() {
    assert_eq!(run(&server(), &["findings", "--exit-code"]).0, 1);
    let mut exempt = data::findings();
    exempt.retain(|one| one.finding.as_ref().unwrap().verdict() == v1::Verdict::Exempt);
    let server = Server::start(Script { findings: exempt, ..Default::default() });
    assert_eq!(run(&server, &["findings", "--exit-code"]).0, 0);
    let server = Server::start(Script::default());
    let (code, out, err) = run(&server, &["findings", "--exit-code"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "kestrel: no findings\n"));
}

#[test]
fn what_each_hook_saw_is_shown_with_what_became_of_it() {
    let server = Server::start(Script { nodes: data::counted_nodes(), ..Default::default() });
    let (code, out, _) = run(&server, &["nodes", "--hooks"]);
    assert_eq!(code, 0);
    expect("nodes-hooks.txt", &out);
    let (_, wide, _) = run(&server, &["nodes", "--hooks", "-o", "wide"]);
    assert!(wide.contains("mark_victim") && !out.contains("mark_victim"));
}
