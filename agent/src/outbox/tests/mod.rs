//! The whole outbox, on a disk.

mod disk;
mod model;

use std::path::Path;

use kestrel_proto::v1;
use prost::Message;

use super::*;
use crate::{context::ContainerId, time::Clock};

/// Small enough to be full soon.
fn options() -> Options {
    Options {
        boot_id: "boot".into(),
        memory_bytes: [16 << 10, 16 << 10, 8 << 10],
        disk_bytes: [32 << 10, 32 << 10, 0],
    }
}

fn open(dir: &Path) -> Outbox {
    let (outbox, opened) = Outbox::open(dir, options());
    assert_eq!(opened.problem, None);
    outbox
}

fn definition(tgid: u32) -> Definition {
    let key = DefinitionKey::Process { start_ticks: 1, tgid, exec_id: 2 };
    Definition { key, body: vec![b'd'; 20].into() }
}

fn container(version: u32) -> Definition {
    let id = ContainerId::parse(&[b'c'; 64]).unwrap();
    Definition { key: DefinitionKey::Container { id, version }, body: vec![b'c'; 30].into() }
}

fn item(lane: Lane, number: u64) -> Item {
    let event = v1::record::Event::Exit(v1::Exit { process: None, status: 1 });
    let record = v1::Record { boottime_ns: number, wall_unix_ns: 1, event: Some(event) };
    let at = Clock { boottime_ns: number, wall_ns: 1 };
    let refers = vec![definition(number as u32 % 3), container(1)];
    Item { lane, at, record: record.encode_to_vec().into(), refers }
}

fn append(outbox: &Outbox, lane: Lane, numbers: impl Iterator<Item = u64>) -> Appended {
    outbox.append(&mut numbers.map(|number| item(lane, number)).collect())
}

fn numbers(batch: &OutgoingBatch) -> Vec<u64> {
    batch.records.iter().map(|record| v1::Record::decode(record.clone()).unwrap().boottime_ns).collect()
}

fn gaps(batch: &OutgoingBatch) -> Vec<v1::Gap> {
    let events = batch.records.iter().map(|record| v1::Record::decode(record.clone()).unwrap().event);
    events
        .filter_map(|event| match event {
            Some(v1::record::Event::Gap(gap)) => Some(gap),
            _ => None,
        })
        .collect()
}

/// Everything that is to be sent, acknowledged as it comes.
fn drain(outbox: &Outbox) -> Vec<OutgoingBatch> {
    outbox.resume(&[]);
    let mut batches = Vec::new();
    while let Some(batch) = outbox.next_batch(4 << 10) {
        outbox.ack(batch.epoch, batch.lane, batch.last_sequence());
        batches.push(batch);
    }
    batches
}

#[test]
fn higher_lanes_go_first_and_numbers_are_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    let mut items: Vec<_> =
        Lane::ALL.into_iter().rev().flat_map(|lane| (1..=5).map(move |n| item(lane, n))).collect();
    let appended = outbox.append(&mut items);
    assert!(items.is_empty());
    assert_eq!(appended, Appended { events: 15, too_large: 0, last: [5, 5, 5], on_disk: true });
    append(&outbox, Lane::Findings, 6..=6);
    outbox.resume(&[]);
    let batches: Vec<_> = std::iter::from_fn(|| outbox.next_batch(1 << 20)).collect();
    let lanes: Vec<_> =
        batches.iter().map(|batch| (batch.lane, batch.first_sequence, numbers(batch).len())).collect();
    assert_eq!(lanes, [(Lane::Findings, 1, 6), (Lane::Detections, 1, 5), (Lane::Bulk, 1, 5)]);
    // Each definition once a batch.
    assert_eq!(batches[1].refers.len(), 4);
    let status = outbox.status();
    assert_eq!((status.unsent, status.lanes[0].events, status.lanes[0].oldest_boottime_ns), (0, 6, Some(1)));
    outbox.ack(batches[0].epoch, Lane::Findings, 4);
    outbox.resume(&[Watermark { epoch: batches[0].epoch, lane: Lane::Findings, sequence: 5 }]);
    let again = outbox.next_batch(1 << 20).unwrap();
    assert_eq!((again.first_sequence, numbers(&again)), (6, vec![6]));
    assert_eq!(outbox.status().lanes[0].acked, 5);
}

#[test]
fn batches_keep_to_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    append(&outbox, Lane::Detections, 1..=100);
    outbox.resume(&[]);
    let mut next = 1;
    while let Some(batch) = outbox.next_batch(200) {
        assert_eq!(batch.first_sequence, next);
        assert!(batch.bytes <= 200, "{}", batch.bytes);
        next = batch.last_sequence() + 1;
    }
    assert_eq!(next, 101);
    outbox.resume(&[]);
    assert_eq!(outbox.next_batch(1).unwrap().records.len(), 1);
}

