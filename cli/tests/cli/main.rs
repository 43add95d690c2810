//! The built `kestrel` against a collector's Watch service with known answers.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod data;
mod doctor;
mod levels;
mod list;
mod posture;
mod raw;
mod rules;
mod secure;
mod server;
mod tail;
mod workloads;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The program, without what the environment of the test would add.
fn kestrel() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kestrel"));
    for name in ["SERVER", "CA", "CERT", "KEY", "SERVER_NAME"] {
        command.env_remove(format!("KESTREL_{name}"));
    }
    command.stdin(Stdio::null());
    command
}

fn run(server: &server::Server, args: &[&str]) -> (i32, String, String) {
    let output = kestrel().args(args).env("KESTREL_SERVER", server.url()).output().unwrap();
    parts(&output)
}

fn parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Holds text against a file; `UPDATE_EXPECTED=1` writes it.
fn expect(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/expected").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs; UPDATE_EXPECTED=1 takes it as it is");
}

#[test]
fn a_shell_completes_it() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = parts(&kestrel().args(["completion", shell]).output().unwrap());
        assert_eq!(code, 0);
        assert!(out.contains("findings") && out.contains("no-follow"), "{shell}: {out}");
    }
}

#[test]
fn help_teaches() {
    for command in [
        "",
        "tail",
        "findings",
        "inventory",
        "posture",
        "posture explain",
        "posture levels",
        "nodes",
        "doctor",
        "completion",
    ] {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        let (code, out, _) = parts(&kestrel().args(args).output().unwrap());
        assert_eq!(code, 0);
        assert!(out.contains("Examples:\n  kestrel "), "{command}: {out}");
        assert!(out.lines().all(|line| line.chars().count() <= 110), "{command}: {out}");
    }
}

#[test]
fn wrong_usage_is_2_and_says_what_would_do() {
    for (args, says) in [
        (&["findings", "--severity", "bad"][..], "possible values"),
        (&["tail", "--since", "yesterday"], "10m"),
        (&["tail", "--after", "x"], "1042:7"),
        (&["nodes", "--server", "nowhere"], "http://HOST:PORT"),
        (&["nodes", "--server", "https://c:1"], "--key"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ] {
        let (code, out, err) = parts(&kestrel().args(args).output().unwrap());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
}

#[test]
fn a_collector_that_is_not_there_is_2() {
    // Bound and closed again: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for command in ["tail", "findings", "inventory", "posture", "nodes", "doctor"] {
        let server = format!("http://127.0.0.1:{port}");
        let (code, _, err) = parts(&kestrel().args([command, "--server", &server]).output().unwrap());
        assert_eq!(code, 2, "{command}: {err}");
    }
}
