//! Without the container runtime's answers verdicts come all the same, and names follow.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    os::unix::{fs::symlink, net::UnixListener},
    time::Duration,
};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    cri::Pod,
    findings::{LIMIT, SLEEP, is_of, is_on},
    poll,
    spec::{ContainerSpec, PodSpec},
};
use serde_json::Value;

const CONTROL: &str = "run-as-non-root";
/// Questions are repeated ever more slowly; a container that was given up is asked for again after a minute.
const NAMES_FOLLOW: Duration = Duration::from_secs(120);

#[test]
fn a_runtime_that_comes_later() {
    let lab = Lab::start().unwrap();
    let later = lab.dir().join("later.sock");
    let agent = Agent::start(Some(&later)).unwrap();
    let pod = run(&lab, "early");
    let pending = wait_pending(&agent, &pod);
    assert_eq!(pending["pending"], "no-runtime", "{pending:#}");
    symlink(lab.socket(), later).unwrap();
    check_names_follow(&agent, &pod, &pending);
}

#[test]
fn a_runtime_that_was_killed_and_comes_back() {
    let mut lab = Lab::start().unwrap();
    let pod = run(&lab, "orphan");
    lab.kill_daemon().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let pending = wait_pending(&agent, &pod);
    assert_eq!(pending["pending"], "runtime-unavailable", "{pending:#}");
    lab.start_daemon().unwrap();
    check_names_follow(&agent, &pod, &pending);
}

#[test]
fn a_runtime_that_accepts_and_never_answers() {
    let lab = Lab::start().unwrap();
    let socket = lab.dir().join("mute.sock");
    // A connection is made as soon as it is queued.
    let _mute = UnixListener::bind(&socket).unwrap();
    let before = run(&lab, "before");
    let agent = Agent::start(Some(&socket)).unwrap();
    let after = run(&lab, "after");
    for pod in [&before, &after] {
        let pending = wait_pending(&agent, pod);
        let reason = pending["pending"].as_str().unwrap();
        assert!(["asked", "runtime-unavailable"].contains(&reason), "{pending:#}");
        assert_eq!(pending["process"]["pid"], pod.containers[0].pid, "{pending:#}");
    }
    // It goes on after calls that were given up.
    poll::until("a call to time out", LIMIT, || {
        Ok(agent.metric(r#"kestrel_cri_requests_total{result="error"}"#)? > 0.0)
    })
    .unwrap();
    wait_pending(&agent, &run(&lab, "later"));
    for page in ["/healthz", "/readyz"] {
        let (code, body) = agent.get(page).unwrap();
        assert_eq!(code, 200, "{page}: {body}");
    }
}

fn run(lab: &Lab, name: &str) -> Pod {
    let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", SLEEP) };
    lab.run(&PodSpec::of_deployment("cri", name, "5d4f8c7b9", "x2x7k").container(app)).unwrap()
}

fn wait_pending(agent: &Agent, pod: &Pod) -> Value {
    let is_it = |finding: &Value| {
        let id = &pod.containers[0].id;
        is_on(finding, CONTROL) && finding["container_id"] == **id && finding["enrichment"] == "PENDING"
    };
    let finding = agent.wait_finding("a verdict without a name", LIMIT, is_it).unwrap();
    assert_eq!(finding["verdict"], "FAIL", "{finding:#}");
    assert_eq!(finding["alert"], true, "{finding:#}");
    assert!(finding["workload"].is_null(), "{finding:#}");
    finding
}

/// The finding goes on under the workload's name, and what was told before is said to be over.
fn check_names_follow(agent: &Agent, pod: &Pod, pending: &Value) {
    let named = agent
        .wait_finding("the name", NAMES_FOLLOW, |finding| {
            is_on(finding, CONTROL)
                && is_of(finding, pod)
                && finding["workload"].is_object()
                && finding["verdict"] == "FAIL"
        })
        .unwrap();
    assert_eq!(named["pod"], *pod.spec.name, "{named:#}");
    assert_eq!(named["container"], "app", "{named:#}");
    assert_eq!(named["workload"]["name"], pod.spec.labels["app"], "{named:#}");
    assert_eq!(named["enrichment"], "COMPLETE", "{named:#}");
    assert_eq!(named["completes"], serde_json::json!([pending["id"]]), "{named:#}");
    assert_eq!(named["process"], pending["process"], "{named:#}");
    assert_eq!(named["first_seen"], pending["first_seen"], "{named:#}");
    // It was told already; that it has a name now wakes nobody.
    assert_eq!(named["alert"], false, "{named:#}");
    let over = agent
        .wait_finding("the end of the pending finding", LIMIT, |finding| {
            finding["id"] == pending["id"] && finding["state"] == "RESOLVED"
        })
        .unwrap();
    assert_eq!(over["superseded_by"], named["id"], "{over:#}");
    assert_eq!(over["alert"], false, "{over:#}");
}
