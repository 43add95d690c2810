//! Inventories stand between the changes before and after them, and what is told is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use agent_abi::map;

use super::*;
use crate::{
    kernel::UntoldWords,
    pipeline::Untold,
    posture::{ChangeKind, FindingId},
};

/// What a receiver knows after it took changes and inventories in order.
#[derive(Default)]
struct Replica(BTreeMap<FindingId, u64>);

impl Replica {
    fn take(&mut self, outgoing: Outgoing) -> usize {
        match outgoing {
            Outgoing::Change(change) => {
                match change.kind {
                    ChangeKind::Resolved(_) => drop(self.0.remove(&change.finding.id)),
                    ChangeKind::Open | ChangeKind::Updated => {
                        self.0.insert(change.finding.id, change.finding.count);
                    }
                }
                0
            }
            Outgoing::Inventory(inventory) => {
                let listed: BTreeMap<_, _> =
                    inventory.findings.iter().map(|finding| (finding.id, finding.count)).collect();
                let known: Vec<_> = self.0.keys().collect();
                assert_eq!(listed.keys().collect::<Vec<_>>(), known, "after the changes before it");
                assert_eq!(inventory.containers.len(), 1);
                assert_eq!(inventory.containers[0].controls.len(), Policy::default().judged());
                1
            }
            Outgoing::Throttled(throttled) => panic!("{throttled:?}"),
            Outgoing::Detected(detected) => panic!("{detected:?}"),
            Outgoing::Detection(detection) => panic!("{detection:?}"),
            Outgoing::Lost(lost) => panic!("{lost:?}"),
        }
    }
}

#[test]
fn an_inventory_holds_what_was_told_before_it_and_nothing_later() {
    // With room for all, and with so little that most wait in the backlog.
    for room in [256, 2] {
        let mut node = Node::with(Processes::Containers, room);
        let mut replica = Replica::default();
        let mut inventories = 0;
        node.scanned();
        node.start(100);
        for round in 0..40_u32 {
            node.say(Message::Inventory);
            let mut child = TaskState { exec_id: 5, ..state(200 + round, 100, CONTAINER_MNT, CGROUP) };
            // Every other child obeys what the others do not.
            child.no_new_privs = round % 2;
            node.fork(child);
            node.exec(TaskState { exec_id: 6, ..child }, OWN, b"x\0");
            node.say(Message::Inventory);
            node.exit(200 + round, 0);
            node.pipeline.tick(node.now);
            if round % 3 == 0
                && let Ok(outgoing) = node.changes.try_recv()
            {
                inventories += replica.take(outgoing);
            }
            node.told();
        }
        loop {
            node.pipeline.tick(node.now);
            let Ok(outgoing) = node.changes.try_recv() else { break };
            inventories += replica.take(outgoing);
        }
        assert_eq!(inventories, 80, "room {room}");
        assert!(!replica.0.is_empty());
    }
}

#[test]
fn a_container_of_which_nothing_was_judged_is_listed_as_unknown() {
    let mut node = Node::new(Processes::Containers);
    node.scanned();
    node.mkdir(CGROUP, &path());
    node.say(Message::Inventory);
    let Ok(Outgoing::Inventory(inventory)) = node.changes.try_recv() else { panic!("an inventory") };
    assert_eq!(inventory.containers[0].container.id.as_str(), id());
    assert_eq!(inventory.containers[0].controls.len(), Policy::default().judged());
    assert!(inventory.containers[0].controls.iter().all(|control| control.unknown.is_some()));
    node.cgroup(CgroupChange::Rmdir, CGROUP, 1, &path());
    node.say(Message::Inventory);
    let Ok(Outgoing::Inventory(inventory)) = node.changes.try_recv() else { panic!("an inventory") };
    assert!(inventory.containers.is_empty());
}

