//! What the agent says of itself, and what it needs to run.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeSet,
    process::{Command, Output},
    time::Duration,
};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    artifact::binary,
    lock::KernelLock,
    poll,
    proc::Credentials,
    spec::{ContainerSpec, PodSpec},
};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(30);

fn status(agent: &Agent, more: &[&str]) -> Output {
    Command::new(binary("kestrel-agent").unwrap())
        .args(["status", "--listen", &agent.listen().to_string()])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn a_ready_agent_says_so_on_every_page() {
    let _lock = KernelLock::acquire().unwrap();
    let mut agent = Agent::start_with([]).unwrap();
    assert_eq!(agent.get("/healthz").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(agent.get("/readyz").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(agent.get("/nothing").unwrap().0, 404);

    let out = status(&agent, &[]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("healthy, ready"), "{text}");
    for hook in ["sched_process_exec", "sched_process_fork", "sched_process_exit"] {
        assert!(text.contains(hook), "{text}");
    }
    let json: serde_json::Value = serde_json::from_slice(&status(&agent, &["-o", "json"]).stdout).unwrap();
    assert_eq!((&json["healthy"], &json["ready"]), (&true.into(), &true.into()));

    assert!(agent.stop().unwrap().success());
    let out = status(&agent, &[]);
    assert_eq!(out.status.code(), Some(2));
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(text.starts_with("no agent reachable at ") && text.lines().count() == 1, "{text}");
}

#[test]
fn an_agent_that_starts_is_not_ready_before_its_scan() {
    let _lock = KernelLock::acquire().unwrap();
    let mut agent = Agent::prepare([]).unwrap();
    agent.spawn().unwrap();
    // The page is there before the hooks are; whoever asks early is told what is missing.
    let (code, body) = poll::until_some("the first answer", LIMIT, || Ok(agent.get("/readyz").ok())).unwrap();
    match code {
        503 => assert!(
            ["hooks not attached yet", "start scan not done", "hot loop has not started"]
                .iter()
                .any(|reason| body.contains(reason)),
            "{body}"
        ),
        // So fast that nobody saw it start.
        200 => assert_eq!(body, "ok\n"),
        _ => panic!("{code}: {body}"),
    }
    agent.wait_ready().unwrap();
    // Ready means scanned.
    poll::until("the ready line", LIMIT, || Ok(agent.events("ready")?.len() == 1)).unwrap();
    let scans = agent.metric_of("kestrel_scan_runs_total", "scan=\"start\"").unwrap();
    assert!((scans - 1.0).abs() < f64::EPSILON);
}

#[test]
fn an_agent_that_was_stopped_is_healthy_again_when_it_goes_on() {
    let _lock = KernelLock::acquire().unwrap();
    let agent = Agent::start_with([]).unwrap();
    agent.send(Signal::SIGSTOP).unwrap();
    let asked = agent.get("/healthz");
    agent.send(Signal::SIGCONT).unwrap();
    assert!(asked.is_err(), "a stopped agent must not look healthy: {asked:?}");
    poll::until("the agent to be healthy", LIMIT, || {
        Ok(agent.get("/healthz").is_ok_and(|(code, _)| code == 200))
    })
    .unwrap();
}

/// One line of OpenMetrics text: name, labels, value.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_label = |pair: &str| {
        pair.split_once('=').is_some_and(|(key, value)| {
            is_name(key) && value.len() >= 2 && value.starts_with('"') && value.ends_with('"')
        })
    };
    let good = is_name(name) && (labels.is_empty() || labels.split(',').all(is_label));
    good.then_some(())?;
    Some((name, labels, value.parse().ok()?))
}

#[test]
fn metrics_are_well_formed_and_know_no_workload() {
    let lab = Lab::start().unwrap();
    let app =
        ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("appxyz", ["/bin/sleep", "1000"]) };
    lab.run(&PodSpec::new("shopxyz", "cartxyz").container(app)).unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    agent.wait_finding("root is found", LIMIT, |f| f["control"]["slug"] == "run-as-non-root").unwrap();
    let text = agent.metrics().unwrap();
    assert!(text.ends_with("# EOF\n"));
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            let kind = words.next().unwrap();
            assert!(["HELP", "TYPE", "UNIT", "EOF"].contains(&kind), "{line}");
            if kind == "TYPE" {
                assert!(families.insert(words.next().unwrap().to_owned()), "twice: {line}");
            }
            continue;
        }
        let (name, labels, value) = sample(line).unwrap_or_else(|| panic!("not a sample: {line}"));
        assert!(name.starts_with("kestrel_") && value >= 0.0, "{line}");
        let family = ["_total", "_bucket", "_sum", "_count", "_info"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        assert!(families.contains(family) || families.contains(name), "no TYPE before: {line}");
        assert!(series.insert((name, labels)), "twice: {line}");
    }
    assert!(series.len() > 50);
    for workload in ["appxyz", "shopxyz", "cartxyz"] {
        assert!(!text.contains(workload), "{workload} is a label");
    }
}

/// All that the agent is given. `CAP_SYS_RESOURCE` is for kernels before 5.11, where maps count
/// against the locked-memory limit.
const CAPABILITIES: [(&str, u32); 4] =
    [("dac_read_search", 2), ("sys_ptrace", 19), ("perfmon", 38), ("bpf", 39)];

#[test]
fn four_capabilities_are_enough() {
    let lab = Lab::start().unwrap();
    let root = |name: &str| {
        let app = ContainerSpec {
            run_as_user: Some(0),
            ..ContainerSpec::restricted("app", ["/bin/sleep", "1000"])
        };
        PodSpec::new("shop", name).container(app)
    };
    lab.run(&root("before")).unwrap();

    let kept: Vec<_> = CAPABILITIES.iter().map(|(name, _)| format!("+{name}")).collect();
    let bounding = format!("--bounding-set=-all,{}", kept.join(","));
    let socket = lab.socket();
    let mut agent = Agent::prepare(["--cri-socket".into(), socket.as_os_str().to_owned()])
        .unwrap()
        .under(["setpriv", &bounding]);
    agent.launch().unwrap();
    let bits = CAPABILITIES.iter().fold(0, |bits, (_, number)| bits | 1 << number);
    let own = Credentials::of(agent.pid().unwrap()).unwrap();
    assert_eq!([own.cap_effective, own.cap_permitted, own.cap_bounding], [bits; 3]);

    lab.run(&root("after")).unwrap();
    for pod in ["before", "after"] {
        let finding = agent
            .wait_finding(pod, LIMIT, |f| f["control"]["slug"] == "run-as-non-root" && f["pod"] == pod)
            .unwrap();
        assert_eq!(finding["enrichment"], "COMPLETE", "{finding:#}");
        assert_eq!(finding["process"]["exe"], "/bin/busybox", "{finding:#}");
    }
    let poor: Vec<_> =
        agent.events("coverage").unwrap().into_iter().filter(|line| line["state"] != "SUPPORTED").collect();
    assert!(poor.is_empty(), "{poor:#?}");
    let log = agent.stderr();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");

    // And again with what it pinned itself.
    agent.kill().unwrap();
    agent.launch().unwrap();
    let gap = |blind: &serde_json::Value| blind["reason"] == "no program was attached";
    assert!(!agent.events("blind").unwrap().iter().any(gap));
    assert!(agent.stop().unwrap().success());
}
