//! Many pods at once, crash loops, and containers that are gone before anybody can look.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    cri::Pod,
    findings::{LIMIT, SLEEP, is_of, is_on, is_violation},
    poll,
    spec::{ContainerSpec, PodSpec, Seccomp},
};
use nix::sys::signal::Signal;
use serde_json::Value;

const PODS: usize = 30;
const RESTARTS: u64 = 15;
/// More than `findings.name_wait`.
const NAME_WAIT: Duration = Duration::from_secs(3);
const NAMED: &str = r#"kestrel_cri_requests_total{result="ok"}"#;

#[test]
fn thirty_pods_at_once() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let pods: Vec<(Pod, BTreeSet<String>)> = thread::scope(|scope| {
        let started = (0..PODS).map(|n| {
            let (app, fails) = one_of_many(n);
            let spec = PodSpec::new("many", &format!("pod-{n}")).container(app);
            let lab = &lab;
            scope.spawn(move || (lab.run(&spec).unwrap(), fails.into_iter().map(str::to_owned).collect()))
        });
        // All are started before the first is waited for.
        let started: Vec<_> = started.collect();
        started.into_iter().map(|pod| pod.join().unwrap()).collect()
    });
    let found = |pod: &Pod| agent.violations(pod).map(|found| found.into_keys().collect::<BTreeSet<_>>());
    for (pod, fails) in &pods {
        let what = format!("{} to be found", pod.spec.name);
        poll::until(&what, LIMIT, || Ok(found(pod)?.is_superset(fails))).unwrap();
    }
    agent.catch_up(&lab).unwrap();
    let all = agent.findings().unwrap();
    for (pod, fails) in &pods {
        let own: Vec<_> =
            all.iter().filter(|&finding| is_violation(finding) && is_of(finding, pod)).collect();
        assert_eq!(found(pod).unwrap(), *fails, "{}: {own:#?}", pod.spec.name);
    }
    for (pod, fails) in &pods {
        for control in fails {
            let last = all.iter().rfind(|finding| is_on(finding, control) && is_of(finding, pod)).unwrap();
            assert_eq!(last["pod"], *pod.spec.name, "{last:#}");
            assert_eq!(last["enrichment"], "COMPLETE", "{last:#}");
        }
    }
}

/// Every other one is good; the rest are bad in turn.
fn one_of_many(n: usize) -> (ContainerSpec, Vec<&'static str>) {
    let good = ContainerSpec::restricted("app", SLEEP);
    match n % 6 {
        1 => (ContainerSpec { run_as_user: Some(0), ..good }, vec!["run-as-non-root"]),
        3 => (ContainerSpec { seccomp: Seccomp::Unconfined, ..good }, vec!["seccomp"]),
        5 => (ContainerSpec { no_new_privs: false, ..good }, vec!["no-new-privileges"]),
        _ => (good, vec![]),
    }
}

/// The smallest ring there is, and at times nobody who reads it: what is lost of the flood's is told, and what
/// the others are is found all the same.
#[test]
fn a_flood_of_execs_in_one_container_loses_no_posture_of_another() {
    const PODS: usize = 6;
    let lab = Lab::start().unwrap();
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, "rings: {critical_bytes: 64KiB}\n").unwrap();
    let agent = Agent::start_with([
        "--config".into(),
        config.path().into(),
        "--cri-socket".into(),
        lab.socket().into(),
    ])
    .unwrap();
    let loops = "for n in 1 2 3 4; do while :; do /bin/true; done & done; wait";
    let flood =
        PodSpec::new("flood", "execs").container(ContainerSpec::restricted("app", ["/bin/sh", "-c", loops]));
    let flood = lab.run(&flood).unwrap();
    let execs = || agent.metric_of("kestrel_hook_seen_runs_total", "hook=\"sched_process_exec\"");
    let before = execs().unwrap();
    poll::until("the flood", LIMIT, || Ok(execs()? > before + 500.0)).unwrap();

    let mut pods = Vec::new();
    let mut run = |when: &str, n: usize| {
        let (app, fails) = one_of_many(n);
        let spec = PodSpec::new("quiet", &format!("{when}-{n}")).container(app);
        let fails: BTreeSet<_> = fails.into_iter().map(str::to_owned).collect();
        pods.push((lab.run(&spec).unwrap(), fails));
    };
    for n in 0..PODS {
        run("read", n);
    }
    agent.send(Signal::SIGSTOP).unwrap();
    for n in 0..PODS {
        run("unread", n);
    }
    agent.send(Signal::SIGCONT).unwrap();

    let found = |pod: &Pod| agent.violations(pod).map(|found| found.into_keys().collect::<BTreeSet<_>>());
    for (pod, fails) in &pods {
        let what = format!("{} to be found", pod.spec.name);
        poll::until(&what, LIMIT, || Ok(found(pod)?.is_superset(fails))).unwrap();
    }
    let lost = agent.metric_of("kestrel_ring_lost_records_total", "ring=\"critical\"").unwrap();
    assert!(lost > 0.0, "the ring never ran full");
    lab.cri().remove_pod(&flood.sandbox).unwrap();
    agent.catch_up(&lab).unwrap();
    for (pod, fails) in &pods {
        assert_eq!(found(pod).unwrap(), *fails, "{}", pod.spec.name);
    }
    assert_eq!(found(&flood).unwrap(), BTreeSet::new());
    let told = agent.events("loss").unwrap();
    assert!(told.iter().any(|loss| loss["at"] == "critical" && loss["reason"] == "ring full"), "{told:#?}");
}

