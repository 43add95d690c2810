//! The log as a whole; on a file system in memory where many are opened.

mod damage;
mod disk;

use std::path::Path;

use kestrel_proto::v1::{self, record::Event};
use tempfile::TempDir;

use super::*;

/// In memory, so that a sync costs nothing.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A frame that can be told from all others.
fn body(mark: u64, bytes: usize) -> FrameBody {
    // Bytes that do not compress.
    let mut state = mark.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(bytes)
    .collect();
    let exec = v1::Exec { process: None, filename: noise.into() };
    let record = v1::Record { boottime_ns: mark, event: Some(Event::Exec(exec)), ..v1::Record::default() };
    let batch = v1::Batch { epoch: 1, first_sequence: mark, records: vec![record], ..v1::Batch::default() };
    let source = Source { cluster: "c".into(), node: "n".into(), boot_id: "b".into() };
    FrameBody { source, received_unix_ns: 7, content: Content::Batch(batch) }
}

fn open(dir: &Path) -> (Log, Recovery) {
    Log::open(dir, Options::default()).unwrap()
}

/// Everything that can be read, and what cannot.
fn read(log: &Log, from: u64) -> (Vec<Arc<Frame>>, Vec<ReadError>) {
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    for item in log.reader(from) {
        match item {
            Ok(frame) => frames.push(frame),
            Err(error) => errors.push(error),
        }
    }
    (frames, errors)
}

async fn append_group(log: &Log, bodies: &[FrameBody]) -> u64 {
    let frames = bodies.iter().map(|body| Prepared::new(body.clone()).unwrap()).collect();
    log.append_all(frames).await.unwrap()
}

#[tokio::test]
async fn frames_come_back_in_order_here_and_after_a_restart() {
    let dir = folder();
    let (log, recovery) = open(dir.path());
    assert_eq!(recovery, Recovery { next: 1, ..Recovery::default() });
    for mark in 1..=50 {
        assert_eq!(log.append(body(mark, 100)).await.unwrap(), mark);
    }
    assert_eq!((log.oldest(), *log.committed().borrow()), (1, 51));
    let (before, errors) = read(&log, 0);
    assert!(errors.is_empty());
    assert_eq!(before.len(), 50);
    log.close().await;
    assert!(matches!(log.append(body(1, 1)).await, Err(LogError::Closed)));

    let (log, recovery) = open(dir.path());
    assert_eq!((recovery.next, recovery.segments, recovery.cut), (51, 1, None));
    let (after, errors) = read(&log, 0);
    assert!(errors.is_empty());
    assert_eq!(before, after);
    assert_eq!(read(&log, 31).0, before[30..]);
    assert_eq!(log.append(body(51, 100)).await.unwrap(), 51);
}

#[tokio::test]
async fn a_reader_goes_on_when_there_is_more() {
    let dir = folder();
    let (log, _) = open(dir.path());
    let mut reader = log.reader(1);
    assert!(reader.next().is_none());
    for mark in 1..=20 {
        log.append(body(mark, 40_000)).await.unwrap();
        assert_eq!(reader.next().unwrap().unwrap().number, mark);
        assert!(reader.next().is_none());
    }
}

#[tokio::test]
async fn segments_follow_one_another_and_the_oldest_go() {
    let dir = folder();
    let options = Options { segment_bytes: 10_000, max_bytes: 50_000, ..Options::default() };
    let (log, _) = Log::open(dir.path(), options).unwrap();
    log.hold("test", 1);
    for mark in 1..=100 {
        log.append(body(mark, 1000)).await.unwrap();
    }
    assert!(log.segments() > 10, "{}", log.segments());
    assert_eq!(log.oldest(), 1);
    assert_eq!(read(&log, 1).0.len(), 100);

    log.hold("test", 60);
    deadline(|| log.oldest() > 1).await;
    assert!(log.oldest() <= 60, "{}", log.oldest());
    log.hold("test", 1000);
    deadline(|| log.bytes() <= 50_000).await;
    let oldest = log.oldest();
    let (frames, errors) = read(&log, 1);
    assert!(matches!(errors[..], [ReadError::Expired { from: 1, to }] if to == oldest - 1), "{errors:?}");
    assert_eq!(frames.first().unwrap().number, oldest);
    assert_eq!(frames.last().unwrap().number, 100);
}

async fn deadline(holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("did not come to hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_append_and_the_feed_has_all_in_order() {
    let dir = folder();
    let (log, _) = open(dir.path());
    let mut feed = log.feed(4);
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for at in 0..50 {
                    numbers.push(append_group(&log, &[body(writer << 32 | at, 10), body(9, 9)]).await);
                }
                assert!(numbers.is_sorted());
            })
        })
        .collect();
    for number in 1..=800 {
        assert_eq!(feed.recv().await.unwrap().number, number);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    drop(feed);
    log.append(body(1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_later_format_is_not_touched() {
    let dir = folder();
    let (log, _) = open(dir.path());
    log.append(body(1, 1)).await.unwrap();
    log.close().await;
    let path = dir.path().join(segment::file_name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 9;
    let crc = crc32fast::hash(&[&bytes[..12], &bytes[16..32]].concat());
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = Log::open(dir.path(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("format 9 is that of a later collector"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