#[test]
fn a_record_that_is_too_large_is_counted_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    let large = Item { record: vec![0; MAX_RECORD_BYTES].into(), ..item(Lane::Findings, 2) };
    let appended = outbox.append(&mut vec![item(Lane::Findings, 1), large, item(Lane::Findings, 3)]);
    assert_eq!((appended.events, appended.too_large, appended.last[0]), (2, 1, 2));
    assert_eq!(outbox.status().too_large, 1);
    assert_eq!(numbers(&drain(&outbox)[0]), [1, 3]);
}

#[test]
fn a_full_lane_lets_the_oldest_go_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    for number in 1..=400 {
        append(&outbox, Lane::Detections, number..=number);
        append(&outbox, Lane::Bulk, number..=number);
    }
    let status = outbox.status();
    assert!(status.lanes[1].bytes <= 32 << 10 && status.lanes[1].memory_bytes <= 16 << 10);
    assert!(status.lanes[2].memory_bytes <= 8 << 10);
    let batches = drain(&outbox);
    let gaps: Vec<_> = batches.iter().flat_map(gaps).collect();
    for lane in [Lane::Detections, Lane::Bulk] {
        let [gap] = gaps.iter().filter(|gap| gap.lane == lane.to_proto() as i32).collect::<Vec<_>>()[..]
        else {
            panic!("{gaps:?}")
        };
        assert_eq!(gap.reason, v1::GapReason::OutboxFull as i32);
        assert_eq!((gap.from_sequence, gap.from_boottime_ns), (1, 1));
        assert_eq!(gap.to_boottime_ns, gap.to_sequence);
        assert_eq!(gap.to_sequence, status.lanes[lane.index()].evicted);
        let sent: Vec<_> = batches.iter().filter(|batch| batch.lane == lane).flat_map(numbers).collect();
        assert_eq!(sent, (gap.to_sequence + 1..=400).collect::<Vec<_>>());
    }
    assert_eq!(drain(&outbox).len(), 0);
    assert!(outbox.status().lanes.iter().all(|lane| lane.events == 0 && lane.bytes == 0));
}

#[test]
fn a_gap_that_is_evicted_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    for number in 1..=400 {
        append(&outbox, Lane::Detections, number..=number);
    }
    outbox.resume(&[]);
    // It has a number now, and nobody takes it.
    let [gap] = gaps(&outbox.next_batch(1 << 20).unwrap())[..] else { panic!("no gap") };
    for number in 1..=400 {
        append(&outbox, Lane::Findings, number..=number);
    }
    let batches = drain(&outbox);
    let gaps: Vec<_> = batches.iter().flat_map(gaps).collect();
    assert!(gaps.contains(&gap), "{gaps:?}");
    assert!(
        gaps.iter().any(|gap| gap.lane == v1::Lane::Findings as i32 && gap.from_sequence == 1),
        "{gaps:?}"
    );
}

#[tokio::test]
async fn a_change_wakes_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    let waits = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.changed().await }
    });
    append(&outbox, Lane::Findings, 1..=1);
    tokio::time::timeout(Duration::from_secs(10), waits).await.unwrap().unwrap();
}

#[test]
fn one_thread_appends_while_another_sends() {
    const EVENTS: u64 = 30_000;
    let folder = tempfile::tempdir().unwrap();
    let options = Options { disk_bytes: [64 << 20, 64 << 20, 0], ..options() };
    let (outbox, _) = Outbox::open(folder.path(), options);
    let sends = std::thread::spawn({
        let outbox = outbox.clone();
        move || {
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut arrived = PerLane::<u64>::default();
            while arrived[0] < EVENTS || arrived[1] < EVENTS {
                assert!(Instant::now() < deadline, "{arrived:?} {:?}", outbox.status());
                let Some(batch) = outbox.next_batch(8 << 10) else {
                    std::thread::yield_now();
                    continue;
                };
                let last = &mut arrived[batch.lane.index()];
                assert_eq!(batch.first_sequence, *last + 1);
                assert_eq!(numbers(&batch), (*last + 1..=batch.last_sequence()).collect::<Vec<_>>());
                *last = batch.last_sequence();
                // An ack now and then stays out, or is the last of its connection.
                let draw = *last % 7;
                if draw < 5 {
                    outbox.ack(batch.epoch, batch.lane, *last);
                }
                if draw == 0 {
                    outbox.resume(&[]);
                    arrived = outbox.status().lanes.map(|lane| lane.acked);
                }
            }
        }
    });
    for first in (1..=EVENTS).step_by(50) {
        let mut items = Vec::new();
        for lane in [Lane::Findings, Lane::Detections] {
            items.extend((first..first + 50).map(|number| item(lane, number)));
        }
        assert!(outbox.append(&mut items).on_disk);
        if first % 1_000 == 1 {
            assert!(outbox.sync());
        }
    }
    sends.join().unwrap();
    assert!(outbox.status().lanes.iter().all(|lane| lane.evicted == 0));
}
