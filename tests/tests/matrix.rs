//! Every control against a pod that violates it: what is expected, what `/proc` says, and what the agent finds.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use anyhow::Result;
use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    cri::{Container, Pod},
    findings::{SLEEP, is_of, is_violation},
    foreign::{self, Engine, Foreign},
    identity::Identity,
    matrix::{self, Case},
    oracle::{self, ONLY_IN_ALL},
    poll,
    proc::{self, Credentials},
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Programs do what they are for within seconds; containers are looked into every minute.
const LIMIT: Duration = Duration::from_secs(30);
const AGENT_LIMIT: Duration = Duration::from_secs(90);

type Slugs = BTreeSet<String>;

#[test]
fn the_oracle_sees_what_is_wrong_with_each_pod_and_nothing_else() {
    let lab = Lab::start().unwrap();
    let pods = run_all(&lab);
    wait_as_expected(&lab, &pods);

    // What only the profile `all` asks for depends on the machine, where it is no pod's own doing.
    let of_all = |pod: &Pod| -> Slugs {
        let all = oracle::of_container(lab.cri(), &pod.containers[0]).unwrap();
        slugs(all.into_keys().filter(|slug| ONLY_IN_ALL.contains(slug)))
    };
    let compliant = of_all(&pods.iter().find(|(case, _)| case.slug == matrix::COMPLIANT).unwrap().1);
    for (case, pod) in &pods {
        let expected: Slugs = compliant.union(&slugs(case.also.iter().copied())).cloned().collect();
        assert_eq!(of_all(pod), expected, "{}", case.slug);
    }

    // What is lost again is no longer violated.
    let (_, pod) = pods.iter().find(|(case, _)| case.slug == matrix::GAIN_AND_LOSE).unwrap();
    Identity::of(pod.containers[0].pid).unwrap().signal(Signal::SIGUSR1).unwrap();
    poll::until("the rights to be lost", LIMIT, || Ok(by_oracle(&lab, pod)? == slugs(["no-new-privileges"])))
        .unwrap();
}

#[test]
fn each_case_has_a_name_of_its_own_and_every_control_a_case() {
    let lab = Lab::start().unwrap();
    let cases = matrix::cases(&lab).unwrap();
    let names: BTreeSet<_> = cases.iter().map(|case| case.slug).collect();
    assert_eq!(names.len(), cases.len());
    let covered: BTreeSet<_> = cases.iter().flat_map(|case| case.expected.iter().chain(case.also)).collect();
    for slug in CONTROLS {
        assert!(covered.contains(&slug), "no pod violates {slug}");
    }
}

/// Without `host-cgroup` and `host-users`, which are the machine's doing, and `open-files-limit`, which no container
/// can exceed where the machine's own limit is lower.
const CONTROLS: [&str; 29] = [
    "privileged",
    "run-as-non-root",
    "no-new-privileges",
    "seccomp",
    "capabilities",
    "added-capabilities",
    "host-pid",
    "host-network",
    "host-ipc",
    "host-uts",
    "read-only-root",
    "writable-executable-mounts",
    "host-path",
    "sensitive-mounts",
    "proc-mount",
    "host-devices",
    "service-account-token",
    "memory-limit",
    "cpu-limit",
    "pids-limit",
    "undeclared-ports",
    "host-ports",
    "sysctls",
    "secrets-in-environment",
    "secrets-in-arguments",
    "image-tag",
    "runtime-drift",
    "gained-privileges",
    "threads-differ",
];

#[test]
fn the_agent_finds_it_in_pods_that_come_after_it() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let pods = run_all(&lab);
    check_agent(&lab, &agent, &pods);
}

#[test]
fn the_agent_finds_it_in_pods_that_were_there_before_it() {
    let lab = Lab::start().unwrap();
    let mut pods = run_all(&lab);
    wait_as_expected(&lab, &pods);
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    // Whether its program's file gave it what it holds, nobody saw who came later.
    let (case, capable) = pods.iter_mut().find(|(case, _)| case.slug == matrix::FILE_CAPABILITY).unwrap();
    case.expected = &["no-new-privileges"];
    let capable = capable.containers[0].id.clone();
    wait_alike("the agent to find what is expected", AGENT_LIMIT, &pods, |_, pod| by_agent(&agent, pod));
    wait_alike("the agent to stay with it", Duration::ZERO, &pods, |_, pod| by_agent(&agent, pod));
    let is_unknown = |event: &Value| {
        event["container_id"] == *capable
            && event["control"]["slug"] == "gained-privileges"
            && event["verdict"] == "UNKNOWN"
    };
    assert!(agent.events("finding").unwrap().iter().any(is_unknown));
}

