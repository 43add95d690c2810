//! What of processes and containers leaves the hot loop.

use std::sync::Arc;

use agent_abi::record::header_flag;

use super::*;
use crate::{
    context::{ContainerKey, ContainerRole, Declared, Names, Owner},
    pipeline::lifecycle::CAPACITY,
    telemetry::label::{Queue, QueueDrop},
};

#[test]
fn a_container_from_start_to_end() {
    let mut node = Node::new(Processes::Containers);
    let init = node.start(100);
    // The runtime's own stages, and what it sets before the last exec, are no events of the container.
    assert_eq!(node.told(), ["started", "exec 100 3"]);
    let child = TaskState { exec_id: 3, ..state(101, 100, CONTAINER_MNT, CGROUP) };
    node.fork(child);
    node.exec(TaskState { exec_id: 4, ..child }, OWN, b"sh\0");
    node.credentials(TaskState { exec_id: 4, ..child });
    node.exit(101, 256);
    node.exit(101, 0);
    node.cgroup(CgroupChange::Rmdir, CGROUP, 1, &path());
    assert_eq!(node.told(), ["exec 101 4", "call 105 101", "exit 101 256"]);
    node.exit(init.task.tgid, 9);
    assert_eq!(node.told(), ["exit 100 9", "gone"]);
}

#[test]
fn an_exec_carries_bytes_as_they_are() {
    let mut node = Node::new(Processes::Containers);
    let init = node.start(100);
    node.pipeline.end_round();
    let filled = node.lifecycle.try_recv().unwrap();
    let Activity::Exec { process, filename } = &filled.entries()[1].activity else { panic!("an exec") };
    assert_eq!(filled.bytes(process.exe), b"/bin/s\xffh");
    assert_eq!(filled.bytes(process.argv), b"app\0--password=x\0");
    assert_eq!(filled.bytes(process.cwd), b"/srv");
    assert_eq!(filled.bytes(*filename), b"./s\xffh");
    assert_eq!(process.container.as_ref().unwrap().id.as_str(), id());
    assert_eq!((process.state, process.exec_ns), (init, filled.entries()[1].at.boottime_ns));
    assert_eq!(process.parent.unwrap().tgid, 11);
}

#[test]
fn an_exit_says_all_of_its_process() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    node.told();
    node.exit(100, 15);
    node.pipeline.end_round();
    let filled = node.lifecycle.try_recv().unwrap();
    let Activity::Exit { process, status: 15 } = &filled.entries()[0].activity else { panic!("an exit") };
    assert_eq!(filled.bytes(process.exe), b"/bin/s\xffh");
    assert_eq!(filled.bytes(process.argv), b"app\0--password=x\0");
    assert_eq!((process.exec_id, process.file.inode), (3, 9));
    assert!(process.container.is_some());
}

#[test]
fn off_tells_of_containers_only_and_all_of_the_host_too() {
    let mut off = Node::new(Processes::Off);
    off.start(100);
    off.exit(100, 0);
    assert_eq!(off.told(), ["started"]);
    let mut all = Node::new(Processes::All);
    all.start(100);
    all.exec(TaskState { exec_id: 1, ..state(50, 1, HOST_MNT, 1) }, 0, b"sshd\0");
    all.exit(50, 0);
    all.exit(51, 0);
    let told =
        ["started", "exec 100 1", "exec 100 2", "call 105 100", "exec 100 3", "exec 50 1", "exit 50 0"];
    assert_eq!(all.told(), told);
}

#[test]
fn a_process_that_joins_after_its_exec_is_told_once() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    node.told();
    // nsenter of the host, which execs inside: not in the container's cgroup, but on its files.
    let entered = TaskState { exec_id: 1, ..state(200, 1, HOST_MNT, 1) };
    node.exec(entered, 0, b"nsenter\0");
    let inside = TaskState { exec_id: 2, ..state(200, 1, CONTAINER_MNT, 1) };
    node.exec(inside, OWN, b"sh\0");
    assert_eq!(node.told(), ["exec 200 2"]);
    // A process of the host's files that stays in the container's cgroup: late, with its own time.
    let lingers = TaskState { exec_id: 1, ..state(300, 1, HOST_MNT, 1) };
    node.now = node.now.max(3_100_000_000);
    node.exec(lingers, file_flag::IN_TASK_MOUNT_NS, b"host\0");
    let at = node.now;
    node.cgroup(CgroupChange::Attach, CGROUP, 300, &path());
    assert!(node.told().is_empty());
    node.now += 3_000_000_000;
    node.pipeline.tick(node.now);
    node.pipeline.end_round();
    let filled = node.lifecycle.try_recv().unwrap();
    assert_eq!(filled.entries().len(), 1);
    assert_eq!(filled.entries()[0].at.boottime_ns, at);
    assert_eq!(word(&filled.entries()[0].activity), "exec 300 1");
}

