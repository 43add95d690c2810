//! What the outbox costs: `cargo run --release -p kestrel-agent --example outbox -- FOLDER [GROUP]`.
//! Events as an exec makes them, in groups; appended, sent in batches of 256 KiB and acknowledged, on
//! one thread. Once with a sync after each group and once with one in a hundred.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people")]

use std::{path::Path, time::Instant};

use bytes::Bytes;
use kestrel_agent::{
    outbox::{Definition, DefinitionKey, Item, Lane, Options, Outbox},
    time::Clock,
};

const EVENTS: u64 = 1_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap();
    let group = arguments.next().map_or(256, |text| text.parse().unwrap());
    for (what, is_away, sync_every) in [
        ("sent and acked, no sync", false, u64::MAX),
        ("sent and acked, sync every 100 groups", false, 100),
        ("sent and acked, sync every group", false, 1),
        ("collector away, then all sent", true, 100),
    ] {
        run(Path::new(&dir), what, group, is_away, sync_every);
    }
}

fn run(dir: &Path, what: &str, group: u64, is_away: bool, sync_every: u64) {
    let folder = dir.join("outbox-bench");
    let _ = std::fs::remove_dir_all(&folder);
    let (outbox, opened) = Outbox::open(&folder, Options::new("boot"));
    assert_eq!(opened.problem, None);
    outbox.resume(&[]);
    let events = if sync_every == 1 { EVENTS / 10 } else { EVENTS / 2 };
    let mut items = Vec::new();
    let mut times = Vec::new();
    let (cpu, start) = (cpu_ms(), Instant::now());
    let mut sent = 0;
    for number in 0..events / group {
        items.extend((0..group).map(|index| item(number * group + index)));
        let before = Instant::now();
        outbox.append(&mut items);
        if number % sync_every == sync_every - 1 {
            assert!(outbox.sync());
        }
        times.push(before.elapsed().as_secs_f64() * 1e6);
        if !is_away {
            sent += send(&outbox);
        }
    }
    let appended = start.elapsed();
    sent += send(&outbox);
    assert!(outbox.sync());
    let whole = start.elapsed();
    times.sort_by(f64::total_cmp);
    let rate = |time: std::time::Duration| events as f64 / time.as_secs_f64();
    println!(
        "{what}: groups of {group}: {:.0} events/s ({:.0} appended/s), {sent} sent, {} evicted, append p50 {:.0} us \
         p99 {:.0} us, {:.2} us CPU an event, {} MiB resident at most",
        rate(whole),
        rate(appended),
        outbox.status().lanes[1].evicted,
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        (cpu_ms() - cpu) * 1e3 / events as f64,
        resident_mib(),
    );
    drop(outbox);
    let _ = std::fs::remove_dir_all(&folder);
}

fn send(outbox: &Outbox) -> u64 {
    let mut sent = 0;
    while let Some(batch) = outbox.next_batch(256 << 10) {
        sent += batch.records.len() as u64;
        outbox.ack(batch.epoch, batch.lane, batch.last_sequence());
    }
    sent
}

// A record of 100 bytes, a process of its own of 200, and a container that all share.
fn item(number: u64) -> Item {
    let bytes = |length: usize| {
        let mut state = number;
        let next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        Bytes::from(std::iter::repeat_with(next).take(length).collect::<Vec<_>>())
    };
    let id = kestrel_agent::context::ContainerId::parse(&[b'c'; 64]).unwrap();
    let process = DefinitionKey::Process { start_ticks: number, tgid: number as u32, exec_id: 1 };
    let refers = vec![
        Definition { key: process, body: bytes(200) },
        Definition { key: DefinitionKey::Container { id, version: 1 }, body: Bytes::from_static(&[1; 300]) },
    ];
    Item { lane: Lane::Detections, at: Clock { boottime_ns: number, wall_ns: 1 }, record: bytes(100), refers }
}

fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
