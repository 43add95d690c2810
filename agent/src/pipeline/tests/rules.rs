//! Rules held against events of containers that have no names yet, that say the same again, and that come
//! too late.

use std::collections::{BTreeMap, BTreeSet};

use ::rules::{
    compile::Matching,
    event::JsonEvent,
    field::Field,
    load::{Config, Loader},
};
use agent_abi::interest::ABI_NATIVE;

use super::{raw::*, *};
use crate::{
    context::{ContainerKey, ContainerRole, Declared, Names, Owner},
    detect::{Detection, Object, Recorder, RuleSet, Text, Users, unanswered},
    telemetry::label::{HeldBack, Unparked},
};

const RULES: &str = "
- rule: Shadow opened
  desc: by anybody
  condition: evt.type in (open, openat) and fd.name = /etc/shadow and container.id != host
  output: opened file=%fd.name command=%proc.cmdline pod=%k8s.pod.name parent=%proc.pname id=%container.id
  priority: WARNING
  tags: [T1003.008]
- rule: Opened in a shop
  desc: only there
  condition: evt.type = openat and fd.name startswith /srv/ and k8s.ns.name = shop
  output: opened %fd.name in %k8s.ns.name
  priority: NOTICE
- rule: Traced
  desc: ptrace
  condition: evt.type = ptrace and proc.cmdline contains two
  output: traced by %proc.cmdline
  priority: CRITICAL
";

fn rule_set() -> RuleSet {
    let text = Text::new("rules.yaml", RULES);
    RuleSet::load(&[text], &Config::default(), Matching::First).unwrap()
}

fn names(namespace: &str) -> Names {
    Names {
        role: ContainerRole::Workload,
        pod: "web-1".into(),
        namespace: namespace.into(),
        pod_uid: "0b6b3b1c".into(),
        service_account: None,
        labels: BTreeMap::new(),
        container: "app".into(),
        owner: Owner { kind: "Deployment", name: "web".into() },
        image: "registry.example/web:1".into(),
        image_digest: None,
        init_pid: None,
        sandboxed_runtime: false,
        image_created: None,
        declared: Declared::default(),
    }
}

impl Node {
    fn ruled() -> Self {
        let mut node = Self::new(Processes::Off);
        node.say(Message::Rules { rules: Arc::new(rule_set()), users: Arc::new(Users::default()) });
        node
    }

    pub(super) fn name(&mut self, namespace: &str) {
        let key = ContainerKey { hierarchy: 0, cgroup: CGROUP };
        self.say(Message::Names(cri::Answer { key, result: Ok(Arc::new(names(namespace))) }));
        self.tick();
    }

    pub(super) fn tick(&mut self) {
        self.now += 1000;
        let now = self.now;
        self.pipeline.tick(now);
    }

    /// All that has happened is read.
    pub(super) fn settle(&mut self) {
        while clock::boottime_ns() < self.now {
            std::hint::spin_loop();
        }
        self.pipeline.look_up();
        self.pipeline.end_round();
    }

    fn detections(&mut self) -> Vec<Detection> {
        let mut found = Vec::new();
        while let Ok(outgoing) = self.changes.try_recv() {
            if let Outgoing::Detection(detection) = outgoing {
                found.push(*detection);
            }
        }
        found
    }

    pub(super) fn outputs(&mut self) -> Vec<String> {
        self.detections()
            .into_iter()
            .map(|detection| format!("{}: {}", detection.rule.name, detection.output))
            .collect()
    }
}

#[test]
fn a_match_has_its_process_container_and_object_and_no_secret() {
    let mut node = Node::ruled();
    node.start(50);
    node.name("shop");
    node.open(50, CGROUP, b"/etc/shadow");
    let [found] = &node.detections()[..] else { panic!("one match") };
    assert_eq!(found.rule.name, "Shadow opened");
    assert_eq!(
        found.output,
        format!(
            "opened file=/etc/shadow command=s\u{fffd}h --password=[redacted] pod=web-1 parent=<NA> id={}",
            &id()[..12]
        )
    );
    assert_eq!(found.process.as_ref().unwrap().id.tgid, 50);
    assert_eq!(found.container.as_ref().unwrap().id.to_string(), id());
    assert_eq!(found.object, Some(Object::Path(b"/etc/shadow".to_vec())));
    assert_eq!(found.event_type, "openat");
    assert!(!found.pending_names);
    let value = |name: &str| found.fields.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(value("k8s.pod.name").as_deref(), Some("web-1"));
    assert_eq!(value("proc.pname"), None);
}

