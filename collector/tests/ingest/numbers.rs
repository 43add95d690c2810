//! Each event once, whatever comes twice, late or never.

use kestrel_collector::{ingest::Options, log::Content};
use kestrel_proto::v1::{self, Lane, agent_message::Message, record::Event};
use kestrel_tls::Security;
use tonic::Code;

use crate::rig::{Agent, EPOCH, Rig, batch, exec, hello, id};

#[tokio::test]
async fn events_are_in_the_log_when_they_are_acknowledged() {
    let rig = Rig::start().await;
    let mut agent = rig.agent("n1").await;
    assert_eq!(agent.welcome.watermarks, []);
    assert_eq!(agent.welcome.max_message_bytes, 4 << 20);
    agent.batch(Lane::Detections, 1, 100).await;
    agent.batch(Lane::Findings, 1, 3).await;
    agent.acked(Lane::Detections, 100).await;
    assert_eq!(rig.numbers("n1")[..100], (1..=100).collect::<Vec<_>>());
    agent.batch(Lane::Detections, 101, 5).await;
    agent.acked(Lane::Detections, 105).await;
    assert!(matches!(rig.frames()[0].body.content, Content::Hello(_)));
    agent.finish().await;
    rig.stop().await;
}

#[tokio::test]
async fn what_comes_again_is_taken_once() {
    let rig = Rig::start().await;
    let mut agent = rig.agent("n1").await;
    agent.batch(Lane::Detections, 1, 10).await;
    agent.acked(Lane::Detections, 10).await;
    // Again, as it was, is acknowledged again; overlapping; and within.
    agent.batch(Lane::Detections, 1, 10).await;
    agent.acked(Lane::Detections, 10).await;
    agent.batch(Lane::Detections, 6, 10).await;
    agent.acked(Lane::Detections, 15).await;
    agent.batch(Lane::Detections, 3, 2).await;
    agent.batch(Lane::Detections, 16, 1).await;
    agent.acked(Lane::Detections, 15).await;
    agent.acked(Lane::Detections, 16).await;
    assert_eq!(rig.numbers("n1"), (1..=16).collect::<Vec<_>>());
    assert_eq!(rig.telemetry.ingest.duplicates.get(), 17);
    // A hole is taken as it is, and counted.
    agent.batch(Lane::Detections, 20, 1).await;
    agent.acked(Lane::Detections, 20).await;
    assert_eq!(rig.telemetry.ingest.holes.get(), 3);
    rig.stop().await;
}

#[tokio::test]
async fn a_new_connection_learns_what_is_there_and_so_does_a_new_collector() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::at(dir.path(), Options::default(), Security::Plain).await;
    let mut agent = rig.agent("n1").await;
    agent.batch(Lane::Detections, 1, 10).await;
    agent.acked(Lane::Detections, 10).await;
    let expected = [v1::Watermark { epoch: EPOCH, lane: Lane::Detections.into(), sequence: 10 }];
    let mut again = rig.agent("n1").await;
    assert_eq!(again.welcome.watermarks, expected);
    assert_eq!(agent.ended().await.code(), Code::Aborted);
    again.batch(Lane::Detections, 11, 1).await;
    again.acked(Lane::Detections, 11).await;
    rig.stop().await;

    let rig = Rig::at(dir.path(), Options::default(), Security::Plain).await;
    let mut agent = rig.agent("n1").await;
    assert_eq!(agent.welcome.watermarks[0].sequence, 11);
    agent.batch(Lane::Detections, 10, 3).await;
    agent.acked(Lane::Detections, 12).await;
    assert_eq!(rig.numbers("n1"), (1..=12).collect::<Vec<_>>());
    // Another node has a history of its own.
    assert_eq!(rig.agent("n2").await.welcome.watermarks, []);
    rig.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_off_loses_nothing_and_repeats_nothing() {
    let rig = Rig::start().await;
    for round in 0..20_u64 {
        let agent = rig.agent("n1").await;
        let here = agent.welcome.watermarks.first().map_or(0, |mark| mark.sequence);
        // The end is in the middle of what is on its way.
        for at in 0..round % 7 {
            agent.batch(Lane::Detections, here + 1 + at * 10, 10).await;
        }
        drop(agent);
    }
    let mut agent = rig.agent("n1").await;
    let here = agent.welcome.watermarks.first().map_or(0, |mark| mark.sequence);
    agent.batch(Lane::Detections, here + 1, 10).await;
    agent.acked(Lane::Detections, here + 10).await;
    assert_eq!(rig.numbers("n1"), (1..=here + 10).collect::<Vec<_>>());
    rig.stop().await;
}

