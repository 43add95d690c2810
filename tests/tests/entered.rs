//! Whoever comes into a container from outside is held against the container's first process.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    artifact::trigger,
    cri::{Container, Pod},
    findings::{LIMIT, SLEEP, is_of, is_on, is_violation},
    identity::Identity,
    oracle, poll,
    proc::{self, Credentials},
    spec::{ContainerSpec, PodSpec},
    sweep::cgroup_roots,
};
use nix::sys::signal::Signal;
use serde_json::Value;

const JUDGED: &str = "kestrel_posture_judged_events_total";

#[test]
fn exec_with_the_limits_of_the_container_is_nothing() {
    let (lab, agent, pod) = start("exec", ContainerSpec::restricted("app", SLEEP));
    let app = &pod.containers[0];
    let before = agent.metric(JUDGED).unwrap();
    let seen = during_exec(&lab, app, &SLEEP, "sleep", |pid| Credentials::of(pid).unwrap());
    let init = Credentials::of(app.pid).unwrap();
    assert_eq!(Credentials { ns_pid: init.ns_pid.clone(), ..seen }, init);

    assert_eq!(lab.cri().exec(&app.id, ["/bin/id", "-u"]).unwrap().stdout, "1000\n");
    poll::until("the execs to be judged", LIMIT, || Ok(agent.metric(JUDGED)? >= before + 2.0)).unwrap();
    agent.catch_up(&lab).unwrap();
    assert_eq!(agent.violations(&pod).unwrap(), [].into());
}

#[test]
fn exec_of_a_set_uid_program_is_held_against_init() {
    let app = ContainerSpec { no_new_privs: false, ..ContainerSpec::restricted("app", SLEEP) };
    let (lab, agent, pod) = start("exec-setuid", app);
    let app = &pod.containers[0];
    let finding = during_exec(&lab, app, &["/bin/setuid-sleep"], "setuid-sleep", |pid| {
        let finding = wait_entered(&agent, &pod, pid);
        check_gains(&finding, pid, app);
        finding
    });
    assert_eq!(finding["enrichment"], "COMPLETE");
    agent.catch_up(&lab).unwrap();
    // The container itself lacks no_new_privs; that somebody became root in it is not its workload's doing.
    let expected = [("entered", "FAIL"), ("no-new-privileges", "FAIL")];
    assert_eq!(
        agent.violations(&pod).unwrap(),
        expected.map(|(slug, verdict)| (slug.into(), verdict.into())).into()
    );
}

#[test]
fn nsenter_that_stays_in_its_own_cgroup() {
    let (lab, agent, pod) = start("nsenter", ContainerSpec::restricted("app", SLEEP));
    let app = &pod.containers[0];
    let entered = Entered::start(&nsenter(app));
    let pid = entered.program();
    assert_ne!(proc::unified_cgroup(pid).unwrap(), app.cgroup);
    check_only_entered(&lab, &agent, &pod, pid);
}

#[test]
fn nsenter_that_joins_the_cgroup_too() {
    let (lab, agent, pod) = start("joined", ContainerSpec::restricted("app", SLEEP));
    let app = &pod.containers[0];
    let entered = Entered::start(&joining(app, nsenter(app)));
    let pid = entered.program();
    assert_eq!(proc::unified_cgroup(pid).unwrap(), app.cgroup);
    check_only_entered(&lab, &agent, &pod, pid);
}

#[test]
fn nsenter_born_in_the_cgroup() {
    let (lab, agent, pod) = start("born", ContainerSpec::restricted("app", SLEEP));
    let app = &pod.containers[0];
    let entered = Entered::start(&born(app, nsenter(app)));
    let pid = entered.program();
    assert_eq!(proc::unified_cgroup(pid).unwrap(), app.cgroup);
    check_only_entered(&lab, &agent, &pod, pid);
}

#[test]
fn a_program_of_the_host_born_in_the_cgroup() {
    let (lab, agent, pod) = start("foreign", ContainerSpec::restricted("app", SLEEP));
    let app = &pod.containers[0];
    let entered = Entered::start(&born(app, SLEEP.map(str::to_owned).into()));
    let pid = entered.program();
    assert_eq!(proc::unified_cgroup(pid).unwrap(), app.cgroup);
    let finding = check_only_entered(&lab, &agent, &pod, pid);
    assert!(finding["observed"].as_str().unwrap().contains("host's mount namespace"), "{finding:#}");
}

#[test]
fn before_the_agent_was_there() {
    let lab = Lab::start().unwrap();
    let entries = ["nsenter", "joined", "born", "foreign"].map(|name| {
        let app = ContainerSpec::restricted("app", SLEEP);
        let pod = lab.run(&PodSpec::new("entered", name).container(app)).unwrap();
        let app = &pod.containers[0];
        let entered = Entered::start(&match name {
            "nsenter" => nsenter(app),
            "joined" => joining(app, nsenter(app)),
            "born" => born(app, nsenter(app)),
            _ => born(app, SLEEP.map(str::to_owned).into()),
        });
        let pid = entered.program();
        (pod, entered, pid)
    });
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    for (pod, _entered, pid) in &entries {
        check_only_entered(&lab, &agent, pod, *pid);
    }
}

