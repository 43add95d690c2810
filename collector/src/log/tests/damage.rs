//! Whatever happens to the bytes: never a panic, never a wrong frame, and everything that was synced
//! and is whole is there.

use std::{fs, ops::Range};

use proptest::prelude::*;

use super::*;

/// Frames of a file, with their bytes.
struct Written {
    bytes: Vec<u8>,
    salt: u64,
    frames: Vec<(Range<usize>, Arc<Frame>)>,
    /// Where the last group begins.
    last_group: usize,
}

/// A segment with groups of so many frames.
fn written(groups: &[usize], frame_bytes: usize) -> Written {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = folder();
    let (log, _) = open(dir.path());
    let mut mark = 0;
    runtime.block_on(async {
        for &group in groups {
            let bodies: Vec<_> = (0..group).map(|at| body(mark + at as u64, frame_bytes)).collect();
            append_group(&log, &bodies).await;
            mark += group as u64;
        }
        log.close().await;
    });
    let frames = read(&log, 1).0;
    let bytes = fs::read(dir.path().join(segment::file_name(1))).unwrap();
    let salt = segment::SegmentHeader::decode(&bytes).unwrap().salt;
    let mut at = segment::HEADER_BYTES;
    let mut last_group = (0, 0);
    let frames = frames
        .into_iter()
        .map(|frame| {
            let header = segment::FrameHeader::peek(salt, &bytes[at..]).unwrap();
            if header.group != last_group.1 {
                last_group = (at, header.group);
            }
            let range = at..at + header.frame_bytes();
            at = range.end;
            (range, frame)
        })
        .collect();
    assert_eq!(at, bytes.len());
    Written { bytes, salt, frames, last_group: last_group.0 }
}

/// Opens a log of these bytes.
fn reopened(bytes: &[u8]) -> (Recovery, Vec<Arc<Frame>>, Vec<ReadError>) {
    let dir = folder();
    fs::write(dir.path().join(segment::file_name(1)), bytes).unwrap();
    let (log, recovery) = open(dir.path());
    let (frames, errors) = read(&log, 1);
    // What was found once is found again.
    let (again, recovered_again) = open(dir.path());
    assert_eq!(recovered_again.next, recovery.next);
    assert_eq!(recovered_again.cut, None);
    assert_eq!(read(&again, 1).0, frames);
    (recovery, frames, errors)
}

#[test]
fn cut_at_every_byte() {
    let Written { bytes, frames, .. } = written(&[1, 3, 2, 1], 40);
    for cut in 0..bytes.len() {
        let (recovery, found, errors) = reopened(&bytes[..cut]);
        let whole: Vec<_> =
            frames.iter().filter(|(range, _)| range.end <= cut).map(|(_, frame)| frame).collect();
        assert!(found.iter().eq(whole.iter().copied()), "cut at {cut}");
        assert_eq!(recovery.next, whole.len() as u64 + 1);
        assert!(errors.is_empty() && recovery.damaged.is_empty());
        let torn = !frames.iter().any(|(range, _)| range.end == cut) && cut != segment::HEADER_BYTES;
        assert_eq!(recovery.cut.is_some(), torn, "cut at {cut}: {:?}", recovery.cut);
    }
}

#[test]
fn a_byte_flipped_anywhere() {
    let Written { bytes, frames, last_group, .. } = written(&[1, 3, 2, 1, 2], 40);
    for at in segment::HEADER_BYTES..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x41;
        let (recovery, found, errors) = reopened(&bytes);
        let hit = frames.iter().position(|(range, _)| range.contains(&at)).unwrap();
        // Of the last group, what follows is taken for torn; of one before, only the frame is lost.
        let expected: Vec<_> = frames
            .iter()
            .enumerate()
            .filter(|(index, _)| *index < hit || at < last_group && *index != hit)
            .map(|(_, (_, frame))| frame)
            .collect();
        assert!(found.iter().eq(expected.iter().copied()), "flipped at {at}: {errors:?} {recovery:?}");
        if at < last_group {
            let lost = hit as u64 + 1;
            assert_eq!(recovery.damaged.iter().map(|damage| damage.frame).collect::<Vec<_>>(), [lost]);
            assert!(
                matches!(errors[..], [ReadError::Damaged { from, to, .. }] if (from, to) == (lost, lost))
            );
        } else {
            assert!(recovery.cut.is_some() && errors.is_empty());
        }
    }
}

