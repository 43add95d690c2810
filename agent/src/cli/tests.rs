use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use agent_abi::hook::Hook;
use clap::CommandFactory as _;

use super::*;
use crate::{
    config::{Config, ExemptionItem},
    coverage::{CoverageReport, Support},
    http::{Health, Pages, Server, ServerLimits},
    telemetry::Telemetry,
};

fn ask(listen: SocketAddr, output: OutputFormat) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = status(&StatusArgs { listen, output }, &mut out, &mut err).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn the_command_line_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn flags_become_overrides() {
    let line = [
        "kestrel-agent",
        "run",
        "--config",
        "/c",
        "--state-dir",
        "/s",
        "--findings-file",
        "/f",
        "--cri-socket",
        "unix:///r",
        "--listen",
        "off",
        "--pin-dir",
        "/p",
        "--hooks",
        "enhanced",
        "--node-name",
        "n1",
        "--log-level",
        "debug",
        "--policy",
        "/policy",
    ];
    let Command::Run(args) = Cli::try_parse_from(line).unwrap().command else { panic!("not run") };
    let (file, overrides) = args.into_parts();
    assert_eq!(file, Some("/c".into()));
    let expected = Overrides {
        node_name: Some("n1".to_owned()),
        state_dir: Some("/s".into()),
        pin_dir: Some("/p".into()),
        hooks: Some(Hooks::Enhanced),
        findings_file: Some("/f".into()),
        cri_socket: Some(CriSocket::Path("/r".into())),
        listen: Some(Listen::Off),
        log_level: Some(LogLevel::Debug),
        policy: Some("/policy".into()),
    };
    assert_eq!(overrides, expected);
}

#[test]
fn a_bad_flag_says_what_was_expected() {
    let error = Cli::try_parse_from(["kestrel-agent", "run", "--listen", "9470"]).unwrap_err().to_string();
    assert!(error.contains("expected off or an address with a port such as 127.0.0.1:9470"), "{error}");
}

#[test]
fn status_asks_where_the_agent_listens_by_default() {
    let Command::Status(args) = Cli::try_parse_from(["kestrel-agent", "status"]).unwrap().command else {
        panic!("not status")
    };
    let default = Config::<ExemptionItem>::defaults("n".to_owned()).http.listen;
    assert_eq!(Listen::At(args.listen), default);
}

#[test]
fn status_of_a_running_agent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let health = Arc::new(Health::new(Duration::from_mins(10)));
    let telemetry = Arc::new(Telemetry::new(&["no-new-privs"]));
    let pages = Pages { node: "n1".to_owned(), telemetry, health: Arc::clone(&health), delivery: None };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = runtime.block_on(Server::bind(any, pages, ServerLimits::default())).unwrap();
    let address = server.address();
    runtime.spawn(server.serve());

    let (exit, out, err) = ask(address, OutputFormat::Table);
    assert_eq!((exit, err.as_str()), (Exit::Unhealthy, ""));
    assert!(out.contains("Health    NOT HEALTHY, NOT READY\n  hot loop has not started\n"), "{out}");

    let mut report = CoverageReport::new("6.12");
    for hook in Hook::ALL {
        report.hook(hook.name(), Support::Supported);
    }
    health.set_coverage(report);
    health.start_scan_done();
    health.beat();
    let (exit, out, _) = ask(address, OutputFormat::Json);
    assert_eq!(exit, Exit::Good);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["node"], "n1");

    // An agent that listens everywhere is found on loopback.
    let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
    assert_eq!(ask(everywhere, OutputFormat::Table).0, Exit::Good);
}

#[test]
fn nobody_there_is_one_sentence() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    let (exit, out, err) = ask(address, OutputFormat::Table);
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    let expected = format!("no agent reachable at {address} (is it running, with http.listen there?): ");
    assert!(err.starts_with(&expected) && err.lines().count() == 1, "{err}");
}

#[test]
fn what_is_no_agent_is_not_believed() {
    for (answer, expected) in [
        ("SSH-2.0-x\r\n", "did not answer like a kestrel-agent"),
        ("HTTP/1.1 200 OK\r\n\r\n<html>\x1b[31m", "did not answer like a kestrel-agent"),
        ("HTTP/1.1 503 Busy\r\n\r\n", "answered with HTTP status 503"),
        ("", "did not answer like a kestrel-agent"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Read the request, so that closing does not reset the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let (exit, out, err) = ask(address, OutputFormat::Table);
        server.join().unwrap();
        assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
        assert!(err.contains(expected) && err.lines().count() == 1, "{answer:?}: {err}");
    }
}

#[test]
fn check_config_says_ok_or_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.yaml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit =
            check_config(CheckConfigArgs { file: file.clone(), policy: None }, &mut out, &mut err).unwrap();
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let shown = file.display();
    assert_eq!(check("http: {listen: off}\n"), (Exit::Good, format!("{shown}: ok\n"), String::new()));
    let wrong = format!("{shown}:1:8: http: unknown key `listn`, did you mean listen?\n");
    assert_eq!(check("http: {listn: off}\n"), (Exit::Failed, String::new(), wrong));

    let policy = dir.path().join("policy.yaml");
    let names_it = format!("policy: {}\n", policy.display());
    let missing = format!("cannot read configuration file {}: ", policy.display());
    assert!(check(&names_it).2.starts_with(&missing), "{:?}", check(&names_it));
    std::fs::write(&policy, "controls: {secomp: on}\n").unwrap();
    let wrong =
        format!("{}:1:20: controls.secomp: no control `secomp`, did you mean seccomp?\n", policy.display());
    assert_eq!(check(&names_it), (Exit::Failed, String::new(), wrong));
    let expired = "namespace: shop, control: seccomp, owner: a, reason: b, expires: 2020-02-29";
    std::fs::write(&policy, format!("exemptions: [{{{expired}}}]\n")).unwrap();
    let warning =
        format!("{}:1:14: exemptions[0]: expired on 2020-02-29 and counts as absent\n", policy.display());
    let good = format!("{shown}: ok\n{}: ok\n", policy.display());
    assert_eq!(check(&names_it), (Exit::Good, good, warning));

    let rules = dir.path().join("rules.yaml");
    let names_it = format!("rules: {{files: [{}]}}\n", rules.display());
    std::fs::write(
        &rules,
        "- rule: a\n  desc: b\n  condition: evt.type = opent\n  output: c\n  priority: DEBUG\n",
    )
    .unwrap();
    let (exit, _, err) = check(&names_it);
    assert_eq!(exit, Exit::Failed);
    assert!(err.starts_with(&format!("{}:3:25: rule \"a\": ", rules.display())), "{err}");
    std::fs::write(
        &rules,
        "- rule: a\n  desc: b\n  condition: evt.type = open and proc.vpgid = 1\n  output: c\n  priority: DEBUG\n",
    )
    .unwrap();
    let (exit, out, err) = check(&names_it);
    assert_eq!((exit, out), (Exit::Good, format!("{shown}: ok\nrules: ok, 1 of 1 active\n")));
    assert!(err.contains("field 'proc.vpgid' never has a value here: process groups are not read"), "{err}");
}