#[test]
fn rules_over_several_events_tell_what_led_to_a_match() {
    let text = "
- kestrel_rule: Opened often
  desc: by a container
  condition: evt.type = openat and fd.name startswith /srv/
  count: {at_least: 3, within: 10s, by: k8s.pod.name, distinct: fd.name}
  output: opened %fd.name last
  priority: NOTICE
- kestrel_rule: Shadow after passwd
  desc: by one process
  condition: evt.type = openat and fd.name = /etc/shadow
  after: {within: 10s, steps: [evt.type = openat and fd.name = /etc/passwd]}
  output: opened %fd.name
  priority: WARNING
";
    let set = RuleSet::load(&[Text::new("r.yaml", text)], &Config::default(), Matching::First).unwrap();
    assert!(set.summary().warnings.is_empty(), "{:?}", set.summary().warnings);
    let mut node = Node::new(Processes::Off);
    node.say(Message::Rules { rules: Arc::new(set), users: Arc::new(Users::default()) });
    node.start(50);
    node.start(51);
    // They wait for the name by which they are counted.
    for path in [&b"/srv/a"[..], b"/srv/a", b"/srv/b"] {
        node.open(50, CGROUP, path);
    }
    assert_eq!(node.telemetry.detect.parked.get(), 3);
    node.name("shop");
    node.settle();
    assert_eq!(node.outputs(), Vec::<String>::new());
    node.tick();
    assert_eq!(node.telemetry.detect.remembered.get(), 2);
    node.open(51, CGROUP, b"/srv/c");
    assert_eq!(node.outputs(), Vec::<String>::new(), "what came before may not be read yet");
    node.settle();
    let [found] = &node.detections()[..] else { panic!("one match") };
    assert_eq!((found.rule.name.as_str(), found.output.as_str()), ("Opened often", "opened /srv/c last"));
    assert_eq!(found.fields[0], ("kestrel.count".to_owned(), Some("3".to_owned())));
    assert_eq!(found.fields[1].0, "kestrel.since");

    node.open(50, CGROUP, b"/etc/passwd");
    node.open(51, CGROUP, b"/etc/shadow");
    node.settle();
    assert_eq!(node.outputs(), Vec::<String>::new(), "another process");
    // As rings are read one after the other: what happened later comes first.
    let now = node.now;
    node.now += 2_000_000;
    node.open(51, CGROUP, b"/etc/shadow");
    node.now = now;
    node.open(51, CGROUP, b"/etc/passwd");
    node.now += 4_000_000;
    node.settle();
    assert_eq!(node.detections().len(), 1);
    node.open(50, CGROUP, b"/etc/shadow");
    node.settle();
    let [found] = &node.detections()[..] else { panic!("one match") };
    let steps: Vec<_> = found.fields.iter().filter(|(name, _)| name.starts_with("kestrel.step[")).collect();
    assert_eq!(steps.len(), 2);
    let said = |step: usize| steps[step].1.as_deref().unwrap();
    assert!(said(0).ends_with(" 50 openat") && said(1).ends_with(" 50 openat"), "{steps:?}");
    assert!(said(0) <= said(1), "{steps:?}");
    assert_eq!(node.telemetry.detect.matches.get(), 3);
}

#[test]
fn what_depends_on_a_name_waits_for_it() {
    let mut node = Node::ruled();
    node.start(50);
    node.open(50, CGROUP, b"/srv/a");
    node.tick();
    assert_eq!(node.outputs(), Vec::<String>::new(), "nobody knows the namespace");
    assert_eq!(node.telemetry.detect.parked.get(), 1);
    // So does what matches whoever it is: an alert without names helps nobody.
    node.open(50, CGROUP, b"/etc/shadow");
    node.open(50, CGROUP, b"/etc/hosts");
    assert_eq!(node.telemetry.detect.parked.get(), 2);
    node.name("shop");
    let told = node.detections();
    let told: Vec<_> = told.iter().map(|it| (it.rule.name.as_str(), it.pending_names)).collect();
    assert_eq!(told, [("Opened in a shop", false), ("Shadow opened", false)], "in their order");
    assert_eq!(node.telemetry.detect.unparked.of(Unparked::Named).get(), 2);

    node.open(50, CGROUP, b"/srv/b");
    assert_eq!(node.outputs(), ["Opened in a shop: opened /srv/b in shop"], "now at once");
}

