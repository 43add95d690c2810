//! A runtime that says of its containers what is not so: what the kernel holds is told, and that it differs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeMap;

use k8s_cri::v1::ContainerStatusResponse;
use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    cri::Pod,
    findings::{LIMIT, SLEEP, is_of, is_on},
    liar::Liar,
    poll, proc,
    spec::{ContainerSpec, PodSpec, Seccomp},
};
use serde_json::{Value, json};

type Verdicts = BTreeMap<String, String>;

/// Any other process.
const ANOTHERS: u32 = 1;

#[test]
fn what_is_declared_and_is_not_so_is_drift() {
    let lab = Lab::start().unwrap();
    let liar = Liar::start(&lab.dir().join("liar.sock"), &lab.socket(), calls_it_restricted).unwrap();
    let mut agent = Agent::start(Some(liar.socket())).unwrap();
    let app = ContainerSpec {
        run_as_user: Some(0),
        no_new_privs: false,
        seccomp: Seccomp::Unconfined,
        read_only_root: false,
        ..ContainerSpec::restricted("app", SLEEP)
    };
    let pod = lab.run(&PodSpec::new("lies", "lax").container(app)).unwrap();
    let expected = [
        ("run-as-non-root", "DRIFT"),
        ("no-new-privileges", "DRIFT"),
        ("seccomp", "DRIFT"),
        ("read-only-root", "DRIFT"),
    ];
    wait_violations(&agent, &pod, &expected);
    let finding = agent
        .wait_finding("what is declared", LIMIT, |finding| {
            is_on(finding, "run-as-non-root") && is_of(finding, &pod) && finding["verdict"] == "DRIFT"
        })
        .unwrap();
    let text = finding.to_string();
    assert!(text.contains("uid 0") && text.contains("1000"), "{finding:#}");
    assert_eq!(proc::Credentials::of(pod.containers[0].pid).unwrap().uid, [0; 4]);
    agent.stop().unwrap();
    liar.stop().unwrap();
}

#[test]
fn a_restricted_container_that_is_called_privileged_violates_nothing() {
    let lab = Lab::start().unwrap();
    let liar = Liar::start(&lab.dir().join("liar.sock"), &lab.socket(), calls_it_privileged).unwrap();
    let mut agent = Agent::start(Some(liar.socket())).unwrap();
    let app = ContainerSpec::restricted("app", SLEEP);
    let pod = lab.run(&PodSpec::new("lies", "strict").container(app)).unwrap();
    // Found by a look, which the first container was due before.
    let marker = ContainerSpec { read_only_root: false, ..ContainerSpec::restricted("app", SLEEP) };
    let marker = lab.run(&PodSpec::new("lies", "marker").container(marker)).unwrap();
    wait_violations(&agent, &marker, &[("read-only-root", "FAIL")]);
    assert_eq!(agent.violations(&pod).unwrap(), Verdicts::new());
    agent.stop().unwrap();
    liar.stop().unwrap();
}

#[test]
fn a_wrong_pid_makes_nobody_elses_process_the_containers() {
    let lab = Lab::start().unwrap();
    let liar = Liar::start(&lab.dir().join("liar.sock"), &lab.socket(), gives_anothers_pid).unwrap();
    let mut agent = Agent::start(Some(liar.socket())).unwrap();
    let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", SLEEP) };
    let pod = lab.run(&PodSpec::new("lies", "anothers").container(app)).unwrap();
    wait_violations(&agent, &pod, &[("run-as-non-root", "FAIL")]);
    for finding in agent.findings().unwrap().iter().filter(|finding| is_of(finding, &pod)) {
        assert_ne!(finding["process"]["pid"], ANOTHERS, "{finding:#}");
    }
    agent.stop().unwrap();
    liar.stop().unwrap();
}

fn wait_violations(agent: &Agent, pod: &Pod, expected: &[(&str, &str)]) {
    let expected: Verdicts =
        expected.iter().map(|&(slug, verdict)| (slug.to_owned(), verdict.to_owned())).collect();
    poll::until("exactly what is wrong", LIMIT, || Ok(agent.violations(pod)? == expected))
        .unwrap_or_else(|error| panic!("{error}: {:?}", agent.violations(pod)));
}

fn calls_it_restricted(status: &mut ContainerStatusResponse) {
    change(status, |info| {
        let process = &mut info["runtimeSpec"]["process"];
        process["user"] = json!({"uid": 1000, "gid": 1000});
        process["noNewPrivileges"] = json!(true);
        info["runtimeSpec"]["root"]["readonly"] = json!(true);
        info["runtimeSpec"]["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ERRNO"});
        info["config"]["linux"]["security_context"]["seccomp"] = json!({});
    });
}

fn calls_it_privileged(status: &mut ContainerStatusResponse) {
    change(status, |info| {
        let process = &mut info["runtimeSpec"]["process"];
        process["user"] = json!({"uid": 0, "gid": 0});
        process["noNewPrivileges"] = json!(false);
        info["runtimeSpec"]["root"]["readonly"] = json!(false);
        info["privileged"] = json!(true);
        let context = &mut info["config"]["linux"]["security_context"];
        context["privileged"] = json!(true);
        context["seccomp"] = json!({"profile_type": 1});
        context["namespace_options"] = json!({"network": 2, "pid": 2, "ipc": 2});
    });
}

fn gives_anothers_pid(status: &mut ContainerStatusResponse) {
    change(status, |info| info["pid"] = json!(ANOTHERS));
}

fn change(status: &mut ContainerStatusResponse, lie: impl FnOnce(&mut Value)) {
    let Some(text) = status.info.get_mut("info") else { return };
    let mut info: Value = serde_json::from_str(text).unwrap();
    lie(&mut info);
    *text = info.to_string();
}
