//! Opening a log that somebody left.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    LogError,
    segment::{
        self, FRAME_HEADER_BYTES, FrameHeader, HEADER_BYTES, HeaderProblem, SegmentHeader, find_frame,
    },
    shared::Segment,
    writer::Active,
};

/// What was found when the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Number of the next frame.
    pub next: u64,
    /// What was cut off the end: written, and never acknowledged.
    pub cut: Option<Cut>,
    /// What was acknowledged and cannot be read.
    pub damaged: Vec<Damage>,
}

/// Bytes that were cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub path: PathBuf,
    /// Its length now.
    pub at: u64,
    /// How many bytes followed.
    pub bytes: u64,
}

/// Frames that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it.
    pub at: u64,
    /// Number of the first frame that is damaged.
    pub frame: u64,
}

/// An opened folder.
pub(super) struct Opened {
    pub(super) segments: Vec<Segment>,
    pub(super) active: Option<Active>,
    pub(super) next: u64,
    pub(super) recovery: Recovery,
}

/// Opens the log in `dir`. Older segments are only looked at when they are read: only the last one
/// can have been written to when somebody was killed.
pub(super) fn open(dir: &Path) -> Result<Opened, LogError> {
    make(dir).map_err(|source| failed(dir, source))?;
    // Names that a predecessor made and did not live to sync.
    sync_folder(dir).map_err(|source| failed(dir, source))?;
    let mut recovery = Recovery::default();
    let mut segments = Vec::new();
    let mut active = None;
    let mut next = 1;
    let numbers = numbers(dir).map_err(|source| failed(dir, source))?;
    let last = numbers.last().copied();
    for first in numbers {
        let path = dir.join(segment::file_name(first));
        let mut file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(|source| failed(&path, source))?;
        let metadata = file.metadata().map_err(|source| failed(&path, source))?;
        let written = metadata.modified().unwrap_or_else(|_| SystemTime::now());
        let mut found = Segment { first, bytes: metadata.len(), written, unreadable: false };
        match header(&mut file, first).map_err(|source| failed(&path, source))? {
            Ok(header) if Some(first) == last => {
                let tail = tail(&mut file, header, metadata.len()).map_err(|source| failed(&path, source))?;
                next = tail.next;
                if let Some((at, frame)) = tail.damaged {
                    recovery.damaged.push(Damage { path: path.clone(), at, frame });
                }
                if tail.end < metadata.len() {
                    cut(&file, tail.end).map_err(|source| failed(&path, source))?;
                    let bytes = metadata.len() - tail.end;
                    recovery.cut = Some(Cut { path, at: tail.end, bytes });
                }
                found.bytes = tail.end;
                rewrite(&file, tail.group..tail.end)
                    .map_err(|source| failed(&dir.join(segment::file_name(first)), source))?;
                // A damaged one is left as it is, and a new one is begun.
                if tail.damaged.is_none() {
                    active = Some(Active { file, header, bytes: tail.end, created: written });
                }
                segments.push(found);
            }
            Ok(_) => segments.push(found),
            Err(HeaderProblem::Version(version)) => {
                return Err(LogError::Foreign { path, problem: HeaderProblem::Version(version).to_string() });
            }
            // No frame is written before the header is synced.
            Err(HeaderProblem::Short | HeaderProblem::Damaged)
                if Some(first) == last && metadata.len() <= HEADER_BYTES as u64 =>
            {
                fs::remove_file(&path).map_err(|source| failed(&path, source))?;
                next = next.max(first);
                recovery.cut = Some(Cut { path, at: 0, bytes: metadata.len() });
            }
            Err(HeaderProblem::Short | HeaderProblem::Damaged) => {
                found.unreadable = true;
                // More frames than fit into it cannot have been there.
                next = first + metadata.len() / FRAME_HEADER_BYTES as u64 + 1;
                recovery.damaged.push(Damage { path, at: 0, frame: first });
                segments.push(found);
            }
        }
    }
    if active.is_none() && segments.last().is_some_and(|segment| segment.first == next) {
        // Nothing in it can be read and nothing was acknowledged of it.
        segments.pop();
    }
    recovery.segments = segments.len();
    recovery.bytes = segments.iter().map(|segment| segment.bytes).sum();
    recovery.next = next;
    Ok(Opened { segments, active, next, recovery })
}

fn failed(path: &Path, source: io::Error) -> LogError {
    LogError::Open { path: path.to_owned(), source: Arc::new(source) }
}

/// Makes the folder, and syncs the names on the way to it.
fn make(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make(parent)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
    }
    Ok(())
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(segment::number_in));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn header(file: &mut File, first: u64) -> io::Result<Result<SegmentHeader, HeaderProblem>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    let header = SegmentHeader::decode(&bytes);
    Ok(header.and_then(|header| if header.first == first { Ok(header) } else { Err(HeaderProblem::Damaged) }))
}

fn cut(file: &File, at: u64) -> io::Result<()> {
    file.set_len(at)?;
    file.sync_all()
}

/// Writes the last group again, and syncs. It may be in the page cache only: its writer was killed
/// before the sync, or the sync failed and the kernel now takes the pages for clean. What is read of
/// it counts as taken from here on, so it has to be on the disk.
fn rewrite(file: &File, group: Range<u64>) -> io::Result<()> {
    let length = group.end.saturating_sub(group.start);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, group.start)?;
    file.write_all_at(&bytes, group.start)?;
    file.sync_all()
}

/// What the last segment holds.
struct Tail {
    /// Number of the next frame.
    next: u64,
    /// Where the last group begins.
    group: u64,
    /// What follows is torn.
    end: u64,
    /// Place and number of what is damaged and was acknowledged.
    damaged: Option<(u64, u64)>,
}

/// Reads the last segment whole: it is at most a few times a segment's size, once a start.
fn tail(file: &mut File, header: SegmentHeader, length: u64) -> io::Result<Tail> {
    let SegmentHeader { first, salt } = header;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    let start = HEADER_BYTES as u64;
    let mut tail = Tail { next: first, group: start, end: start, damaged: None };
    let mut at = 0;
    let mut group = 0;
    while at < bytes.len() {
        if let Some(header) = whole(salt, &bytes[at..], tail.next) {
            if header.group != group {
                group = header.group;
                tail.group = (HEADER_BYTES + at) as u64;
            }
            at += header.frame_bytes();
            tail.next = header.number + 1;
            tail.end = (HEADER_BYTES + at) as u64;
            continue;
        }
        // Damaged, or torn? A group that begins behind it was only written after it was synced.
        let mut from = at + 1;
        let synced = loop {
            let Some((range, found)) = find_frame(salt, &bytes, from) else { break None };
            if found.number > tail.next && found.group > tail.next {
                break Some((range, found));
            }
            from = range.end;
        };
        let Some((range, found)) = synced else { break };
        tail.damaged.get_or_insert(((HEADER_BYTES + at) as u64, tail.next));
        at = range.start;
        tail.next = found.number;
    }
    Ok(tail)
}

/// The frame at the start of `bytes`, if it is that one and whole.
fn whole(salt: u64, bytes: &[u8], number: u64) -> Option<FrameHeader> {
    let header = FrameHeader::peek(salt, bytes)?;
    let frame = bytes.get(..header.frame_bytes())?;
    (header.number == number && FrameHeader::holds(salt, frame)).then_some(header)
}
