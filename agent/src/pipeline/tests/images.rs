//! Events that rules judge when the file or the environment of their process' image was read.

use std::sync::mpsc::Receiver;

use ::rules::{compile::Matching, load::Config};

use super::{raw::PTRACE, *};
use crate::{
    detect::{RuleSet, Text, Users},
    image::{Answer, Parts, Question, Times},
    telemetry::label::{Queue, QueueDrop, Unparked},
};

const RULES: &str = r#"
- rule: Preloaded
  desc: from /tmp
  condition: evt.type = execve and proc.env contains "LD_PRELOAD=/tmp/"
  output: preloaded %proc.env[LD_PRELOAD] of %proc.env
  priority: WARNING
- rule: Known file
  desc: by its hash
  condition: evt.type = ptrace and proc.hash startswith 0707
  output: known %proc.hash
  priority: CRITICAL
- rule: Ended
  desc: whose file is told
  condition: evt.type = procexit
  output: ended %proc.hash
  priority: NOTICE
- rule: Of the shop
  desc: what it opens, and by which file
  condition: evt.type = openat and k8s.ns.name = shop
  output: opened %fd.name by %proc.hash
  priority: NOTICE
"#;
const ENVIRONMENT: &[u8] = b"A=1\0LD_PRELOAD=/tmp/x.so\0DB_PASSWORD=hunter2-correct.horse!42\0";
const PRELOADED: &str = "Preloaded: preloaded /tmp/x.so of A=1 LD_PRELOAD=/tmp/x.so DB_PASSWORD=[redacted]";

fn hash() -> String {
    "07".repeat(32)
}

/// A pipeline, and what it asks of images.
fn node() -> (Node, Receiver<Question>) {
    node_with(RULES)
}

fn node_with(rules: &str) -> (Node, Receiver<Question>) {
    let mut node = Node::new(Processes::Off);
    let text = Text::new("rules.yaml", rules);
    let rules = RuleSet::load(&[text], &Config::default(), Matching::All).unwrap();
    node.say(Message::Rules { rules: Arc::new(rules), users: Arc::new(Users::default()) });
    let (sender, asked) = sync_channel(8);
    node.pipeline.detector.read_images(sender);
    (node, asked)
}

fn on_host(exec_id: u64) -> TaskState {
    TaskState { exec_id, ..state(60, 11, HOST_MNT, 1) }
}

impl Node {
    pub(super) fn answer(&mut self, question: &Question) {
        self.answer_of(question, self.now);
    }

    fn answer_of(&mut self, question: &Question, read_ns: u64) {
        let parts = question.parts;
        self.say(Message::Image(Answer {
            id: question.id,
            parts,
            read_ns,
            hash: parts.has(Parts::HASH).then_some([7; 32]),
            times: parts.has(Parts::TIMES).then_some(Times { changed_ns: 5, modified_ns: 9 }),
            environment: parts.has(Parts::ENVIRONMENT).then(|| ENVIRONMENT.into()),
        }));
    }

    /// Outputs of a round's end.
    fn round(&mut self) -> Vec<String> {
        self.pipeline.end_round();
        self.outputs()
    }

    fn trace(&mut self) {
        self.plain(60, 1, agent_abi::interest::ABI_NATIVE, PTRACE, agent_abi::map::RING_CRITICAL);
    }
}

#[test]
fn an_exec_waits_for_its_environment_which_is_told_without_secrets() {
    let (mut node, asked) = node();
    node.exec_record(on_host(1));
    assert_eq!(node.round(), Vec::<String>::new());
    let question = asked.try_recv().unwrap();
    assert_eq!((question.id.process.tgid, question.id.exec_id), (60, 1));
    assert_eq!((question.parts, question.file.inode), (Parts::ENVIRONMENT, 9));
    node.answer(&question);
    assert_eq!(node.outputs(), Vec::<String>::new(), "an exec from before it may be in the ring yet");
    assert_eq!(node.round(), [PRELOADED]);
    let detect = &node.telemetry.detect;
    assert_eq!((detect.parked.get(), detect.unparked.of(Unparked::Read).get()), (1, 1));
    assert!(asked.try_recv().is_err());
}

#[test]
fn what_is_known_of_an_image_is_not_asked_for_again() {
    let (mut node, asked) = node();
    node.exec_record(on_host(1));
    node.answer(&asked.try_recv().unwrap());
    node.round();
    node.trace();
    let question = asked.try_recv().unwrap();
    assert_eq!(question.parts, Parts::HASH, "another part");
    node.answer(&question);
    assert_eq!(node.round(), [format!("Known file: known {}", hash())]);
    let parked = node.telemetry.detect.parked.get();
    node.trace();
    node.exit(60, 0);
    assert!(asked.try_recv().is_err());
    assert_eq!(node.telemetry.detect.parked.get(), parked, "judged at once");
    assert_eq!(node.telemetry.detect.matches.get(), 3);
}

