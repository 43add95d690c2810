//! The outbox and what a kill, a full disk and a read-only one do to it.
//!
//! The disks are small file systems mounted for the test, which needs root; without it these tests
//! say that they were skipped.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kestrel_agent::{
    outbox::{Item, Lane, Options, Outbox, OutgoingBatch},
    time::Clock,
};
use kestrel_proto::v1;
use prost::Message;

const CHILD: &str = "KESTREL_OUTBOX_CHILD";

fn item(lane: Lane, number: u64, bytes: usize) -> Item {
    let exec = v1::Exec { process: None, filename: vec![b'x'; bytes].into() };
    let event = Some(v1::record::Event::Exec(exec));
    let record = v1::Record { boottime_ns: number, wall_unix_ns: 1, event };
    let at = Clock { boottime_ns: number, wall_ns: 1 };
    Item { lane, at, record: record.encode_to_vec().into(), refers: Vec::new() }
}

fn records(batch: &OutgoingBatch) -> impl Iterator<Item = v1::Record> {
    batch.records.iter().map(|record| v1::Record::decode(record.clone()).unwrap())
}

/// Everything that is to be sent, acknowledged.
fn drain(outbox: &Outbox) -> Vec<OutgoingBatch> {
    outbox.resume(&[]);
    let mut batches = Vec::new();
    while let Some(batch) = outbox.next_batch(64 << 10) {
        outbox.ack(batch.epoch, batch.lane, batch.last_sequence());
        batches.push(batch);
    }
    batches
}

/// Numbers that arrived, and numbers that gaps name.
fn account(batches: &[OutgoingBatch], epoch: u64, lane: Lane) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let of_lane = batches.iter().filter(|batch| (batch.epoch, batch.lane) == (epoch, lane));
    let arrived = of_lane.flat_map(|batch| batch.first_sequence..=batch.last_sequence()).collect();
    let mut named = BTreeSet::new();
    for record in batches.iter().flat_map(records) {
        if let Some(v1::record::Event::Gap(gap)) = record.event
            && (gap.epoch, gap.lane) == (epoch, lane.to_proto() as i32)
        {
            named.extend(gap.from_sequence..=gap.to_sequence);
        }
    }
    (arrived, named)
}

/// A file system of its own, gone with the value.
struct Disk(tempfile::TempDir);

impl Disk {
    fn tmpfs(size: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: mounting a small disk needs root");
            return None;
        }
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "none"]);
        Some(disk)
    }

    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(self.0.path()).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("outbox")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_true() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (outbox, opened) = Outbox::open(Path::new(&dir), Options::new("boot"));
    let mut number = 0;
    loop {
        for group in [1, 32, 7] {
            let items = (0..group).flat_map(|_| {
                number += 1;
                Lane::ALL.map(|lane| item(lane, number, 100))
            });
            let appended = outbox.append(&mut items.collect());
            let [findings, detections, bulk] = appended.last;
            // A line at once; the test reads to the last that was written whole.
            println!("{} {findings} {detections} {bulk} {} .", opened.epoch, appended.on_disk);
            std::io::stdout().flush().unwrap();
        }
    }
}