#[test]
fn a_name_that_does_not_come_is_missing_and_not_waited_for_longer() {
    let mut node = Node::ruled();
    node.start(50);
    node.open(50, CGROUP, b"/srv/a");
    node.open(50, CGROUP, b"/etc/shadow");
    node.now += NAME_WAIT_NS;
    node.tick();
    let detect = &node.telemetry.detect;
    assert_eq!((detect.unparked.of(Unparked::Deadline).get(), detect.waiting.get()), (2, 0));
    let told = node.detections();
    assert_eq!(told.len(), 1, "a missing field makes its comparison false");
    assert!(told[0].rule.name == "Shadow opened" && told[0].pending_names);
    node.name("shop");
    assert_eq!(node.outputs(), Vec::<String>::new());
}

#[test]
fn more_than_can_wait_is_judged_without_names_and_counted() {
    let mut node = Node::ruled();
    node.start(50);
    for _ in 0..5000 {
        node.open(50, CGROUP, b"/srv/a");
    }
    node.tick();
    let detect = &node.telemetry.detect;
    let unparked: u64 = [Unparked::Named, Unparked::Deadline, Unparked::Room, Unparked::End]
        .into_iter()
        .map(|why| detect.unparked.of(why).get())
        .sum();
    assert_eq!(detect.parked.get(), 5000);
    assert_eq!(unparked + detect.waiting.get(), 5000);
    assert!(detect.unparked.of(Unparked::Room).get() >= 5000 - 4096);
}

#[test]
fn what_says_the_same_is_held_back_and_its_number_told() {
    let mut node = Node::ruled();
    node.start(50);
    node.name("shop");
    for _ in 0..10 {
        node.open(50, CGROUP, b"/etc/shadow");
    }
    let told = node.detections();
    assert_eq!((told.len(), told[0].held_back), (1, 0));
    node.now += 11_000_000_000;
    node.tick();
    let told = node.detections();
    assert_eq!((told.len(), told[0].held_back), (1, 9));
    let detect = &node.telemetry.detect;
    assert_eq!((detect.matches.get(), detect.held_back.of(HeldBack::Repeated).get()), (10, 9));
}

#[test]
fn what_an_image_did_before_it_was_replaced_is_its_own() {
    let mut node = Node::ruled();
    let init = node.start(50);
    node.name("shop");
    let before = TaskState { exec_id: 4, ..init };
    node.exec(before, OWN, b"one\0two\0");
    // Its record is read after that of the exec that follows it.
    let at = node.now + 1;
    node.now += 1_000_000;
    node.exec(TaskState { exec_id: 5, ..init }, OWN, b"one\0three\0");
    node.now = at;
    node.plain(50, CGROUP, ABI_NATIVE, PTRACE, agent_abi::map::RING_CRITICAL);
    assert_eq!(node.outputs(), ["Traced: traced by s\u{fffd}h two"]);
    node.now += 2_000_000;
    node.plain(50, CGROUP, ABI_NATIVE, PTRACE, agent_abi::map::RING_CRITICAL);
    assert_eq!(node.outputs(), Vec::<String>::new(), "the new image does not match");
}

#[test]
fn the_runtime_and_the_agent_are_no_workload() {
    let mut node = Node::ruled();
    node.mkdir(CGROUP, &path());
    let host = state(50, 11, HOST_MNT, 1);
    node.fork(host);
    node.exec(TaskState { exec_id: 1, ..host }, file_flag::IN_TASK_MOUNT_NS, b"runc\0");
    node.cgroup(CgroupChange::Attach, CGROUP, 50, &path());
    node.open(50, CGROUP, b"/etc/shadow");
    assert_eq!(
        node.outputs(),
        Vec::<String>::new(),
        "the container is the host's until it runs its own files"
    );
}

#[test]
fn new_rules_take_over_between_two_events() {
    let mut node = Node::ruled();
    node.start(50);
    node.open(50, CGROUP, b"/srv/a");
    node.say(Message::Rules { rules: Arc::new(rule_set()), users: Arc::new(Users::default()) });
    assert_eq!(node.telemetry.detect.unparked.of(Unparked::End).get(), 1, "judged by the rules of its time");
    node.name("shop");
    node.open(50, CGROUP, b"/etc/shadow");
    assert_eq!(node.outputs().len(), 1);
}

