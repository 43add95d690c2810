//! Containers that come and go for minutes: what is found of each is what is wrong with it, no more and no less.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![allow(clippy::print_stdout, reason = "how many there were is worth knowing")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    thread,
    time::Instant,
};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    findings::{LIMIT, SLEEP, is_violation},
    poll, proc,
    spec::{ContainerSpec, PodSpec, Seccomp},
};

const WORKERS: usize = 4;
const PODS_EACH: usize = 60;
const KINDS: usize = 4;
const NAMESPACE: &str = "churn";

type Found = BTreeMap<String, BTreeSet<String>>;

/// What is wrong with every fourth. What is wrong with the last of them only a look into it can tell.
fn kind(number: usize) -> (ContainerSpec, &'static [&'static str]) {
    let app = || ContainerSpec::restricted("app", SLEEP);
    match number % KINDS {
        0 => (ContainerSpec { run_as_user: Some(0), ..app() }, &["run-as-non-root"]),
        1 => (ContainerSpec { seccomp: Seccomp::Unconfined, ..app() }, &["seccomp"]),
        2 => (app(), &[]),
        _ => (ContainerSpec { read_only_root: false, ..app() }, &["read-only-root"]),
    }
}

#[test]
fn hundreds_of_containers_that_come_and_go_for_minutes() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let began = Instant::now();
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (lab, agent) = (&lab, &agent);
            scope.spawn(move || {
                for first in (0..PODS_EACH).step_by(KINDS) {
                    let first = worker * PODS_EACH + first;
                    come_and_go(lab, agent, first..first + KINDS);
                }
            });
        }
    });
    let expected: Found = (0..WORKERS * PODS_EACH)
        .map(|number| (name(number), kind(number).1.iter().map(|&slug| slug.to_owned()).collect()))
        .filter(|(_, slugs): &(_, BTreeSet<String>)| !slugs.is_empty())
        .collect();
    agent.catch_up(&lab).unwrap();
    assert_eq!(found(&agent), expected);
    assert_eq!(agent.metric("kestrel_hook_lost_records_total").unwrap(), 0.0);
    println!("{} containers in {:.0?}", WORKERS * PODS_EACH, began.elapsed());
}

fn name(number: usize) -> String {
    format!("app-{number:03}")
}

/// The pods come one after the other and go when the last was looked into: those before it were due before it.
fn come_and_go(lab: &Lab, agent: &Agent, numbers: Range<usize>) {
    let mut sandboxes = Vec::new();
    for number in numbers {
        let (app, wrong) = kind(number);
        let pod = lab.run(&PodSpec::new(NAMESPACE, &name(number)).container(app)).unwrap();
        let pid = pod.containers[0].pid;
        poll::until("the program to run", LIMIT, || Ok(proc::comm(pid)? == "sleep")).unwrap();
        let expected: BTreeSet<_> = wrong.iter().map(|&slug| slug.to_owned()).collect();
        poll::until("what is wrong to be found", LIMIT, || {
            Ok(found(agent).remove(&name(number)).unwrap_or_default() == expected)
        })
        .unwrap_or_else(|error| panic!("{}: {error}: {:?}", name(number), found(agent).get(&name(number))));
        sandboxes.push(pod.sandbox);
    }
    for sandbox in &sandboxes {
        lab.cri().remove_pod(sandbox).unwrap();
    }
}

/// Everything that was ever said to be violated, by pod.
fn found(agent: &Agent) -> Found {
    let mut all = Found::new();
    for finding in agent.events("finding").unwrap() {
        if is_violation(&finding) && finding["workload"]["namespace"] == NAMESPACE {
            let [pod, slug] = [&finding["workload"]["name"], &finding["control"]["slug"]]
                .map(|text| text.as_str().unwrap().to_owned());
            all.entry(pod).or_default().insert(slug);
        }
    }
    all
}