/// What it reads late is no older for it: a finding waits for the name of its container from then on.
#[test]
fn a_stopped_agent_learns_the_names_before_it_tells() {
    const PODS: usize = 6;
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let stopped = Instant::now();
    agent.send(Signal::SIGSTOP).unwrap();
    let pods: Vec<_> = (0..PODS)
        .map(|n| {
            let (app, fails) = one_of_many(n);
            (lab.run(&PodSpec::new("late", &format!("pod-{n}")).container(app)).unwrap(), fails)
        })
        .collect();
    // By then what happened first has waited for longer than any name is waited for.
    poll::until("a while", LIMIT, || Ok(stopped.elapsed() > NAME_WAIT)).unwrap();
    agent.send(Signal::SIGCONT).unwrap();
    agent.catch_up(&lab).unwrap();
    for (pod, fails) in &pods {
        let found: Vec<_> = agent.violations(pod).unwrap().into_keys().collect();
        assert_eq!(found, *fails, "{}", pod.spec.name);
    }
    let nameless: Vec<_> =
        agent.findings().unwrap().into_iter().filter(|finding| finding["enrichment"] == "PENDING").collect();
    assert!(nameless.is_empty(), "{nameless:#?}");
}

#[test]
fn a_crash_loop_is_one_finding() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/false"]) };
    let spec = PodSpec::of_deployment("loop", "crash", "5d4f8c7b9", "x2x7k").container(app);
    let named = agent.metric(NAMED).unwrap();
    let mut pod = lab.run(&spec).unwrap();
    let mut ids = BTreeSet::from([pod.containers[0].id.clone()]);
    for restart in 1..=RESTARTS {
        // A kubelet waits for longer. The sandbox has a name, too.
        poll::until("the container to be named", LIMIT, || {
            Ok(agent.metric(NAMED)? >= named + 1.0 + restart as f64)
        })
        .unwrap();
        wait_end(&lab, &pod);
        lab.restart(&mut pod, "app").unwrap();
        ids.insert(pod.containers[0].id.clone());
    }
    let is_it = |finding: &Value| {
        let id = finding["container_id"].as_str().unwrap_or_default();
        is_on(finding, "run-as-non-root")
            && finding["verdict"] != "EXEMPT"
            && (finding["workload"]["namespace"] == "loop" || ids.contains(id))
    };
    // The last word tells all crashes; it comes once nothing has crashed for a while.
    let over = |finding: &Value| is_it(finding) && finding["state"] == "RESOLVED";
    let last = agent.wait_finding("the end of the loop", Duration::from_secs(90), over).unwrap();
    assert_eq!(last["count"], RESTARTS + 1, "{last:#}");
    assert_eq!(last["workload"]["name"], "crash", "{last:#}");
    let all: Vec<_> = agent.findings().unwrap().into_iter().filter(is_it).collect();
    assert!(all.iter().all(|finding| finding["id"] == last["id"]), "{all:#?}");
    assert_eq!(all.iter().filter(|finding| finding["state"] == "OPEN").count(), 1, "{all:#?}");
}

#[test]
fn a_container_that_lives_five_milliseconds_is_not_missed() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/short-life"]) };
    for n in 0..10 {
        let pod = lab.run(&PodSpec::new("short", &format!("life-{n}")).container(app.clone())).unwrap();
        wait_end(&lab, &pod);
        lab.cri().remove_pod(&pod.sandbox).unwrap();
        let is_it = |finding: &Value| {
            is_violation(finding) && is_on(finding, "run-as-non-root") && is_of(finding, &pod)
        };
        let finding = agent.wait_finding(&format!("{} to be found", pod.spec.name), LIMIT, is_it).unwrap();
        if finding["enrichment"] == "COMPLETE" {
            assert_eq!(finding["pod"], *pod.spec.name, "{finding:#}");
        } else {
            assert_eq!(finding["enrichment"], "PENDING", "{finding:#}");
            assert!(finding["pending"].is_string(), "{finding:#}");
        }
    }
}

/// Until the pod's container has ended by itself: one that is ended right after its start may not have begun its
/// program yet, and then there is nothing to find.
fn wait_end(lab: &Lab, pod: &Pod) {
    poll::until("its end", LIMIT, || Ok(!lab.cri().info(&pod.containers[0].id)?.running)).unwrap();
}