#[test]
fn findings_stay_the_same_ones_over_a_stop_and_a_kill() {
    let lab = Lab::start().unwrap();
    let mut agent = Agent::start(Some(&lab.socket())).unwrap();
    let mut pods = run_all(&lab);
    // Of what these did, an agent that comes later sees less.
    pods.retain(|(case, _)| case.slug != matrix::FILE_CAPABILITY);
    wait_alike("the agent to find what is expected", AGENT_LIMIT, &pods, |_, pod| by_agent(&agent, pod));
    let before = first_seen(&agent, &pods);
    assert!(!before.is_empty());
    agent.stop().unwrap();
    agent.launch().unwrap();
    agent.kill().unwrap();
    agent.launch().unwrap();
    agent.catch_up(&lab).unwrap();
    // Nothing that waits to be confirmed is taken for gone.
    let resolved = |event: &Value| {
        event["state"] == "RESOLVED" && pods.iter().any(|(_, pod)| is_of(event, pod)) && is_violation(event)
    };
    let inspected = || agent.metric("kestrel_posture_inspected_containers_total");
    poll::until("all to be looked into", AGENT_LIMIT, || Ok(inspected()? >= 3.0 * pods.len() as f64))
        .unwrap();
    let events = agent.events("finding").unwrap();
    assert_eq!(events.into_iter().filter(|event| resolved(event)).collect::<Vec<_>>(), Vec::<Value>::new());
    assert_eq!(first_seen(&agent, &pods), before);
    wait_alike("the agent to stay with it", Duration::ZERO, &pods, |_, pod| by_agent(&agent, pod));
}

