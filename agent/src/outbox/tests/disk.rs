//! What the disk keeps, and what happens when it does not.

use std::fs;

use rusqlite::Connection;

use super::*;

fn change(dir: &Path, sql: &str) {
    Connection::open(dir.join("outbox.sqlite")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_a_start_leaves_is_sent_under_its_epoch_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    append(&first, Lane::Detections, 1..=300);
    append(&first, Lane::Findings, 1..=2);
    let epoch = first.epochs()[0].clone();
    first.resume(&[]);
    first.ack(epoch.epoch, Lane::Detections, 10);
    assert!(first.sync());
    drop(first);
    let (second, opened) = Outbox::open(folder.path(), Options { boot_id: "next boot".into(), ..options() });
    assert_eq!(opened.left[0], 2);
    append(&second, Lane::Detections, 1..=1);
    assert_eq!(
        second.epochs(),
        [epoch.clone(), EpochId { epoch: opened.epoch, boot_id: "next boot".into() }]
    );
    let batches = drain(&second);
    assert!(batches.iter().all(|batch| gaps(batch).is_empty()));
    let of = |epoch, lane| -> Vec<u64> {
        batches.iter().filter(|batch| (batch.epoch, batch.lane) == (epoch, lane)).flat_map(numbers).collect()
    };
    assert_eq!(of(epoch.epoch, Lane::Findings), [1, 2]);
    let resent = of(epoch.epoch, Lane::Detections);
    // A chunk that is acked in part comes whole.
    assert_eq!(resent.last(), Some(&300));
    assert!(resent.is_sorted() && resent[0] <= 11);
    assert_eq!(of(opened.epoch, Lane::Detections), [1]);
    // Definitions came along.
    assert_eq!(batches[1].refers.len(), 4);
    assert_eq!(second.epochs().len(), 1);
    second.sync();
    drop(second);
    let third = open(folder.path());
    assert_eq!((third.epochs().len(), drain(&third).len()), (1, 0));
}

#[test]
fn what_was_only_in_memory_is_a_gap_of_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    append(&first, Lane::Bulk, 1..=7);
    let epoch = first.epochs()[0].epoch;
    first.ack(epoch, Lane::Bulk, 2);
    append(&first, Lane::Bulk, 8..=8);
    drop(first);
    let second = open(folder.path());
    let [batch] = &drain(&second)[..] else { panic!("one batch") };
    let [gap] = gaps(batch)[..] else { panic!("one gap") };
    assert_eq!((gap.epoch, gap.lane, gap.reason), (epoch, 3, v1::GapReason::NotOnDisk as i32));
    assert_eq!((gap.from_sequence, gap.to_sequence), (3, 8));
}

#[test]
fn a_file_of_a_newer_version_is_set_aside_whole() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    append(&first, Lane::Findings, 1..=5);
    drop(first);
    change(folder.path(), "PRAGMA user_version = 7");
    let (second, opened) = Outbox::open(folder.path(), options());
    let problem = opened.problem.unwrap();
    assert!(problem.contains("it has version 7, this agent reads 1"), "{problem}");
    assert!(append(&second, Lane::Findings, 1..=1).on_disk);
    let gaps: Vec<_> = drain(&second).iter().flat_map(gaps).collect();
    let [gap] = gaps[..] else { panic!("one gap") };
    assert_eq!((gap.from_sequence, gap.to_sequence, gap.reason), (1, 5, v1::GapReason::Corrupt as i32));
    let aside = Connection::open(folder.path().join("outbox.sqlite.newer")).unwrap();
    let rows: i64 = aside.query_row("SELECT sum(count) FROM chunk", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 5);
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    for content in [vec![0xff; 10_000], b"SQLite format 3\0 and nonsense".repeat(500)] {
        drop(open(folder.path()));
        fs::write(folder.path().join("outbox.sqlite"), &content).unwrap();
        let (outbox, opened) = Outbox::open(folder.path(), options());
        assert!(opened.problem.unwrap().contains("set aside"));
        assert!(append(&outbox, Lane::Findings, 1..=1).on_disk);
        assert_eq!(fs::read(folder.path().join("outbox.sqlite.damaged")).unwrap(), content);
    }
}

