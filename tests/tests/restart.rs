//! The agent ends, however it ends, and starts again: nothing in between is missed, or it is named.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use kestrel_tests::lab::{
    Lab,
    agent::{Agent, metric_of},
    artifact::binary,
    lock::KernelLock,
    pods, poll,
    spec::{ContainerSpec, PodSpec},
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const ROUNDS: usize = 50;
const KILLED: &str = "the agent was killed before it had told what it read";
const HOOKS: [&str; 15] = [
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "cgroup_mkdir",
    "cgroup_rmdir",
    "cgroup_attach_task",
    "sys_exit",
    "sys_exit/credentials",
    "sys_exit/file",
    "sys_exit/path",
    "sys_exit/plain",
    "cgroup_rename",
    "cgroup_release",
    "mark_victim",
    "signal_generate",
];

/// Counters are whole numbers far below 2^53.
fn count(text: &str, name: &str, label: &str) -> u64 {
    let value = metric_of(text, name, label).unwrap_or_else(|| panic!("no {name} with {label}"));
    assert!(value.fract() == 0.0 && value >= 0.0, "{name} {value}");
    format!("{value}").parse().unwrap()
}

fn hook(text: &str, name: &str, hook: &str) -> u64 {
    count(text, &format!("kestrel_hook_{name}_total"), &format!("hook=\"{hook}\""))
}

