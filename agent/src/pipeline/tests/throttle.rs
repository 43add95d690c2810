//! What is held back, and paths without a front.

use std::sync::{Arc, Mutex, mpsc::sync_channel};

use agent_abi::{
    map::cgroup_flag,
    record::{FileCall, Syscall},
};
use hashbrown::HashMap;

use super::*;
use crate::{
    decode,
    filter::{CgroupMarks, MarkError, MarkStore},
    pipeline::{Detected, Throttled, Throttling},
    time::{Clock, SECOND},
};

#[derive(Clone, Default)]
struct Marks(Arc<Mutex<HashMap<u64, u32>>>);

impl MarkStore for Marks {
    fn set(&mut self, cgroup: u64, flags: u32) -> Result<(), MarkError> {
        self.0.lock().unwrap().insert(cgroup, flags);
        Ok(())
    }

    fn remove(&mut self, cgroup: u64) {
        self.0.lock().unwrap().remove(&cgroup);
    }
}

fn at(seconds: u64) -> Clock {
    Clock { boottime_ns: seconds * SECOND, wall_ns: 0 }
}

impl Node {
    fn held_back(&mut self, seconds: u64, cgroups: &[(u64, u64)]) {
        let (from, to) = (at(seconds - 1), at(seconds));
        self.say(Message::Throttling(Throttling { cgroups: cgroups.to_vec(), from, to }));
    }

    fn outgoing(&mut self) -> (Vec<Throttled>, Vec<Detected>) {
        let (mut throttled, mut detected) = (Vec::new(), Vec::new());
        while let Ok(outgoing) = self.changes.try_recv() {
            match outgoing {
                Outgoing::Throttled(it) => throttled.push(*it),
                Outgoing::Detected(it) => detected.push(*it),
                Outgoing::Change(_) | Outgoing::Inventory(_) | Outgoing::Lost(_) | Outgoing::Detection(_) => {
                }
            }
        }
        (throttled, detected)
    }
}

#[test]
fn a_container_that_is_throttled_is_told_with_each_number_and_detected_once() {
    let mut node = Node::new(Processes::Off);
    node.start(100);
    node.mkdir(CGROUP + 1, &format!("{}/sub", path()));
    node.outgoing();
    // Two cgroups of one container are one.
    node.held_back(1000, &[(CGROUP, 5), (CGROUP + 1, 7), (1, 3)]);
    let (mut throttled, detected) = node.outgoing();
    throttled.sort_by_key(|throttled| throttled.cgroup);
    let [host, container] = &throttled[..] else { panic!("{throttled:?}") };
    assert_eq!((host.cgroup, host.events, host.begins), (1, 3, false));
    assert!(host.container.is_none());
    assert_eq!((container.cgroup, container.events), (CGROUP, 12));
    assert_eq!((container.from, container.to), (at(999), at(1000)));
    let [detection] = &detected[..] else { panic!("{detected:?}") };
    assert_eq!(detection.rule, "Events throttled");
    assert_eq!(detection.container.as_ref().unwrap().id.as_str(), id());

    // It goes on: told some seconds later in one number, and not detected again.
    for seconds in 1001..1009 {
        node.held_back(seconds, &[(CGROUP, 1)]);
    }
    let (throttled, detected) = node.outgoing();
    assert_eq!((throttled.len(), detected.len()), (0, 0));
    let later = clock::boottime_ns() + 11 * SECOND;
    node.pipeline.tick(later);
    let (throttled, detected) = node.outgoing();
    assert_eq!(throttled.iter().map(|throttled| throttled.events).sum::<u64>(), 8);
    assert_eq!(detected.len(), 0);

    // After a quiet time it is another episode.
    node.held_back(2000, &[(CGROUP, 1)]);
    assert_eq!(node.outgoing().1.len(), 1);
}

#[test]
fn what_a_container_had_held_back_is_told_after_it_is_gone() {
    let mut node = Node::new(Processes::Off);
    node.start(100);
    let (gone, gone_out) = sync_channel(8);
    let marks = Marks::default();
    node.pipeline.mark_cgroups(CgroupMarks::new(Box::new(marks.clone()), vec![b"/muted".to_vec()]), gone);
    node.mkdir(7, "/system.slice/ssh.service");
    node.mkdir(8, "/muted/x");
    let marked = |cgroup| marks.0.lock().unwrap().get(&cgroup).copied();
    assert_eq!(marked(7), Some(cgroup_flag::HOST));
    assert_eq!(marked(8), Some(cgroup_flag::HOST | cgroup_flag::MUTED));
    assert_eq!(marked(CGROUP), None);
    node.exit(100, 0);
    node.cgroup(CgroupChange::Rmdir, CGROUP, 1, &path());
    node.cgroup(CgroupChange::Rmdir, 7, 1, "/system.slice/ssh.service");
    assert_eq!(marked(7), None);
    assert_eq!(gone_out.try_iter().collect::<Vec<_>>(), [CGROUP, 7]);
    node.now += 20 * SECOND;
    node.outgoing();
    node.held_back(1000, &[(CGROUP, 5)]);
    let (throttled, _) = node.outgoing();
    assert_eq!(throttled[0].container.as_ref().unwrap().id.as_str(), id());
}

#[test]
fn a_path_without_its_front_is_detected_once_for_each_container() {
    let mut node = Node::new(Processes::Off);
    let init = node.start(100);
    node.outgoing();
    let path = ["/d".repeat(128), "/hidden".to_owned()].concat().into_bytes();
    let open = |node: &mut Node, flags, task| {
        let header = node.header();
        let record = FileCall {
            header,
            call: Syscall { task, cgroup_id: CGROUP, ..Syscall::default() },
            file: FileRef { flags, ..FileRef::default() },
            ..FileCall::default()
        };
        node.pipeline.event(&Event::File(decode::FileCall { record: &record, path: &path, text: b"" }));
    };
    open(&mut node, 0, init.task);
    assert_eq!(node.outgoing().1.len(), 0);
    for _ in 0..3 {
        open(&mut node, file_flag::PATH_TRUNCATED, init.task);
    }
    let (_, detected) = node.outgoing();
    let [detection] = &detected[..] else { panic!("{detected:?}") };
    assert_eq!(detection.rule, "Path hidden by depth");
    assert!(detection.output.contains("/d/d/hidden") && detection.output.contains("pid 100"));
    assert_eq!(detection.container.as_ref().unwrap().id.as_str(), id());
    assert_eq!(node.pipeline.hidden.seen, 3);
}