#[tokio::test]
async fn frames_need_nothing_but_themselves() {
    let rig = Rig::start().await;
    let mut agent = rig.agent("n1").await;
    let container = v1::Container { id: "c0ffee".to_owned(), cgroup: 3, ..v1::Container::default() };
    let process = v1::Process {
        id: Some(id(2)),
        exe: "/bin/true".into(),
        container_id: Some("c0ffee".to_owned()),
        ..v1::Process::default()
    };
    let mut first = batch(Lane::Detections, 1, 1);
    (first.processes, first.containers) = (vec![process.clone()], vec![container.clone()]);
    agent.send(Message::Batch(first)).await;
    agent.acked(Lane::Detections, 1).await;
    let exit = v1::Exit { process: Some(id(2)), status: 0 };
    let mut second = batch(Lane::Detections, 2, 1);
    second.records[0].event = Some(Event::Exit(exit));
    agent.send(Message::Batch(second)).await;
    // Of this one nothing was said.
    agent.send(Message::Batch(v1::Batch { records: vec![exec(500)], ..batch(Lane::Detections, 3, 1) })).await;
    agent.acked(Lane::Detections, 3).await;
    let frames = rig.frames();
    for (frame, processes) in frames[1..].iter().zip([1, 1, 0]) {
        let Content::Batch(batch) = &frame.body.content else { panic!("{frame:?}") };
        assert_eq!((batch.processes.len(), batch.containers.len()), (processes, processes));
        assert!(processes == 0 || batch.processes[0] == process && batch.containers[0] == container);
    }
    assert_eq!(rig.telemetry.ingest.unknown_references.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn an_earlier_outbox_keeps_its_boot_and_a_forgotten_one_is_forgotten() {
    let rig = Rig::start().await;
    let mut agent = rig.stranger().await;
    let mut greeting = hello("n1");
    greeting.epochs.insert(0, v1::Epoch { epoch: 7, boot_id: "before".to_owned() });
    agent.send(Message::Hello(greeting)).await;
    agent.welcomed().await;
    agent.send(Message::Batch(v1::Batch { epoch: 7, ..batch(Lane::Findings, 4, 2) })).await;
    agent.acked(Lane::Findings, 5).await;
    assert_eq!(&*rig.frames()[1].body.source.boot_id, "before");
    assert_eq!(&*rig.frames()[0].body.source.boot_id, "b00t");
    let again: Agent = rig.agent("n1").await;
    assert_eq!(again.welcome.watermarks, []);
    rig.stop().await;
}

#[tokio::test]
async fn inventories_and_heartbeats() {
    let rig = Rig::start().await;
    let mut agent = rig.agent("n1").await;
    let inventory = v1::Inventory { number: 1, parts: 1, boottime_ns: 5, ..v1::Inventory::default() };
    agent.send(Message::Inventory(inventory)).await;
    agent.send(Message::Heartbeat(v1::Heartbeat { boottime_ns: 5, ..v1::Heartbeat::default() })).await;
    agent.batch(Lane::Findings, 1, 1).await;
    agent.acked(Lane::Findings, 1).await;
    let contents: Vec<_> = rig.frames().into_iter().map(|frame| frame.body.content.clone()).collect();
    assert!(
        matches!(contents[..], [Content::Hello(_), Content::Inventory(_), Content::Batch(_)]),
        "{contents:?}"
    );
    assert_eq!(rig.recorder.heartbeats.load(std::sync::atomic::Ordering::Relaxed), 1);
    rig.stop().await;
}