#[test]
fn what_does_not_fit_the_backlog_is_told_as_lost() {
    let mut node = Node::with(Processes::Off, 1);
    node.scanned();
    for _ in 0..5000 {
        node.say(Message::Inventory);
    }
    node.start(100);
    for _ in 0..5000 {
        node.say(Message::Inventory);
    }
    let dropped = node
        .telemetry
        .queues
        .dropped
        .of(crate::telemetry::label::Queue::Findings, crate::telemetry::label::QueueDrop::Full);
    assert!(dropped.get() > 0);
    // The changes of the start were among what was dropped.
    let mut lost = 0;
    loop {
        node.pipeline.tick(node.now);
        match node.changes.try_recv() {
            Ok(Outgoing::Lost(told)) => {
                assert_eq!(told.at, "queue findings");
                lost += told.lost;
            }
            Ok(Outgoing::Change(_)) => panic!("the oldest are dropped"),
            Ok(
                Outgoing::Inventory(_)
                | Outgoing::Throttled(_)
                | Outgoing::Detected(_)
                | Outgoing::Detection(_),
            ) => {}
            Err(_) => break,
        }
    }
    assert!(lost > 0);
}

const ROUNDS: usize = 60;

/// A kill while records come without end, by a writer that is a little behind.
#[test]
fn under_constant_traffic_little_is_untold() {
    let mut node = Node::with(Processes::Containers, 1024);
    let words = Arc::new(UntoldWords::default());
    let start = clock::boottime_ns();
    let (untold, before) = Untold::start(Arc::clone(&words) as _, [], None, start);
    assert_eq!(before, None);
    node.pipeline.leave_word(untold);
    let told = Arc::clone(&node.pipeline.outlets.told);
    let init = node.start(100);
    let mut behind = std::collections::VecDeque::new();
    let mut pid = 1000;
    let mut reads = Vec::new();
    for round in 0..ROUNDS {
        node.pipeline.before_reading();
        reads.push(words.get().read_ns);
        for _ in 0..20 {
            pid += 1;
            let child = TaskState { exec_id: 5, ..state(pid, init.task.tgid, CONTAINER_MNT, CGROUP) };
            node.fork(child);
            node.exec(TaskState { exec_id: 6, ..child }, OWN, b"x\0");
            node.exit(pid, 0);
        }
        node.pipeline.tick(clock::boottime_ns());
        node.pipeline.end_round();
        // The writer is two rounds behind, always.
        let mut changes = 0;
        while node.changes.try_recv().is_ok() {
            changes += 1;
        }
        let mut buffers = 0;
        while node.lifecycle.try_recv().is_some() {
            buffers += 1;
        }
        behind.push_back((changes, buffers));
        if round == 0 {
            assert_eq!(words.get().told_ns, start, "nothing is told before the start is");
            told.ready.store(true, Ordering::Release);
        }
        if behind.len() > 2
            && let Some((changes, buffers)) = behind.pop_front()
        {
            told.changes.fetch_add(changes, Ordering::Release);
            told.lifecycle.fetch_add(buffers, Ordering::Release);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let map::Untold { told_ns, read_ns } = words.get();
    assert!(told_ns < read_ns, "{told_ns} {read_ns}");
    // Two rounds for the writer, and the time between two markers.
    assert!(told_ns >= reads[ROUNDS - 10], "{} ms", (read_ns - told_ns) / 1_000_000);

    // The one that follows says so, and keeps it until it has told its own start.
    let (_, before) = Untold::start(Arc::clone(&words) as _, [], Some(read_ns), read_ns + 5);
    let (from, to) = before.unwrap();
    assert!(from <= told_ns && told_ns - from < 50_000_000);
    assert_eq!(to, read_ns);
    assert_eq!(words.get(), map::Untold { told_ns: from, read_ns: read_ns + 5 });
}

#[test]
fn when_all_is_told_nothing_is_untold() {
    let mut node = Node::new(Processes::Containers);
    let words = Arc::new(UntoldWords::default());
    let (untold, _) = Untold::start(Arc::clone(&words) as _, [], None, clock::boottime_ns());
    node.pipeline.leave_word(untold);
    let told = Arc::clone(&node.pipeline.outlets.told);
    told.ready.store(true, Ordering::Release);
    node.pipeline.before_reading();
    node.start(100);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while words.get().told_ns < words.get().read_ns {
        assert!(std::time::Instant::now() < deadline, "{:?}", words.get());
        node.pipeline.tick(clock::boottime_ns());
        node.pipeline.end_round();
        while node.changes.try_recv().is_ok() {
            told.changes.fetch_add(1, Ordering::Release);
        }
        while node.lifecycle.try_recv().is_some() {
            told.lifecycle.fetch_add(1, Ordering::Release);
        }
        std::thread::yield_now();
    }
}