fn start_child(dir: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_appended_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let mut child = start_child(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        let mut count = 0;
        while let Some(Ok(line)) = lines.next() {
            let Some(text) = line.strip_suffix(" .") else { continue };
            last = Some(text.to_owned());
            count += 1;
            if count == 20 + round * 13 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let text = last.unwrap();
        let words: Vec<_> = text.split(' ').collect();
        assert_eq!(words[4], "true");
        let numbers: Vec<u64> = words[..4].iter().map(|word| word.parse().unwrap()).collect();
        let (outbox, opened) = Outbox::open(folder.path(), Options::new("boot"));
        assert_eq!(opened.problem, None);
        let batches = drain(&outbox);
        for lane in Lane::ALL {
            let (arrived, named) = account(&batches, numbers[0], lane);
            let all: BTreeSet<_> = (1..=numbers[1 + lane.index()]).collect();
            if lane.is_durable() {
                assert!(arrived.is_superset(&all), "{lane:?} {} of {}", arrived.len(), all.len());
                assert!(named.is_empty(), "{named:?}");
            } else {
                // The mark is written before the line is.
                assert!(named.is_superset(&all), "{named:?} of {}", all.len());
            }
        }
        outbox.sync();
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost_by_it() {
    let Some(disk) = Disk::tmpfs("8m") else { return };
    let (outbox, opened) = Outbox::open(&disk.path(), Options::new("boot"));
    assert_eq!(opened.problem, None);
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let mut number = 0;
    let mut append = |bytes| {
        number += 10;
        outbox
            .append(&mut (number - 9..=number).map(|number| item(Lane::Detections, number, bytes)).collect())
    };
    while append(1_000).on_disk {}
    let status = outbox.status();
    let why = status.memory_only.unwrap();
    assert!(why.contains("the disk is full"), "{why}");
    assert!(!outbox.sync());
    for _ in 0..50 {
        append(1_000);
    }
    // It goes on by itself when there is room.
    fs::remove_file(&ballast).unwrap();
    until("back on disk", || append(10).on_disk);
    assert!(outbox.sync());
    assert_eq!(outbox.status().memory_only, None);
    drop(outbox);
    let (outbox, _) = Outbox::open(&disk.path(), Options::new("boot"));
    let (arrived, named) = account(&drain(&outbox), opened.epoch, Lane::Detections);
    assert_eq!((arrived, named), ((1..=number).collect(), BTreeSet::new()));
}

#[test]
fn what_a_full_disk_did_not_take_is_named_after_a_kill() {
    let Some(disk) = Disk::tmpfs("8m") else { return };
    let (outbox, opened) = Outbox::open(&disk.path(), Options::new("boot"));
    let ballast = disk.0.path().join("ballast");
    let mut number = 0;
    let mut append = || {
        number += 10;
        outbox
            .append(&mut (number - 9..=number).map(|number| item(Lane::Detections, number, 1_000)).collect())
    };
    for _ in 0..20 {
        assert!(append().on_disk);
    }
    // As full as it gets, to the last page.
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    drop(file);
    while append().on_disk {}
    append();
    let (epoch, kept) = (opened.epoch, outbox.status().lanes[1].events);
    assert_eq!(kept, number);
    // Nothing is written when it ends: this is what a kill leaves.
    drop(outbox);
    // What is there cannot be opened either, until there is room.
    let (outbox, opened) = Outbox::open(&disk.path(), Options::new("boot"));
    assert!(opened.problem.unwrap().contains("in memory only"));
    outbox.append(&mut vec![item(Lane::Findings, 1, 10)]);
    drop(outbox);
    fs::remove_file(&ballast).unwrap();
    let (outbox, last) = Outbox::open(&disk.path(), Options::new("boot"));
    assert_eq!(last.problem, None);
    assert!(outbox.sync());
    let batches = drain(&outbox);
    // So is the one in between, which never had the disk.
    assert_eq!(account(&batches, opened.epoch, Lane::Findings).1, BTreeSet::from([1]));
    let (arrived, named) = account(&batches, epoch, Lane::Detections);
    assert!(arrived.len() >= 200 && !named.is_empty());
    assert!(arrived.is_disjoint(&named));
    assert_eq!(arrived.union(&named).copied().collect::<Vec<_>>(), (1..=number).collect::<Vec<_>>());
}

#[test]
fn a_disk_full_of_what_is_acknowledged_is_usable_again() {
    let Some(disk) = Disk::tmpfs("2m") else { return };
    let (outbox, _) = Outbox::open(&disk.path(), Options::new("boot"));
    let mut number = 0;
    let mut append = || {
        number += 10;
        outbox
            .append(&mut (number - 9..=number).map(|number| item(Lane::Detections, number, 1_000)).collect())
    };
    while append().on_disk {}
    drain(&outbox);
    until("back on disk", || append().on_disk);
    assert!(outbox.sync());
}

#[test]
fn a_read_only_disk_is_said_and_left_when_it_can_be_written() {
    let Some(disk) = Disk::tmpfs("8m") else { return };
    let (first, opened) = Outbox::open(&disk.path(), Options::new("boot"));
    first.append(&mut (1..=5).map(|number| item(Lane::Findings, number, 10)).collect());
    let before = opened.epoch;
    drop(first);
    disk.mount(&["-o", "remount,ro"]);
    let (outbox, opened) = Outbox::open(&disk.path(), Options::new("boot"));
    let problem = opened.problem.unwrap();
    assert!(problem.starts_with("events are kept in memory only"), "{problem}");
    outbox.append(&mut (1..=3).map(|number| item(Lane::Findings, number, 10)).collect());
    outbox.resume(&[]);
    assert_eq!(outbox.next_batch(1 << 20).unwrap().records.len(), 3);
    disk.mount(&["-o", "remount,rw"]);
    until("back on disk", || outbox.sync());
    assert_eq!(outbox.epochs().iter().map(|id| id.epoch).collect::<Vec<_>>(), [before, opened.epoch]);
    let batches = drain(&outbox);
    assert_eq!(account(&batches, before, Lane::Findings).0, (1..=5).collect());
    assert_eq!(account(&batches, opened.epoch, Lane::Findings).0, (1..=3).collect());
}
