//! Quotas, a full disk, and many at once.

use std::{
    process::Command,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use kestrel_collector::ingest::{Options, Quota};
use kestrel_proto::v1::{Lane, PressureReason, agent_message::Message, collector_message};
use kestrel_tls::Security;
use tonic::Code;

use crate::rig::{DEADLINE, Rig, batch};

#[tokio::test]
async fn a_node_above_its_quota_is_read_more_slowly_and_told_so() {
    let quota = Quota { events_per_second: 1000, bytes_per_second: 1 << 30 };
    let rig = Rig::with(Options { quota, ..Options::default() }).await;
    let mut flood = rig.agent("flood").await;
    let started = Instant::now();
    for at in 0..7 {
        flood.batch(Lane::Bulk, 1 + at * 1000, 1000).await;
    }
    let mut pressed = 0;
    loop {
        match flood.answer().await.unwrap() {
            collector_message::Message::Pressure(pressure) => {
                assert_eq!(pressure.reason(), PressureReason::Quota);
                assert!((1..=10_000).contains(&pressure.pause_ms), "{}", pressure.pause_ms);
                pressed += 1;
                // Others are not held up.
                let mut other = rig.agent("other").await;
                let first = 1 + other.welcome.watermarks.first().map_or(0, |mark| mark.sequence);
                other.batch(Lane::Bulk, first, 10).await;
                other.acked(Lane::Bulk, first + 9).await;
            }
            collector_message::Message::Ack(ack) if ack.watermark.unwrap().sequence == 7000 => break,
            _ => {}
        }
    }
    // Four seconds' worth at once, then a thousand a second.
    assert!(pressed >= 2, "{pressed}");
    assert!(started.elapsed() > Duration::from_millis(1800), "{:?}", started.elapsed());
    assert_eq!(rig.numbers("flood"), (1..=7000).collect::<Vec<_>>());
    rig.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answers_is_let_go() {
    let options = Options { answer_time: Duration::from_millis(200), ..Options::default() };
    let rig = Rig::with(options).await;
    let agent = rig.agent("deaf").await;
    // Acks are small: it takes many until nothing has room for them.
    let deaf = async {
        for at in 0_u64.. {
            agent.batch(Lane::Bulk, 1 + at % 2, 1).await;
            if rig.telemetry.ingest.refusals(kestrel_collector::telemetry::RefusalReason::TooSlow) > 0 {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, deaf).await.expect("it is served for ever");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_nodes_and_one_that_floods() {
    let quota = Quota { events_per_second: 20_000, bytes_per_second: 1 << 30 };
    let options = Options { quota, memory_bytes: 4 << 20, ..Options::default() };
    let rig = Rig::with(options).await;
    let flood = rig.agent("flood").await;
    let flooding = tokio::spawn(async move {
        for at in 0_u64.. {
            flood.send(Message::Batch(batch(Lane::Bulk, 1 + at * 2000, 2000))).await;
        }
    });
    let mut agents = Vec::new();
    for node in 0..50 {
        agents.push(rig.agent(&format!("n{node}")).await);
    }
    let started = Instant::now();
    let agents: Vec<_> = agents
        .into_iter()
        .map(|mut agent| {
            tokio::spawn(async move {
                for at in 0..20 {
                    agent.batch(Lane::Detections, 1 + at * 20, 20).await;
                    agent.acked(Lane::Detections, 20 + at * 20).await;
                }
            })
        })
        .collect();
    for agent in agents {
        tokio::time::timeout(DEADLINE, agent).await.expect("a node is held up").unwrap();
    }
    println!("50 nodes, 20 round trips each, beside a flood: {:?}", started.elapsed());
    flooding.abort();
    for node in 0..50 {
        assert_eq!(rig.numbers(&format!("n{node}")), (1..=400).collect::<Vec<_>>());
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_full_disk_stops_acks_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        let command =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path()).status();
        command.is_ok_and(|status| status.success())
    };
    if !mount("size=512k") {
        println!("SKIPPED: mounting a tmpfs needs root and CAP_SYS_ADMIN");
        return;
    }
    let rig = Rig::at(dir.path(), Options::default(), Security::Plain).await;
    let mut agent = rig.agent("n1").await;
    let mut sent = 0;
    let full = loop {
        let mut batch = batch(Lane::Detections, sent + 1, 1000);
        for (record, salt) in batch.records.iter_mut().zip(sent..) {
            // That does not compress away.
            record.wall_unix_ns = (salt as i64).wrapping_mul(0x1234_5678_9abc_def1);
        }
        agent.send(Message::Batch(batch)).await;
        sent += 1000;
        match agent.answer().await.unwrap() {
            collector_message::Message::Pressure(pressure) => break pressure,
            _ => assert!(sent < 10_000_000),
        }
    };
    assert_eq!(full.reason(), PressureReason::DiskFull);
    // The stream stays, and so do others that come.
    let other = rig.agent("n2").await;
    assert!(
        Command::new("mount").args(["-o", "remount,size=64m"]).arg(dir.path()).status().unwrap().success()
    );
    agent.acked(Lane::Detections, sent).await;
    assert_eq!(rig.numbers("n1"), (1..=sent).collect::<Vec<_>>());
    drop(other);
    rig.stop().await;
    let _ = Command::new("umount").arg("-l").arg(dir.path()).status();
}

#[tokio::test]
async fn a_stop_ends_streams_with_a_reason() {
    let rig = Rig::start().await;
    let mut agent = rig.agent("n1").await;
    agent.batch(Lane::Bulk, 1, 1).await;
    agent.acked(Lane::Bulk, 1).await;
    rig.ingest.stop().await;
    let status = agent.ended().await;
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the collector is shutting down"));
    assert_eq!(rig.recorder.held_back.load(Relaxed), 0);
    rig.stop().await;
}
