//! Findings equal what `/proc` and the OCI specs say, for pods that came before the agent and after it.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeSet;

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    cri::Pod,
    findings::{LIMIT, is_of, is_violation},
    oracle,
    pods::{self, DemoPod},
    poll,
    proc::{self, Credentials},
};

#[test]
fn of_pods_that_come_after_the_agent() {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let pods = run_demo(&lab);
    check(&lab, &agent, &pods);
}

#[test]
fn of_pods_that_were_there_before_the_agent() {
    let lab = Lab::start().unwrap();
    let pods = run_demo(&lab);
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    check(&lab, &agent, &pods);
}

fn run_demo(lab: &Lab) -> Vec<(DemoPod, Pod)> {
    let demo = pods::demo(lab.dir()).unwrap();
    demo.into_iter().map(|demo| (demo.clone(), lab.run(&demo.spec).unwrap())).collect()
}

fn check(lab: &Lab, agent: &Agent, pods: &[(DemoPod, Pod)]) {
    for (demo, pod) in pods {
        let fails: BTreeSet<_> = demo.fails.iter().map(|slug| (*slug).to_owned()).collect();
        let found = || agent.violations(pod).map(|found| found.into_keys().collect::<BTreeSet<_>>());
        let what = format!("{} to be found to violate {fails:?}", demo.slug);
        poll::until(&what, LIMIT, || Ok(found()?.is_superset(&fails)))
            .unwrap_or_else(|error| panic!("{error}; found is {:?}", found()));
    }
    agent.catch_up(lab).unwrap();
    for (demo, pod) in pods {
        let [app] = &pod.containers[..] else { panic!("{} has one container", demo.slug) };
        let expected = oracle::by_default(oracle::of_container(lab.cri(), app).unwrap());
        assert_eq!(expected.keys().copied().collect::<BTreeSet<_>>(), demo.fails.iter().copied().collect());
        let expected = expected.into_iter().map(|(control, verdict)| (control.into(), verdict.into()));
        assert_eq!(agent.violations(pod).unwrap(), expected.collect(), "{}", demo.slug);
        check_names_and_evidence(agent, demo, pod);
    }
}

/// Of each control's last word on the pod.
fn check_names_and_evidence(agent: &Agent, demo: &DemoPod, pod: &Pod) {
    let app = &pod.containers[0];
    let seen = Credentials::of(app.pid).unwrap();
    let labels = &demo.spec.labels;
    let kind = if labels.contains_key("pod-template-hash") { "Deployment" } else { "DaemonSet" };
    for control in demo.fails {
        let findings = agent.findings().unwrap();
        let mut of_control = findings
            .iter()
            .filter(|finding| is_violation(finding) && finding["control"]["slug"] == **control);
        let last = of_control.rfind(|finding| is_of(finding, pod)).unwrap();
        let context = format!("{control} of {}: {last:#}", demo.slug);
        assert_eq!(last["enrichment"], "COMPLETE", "{context}");
        assert_eq!(last["workload"]["kind"], kind, "{context}");
        assert_eq!(last["workload"]["name"], *labels["app"], "{context}");
        assert_eq!(last["workload"]["namespace"], *demo.spec.namespace, "{context}");
        assert_eq!(last["pod"], *demo.spec.name, "{context}");
        assert_eq!(last["container"], "app", "{context}");
        assert_eq!(last["container_id"], *app.id, "{context}");
        assert!(last["image"].as_str().unwrap().contains("kestrel-lab"), "{context}");

        let process = &last["process"];
        let number = |name| process[name].as_u64().unwrap();
        assert_eq!(
            ["pid", "ns_pid", "uid"].map(number),
            [app.pid, 1, seen.uid[0]].map(u64::from),
            "{context}"
        );
        // Evidence is of the image it was found on; the set-uid pod's first image breaks one control, too.
        let same_image = process["comm"] == *proc::comm(app.pid).unwrap();
        assert!(same_image || demo.slug == "setuid", "{context}");
        if same_image {
            assert_eq!(number("euid"), u64::from(seen.uid[1]), "{context}");
        }
        assert!(last["observed"].as_str().unwrap().contains(&oracle::evidence(control, &seen)), "{context}");
        // What a program gained, and what a privileged container's devices and /proc are, nobody declares.
        if !["gained-privileges", "proc-mount", "host-devices"].contains(control) {
            assert!(last["declared"].is_string(), "{context}");
        }
    }
}