/// What the kernel's programs counted as lost, in either ring.
fn lost_by_kernel(text: &str) -> u64 {
    let lost = text.lines().filter(|line| line.starts_with("kestrel_hook_lost_records_total{"));
    lost.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

fn lost_as_told(agent: &Agent) -> u64 {
    let losses = agent.events("loss").unwrap();
    let is_of_ring = |loss: &&Value| loss["at"] == "critical" || loss["at"] == "bulk";
    losses.iter().filter(is_of_ring).map(|loss| loss["lost"].as_u64().unwrap()).sum()
}

/// Programs that start and end without a pause, until it is dropped.
struct Execs {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Execs {
    fn start() -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let _ = Command::new("/bin/true").stdin(Stdio::null()).status();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, done, thread: Some(thread) }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

impl Drop for Execs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A pod that runs as root for five milliseconds.
fn short(name: &str) -> PodSpec {
    let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/short-life"]) };
    PodSpec::new("shop", name).container(app)
}

fn is_root(finding: &Value, pod: &str) -> bool {
    finding["control"]["slug"] == "run-as-non-root" && finding["pod"] == pod
}

/// Each finding's id, first sight and pod, of the containers that stay.
fn staying(findings: &[Value], pods: &[String]) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .iter()
        .filter(|finding| finding["alert"] == true && pods.contains(&text(&finding["pod"])))
        .map(|finding| (text(&finding["id"]), (text(&finding["first_seen"]), text(&finding["pod"]))))
        .collect()
}

#[test]
fn fifty_kills_under_load_lose_nothing_that_is_not_named() {
    let lab = Lab::start().unwrap();
    let mut pods = Vec::new();
    let mut violations = 0;
    for demo in pods::demo(lab.dir()).unwrap() {
        if ["root", "no-seccomp", "privileged"].contains(&demo.slug) {
            lab.run(&demo.spec).unwrap();
            violations += demo.fails.len();
            pods.push(demo.spec.name.clone());
        }
    }
    let mut agent = Agent::start(Some(&lab.socket())).unwrap();
    let complete = poll::until("the staying containers' findings", Duration::from_secs(20), || {
        Ok(staying(&agent.findings()?, &pods).len() == violations)
    });
    assert!(complete.is_ok(), "{violations}: {:#?}", staying(&agent.findings().unwrap(), &pods));
    let first = staying(&agent.findings().unwrap(), &pods);

    let execs = Execs::start();
    let mut shorts = Vec::new();
    for round in 0..ROUNDS {
        agent.kill().unwrap();
        let name = format!("short-{round}");
        let mut pod = None;
        // Every other one, to keep the test short.
        if round % 2 == 0 {
            pod = Some(lab.run(&short(&name)).unwrap());
            shorts.push(name.clone());
        }
        agent.spawn().unwrap();
        match round % 4 {
            // Killed when it is up and has attached nothing, or as soon as it is ready.
            1 => {
                poll::until("the first page", LIMIT, || Ok(agent.get("/healthz").is_ok())).unwrap();
            }
            3 => agent.wait_ready().unwrap(),
            _ => {
                agent.wait_ready().unwrap();
                agent.wait_finding(&name, LIMIT, |finding| is_root(finding, &name)).unwrap();
            }
        }
        if let Some(pod) = pod {
            lab.cri().remove_pod(&pod.sandbox).unwrap();
        }
    }
    agent.kill().unwrap();
    agent.launch().unwrap();
    let done = execs.done();
    drop(execs);
    assert!(done > ROUNDS as u64, "{done} execs are no load");

    let findings = agent.findings().unwrap();
    for name in &shorts {
        let ids: std::collections::BTreeSet<_> = findings
            .iter()
            .filter(|finding| is_root(finding, name))
            .map(|finding| finding["id"].as_str())
            .collect();
        assert_eq!(ids.len(), 1, "{name}");
    }
    for finding in findings.iter().filter(|finding| finding["alert"] == true) {
        let Some((first_seen, pod)) = first.get(finding["id"].as_str().unwrap()) else {
            let pod = finding["pod"].as_str().unwrap_or_default();
            assert!(!pods.iter().any(|stays| stays == pod), "another id for {pod}: {finding:#}");
            continue;
        };
        assert_eq!(finding["first_seen"].as_str(), Some(first_seen.as_str()), "{pod}");
        assert_ne!(finding["state"], "RESOLVED", "{pod} never left: {finding:#}");
        assert_eq!(finding["reopened"], 0, "{pod}");
    }
    let opened = |id: &String| {
        findings.iter().filter(|finding| finding["id"] == id.as_str() && finding["state"] == "OPEN").count()
    };
    for (id, (_, pod)) in &first {
        assert_eq!(opened(id), 1, "{pod} was told as new after a restart");
    }

    // The hooks were never off, only what a killed agent had read and not told is named.
    for blind in agent.events("blind").unwrap() {
        assert_eq!(blind["reason"], KILLED, "{blind}");
        let nanos = |name: &str| blind[name].as_u64().unwrap();
        assert!(nanos("from_boottime_ns") <= nanos("to_boottime_ns"), "{blind}");
    }
    // Nothing moves without hooks, so that sums can be compared.
    fs::remove_dir_all(agent.pins()).unwrap();
    poll::until("the counters to rest", LIMIT, || {
        let (before, after) = (agent.metrics()?, agent.metrics()?);
        let sum = |text: &str| HOOKS.map(|name| hook(text, "seen_runs", name));
        let settled = HOOKS.iter().all(|name| {
            let of = |what| hook(&after, what, name);
            of("seen_runs")
                == of("submitted_records")
                    + of("lost_records")
                    + of("filtered_runs")
                    + of("throttled_records")
                    + of("failed_runs")
                    + of("handed_on_runs")
                    + of("tail_failed_calls")
        });
        Ok(settled && sum(&before) == sum(&after) && lost_by_kernel(&after) == lost_as_told(&agent))
    })
    .unwrap();
    let text = agent.metrics().unwrap();
    assert!(hook(&text, "seen_runs", "sched_process_exec") >= done, "the counters went on over every kill");
    assert!(HOOKS.iter().all(|name| hook(&text, "tail_failed_calls", name) == 0));
    assert!(agent.stop().unwrap().success());
}

#[test]
fn what_was_read_and_not_told_when_it_was_killed_is_named() {
    let lab = Lab::start().unwrap();
    let mut agent = Agent::start(Some(&lab.socket())).unwrap();
    agent.kill().unwrap();
    let mut gone = Vec::new();
    for round in 0..12 {
        let from = boottime_ns();
        let pod = lab.run(&short(&format!("short-{round}"))).unwrap();
        let to = boottime_ns();
        gone.push((pod.containers[0].id.clone(), from, to));
        // Nobody can name it any more, so its finding is held back for a while.
        lab.cri().remove_pod(&pod.sandbox).unwrap();
        agent.spawn().unwrap();
        // Killed as soon as it is up, as it reads, or when it is ready.
        let page = ["/metrics", "/healthz", "/readyz"][round % 3];
        poll::until(page, LIMIT, || Ok(agent.get(page).is_ok_and(|(code, _)| code == 200))).unwrap();
        agent.kill().unwrap();
    }
    agent.launch().unwrap();
    let is_found = |events: &[Value], id: &str| {
        events
            .iter()
            .any(|event| event["control"]["slug"] == "run-as-non-root" && event["container_id"] == id)
    };
    let is_named = |events: &[Value], from: u64, to: u64| {
        events.iter().filter(|event| event["type"] == "blind").any(|blind| {
            blind["reason"] == KILLED
                && blind["from_boottime_ns"].as_u64().unwrap() <= to
                && blind["to_boottime_ns"].as_u64().unwrap() >= from
        })
    };
    let mut missed = Vec::new();
    let complete = poll::until("all to be found or named", LIMIT, || {
        let events = agent.findings()?;
        missed = gone.clone();
        missed.retain(|(id, from, to)| !is_found(&events, id) && !is_named(&events, *from, *to));
        Ok(missed.is_empty())
    });
    assert!(complete.is_ok(), "missed: {missed:#?}\nblind: {:#?}", agent.events("blind").unwrap());

    // Told once: an agent with nothing to hide may be killed and leaves no word.
    let told = agent.events("blind").unwrap().len();
    assert!(agent.stop().unwrap().success());
    agent.launch().unwrap();
    assert_eq!(agent.events("blind").unwrap().len(), told);
}

#[test]
fn a_clean_end_tells_what_was_held_back() {
    let lab = Lab::start().unwrap();
    // A runtime that never answers, and waits longer than the test: only the end makes the agent tell.
    let socket = lab.dir().join("mute.sock");
    let _mute = UnixListener::bind(&socket).unwrap();
    let config = lab.dir().join("agent.yaml");
    fs::write(&config, "findings: {name_wait: 1m}\ncri: {timeout: 1m}\n").unwrap();
    let mut agent =
        Agent::start_with(["--config".into(), config.into(), "--cri-socket".into(), socket.into()]).unwrap();
    let before = agent.metric_of("kestrel_context_events_total", "kind=\"cgroup_rmdir\"").unwrap();
    let pod = lab.run(&short("unnamed")).unwrap();
    lab.cri().remove_pod(&pod.sandbox).unwrap();
    poll::until("the agent to see its end", LIMIT, || {
        Ok(agent.metric_of("kestrel_context_events_total", "kind=\"cgroup_rmdir\"")? > before)
    })
    .unwrap();
    let id = pod.containers[0].id.as_str();
    let told = |agent: &Agent| {
        let events = agent.findings().unwrap();
        events
            .iter()
            .any(|event| event["control"]["slug"] == "run-as-non-root" && event["container_id"] == id)
    };
    assert!(!told(&agent));
    assert!(agent.stop().unwrap().success());
    assert!(told(&agent), "{:#?}", agent.findings().unwrap());
    agent.launch().unwrap();
    assert_eq!(agent.events("blind").unwrap(), Vec::<Value>::new());
}

fn detach(pins: &Path) {
    let out = Command::new(binary("kestrel-agent").unwrap())
        .args(["detach", "--pin-dir"])
        .arg(pins)
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    assert!(!pins.exists());
}

#[test]
fn a_gap_without_hooks_is_one_blind_interval() {
    let lab = Lab::start().unwrap();
    let mut agent = Agent::start(Some(&lab.socket())).unwrap();
    assert!(agent.stop().unwrap().success());
    detach(agent.pins());
    let gap_from = boottime_ns();
    let pod = lab.run(&short("unseen")).unwrap();
    lab.cri().remove_pod(&pod.sandbox).unwrap();
    let gap_to = boottime_ns();

    agent.launch().unwrap();
    let blind = poll::until_some("the gap", LIMIT, || Ok(agent.events("blind")?.pop())).unwrap();
    assert!(blind["from_boottime_ns"].as_u64().unwrap() <= gap_from, "{blind}");
    assert!(blind["to_boottime_ns"].as_u64().unwrap() >= gap_to, "{blind}");
    assert_eq!(blind["reason"], "no program was attached");
    assert!(blind["from"].as_str() < blind["to"].as_str(), "{blind}");
    assert!(agent.stdout().contains("BLIND     from "), "{}", agent.stdout());
    let text = agent.metrics().unwrap();
    let seconds = metric_of(&text, "kestrel_blind_seconds_total", "reason=\"detached\"").unwrap();
    assert!(seconds * 1e9 >= (gap_to - gap_from) as f64 - 1e6, "{seconds}");

    // Told once.
    agent.restart().unwrap();
    agent.kill().unwrap();
    agent.launch().unwrap();
    let mut gaps = agent.events("blind").unwrap();
    gaps.retain(|blind| blind["reason"] != KILLED);
    assert_eq!(gaps, [blind]);
}

#[test]
fn a_ring_that_ran_full_while_no_agent_read_is_one_loss_of_the_exact_number() {
    let _lock = KernelLock::acquire().unwrap();
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(&config, "rings: {critical_bytes: 64KiB, bulk_bytes: 64KiB}\n").unwrap();
    let mut agent = Agent::start_with(["--config".into(), config.path().into()]).unwrap();
    assert!(agent.stop().unwrap().success());
    for round in 0..200 {
        assert!(Command::new("/bin/true").arg(round.to_string()).status().unwrap().success());
    }
    agent.launch().unwrap();
    let reason = "ring full while no agent read it";
    let told = || -> Vec<Value> {
        agent.events("loss").unwrap().into_iter().filter(|loss| loss["reason"] == reason).collect()
    };
    poll::until("the loss to be told", LIMIT, || Ok(!told().is_empty())).unwrap();
    let of_critical: Vec<_> = told().into_iter().filter(|loss| loss["at"] == "critical").collect();
    let [loss] = &of_critical[..] else { panic!("{of_critical:#?}") };
    assert!(loss["lost"].as_u64().unwrap() > 100, "{loss}");
    // With the losses of a start that had to read a full ring first, if any, it is all there is.
    poll::until("the kernel's number", LIMIT, || {
        Ok(lost_by_kernel(&agent.metrics()?) == lost_as_told(&agent))
    })
    .unwrap();
    assert!(agent.events("blind").unwrap().is_empty());

    let all = lost_as_told(&agent);
    // Counters are read after what was told is known to be written.
    let sampled = hook(&agent.metrics().unwrap(), "seen_runs", "sched_process_exec");
    assert!(Command::new("/bin/true").status().unwrap().success());
    poll::until("the next look at the counters", LIMIT, || {
        Ok(hook(&agent.metrics()?, "seen_runs", "sched_process_exec") > sampled)
    })
    .unwrap();
    let once = told().len();
    assert_eq!(agent.kill().unwrap().code(), None);
    agent.launch().unwrap();
    let again = agent.events("loss").unwrap().into_iter().filter(|loss| loss["reason"] == reason).count();
    assert_eq!(again, once, "told again after a restart");
    assert!(lost_as_told(&agent) >= all);
    poll::until("the kernel's number", LIMIT, || {
        Ok(lost_by_kernel(&agent.metrics()?) == lost_as_told(&agent))
    })
    .unwrap();
}

#[test]
fn a_term_signal_is_a_clean_end() {
    let lab = Lab::start().unwrap();
    let app =
        ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/sleep", "1000"]) };
    lab.run(&PodSpec::new("shop", "cart").container(app)).unwrap();
    let mut agent = Agent::start(Some(&lab.socket())).unwrap();
    let finding = agent.wait_finding("root is found", LIMIT, |finding| is_root(finding, "cart")).unwrap();
    let links =
        |agent: &Agent| pinned(agent.pins()).into_iter().filter(|name| name.starts_with("link_")).count();
    let attached = links(&agent);
    assert!(attached >= 7, "{attached} hooks are attached");
    let status = agent.stop().unwrap();
    assert_eq!(status.code(), Some(0), "{}", agent.stderr());
    let last = agent.findings().unwrap().pop().unwrap();
    assert_eq!((&last["type"], &last["reason"]), (&"stop".into(), &"terminated".into()));

    let state: Value =
        serde_json::from_slice(&fs::read(agent.state_dir().join("findings.json")).unwrap()).unwrap();
    let stored = state["findings"].as_array().unwrap();
    assert!(stored.iter().any(|stored| stored["open"] == true && id_text(stored) == finding["id"].as_str()));
    assert_eq!(links(&agent), attached, "every hook stays attached");

    agent.launch().unwrap();
    assert_eq!(agent.events("blind").unwrap(), Vec::<Value>::new());
    assert_eq!(agent.events("loss").unwrap(), Vec::<Value>::new());
    poll::until("the second ready line", LIMIT, || Ok(agent.events("ready")?.len() == 2)).unwrap();
    let told = agent.findings().unwrap().into_iter().filter(|line| line["id"] == finding["id"]).count();
    assert_eq!(told, 1, "a restart is no news");
}

fn id_text(stored: &Value) -> Option<&str> {
    stored["id"].as_str()
}

/// Names of all pins.
fn pinned(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(pinned(&entry.path()));
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names
}

#[test]
fn a_second_agent_on_the_same_state_is_refused() {
    let _lock = KernelLock::acquire().unwrap();
    let agent = Agent::start_with([]).unwrap();
    let out = Command::new("timeout")
        .args(["--kill-after=5", "30"])
        .arg(binary("kestrel-agent").unwrap())
        .args(["run", "--listen", "off", "--state-dir"])
        .arg(agent.state_dir())
        .arg("--pin-dir")
        .arg(agent.pins())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(
        said,
        format!("kestrel-agent: another agent runs on the state directory {}\n", agent.state_dir().display())
    );
    // The first one is none the worse.
    assert_eq!(agent.get("/readyz").unwrap().0, 200);
}

fn boottime_ns() -> u64 {
    let uptime = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap();
    Duration::from(uptime).as_nanos().try_into().unwrap()
}

#[test]
fn an_agent_whose_hooks_somebody_detaches_is_not_healthy_and_the_next_names_the_gap() {
    let _lock = KernelLock::acquire().unwrap();
    let mut agent = Agent::start(None).unwrap();
    assert_eq!(agent.get("/healthz").unwrap().0, 200);
    detach(agent.pins());
    let gap_from = boottime_ns();
    poll::until("bad health", LIMIT, || {
        let (code, text) = agent.get("/healthz")?;
        Ok(code == 503 && text.contains("was detached"))
    })
    .unwrap();
    assert!(agent.stop().unwrap().success());
    let gap_to = boottime_ns();
    agent.launch().unwrap();
    let gap = |blind: &Value| blind["reason"] == "no program was attached";
    let blind =
        poll::until_some("the gap", LIMIT, || Ok(agent.events("blind")?.into_iter().find(gap))).unwrap();
    assert!(blind["from_boottime_ns"].as_u64().unwrap() <= gap_from, "{blind}");
    assert!(blind["to_boottime_ns"].as_u64().unwrap() >= gap_to, "{blind}");
}
