//! What a runtime does to start a container is never taken for the container.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![allow(clippy::print_stdout, reason = "how many starts were seen is worth knowing")]

use std::{collections::BTreeSet, thread, time::Instant};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    cri::Pod,
    findings::{LIMIT, SLEEP, is_violation},
    poll, proc,
    spec::{ContainerSpec, PodSpec},
};

const PODS: usize = 4;
const STARTS_EACH: usize = 50;
const STARTS: usize = PODS * STARTS_EACH;

/// Execs of containers that were judged: a container's program makes one, its runtime none.
const EXECS: &str = "kestrel_verdict_latency_seconds_count";

#[test]
fn two_hundred_starts_of_a_compliant_pod_violate_nothing() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let before = agent.metric(EXECS).unwrap();
    let began = Instant::now();
    let ids: BTreeSet<String> = thread::scope(|scope| {
        let pods: Vec<_> = (0..PODS)
            .map(|n| {
                scope.spawn({
                    let lab = &lab;
                    move || start_often(lab, n)
                })
            })
            .collect();
        pods.into_iter().flat_map(|pod| pod.join().unwrap()).collect()
    });
    let took = began.elapsed();
    assert_eq!(ids.len(), STARTS + PODS);

    let seen = || Ok::<_, anyhow::Error>(agent.metric(EXECS)? - before);
    poll::until("all starts to be judged", LIMIT, || Ok(seen()? >= ids.len() as f64))
        .unwrap_or_else(|error| panic!("{error}: judged are {:?} of {}", seen(), ids.len()));
    println!("{STARTS} starts in {took:.0?}; execs judged, with {PODS} sandboxes: {}", seen().unwrap());
    agent.catch_up(&lab).unwrap();
    let findings = agent.findings().unwrap();
    let wrong: Vec<_> = findings
        .iter()
        .filter(|finding| {
            let id = finding["container_id"].as_str().unwrap_or_default();
            is_violation(finding) && (finding["workload"]["namespace"] == "starts" || ids.contains(id))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(agent.metric("kestrel_hook_lost_records_total").unwrap(), 0.0);
}

/// The ids of a pod's sandbox and of the containers that followed one another in it.
fn start_often(lab: &Lab, n: usize) -> BTreeSet<String> {
    let app = ContainerSpec::restricted("app", SLEEP);
    let mut pod = lab.run(&PodSpec::new("starts", &format!("app-{n}")).container(app)).unwrap();
    let Pod { sandbox, containers, .. } = &pod;
    let mut ids = BTreeSet::from([sandbox.clone(), containers[0].id.clone()]);
    for _ in 1..STARTS_EACH {
        wait_exec(&pod);
        lab.restart(&mut pod, "app").unwrap();
        ids.insert(pod.containers[0].id.clone());
    }
    wait_exec(&pod);
    ids
}

/// A container is called started while its runtime's init is about to run its program.
fn wait_exec(pod: &Pod) {
    let pid = pod.containers[0].pid;
    poll::until("the program to run", LIMIT, || Ok(proc::comm(pid)? == "sleep")).unwrap();
}
