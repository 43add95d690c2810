//! The collector is killed while it takes events, again and again: what it acknowledged is there, and
//! there once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "ingest/rig.rs"]
#[allow(dead_code, reason = "of what agents do, a part is needed")]
mod rig;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kestrel_collector::log::{self, Content, Log};
use kestrel_proto::v1::{Lane, agent_message::Message, collector_message};
use kestrel_tls::{Connector, Endpoint};
use rig::{Agent, DEADLINE, hello};
use tonic::transport;

const ROUNDS: u64 = 8;
const BATCH: usize = 64;

fn start(dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kestrel-collector"))
        .args(["run", "--http-listen", "off", "--data-dir"])
        .arg(dir.join("data"))
        .arg("--grpc-listen")
        .arg(format!("unix://{}", dir.join("socket").display()))
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

async fn connect(dir: &Path, node: &str) -> Agent {
    let endpoint: Endpoint = format!("unix://{}", dir.join("socket").display()).parse().unwrap();
    let started = Instant::now();
    loop {
        let connector = Connector::new(endpoint.clone(), None, None, Duration::from_secs(5)).unwrap();
        let channel = transport::Endpoint::from_shared(endpoint.uri()).unwrap();
        if let Ok(channel) = channel.connect_with_connector(connector).await {
            let mut agent = Agent::over(channel).await;
            agent.send(Message::Hello(hello(node))).await;
            agent.welcomed().await;
            return agent;
        }
        assert!(started.elapsed() < DEADLINE, "the collector does not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends until the connection breaks. Gives the last number that was acknowledged.
async fn send(mut agent: Agent, acked: u64) -> u64 {
    let here = agent.welcome.watermarks.first().map_or(0, |mark| mark.sequence);
    assert!(here >= acked, "acknowledged up to {acked}, there up to {here}");
    let (mut next, mut acked) = (here + 1, here);
    loop {
        while next <= acked + 8 * BATCH as u64 {
            agent.batch(Lane::Detections, next, BATCH).await;
            next += BATCH as u64;
        }
        match agent.answer().await {
            Ok(collector_message::Message::Ack(ack)) => acked = ack.watermark.unwrap().sequence,
            Ok(_) => {}
            Err(_) => return acked,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = ["n0", "n1", "n2"];
    let mut acked: BTreeMap<&str, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut collector = start(dir.path());
        let mut sending = Vec::new();
        for node in nodes {
            let agent = connect(dir.path(), node).await;
            let acked = acked.get(node).copied().unwrap_or_default();
            sending.push((node, tokio::spawn(send(agent, acked))));
        }
        tokio::time::sleep(Duration::from_millis(100 + 137 * round % 400)).await;
        collector.kill().unwrap();
        collector.wait().unwrap();
        for (node, sending) in sending {
            acked.insert(node, tokio::time::timeout(DEADLINE, sending).await.unwrap().unwrap());
        }
    }
    let (log, recovery) = Log::open(&dir.path().join("data/log"), log::Options::default()).unwrap();
    assert_eq!(recovery.damaged, []);
    let mut there: BTreeMap<String, u64> = BTreeMap::new();
    for frame in log.reader(1) {
        let frame = frame.unwrap();
        let Content::Batch(batch) = &frame.body.content else { continue };
        let next = there.entry(frame.body.source.node.to_string()).or_insert(1);
        assert_eq!(batch.first_sequence, *next, "twice, or not at all");
        *next += batch.records.len() as u64;
    }
    println!("acknowledged {acked:?}, there up to {there:?}");
    for (node, acked) in acked {
        assert!(acked > 0 && there[node] > acked, "{node}");
    }
}

#[tokio::test]
async fn told_to_stop_it_stops_soon() {
    let dir = tempfile::tempdir().unwrap();
    let mut collector = start(dir.path());
    let mut agent = connect(dir.path(), "n0").await;
    agent.batch(Lane::Findings, 1, 5).await;
    agent.acked(Lane::Findings, 5).await;
    let pid = collector.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = agent.ended().await;
    assert_eq!(status.message(), "the collector is shutting down");
    let ended = tokio::task::spawn_blocking(move || collector.wait());
    let status =
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it goes on").unwrap().unwrap();
    assert!(status.success(), "{status}");
}