#[test]
fn a_header_that_is_gone_takes_its_segment_along_and_no_number_is_used_twice() {
    let Written { bytes, frames, .. } = written(&[1, 3], 40);
    for at in 0..segment::HEADER_BYTES {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        if SegmentVersion::later(&bytes) {
            continue;
        }
        let (recovery, found, errors) = reopened(&bytes);
        assert!(found.is_empty());
        assert!(recovery.next > frames.len() as u64);
        assert!(matches!(errors[..], [ReadError::Damaged { from: 1, .. }]), "{errors:?}");
    }
}

struct SegmentVersion;

impl SegmentVersion {
    fn later(bytes: &[u8]) -> bool {
        matches!(segment::SegmentHeader::decode(bytes), Err(segment::HeaderProblem::Version(_)))
    }
}

/// Pages reach the disk in any order: what survives of an unsynced group is not what was written
/// first.
#[test]
fn of_a_torn_group_nothing_behind_the_hole_is_taken() {
    let Written { bytes, frames, last_group, .. } = written(&[2, 4], 40);
    let (hole, _) = &frames[3];
    assert!(hole.start > last_group);
    let mut bytes = bytes;
    bytes[hole.clone()].fill(0);
    let (recovery, found, errors) = reopened(&bytes);
    assert_eq!(found.len(), 3);
    assert_eq!(recovery.next, 4);
    assert!(errors.is_empty());
}

#[test]
fn a_frame_within_a_payload_is_none() {
    // The attacker knows the format, and not the salt.
    let dir = folder();
    let (log, _) = open(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut forged = Vec::new();
    let payload = Prepared::new(body(666, 10)).unwrap();
    for number in 2..6 {
        let length = u32::try_from(payload.payload.len()).unwrap();
        let header = segment::FrameHeader { length, raw: payload.raw, number, group: number };
        header.write(0, &payload.payload, &mut forged);
    }
    let mut carrier = body(1, 0);
    let Content::Batch(batch) = &mut carrier.content else { unreachable!() };
    batch.records[0].event = Some(Event::Exec(v1::Exec { filename: forged.into(), ..v1::Exec::default() }));
    runtime.block_on(async {
        log.append(carrier).await.unwrap();
        log.append(body(2, 10)).await.unwrap();
        log.close().await;
    });
    let path = dir.path().join(segment::file_name(1));
    let mut bytes = fs::read(&path).unwrap();
    bytes[segment::HEADER_BYTES + 9] ^= 1;
    let (_, found, _) = reopened(&bytes);
    assert!(found.iter().all(|frame| frame.body == body(2, 10)), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Any damage: what comes back is what was written under that number, in order.
    #[test]
    fn never_a_wrong_frame(
        groups in proptest::collection::vec(1_usize..5, 1..8),
        size in 0_usize..400,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        noise in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let Written { mut bytes, salt, frames, .. } = written(&groups, size);
        for (index, value) in &damage {
            let length = bytes.len();
            bytes[index.index(length)] = *value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes.extend_from_slice(&noise);
        let header = segment::SegmentHeader::decode(&bytes);
        prop_assume!(!SegmentVersion::later(&bytes));
        let (_, found, _) = reopened(&bytes);
        prop_assert!(found.is_sorted_by(|a, b| a.number < b.number));
        for frame in &found {
            let (_, written) = &frames[usize::try_from(frame.number).unwrap() - 1];
            prop_assert_eq!(frame, written);
        }
        // Frames before the first damage are all there.
        if header.is_ok_and(|header| header.salt == salt) {
            let whole = frames.iter().take_while(|(range, _)| {
                bytes.get(range.clone()).is_some_and(|bytes| {
                    segment::FrameHeader::peek(salt, bytes).is_some() && segment::FrameHeader::holds(salt, bytes)
                })
            });
            prop_assert!(found.len() >= whole.count());
        }
    }
}
