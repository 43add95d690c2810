//! How many exec events a second the collector takes to its disk, and what it costs it. By hand:
//! `cargo test --release -p kestrel-collector --test throughput -- --ignored --nocapture`

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "ingest/rig.rs"]
#[allow(dead_code, reason = "of what agents do, a part is needed")]
mod rig;

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use kestrel_proto::v1::{self, Lane, agent_message::Message, collector_message, record::Event};
use kestrel_tls::{Connector, Endpoint};
use rig::{Agent, EPOCH, hello};
use tonic::transport;

const CONNECTIONS: usize = 6;
const BATCH: u64 = 256;
const TIME: Duration = Duration::from_secs(8);

/// An exec as an agent sends it: the process whole, with an argument that differs.
fn batch(first: u64) -> v1::Batch {
    let numbers = first..first + BATCH;
    let id = |number: u64| v1::ProcessId {
        start_ticks: number / 3,
        tgid: u32::try_from(number % 4_000_000).unwrap() + 1,
        exec_id: Some(2),
    };
    let process = |number: u64| v1::Process {
        id: Some(id(number)),
        parent: Some(v1::ProcessId { exec_id: None, ..id(number / 7) }),
        exe: "/usr/bin/python3.11".into(),
        argv: vec![
            "python3".into(),
            "/app/worker.py".into(),
            "--job".into(),
            format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into(),
        ],
        comm: "python3".into(),
        cwd: "/app".into(),
        container_id: Some("c0ffee".repeat(10) + "c0ff"),
        membership: 1,
        state: Some(v1::TaskState {
            uid: 1000,
            gid: 1000,
            euid: 1000,
            egid: 1000,
            cap_bounding: 0x00a8_0040_25fb,
            seccomp_mode: 2,
            ..v1::TaskState::default()
        }),
        file: Some(v1::File {
            inode: 123_456 + number % 50,
            dev: 1 << 20,
            mode: 0o755,
            ..v1::File::default()
        }),
        exec_boottime_ns: Some(number * 9973),
        ..v1::Process::default()
    };
    let record = |number: u64| v1::Record {
        boottime_ns: number * 9973,
        wall_unix_ns: 1_700_000_000_000_000_000 + i64::try_from(number).unwrap() * 9973,
        event: Some(Event::Exec(v1::Exec { process: Some(id(number)), filename: "/usr/bin/python3".into() })),
    };
    v1::Batch {
        epoch: EPOCH,
        lane: Lane::Detections.into(),
        first_sequence: first,
        processes: numbers.clone().map(process).collect(),
        forget: first % (32_768) == 1,
        records: numbers.map(record).collect(),
        ..v1::Batch::default()
    }
}

async fn connect(dir: &Path, node: &str) -> Agent {
    let endpoint: Endpoint = format!("unix://{}", dir.join("socket").display()).parse().unwrap();
    loop {
        let connector = Connector::new(endpoint.clone(), None, None, Duration::from_secs(5)).unwrap();
        let channel = transport::Endpoint::from_shared(endpoint.uri()).unwrap();
        if let Ok(channel) = channel.connect_with_connector(connector).await {
            let mut agent = Agent::over(channel).await;
            agent.send(Message::Hello(hello(node))).await;
            agent.welcomed().await;
            return agent;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn deliver(mut agent: Agent, until: Instant) -> u64 {
    let (mut next, mut acked) = (1, 0);
    while Instant::now() < until {
        while next <= acked + 64 * BATCH {
            agent.send(Message::Batch(batch(next))).await;
            next += BATCH;
        }
        if let collector_message::Message::Ack(ack) = agent.answer().await.unwrap() {
            acked = ack.watermark.unwrap().sequence;
        }
    }
    acked
}

/// CPU time of a process so far.
fn cpu(child: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for an optimised build and a quiet machine"]
async fn durable_exec_events_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("collector.yaml");
    fs::write(&config, "quota: {events_per_second: 10000000, bytes_per_second: 10GiB}\nlog: {level: warn}\n")
        .unwrap();
    let mut collector = Command::new(env!("CARGO_BIN_EXE_kestrel-collector"))
        .args(["run", "--http-listen", "off", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .arg("--grpc-listen")
        .arg(format!("unix://{}", dir.path().join("socket").display()))
        .spawn()
        .unwrap();
    let mut agents = Vec::new();
    for node in 0..CONNECTIONS {
        agents.push(connect(dir.path(), &format!("n{node}")).await);
    }
    let (before, started) = (cpu(&collector), Instant::now());
    let delivering: Vec<_> =
        agents.into_iter().map(|agent| tokio::spawn(deliver(agent, started + TIME))).collect();
    let mut events = 0;
    for delivered in delivering {
        events += delivered.await.unwrap();
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), (cpu(&collector) - before).as_secs_f64());
    let resident = fs::read_to_string(format!("/proc/{}/status", collector.id())).unwrap();
    let resident = resident.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
    let bytes: u64 = fs::read_dir(dir.path().join("data/log"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    collector.kill().unwrap();
    collector.wait().unwrap();
    println!(
        "{events} events in {wall:.1} s: {:.0}/s; collector {cpu:.1} s CPU: {:.0} events per CPU second; \
         {:.0} bytes an event on the disk; {resident}",
        events as f64 / wall,
        events as f64 / cpu,
        bytes as f64 / events as f64
    );
}