#[test]
fn a_chunk_that_cannot_be_read_back_is_a_gap_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    for number in 1..=9 {
        append(&first, Lane::Detections, number..=number);
    }
    drop(first);
    change(folder.path(), "UPDATE chunk SET body = zeroblob(length(body)) WHERE first = 4");
    change(folder.path(), "UPDATE chunk SET count = 2 WHERE first = 7");
    let second = open(folder.path());
    let batches = drain(&second);
    let sent: Vec<_> =
        batches.iter().filter(|batch| batch.lane == Lane::Detections).flat_map(numbers).collect();
    assert_eq!(sent, [1, 2, 3, 5, 6, 8, 9]);
    let gaps: Vec<_> = batches.iter().flat_map(gaps).collect();
    let ranges: Vec<_> = gaps.iter().map(|gap| (gap.from_sequence, gap.to_sequence, gap.reason)).collect();
    let corrupt = v1::GapReason::Corrupt as i32;
    assert_eq!(ranges, [(4, 4, corrupt), (7, 7, corrupt)]);
    assert_eq!(second.status().lanes[1].evicted, 2);
}

#[test]
fn pages_that_are_overwritten_cost_what_is_in_them_and_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    append(&first, Lane::Detections, 1..=200);
    append(&first, Lane::Findings, 1..=200);
    drop(first);
    let path = folder.path().join("outbox.sqlite");
    let whole = fs::read(&path).unwrap();
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 100..(page + 1) * 4096].fill(0xa5);
        for file in fs::read_dir(folder.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        fs::write(&path, bytes).unwrap();
        let (outbox, _) = Outbox::open(folder.path(), options());
        append(&outbox, Lane::Findings, 1..=1);
        assert!(drain(&outbox).iter().any(|batch| batch.epoch == outbox.epochs()[0].epoch), "page {page}");
        assert_eq!(outbox.status().memory_only, None, "page {page}");
    }
}

#[test]
fn of_many_starts_the_oldest_go_and_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut epochs = Vec::new();
    for _ in 0..70 {
        let outbox = open(folder.path());
        append(&outbox, Lane::Findings, 1..=1);
        epochs.push(outbox.epochs().last().unwrap().epoch);
    }
    let last = open(folder.path());
    assert_eq!(last.epochs().len(), 65);
    let gaps: Vec<_> = drain(&last).iter().flat_map(gaps).collect();
    for epoch in &epochs[..6] {
        assert!(gaps.iter().any(|gap| (gap.epoch, gap.from_sequence) == (*epoch, 1)), "{gaps:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_leaves_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (outbox, opened) = Outbox::open(&file.join("outbox"), options());
    assert!(opened.problem.unwrap().starts_with("events are kept in memory only: cannot make"));
    let appended = append(&outbox, Lane::Findings, 1..=3);
    assert_eq!((appended.on_disk, outbox.sync()), (false, false));
    assert_eq!(numbers(&drain(&outbox)[0]), [1, 2, 3]);
}

#[test]
fn what_is_not_used_any_more_is_given_back_to_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { disk_bytes: [64 << 20, 64 << 20, 0], ..options() };
    let (outbox, _) = Outbox::open(folder.path(), options);
    let large = |number| Item { record: vec![1; 64 << 10].into(), ..item(Lane::Detections, number) };
    for number in 1..=320 {
        outbox.append(&mut vec![large(number)]);
    }
    let size = || fs::metadata(folder.path().join("outbox.sqlite")).unwrap().len();
    let full = size();
    assert!(full > 16 << 20, "{full}");
    drain(&outbox);
    for number in 0..100 {
        assert!(outbox.sync());
        append(&outbox, Lane::Findings, number..=number);
    }
    drop(outbox);
    assert!(size() < 12 << 20, "{} of {full}", size());
}
