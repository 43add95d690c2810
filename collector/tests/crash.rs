//! The collector is killed while it takes events, again and again: what it acknowledged is there, and
//! there once, and what it has to tell is told once.

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
use kestrel_proto::v1::{self, Lane, agent_message::Message, collector_message, record::Event};
use kestrel_tests::lab::slack::{Answer, Slack};
use kestrel_tls::{Connector, Endpoint};
use rig::{Agent, DEADLINE, hello};
use tonic::transport;

const ROUNDS: u64 = 8;
const BATCH: usize = 64;

fn start(dir: &Path) -> Child {
    start_with(dir, &[])
}

fn start_with(dir: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kestrel-collector"))
        .arg("run")
        .args(more)
        .args(["--http-listen", "off", "--data-dir"])
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

/// Matches of rules that are named by their numbers.
fn detections(first: u64, count: u64) -> v1::Batch {
    let matched = |number| {
        let mut detection = v1::Detection { rule: format!("r{number}"), ..v1::Detection::default() };
        detection.set_priority(v1::Priority::Warning);
        v1::Record { event: Some(Event::Detection(detection)), ..rig::exec(number) }
    };
    let records = (first..first + count).map(matched).collect();
    v1::Batch { records, processes: Vec::new(), ..rig::batch(Lane::Detections, first, 1) }
}

/// How often each rule was told, without the mark of a repeat and with it.
fn told(receiver: &Slack) -> BTreeMap<String, (u32, u32)> {
    let mut told: BTreeMap<_, (u32, u32)> = BTreeMap::new();
    for message in receiver.received() {
        assert_eq!(message.body["not_listed"], 0);
        for alert in message.body["alerts"].as_array().unwrap() {
            let count = told.entry(alert["detection"]["rule"].as_str().unwrap().to_owned()).or_default();
            if message.body["repeat"] == true { count.1 += 1 } else { count.0 += 1 }
        }
    }
    told
}

async fn until(what: &str, probe: impl Fn() -> bool) {
    let waited = tokio::time::timeout(2 * DEADLINE, async {
        while !probe() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_tells_of_detections() {
    const EACH: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let receiver = Slack::start().unwrap().lenient();
    let url = dir.path().join("url");
    std::fs::write(&url, receiver.url()).unwrap();
    let config = dir.path().join("collector.yaml");
    let yaml = format!("alerts: {{webhook: {{url_file: {}}}, timeout: 2s}}\n", url.display());
    std::fs::write(&config, yaml).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut next = 1;
    for answer in [Answer::Take, Answer::Hang, Answer::Cut, Answer::Take] {
        let before = receiver.received().len();
        let mut collector = start_with(dir.path(), &arguments);
        let mut agent = connect(dir.path(), "n0").await;
        receiver.script([answer]);
        agent.send(Message::Batch(detections(next, EACH))).await;
        next += EACH;
        agent.acked(Lane::Detections, next - 1).await;
        until("a message", || receiver.received().len() > before).await;
        collector.kill().unwrap();
        collector.wait().unwrap();
    }
    let mut collector = start_with(dir.path(), &arguments);
    until("all of it", || told(&receiver).len() as u64 == next - 1).await;
    collector.kill().unwrap();
    collector.wait().unwrap();
    let told = told(&receiver);
    for number in 1..next {
        let (plain, repeats) = told[&format!("r{number}")];
        assert!(plain <= 1 && plain + repeats > 0, "r{number}: {plain} without the mark, {repeats} with it");
    }
    assert!(told.values().any(|&(_, repeats)| repeats > 0), "no try was cut off after its receipt");
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