#[test]
fn the_kernel_of_the_node_is_judged_by_what_it_is_set_to() {
    let mut agent = Agent::prepare([]).unwrap().with_policy("profiles: [all]\n");
    agent.launch().unwrap();
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let modules = read("/sys/kernel/security/lsm").unwrap();
    let has_labels = modules.split(',').any(|module| ["apparmor", "selinux"].contains(&module));
    let lockdown = read("/sys/kernel/security/lockdown").unwrap_or_else(|| "[none]".to_owned());
    let bpf = read("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap();
    let ptrace = read("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_else(|| "0".to_owned());
    let all = [
        ("host-lsm", !has_labels),
        ("host-lockdown", lockdown.contains("[none]")),
        ("host-unprivileged-bpf", bpf == "0"),
        ("host-ptrace-scope", ptrace == "0"),
    ];
    let expected = slugs(all.into_iter().filter(|(_, is_violated)| *is_violated).map(|(slug, _)| slug));
    let of_node = |event: &Value| {
        let slug = event["control"]["slug"].as_str().unwrap_or_default();
        event["workload"].is_null() && all.iter().any(|(known, _)| *known == slug)
    };
    // All are judged at once, so that one is there means that the others were judged.
    let found = || open(&agent, of_node);
    poll::until("the node to be judged", LIMIT, || Ok(!found()?.is_empty() || expected.is_empty())).unwrap();
    assert_eq!(found().unwrap(), expected);
}

/// When each finding of these pods was first seen, by its id.
fn first_seen(agent: &Agent, pods: &[(Case, Pod)]) -> BTreeMap<String, Value> {
    let events = agent.events("finding").unwrap().into_iter();
    let theirs = events.filter(|event| is_violation(event) && pods.iter().any(|(_, pod)| is_of(event, pod)));
    theirs.map(|event| (event["id"].to_string(), event["first_seen"].clone())).collect()
}

fn run_all(lab: &Lab) -> Vec<(Case, Pod)> {
    let cases = matrix::cases(lab).unwrap();
    let run = |case: Case| {
        let pod = lab.run(&case.pod).unwrap_or_else(|error| panic!("{}: {error:#}", case.slug));
        (case, pod)
    };
    cases.into_iter().map(run).collect()
}

/// Until the oracle sees what is expected, for programs need a moment.
fn wait_as_expected(lab: &Lab, pods: &[(Case, Pod)]) {
    wait_alike("the oracle to see what is expected", LIMIT, pods, |_, pod| by_oracle(lab, pod));
}

fn check_agent(lab: &Lab, agent: &Agent, pods: &[(Case, Pod)]) {
    wait_as_expected(lab, pods);
    wait_alike("the agent to find what is expected", AGENT_LIMIT, pods, |_, pod| by_agent(agent, pod));
    // What is found too much may come late.
    agent.catch_up(lab).unwrap();
    wait_alike("the agent to stay with it", Duration::ZERO, pods, |_, pod| by_agent(agent, pod));
}

/// Waits until what is observed of all pods is what is expected, nothing more and nothing less.
fn wait_alike(
    what: &str,
    limit: Duration,
    pods: &[(Case, Pod)],
    observe: impl Fn(&Case, &Pod) -> Result<Slugs>,
) {
    let differences = || -> Result<String> {
        let mut table = String::new();
        for (case, pod) in pods {
            // A process may end while it is looked at.
            let observed = observe(case, pod).unwrap_or_else(|error| slugs([&*format!("({error:#})")]));
            let expected = slugs(case.expected.iter().copied());
            for slug in expected.symmetric_difference(&observed) {
                let word = |all: &Slugs| if all.contains(slug) { "violated" } else { "-" };
                writeln!(table, "{:24} {slug:28} {:10} {}", case.slug, word(&expected), word(&observed))?;
            }
        }
        Ok(table)
    };
    if poll::until(what, limit, || Ok(differences()?.is_empty())).is_err() {
        let head = format!("{:24} {:28} {:10} observed", "container", "control", "expected");
        panic!("waited {limit:?} for {what}:\n{head}\n{}", differences().unwrap());
    }
}

fn by_oracle(lab: &Lab, pod: &Pod) -> Result<Slugs> {
    let all = oracle::of_container(lab.cri(), &pod.containers[0])?;
    Ok(slugs(oracle::by_default(all).into_keys()))
}

/// What the agent holds violated now in a pod's container.
fn by_agent(agent: &Agent, pod: &Pod) -> Result<Slugs> {
    let app = &pod.containers[0];
    // The sandbox is of the pod, too, and no container of the matrix.
    let is_apps = |event: &Value| {
        event["container_id"] == *app.id || (is_of(event, pod) && event["container"] == *app.name)
    };
    open(agent, is_apps)
}

/// Controls of the findings that fit and are open, by the last word on each.
fn open(agent: &Agent, fits: impl Fn(&Value) -> bool) -> Result<Slugs> {
    let events = agent.events("finding")?;
    let last: BTreeMap<_, _> =
        events.iter().filter(|event| fits(event)).map(|event| (event["id"].to_string(), event)).collect();
    let open = last.into_values().filter(|event| is_violation(event) && event["state"] != "RESOLVED");
    let found = open.filter_map(|event| event["control"]["slug"].as_str());
    Ok(slugs(found.filter(|slug| !ONLY_IN_ALL.contains(slug))))
}

fn slugs<'a>(all: impl IntoIterator<Item = &'a str>) -> Slugs {
    all.into_iter().map(str::to_owned).collect()
}

#[test]
fn containers_of_other_engines_and_in_user_namespaces_run_as_asked() {
    let lab = Lab::start().unwrap();
    for (asked, container) in run_foreign(&lab) {
        assert_eq!(proc::unified_cgroup(container.pid).unwrap(), container.cgroup);
        let seen = Credentials::of(container.pid).unwrap();
        assert_eq!(seen.uid, [asked.user_namespace.unwrap_or_default(); 4], "{asked:?}");
        let all = oracle::of(&foreign::info(&lab, &container).unwrap(), &container).unwrap();
        // Root in a user namespace is nobody on the host.
        let is_root = asked.user_namespace.is_none();
        for slug in ["run-as-non-root", "host-users"] {
            assert_eq!(all.contains_key(slug), is_root, "{slug} of {asked:?}: {all:?}");
        }
        for slug in ["read-only-root", "memory-limit", "cpu-limit", "pids-limit"] {
            assert!(all.contains_key(slug), "{slug} of {asked:?}: {all:?}");
        }
        for slug in
            ["seccomp", "privileged", "host-pid", "host-network", "runtime-drift", "gained-privileges"]
        {
            assert!(!all.contains_key(slug), "{slug} of {asked:?}: {all:?}");
        }
    }
}

#[test]
fn the_agent_finds_it_in_containers_of_other_engines() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    for (asked, container) in run_foreign(&lab) {
        let info = foreign::info(&lab, &container).unwrap();
        let expected = slugs(oracle::by_default(oracle::of(&info, &container).unwrap()).into_keys());
        let found = || open(&agent, |event| event["container_id"] == *container.id);
        poll::until("the agent to find what the oracle does", AGENT_LIMIT, || Ok(found()? == expected))
            .unwrap_or_else(|error| {
                panic!("{asked:?}: {error}\nexpected {expected:?}\nobserved {:?}", found())
            });
    }
}

fn run_foreign(lab: &Lab) -> Vec<(Foreign, Container)> {
    let all = [
        (Engine::Docker, None),
        (Engine::DockerSystemd, None),
        (Engine::Podman, None),
        (Engine::Podman, Some(100_000)),
    ];
    let run = |(engine, user_namespace)| {
        let asked = Foreign { engine, command: SLEEP.map(str::to_owned).to_vec(), user_namespace };
        let container = foreign::run(lab, &asked).unwrap();
        (asked, container)
    };
    all.into_iter().map(run).collect()
}