#[test]
fn what_is_recorded_matches_as_it_did() {
    let mut node = Node::ruled();
    let (lines, recorded) = sync_channel(64);
    let recorder = Recorder::new(lines, Arc::clone(&node.telemetry));
    node.pipeline.detector.record(recorder);
    node.start(50);
    node.name("shop");
    for path in [&b"/etc/shadow"[..], b"/srv/a", b"/etc/hosts"] {
        node.open(50, CGROUP, path);
    }
    let told: Vec<_> = node.outputs();
    assert_eq!(told.len(), 2);

    let mut loader = Loader::new(Config::default());
    assert!(loader.load("rules.yaml", RULES).successful);
    let mut again = Vec::new();
    for line in recorded.try_iter() {
        let event = JsonEvent::new(serde_json::from_str(&line).unwrap());
        let matched = loader.rules().active().filter(|rule| rule.condition.evaluate(&event).is_true());
        again.extend(matched.map(|rule| format!("{}: {}", rule.name, rule.output.render(&event))));
    }
    assert_eq!(again, told);
    assert_eq!(node.telemetry.detect.recorded.get(), 3);
}

/// Fields that need an argument, or hold for what this node does not do.
const APART: &[&str] = &[
    "evt.type.is",
    "evt.arg",
    "evt.rawarg",
    "evt.around",
    "container.posture",
    "k8s.pod.label",
    // Of a container's runtime that no name tells here.
    "container.image.digest",
    "container.privileged",
    "container.host_pid",
    "container.host_network",
    "container.host_ipc",
    "container.mounts",
    "container.mount",
    "container.mount.source",
    "container.mount.dest",
    "container.mount.rdwr",
    "container.mount.propagation",
    // Of a node without users, and of names that nobody looked up.
    "user.name",
    "user.homedir",
    "user.shell",
    "user.loginname",
    "group.name",
    "fd.cip.name",
    "fd.sip.name",
    "fd.lip.name",
    "fd.rip.name",
    // No forebear is a shell.
    "proc.loginshellid",
];

#[test]
fn every_field_is_answered_or_warned_of() {
    let mut node = Node::new(Processes::Off);
    // What is told of an image is read for it.
    let all = "- {rule: All, desc: d, condition: evt.num > 0, output: '%proc.hash %proc.env %proc.exe_ino.ctime', priority: INFO, \
               warn_evttypes: false}";
    let rules = RuleSet::load(&[Text::new("all.yaml", all)], &Config::default(), Matching::All).unwrap();
    node.say(Message::Rules { rules: Arc::new(rules), users: Arc::new(Users::default()) });
    let (lines, recorded) = sync_channel(1024);
    node.pipeline.detector.record(Recorder::new(lines, Arc::clone(&node.telemetry)));
    let (images, asked) = sync_channel(64);
    node.pipeline.detector.read_images(images);
    node.start(50);
    node.name("shop");
    // Its parent is known, and it leads its session.
    let child = TaskState { exec_id: 1, session: 51, tty: 1, ..state(51, 50, CONTAINER_MNT, CGROUP) };
    node.fork(child);
    node.exec(child, OWN, b"child\0--flag\0");
    node.open(51, CGROUP, b"/srv/a");
    node.exec_record(TaskState { exec_id: 2, ..child });
    node.connect(51);
    node.rename(51, b"/srv/a", b"/srv/b");
    node.unlink(51, b"/srv/b");
    node.open(11, 1, b"/etc/hosts");
    asked.try_iter().for_each(|question| node.answer(&question));
    node.pipeline.end_round();
    node.tick();

    let mut answered = BTreeSet::new();
    for line in recorded.try_iter() {
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        answered.extend(fields.into_iter().map(|(name, _)| name));
    }
    let unanswered = unanswered();
    let silent: Vec<_> = Field::all()
        .map(|field| field.definition().name)
        .filter(|name| !answered.contains(*name) && !unanswered.contains_key(*name) && !APART.contains(name))
        .collect();
    assert_eq!(silent, Vec::<&str>::new(), "neither answered nor warned of");
    let stale: Vec<_> =
        unanswered.keys().filter(|name| answered.contains(*name) && *name != "proc.cwd").collect();
    assert_eq!(stale, Vec::<&String>::new(), "answered, and warned of all the same");
}
