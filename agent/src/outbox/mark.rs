//! Which numbers were given, in a file of one page that is there before the disk is full.
//!
//! It is overwritten in place, into the page cache, after each append. So the agent that follows one
//! that was killed knows which numbers were in memory only, and tells them as a gap. It does not
//! hold on a disk that is read-only from the start, nor on a file system that cannot overwrite in
//! place when full (btrfs); then the notice `blind` covers the time. After power loss the page may
//! be an older one: numbers given after it are not told, and no record of them is left anywhere.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use prost::Message;

use super::{Lane, gap::GapRange};

const FILE: &str = "outbox.mark";
const BYTES: usize = 4096;
const VERSION: u32 = 1;

/// What is known of the numbers of one epoch.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MarkedEpoch {
    #[prost(fixed64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(string, tag = "2")]
    pub(super) boot_id: String,
    /// In the order of the lanes.
    #[prost(message, repeated, tag = "3")]
    pub(super) lanes: Vec<MarkedLane>,
}

/// Of a lane.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct MarkedLane {
    /// The last number that was given.
    #[prost(uint64, tag = "1")]
    pub(super) assigned: u64,
    /// The first that is neither acknowledged nor told as a gap.
    #[prost(uint64, tag = "2")]
    pub(super) floor: u64,
    /// Boottimes of the two.
    #[prost(uint64, tag = "3")]
    pub(super) from_ns: u64,
    #[prost(uint64, tag = "4")]
    pub(super) to_ns: u64,
}

/// The page.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Mark {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// Of starts whose chunks on disk were not looked at yet, and last the current one.
    #[prost(message, repeated, tag = "2")]
    pub(super) epochs: Vec<MarkedEpoch>,
    /// Gaps that are not in the database.
    #[prost(message, repeated, tag = "3")]
    gaps: Vec<kestrel_proto::v1::Gap>,
}

impl Mark {
    pub(super) fn new(epochs: Vec<MarkedEpoch>, gaps: &[GapRange]) -> Self {
        Self { version: VERSION, epochs, gaps: gaps.iter().map(|gap| gap.to_proto()).collect() }
    }

    pub(super) fn gaps(&self) -> Vec<GapRange> {
        self.gaps.iter().filter_map(GapRange::from_proto).collect()
    }
}

impl MarkedEpoch {
    pub(super) fn lane(&self, lane: Lane) -> Option<MarkedLane> {
        self.lanes.get(lane.index()).copied()
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct MarkFile(File);

impl MarkFile {
    /// Opens it, makes it as long as it will ever be, and reads what stands in it.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Option<Mark>)> {
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).read(true).write(true).mode(0o600).open(dir.join(FILE))?;
        let mark = read(&file);
        if file.metadata()?.len() < BYTES as u64 {
            file.write_all_at(&[0; BYTES], 0)?;
            file.sync_all()?;
        }
        Ok((Self(file), mark))
    }

    /// What stands in it, when it can be read only.
    pub(super) fn read(dir: &Path) -> Option<Mark> {
        read(&File::open(dir.join(FILE)).ok()?)
    }

    /// Replaces what stands in it. Gaps for which there is no room are left out.
    pub(super) fn write(&self, mut mark: Mark) -> io::Result<()> {
        while mark.encoded_len() > BYTES - 8 {
            if mark.gaps.pop().is_none() {
                if mark.epochs.len() <= 1 {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                mark.epochs.remove(0);
            }
        }
        let body = mark.encode_to_vec();
        let mut page = [0; BYTES];
        page[..4].copy_from_slice(&crc32fast::hash(&body).to_le_bytes());
        page[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
        page[8..8 + body.len()].copy_from_slice(&body);
        self.0.write_all_at(&page, 0)
    }

    /// Makes it outlive power loss.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn read(file: &File) -> Option<Mark> {
    let mut page = [0; BYTES];
    file.read_exact_at(&mut page, 0).ok()?;
    let (head, rest) = page.split_at(8);
    let crc = u32::from_le_bytes(head[..4].try_into().ok()?);
    let length = u32::from_le_bytes(head[4..].try_into().ok()?) as usize;
    let body = rest.get(..length)?;
    let is_whole = length > 0 && crc32fast::hash(body) == crc;
    let mark = is_whole.then(|| Mark::decode(body).ok())??;
    (mark.version == VERSION).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::gap::Reason;

    fn epoch(epoch: u64) -> MarkedEpoch {
        let lane = MarkedLane { assigned: 9, floor: 4, from_ns: 1, to_ns: 2 };
        MarkedEpoch { epoch, boot_id: "boot".into(), lanes: vec![lane; 3] }
    }

    fn gap(from: u64) -> GapRange {
        let (lane, reason) = (Lane::Detections, Reason::Full);
        GapRange { epoch: u64::MAX, lane, from, to: from, reason, from_ns: u64::MAX, to_ns: u64::MAX }
    }

    #[test]
    fn what_was_written_stands_there_and_more_than_a_page_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (file, before) = MarkFile::open(folder.path()).unwrap();
        assert!(before.is_none());
        let gaps: Vec<_> = (1..500).map(|number| gap(number * 1_000_000)).collect();
        file.write(Mark::new(vec![epoch(1), epoch(2)], &gaps)).unwrap();
        let (file, before) = MarkFile::open(folder.path()).unwrap();
        let before = before.unwrap();
        assert_eq!(before.epochs, [epoch(1), epoch(2)]);
        assert!(before.gaps().len() > 40 && gaps.starts_with(&before.gaps()));
        file.write(Mark::new(vec![epoch(3)], &[])).unwrap();
        assert_eq!(MarkFile::read(folder.path()).unwrap().epochs, [epoch(3)]);
    }

    #[test]
    fn a_torn_page_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = MarkFile::open(folder.path()).unwrap();
        file.write(Mark::new(vec![epoch(1)], &[])).unwrap();
        file.0.write_all_at(&[0xff], 20).unwrap();
        assert!(MarkFile::read(folder.path()).is_none());
    }
}
