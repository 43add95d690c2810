//! Kestrel's own rules against a real kernel and real containers: what each looks for is done, and found.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![allow(clippy::print_stderr, reason = "what was done is of interest when it was not found")]

mod absent;
mod act;
mod collection;
mod command_and_control;
mod credential_access;
mod defense_evasion;
mod discovery;
mod execution;
mod exfiltration;
mod impact;
mod initial_access;
mod lateral_movement;
mod persistence;
mod privilege_escalation;
mod stage;

use std::{collections::BTreeSet, fs, time::Duration};

use kestrel_proto::v1::{self, Envelope, EventKind, Filter, record::Event};
use kestrel_tests::lab::{
    Lab,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    poll,
    watch::Watcher,
};
use rules::load::{Config, Loader};

use self::{
    absent::ABSENT,
    act::Act,
    stage::{HOSTS, Stage, names},
};

const LIMIT: Duration = Duration::from_secs(60);

/// By the tag of their tactic.
const ACTS: [(&str, &[Act]); 12] = [
    ("mitre_collection", collection::ACTS),
    ("mitre_command_and_control", command_and_control::ACTS),
    ("mitre_credential_access", credential_access::ACTS),
    ("mitre_defense_evasion", defense_evasion::ACTS),
    ("mitre_discovery", discovery::ACTS),
    ("mitre_execution", execution::ACTS),
    ("mitre_exfiltration", exfiltration::ACTS),
    ("mitre_impact", impact::ACTS),
    ("mitre_initial_access", initial_access::ACTS),
    ("mitre_lateral_movement", lateral_movement::ACTS),
    ("mitre_persistence", persistence::ACTS),
    ("mitre_privilege_escalation", privilege_escalation::ACTS),
];

/// The agent finds names as [`HOSTS`] has them, and asks no name server.
const OWN_NAMES: &str = "mount --bind \"$0/hosts\" /etc/hosts && mount --bind \"$0/resolv.conf\" /etc/resolv.conf && \
    exec \"$@\"";

fn acts() -> Vec<Act> {
    ACTS.iter().flat_map(|(_, acts)| acts.iter().copied()).collect()
}

/// The rules that are on where nobody says otherwise.
fn active() -> BTreeSet<String> {
    let mut loader = Loader::new(Config::default());
    for (name, text) in rules::default::FILES {
        loader.load(name, text);
    }
    let rules = loader.rules();
    rules.active().map(|rule| rule.name.clone()).collect()
}

#[test]
fn every_rule_has_a_live_run_or_a_reason() {
    let done: BTreeSet<_> = acts().iter().map(|act| act.rule.to_owned()).collect();
    let absent: BTreeSet<_> = ABSENT.iter().map(|(rule, _)| (*rule).to_owned()).collect();
    assert_eq!(done.intersection(&absent).collect::<Vec<_>>(), Vec::<&String>::new());
    let known: BTreeSet<_> = done.union(&absent).cloned().collect();
    let active = active();
    assert_eq!(
        active.difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "rules without a live run"
    );
    assert_eq!(known.difference(&active).collect::<Vec<_>>(), Vec::<&String>::new(), "no such rules");
}

fn detections(watcher: &mut Watcher) -> Vec<Envelope> {
    let filter = Filter { kinds: vec![EventKind::Detection.into()], ..Filter::default() };
    watcher.past(filter).unwrap().events
}

fn detection(envelope: &Envelope) -> &v1::Detection {
    match envelope.record.as_ref().and_then(|record| record.event.as_ref()) {
        Some(Event::Detection(detection)) => detection,
        other => panic!("no detection: {other:?}"),
    }
}

/// Whether it was found as it was done.
fn is_of(tactic: &str, act: &Act, envelope: &Envelope) -> bool {
    let told = detection(envelope);
    let there = envelope.container.as_ref().and_then(|container| container.names.as_ref());
    let is_there = match names(act.place) {
        Some(names) => {
            there.is_some_and(|it| (it.namespace.as_str(), it.pod.as_str(), it.container.as_str()) == names)
        }
        None => envelope.container.is_none(),
    };
    told.rule == act.rule
        && told.priority() == act.priority
        && act.says.iter().all(|part| told.output.contains(part))
        && is_there
        && !told.pending_names
        && told.tags.iter().any(|tag| tag == tactic)
        && told.tags.iter().any(|tag| tag.starts_with('T'))
        && envelope.process.as_ref().is_some_and(|process| !process.exe.is_empty())
}

#[test]
fn what_the_rules_look_for_is_found_where_it_is_done() {
    for (rule, reason) in ABSENT {
        eprintln!("not run: {rule}: {reason}");
    }
    let lab = Lab::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts"), HOSTS).unwrap();
    fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")
        .unwrap();
    let collector = Collector::start(&Options::default()).unwrap();
    let endpoint = collector.endpoint();
    let delivering = Delivering {
        processes: "containers",
        cri_socket: Some(lab.socket()),
        config: "rules: {builtin: on, matching: all, rate: 0}\n",
        ..Delivering::to(&endpoint)
    };
    let at = dir.path().to_string_lossy().into_owned();
    let agent = delivering.prepare(dir.path()).unwrap();
    let mut agent = agent.under(["unshare", "--mount", "sh", "-c", OWN_NAMES, &at]);
    agent.launch().unwrap();
    let mut watcher = Watcher::new(&endpoint).unwrap();
    let in_force = poll::until_some("the node to say which rules are in force", LIMIT, || {
        Ok(watcher.nodes()?.into_iter().find_map(|node| node.heartbeat?.rules))
    })
    .unwrap();
    assert_eq!((in_force.active as usize, in_force.failed), (active().len(), 0), "{in_force:?}");

    let all = acts();
    let stage = Stage::set(&lab, &all).unwrap();
    stage.perform(dir.path()).unwrap();

    let missing = |found: &[Envelope]| -> Vec<Act> {
        let acts = ACTS.iter().flat_map(|(tactic, acts)| acts.iter().map(move |act| (tactic, act)));
        let missing = acts.filter(|(tactic, act)| !found.iter().any(|it| is_of(tactic, act, it)));
        missing.map(|(_, act)| *act).collect()
    };
    let complete =
        poll::until("every act to be found", LIMIT, || Ok(missing(&detections(&mut watcher)).is_empty()));
    wait_delivered(&agent, LIMIT).unwrap();
    let found = detections(&mut watcher);
    let missing: Vec<_> = missing(&found)
        .iter()
        .map(|act| {
            let told = found.iter().filter(|envelope| detection(envelope).rule == act.rule);
            let told: Vec<_> = told
                .map(|envelope| {
                    let it = detection(envelope);
                    let (process, container) = (&envelope.process, &envelope.container);
                    let exe = process.as_ref().map(|process| String::from_utf8_lossy(&process.exe));
                    let names = container.as_ref().map(|container| &container.names);
                    let pending = it.pending_names;
                    format!(
                        "\n    {:?} {}\n      exe={exe:?} names={names:?} pending={pending} tags={:?}",
                        it.priority(),
                        it.output,
                        it.tags
                    )
                })
                .collect();
            format!("{:?} {}: {}{}", act.place, act.rule, act.script, told.concat())
        })
        .collect();
    assert!(
        complete.is_ok() && missing.is_empty(),
        "{} of {} acts were not found:\n{}\n{}\n{}",
        missing.len(),
        all.len(),
        missing.join("\n"),
        stage.logs(),
        agent.stderr()
    );
}
