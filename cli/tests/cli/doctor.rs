//! `doctor`.

use kestrel_proto::v1;
use serde_json::Value;

use crate::{
    data, expect, kestrel, parts, run,
    server::{Script, Server},
};

#[test]
fn all_is_well() {
    let nodes = vec![data::nodes().remove(1)];
    let server = Server::start(Script { nodes, status: data::healthy(), ..Default::default() });
    let (code, out, err) = run(&server, &["doctor"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    expect("doctor-well.txt", &out.replace(&server.url(), "http://SERVER"));
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let status = v1::StatusResponse {
        version: "9.9.9".to_owned(),
        wall_unix_ns: data::AT,
        healthy: false,
        problems: vec!["the disk is full".to_owned()],
        alerts: vec![v1::AlertChannel {
            name: "slack".to_owned(),
            pending: 3,
            failed: 1,
            last_error: format!("404 no_team {}", data::HOSTILE),
            ..Default::default()
        }],
        ..data::healthy()
    };
    let server = Server::start(Script { nodes: data::nodes(), status, ..Default::default() });
    let (code, out, _) = run(&server, &["doctor"]);
    assert_eq!(code, 1);
    assert!(!out.chars().any(|char| char != '\n' && inert::is_hostile(char)), "{out}");
    // How far this machine's clock is from the scripted one changes.
    let shown = out.replace(&server.url(), "http://SERVER");
    let shown = shown.lines().map(|line| match line.split_once("differ by ") {
        Some((front, _)) => format!("{front}differ by DAYS\n"),
        None => format!("{line}\n"),
    });
    expect("doctor-ill.txt", &shown.collect::<String>());

    let (code, out, _) = run(&server, &["doctor", "-o", "json", "--node", "worker-9"]);
    assert_eq!(code, 1);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let missing = lines.iter().find(|line| line["subject"] == "node worker-9").unwrap();
    assert_eq!(
        (&missing["level"], &missing["what"]),
        (&"fail".into(), &"the collector never heard of it".into())
    );
    assert!(missing["remedy"].is_string());
}

#[test]
fn this_machine_can_be_asked() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let agent = port.to_string();
    let (code, out, _) =
        parts(&kestrel().args(["doctor", "--node-local", "--agent", &agent]).output().unwrap());
    assert_eq!(code, 2);
    assert!(out.contains("kernel: Linux ") && out.contains("FAIL  agent: cannot reach the agent"), "{out}");
}