#[test]
fn the_agents_own_children_are_no_events_but_canaries_are_seen() {
    let own = std::process::id();
    for processes in [Processes::Containers, Processes::All] {
        let mut node = Node::new(processes);
        let child = TaskState { exec_id: 1, ..state(500, own, HOST_MNT, 1) };
        node.exec(child, 0, b"/proc/self/exe\0canary\0beef\0");
        let at = node.now;
        assert_eq!(
            node.canaries.try_recv(),
            Ok(CanarySeen { nonce: Some(0xbeef), tgid: 500, boottime_ns: at })
        );
        // Without arguments, since the ring was nearly full.
        node.exec_flagged(child, 0, b"", header_flag::SHRUNK);
        assert_eq!(node.canaries.try_recv().unwrap().nonce, None);
        node.exec(child, 0, b"other\0");
        assert!(node.canaries.try_recv().is_err());
        node.credentials(child);
        node.exit(500, 0);
        // Nobody else's canary counts.
        node.exec(TaskState { exec_id: 1, ..state(501, 1, HOST_MNT, 1) }, 0, b"x\0canary\x001\0");
        assert!(node.canaries.try_recv().is_err());
        assert!(node.told().iter().all(|told| !told.contains(" 500")), "{processes:?}");
    }
}

#[test]
fn names_that_come_are_told_once() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    node.told();
    let names = |pod: &str| Names {
        role: ContainerRole::Workload,
        pod: pod.into(),
        namespace: "shop".into(),
        pod_uid: "uid".into(),
        labels: Default::default(),
        container: "main".into(),
        owner: Owner { kind: "Pod", name: pod.into() },
        image: "web:1".into(),
        image_digest: None,
        init_pid: None,
        service_account: None,
        sandboxed_runtime: false,
        image_created: None,
        declared: Declared::default(),
    };
    let key = ContainerKey { hierarchy: 0, cgroup: CGROUP };
    for pod in ["web", "web", "other"] {
        node.say(Message::Names(cri::Answer { key, result: Ok(Arc::new(names(pod))) }));
    }
    node.say(Message::Names(cri::Answer { key, result: Err(crate::context::PendingReason::NotKnown) }));
    assert_eq!(node.told(), ["named", "named"]);
}

#[test]
fn what_finds_no_room_is_counted_and_told_as_lost() {
    let mut node = Node::new(Processes::All);
    assert_eq!(node.told(), Vec::<String>::new());
    let host = TaskState { exec_id: 1, ..state(50, 1, HOST_MNT, 1) };
    for _ in 0..CAPACITY {
        node.exec(host, 0, b"x\0");
    }
    node.pipeline.end_round();
    let from = node.now + 1000;
    for _ in 0..7 {
        node.exec(host, 0, b"x\0");
    }
    let to = node.now;
    // Told when there is room, not before.
    node.pipeline.end_round();
    node.pipeline.tick(node.now + 2_000_000_000);
    while let Ok(outgoing) = node.changes.try_recv() {
        assert!(!matches!(outgoing, Outgoing::Lost(_)));
    }
    assert_eq!(node.telemetry.queues.dropped.of(Queue::Lifecycle, QueueDrop::Full).get(), 7);
    drop(node.lifecycle.try_recv().unwrap());
    node.pipeline.end_round();
    let Ok(Outgoing::Lost(lost)) = node.changes.try_recv() else { panic!("a loss") };
    assert_eq!((lost.at, lost.lost), ("queue lifecycle", 7));
    assert_eq!((lost.from.boottime_ns, lost.to.boottime_ns), (from, to));
    assert_eq!(node.told().len(), CAPACITY - CAPACITY / 16);
}

#[test]
fn before_anybody_reads_more_is_kept() {
    let mut node = Node::new(Processes::All);
    let host = TaskState { exec_id: 1, ..state(50, 1, HOST_MNT, 1) };
    for _ in 0..2 * CAPACITY {
        node.exec(host, 0, b"x\0");
    }
    assert_eq!(node.told().len(), 2 * CAPACITY);
    assert_eq!(node.telemetry.queues.dropped.of(Queue::Lifecycle, QueueDrop::Full).get(), 0);
}

#[tokio::test]
async fn the_reader_is_woken_and_hears_of_the_end() {
    let mut node = Node::new(Processes::Containers);
    node.start(100);
    let Node { mut pipeline, mut lifecycle, .. } = node;
    let reads = tokio::spawn(async move {
        let mut entries = 0;
        while let Some(filled) = lifecycle.recv().await {
            entries += filled.entries().len();
        }
        entries
    });
    tokio::task::yield_now().await;
    pipeline.end_round();
    drop(pipeline);
    assert_eq!(reads.await.unwrap(), 2);
}