fn start(name: &str, app: ContainerSpec) -> (Lab, Agent, Pod) {
    let lab = Lab::start().unwrap();
    let agent = Agent::start(Some(&lab.socket())).unwrap();
    let pod = lab.run(&PodSpec::new("entered", name).container(app)).unwrap();
    (lab, agent, pod)
}

fn nsenter(container: &Container) -> Vec<String> {
    let pid = container.pid.to_string();
    ["/usr/bin/nsenter", "-t", &pid, "-a"].into_iter().chain(SLEEP).map(str::to_owned).collect()
}

/// Moves itself into the container's control group, then becomes the command.
fn joining(container: &Container, command: Vec<String>) -> Vec<String> {
    let script = r#"echo $$ > "$0"/cgroup.procs && exec "$@""#;
    let head = ["/bin/sh", "-c", script, cgroup(container).to_str().unwrap()].map(str::to_owned);
    head.into_iter().chain(command).collect()
}

/// The command is made in the container's control group, without a move.
fn born(container: &Container, command: Vec<String>) -> Vec<String> {
    let head = [trigger("clone-into-cgroup").unwrap(), cgroup(container)];
    head.map(|path| path.to_str().unwrap().to_owned()).into_iter().chain(command).collect()
}

fn cgroup(container: &Container) -> PathBuf {
    let unified = cgroup_roots().into_iter().find(|root| root.join("cgroup.controllers").exists()).unwrap();
    unified.join(Path::new(&container.cgroup).strip_prefix("/").unwrap())
}

/// Runs a program by `ExecSync`, and `look`s at it while it runs.
fn during_exec<T>(
    lab: &Lab,
    app: &Container,
    command: &[&str],
    name: &str,
    look: impl FnOnce(u32) -> T,
) -> T {
    let client = lab.containerd().client().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| client.exec(&app.id, command.iter().copied()));
        let pid = poll::until_some("the exec", LIMIT, || {
            let mut pids = proc::in_cgroup(&app.cgroup)?.into_iter();
            Ok(pids.find(|&pid| pid != app.pid && proc::comm(pid).is_ok_and(|comm| comm == name)))
        })
        .unwrap();
        let seen = look(pid);
        Identity::of(pid).unwrap().signal(Signal::SIGKILL).unwrap();
        assert_eq!(call.join().unwrap().unwrap().code, 137);
        seen
    })
}

fn wait_entered(agent: &Agent, pod: &Pod, pid: u32) -> Value {
    let is_it = |finding: &Value| {
        let mut instances = finding["instances"].as_array().into_iter().flatten();
        is_violation(finding)
            && is_on(finding, "entered")
            && is_of(finding, pod)
            && instances.any(|instance| instance["process"]["pid"] == pid)
    };
    agent.wait_finding("the entry to be found", LIMIT, is_it).unwrap()
}

/// The evidence says what `/proc` says of the process.
fn check_gains(finding: &Value, pid: u32, app: &Container) {
    let mut instances = finding["instances"].as_array().unwrap().iter();
    let instance = instances.find(|instance| instance["process"]["pid"] == pid).unwrap();
    let (seen, init) = (Credentials::of(pid).unwrap(), Credentials::of(app.pid).unwrap());
    assert_eq!(instance["process"]["uid"], seen.uid[0], "{finding:#}");
    assert_eq!(instance["process"]["euid"], seen.uid[1], "{finding:#}");
    let gains = oracle::gains(&seen, &init);
    assert!(!gains.is_empty());
    for gain in gains {
        assert!(instance["observed"].as_str().unwrap().contains(&gain), "no {gain:?} in {finding:#}");
    }
    assert!(finding["alert"].as_bool().unwrap(), "{finding:#}");
}

fn check_only_entered(lab: &Lab, agent: &Agent, pod: &Pod, pid: u32) -> Value {
    let finding = wait_entered(agent, pod, pid);
    check_gains(&finding, pid, &pod.containers[0]);
    agent.catch_up(lab).unwrap();
    assert_eq!(agent.violations(pod).unwrap(), [("entered".into(), "FAIL".into())].into());
    finding
}

/// A command and what it started, which do not outlive the test.
struct Entered(Child);

impl Entered {
    fn start(command: &[String]) -> Self {
        Self(Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).spawn().unwrap())
    }

    /// The process that the command leads to, once it is there.
    fn program(&self) -> u32 {
        poll::until_some("the entered process", LIMIT, || {
            let mut all = self.all().into_iter();
            Ok(all.find(|&pid| proc::comm(pid).is_ok_and(|comm| comm == "sleep")))
        })
        .unwrap()
    }

    fn all(&self) -> Vec<u32> {
        let mut all = vec![self.0.id()];
        let mut next = 0;
        while let Some(&pid) = all.get(next) {
            all.extend(proc::children(pid).unwrap_or_default());
            next += 1;
        }
        all
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let below = self.all().into_iter().skip(1).filter_map(|pid| Identity::of(pid).ok());
        for process in below.collect::<Vec<_>>() {
            let _ = process.signal(Signal::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
