//! When containers are looked into.

use super::{CGROUP, Node, clock, path};
use crate::{
    inspect::{Inspection, NotRead},
    pipeline::{Inspected, InspectionQuestion, Message, lifecycle::Processes},
    time::SECOND,
};

fn unread(question: &InspectionQuestion) -> Inspection {
    let not_read = NotRead::NotPermitted;
    Inspection {
        through: question.processes[0],
        at_ns: clock::boottime_ns(),
        mounts: Err(not_read),
        devices: Err(not_read),
        limits: Err(not_read),
        open_files: Err(not_read),
        labels: Err(not_read),
        listeners: Err(not_read),
        environment: Err(not_read),
        arguments: Err(not_read),
    }
}

impl Node {
    fn asked(&mut self, after_ns: u64) -> Option<InspectionQuestion> {
        self.now += after_ns;
        self.pipeline.tick(self.now);
        self.inspections.try_recv().ok()
    }
}

#[test]
fn a_container_is_looked_into_soon_after_it_runs_a_program_of_its_own() {
    let mut node = Node::new(Processes::Off);
    node.mkdir(CGROUP, &path());
    assert_eq!(node.asked(SECOND), None, "it runs nothing yet");
    let init = node.start(200);
    let question = node.asked(SECOND).unwrap();
    assert_eq!(question.cgroup_path, path().into_bytes());
    assert_eq!(question.processes[0].tgid, init.task.tgid);
    assert_eq!(node.asked(SECOND), None, "asked once");
    node.say(Message::Inspected(Box::new(Inspected {
        key: question.key,
        inspection: Some(unread(&question)),
    })));
    assert!(node.asked(5 * SECOND).is_some(), "by now a server listens");
    assert_eq!(node.asked(30 * SECOND), None);
    assert!(node.asked(31 * SECOND).is_some(), "every minute");
}

#[test]
fn a_look_that_found_nobody_is_tried_again() {
    let mut node = Node::new(Processes::Off);
    node.start(200);
    let question = node.asked(SECOND).unwrap();
    node.say(Message::Inspected(Box::new(Inspected { key: question.key, inspection: None })));
    assert!(node.asked(SECOND).is_some());
}

#[test]
fn a_container_that_is_gone_is_not_looked_into() {
    let mut node = Node::new(Processes::Off);
    node.start(200);
    let question = node.asked(SECOND).unwrap();
    node.exit(200, 0);
    node.cgroup(crate::decode::CgroupChange::Rmdir, CGROUP, 1, &path());
    // Late answers change nothing.
    node.say(Message::Inspected(Box::new(Inspected {
        key: question.key,
        inspection: Some(unread(&question)),
    })));
    assert_eq!(node.asked(120 * SECOND), None);
}

#[test]
fn the_node_is_read_when_the_start_scan_is_in_and_now_and_then() {
    let mut node = Node::new(Processes::Off);
    let reads = |node: &mut Node, after_ns| {
        node.now += after_ns;
        node.pipeline.tick(node.now);
        node.node_reads.try_recv().is_ok()
    };
    assert!(reads(&mut node, SECOND));
    assert!(!reads(&mut node, 290 * SECOND));
    assert!(reads(&mut node, 11 * SECOND));
}