#[test]
fn an_image_that_was_replaced_before_it_was_read_was_not_read() {
    let (mut node, asked) = node();
    node.exec_record(on_host(1));
    node.exec_record(on_host(2));
    let (first, second) = (asked.try_recv().unwrap(), asked.try_recv().unwrap());
    assert_eq!((first.id.exec_id, second.id.exec_id), (1, 2));
    // What /proc showed was the second.
    node.answer(&first);
    assert_eq!(node.round(), Vec::<String>::new());
    assert_eq!(node.telemetry.images.replaced.get(), 1);
    node.answer(&second);
    assert_eq!(node.round(), [PRELOADED]);

    node.exec_record(on_host(3));
    let read_ns = node.now;
    node.now += 1000;
    node.exec_record(on_host(4));
    node.answer_of(&asked.try_recv().unwrap(), read_ns);
    assert_eq!(node.round().len(), 1, "it was replaced after it was read");
}

#[test]
fn what_is_told_of_an_image_is_waited_for_behind_the_names() {
    let (mut node, asked) = node();
    node.start(50);
    node.open(50, CGROUP, b"/srv/a");
    assert!(asked.try_recv().is_err(), "nobody knows whether it is the shop");
    node.name("shop");
    assert_eq!(node.outputs(), Vec::<String>::new());
    node.answer(&asked.try_recv().unwrap());
    assert_eq!(node.round(), [format!("Of the shop: opened /srv/a by {}", hash())]);
    let unparked = &node.telemetry.detect.unparked;
    assert_eq!((unparked.of(Unparked::Named).get(), unparked.of(Unparked::Read).get()), (1, 1));
}

#[test]
fn what_nobody_reads_is_missing_and_holds_nothing_up() {
    let (mut node, asked) = node();
    node.exec_record(on_host(1));
    node.now += NAME_WAIT_NS;
    node.tick();
    assert_eq!(node.outputs(), Vec::<String>::new());
    let detect = &node.telemetry.detect;
    assert_eq!((detect.unparked.of(Unparked::Deadline).get(), detect.waiting.get()), (1, 0));
    // It comes after all, and is known from then on.
    node.answer(&asked.try_recv().unwrap());
    assert_eq!(node.round(), Vec::<String>::new());

    for exec_id in 2..20 {
        node.exec_record(on_host(exec_id));
    }
    assert_eq!(node.telemetry.queues.dropped.of(Queue::ImageReads, QueueDrop::Full).get(), 10);
    assert_eq!(node.telemetry.detect.parked.get(), 1 + 8, "the others were judged without");
    drop(asked);
    node.trace();
    assert_eq!(node.telemetry.queues.dropped.of(Queue::ImageReads, QueueDrop::Closed).get(), 1);
}

#[test]
fn times_are_those_of_the_file_that_was_run_and_not_of_what_became_of_it() {
    let rules = "- {rule: Run, desc: d, condition: evt.type = execve, output: made %proc.exe_ino.mtime, priority: INFO}";
    let (mut node, asked) = node_with(rules);
    node.exec_record(on_host(1));
    let question = asked.try_recv().unwrap();
    assert_eq!(question.parts, Parts::TIMES);
    node.answer(&question);
    assert_eq!(node.round(), ["Run: made 9"]);
    node.exec_record(on_host(2));
    let question = asked.try_recv().unwrap();
    let times = Some(Times { changed_ns: u64::MAX, modified_ns: 9 });
    let (id, parts, read_ns) = (question.id, question.parts, node.now);
    node.say(Message::Image(Answer { id, parts, read_ns, hash: None, times, environment: None }));
    assert_eq!(node.round(), ["Run: made <NA>"], "its file was removed, or written to, since");
}

#[test]
fn rules_over_several_events_see_an_exec_before_what_follows_it() {
    let rules = "
- rule: Preloaded
  desc: d
  condition: evt.type = execve and proc.env contains LD_PRELOAD
  output: preloaded
  priority: INFO
- kestrel_rule: Traced after its start
  desc: d
  condition: evt.type = ptrace
  after: {within: 5m, by: proc.pid, steps: [evt.type = execve]}
  output: traced
  priority: INFO
";
    let (mut node, asked) = node_with(rules);
    node.exec_record(on_host(1));
    node.trace();
    node.settle();
    assert_eq!(node.outputs(), ["Traced after its start: traced"], "the exec waits, and is noted");
    node.answer(&asked.try_recv().unwrap());
    assert_eq!(node.round(), ["Preloaded: preloaded"]);
    let matches = node.telemetry.detect.matches.get();
    assert_eq!(matches, 2, "nothing is noted twice");
}
