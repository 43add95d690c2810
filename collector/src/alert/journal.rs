//! The file in which a channel's queue outlives the collector.
//!
//! A header, then entries: length (u32), CRC-32 (u32), an [`Entry`]; little endian. A
//! torn tail is cut off. When the disk takes nothing, alerts go on from memory, and as soon as it
//! takes something again the whole queue is written anew.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use prost::Message;
use tracing::{error, info};

use super::{entry::Entry, queue::Queue};

/// Name and version of the form.
const HEADER: &[u8; 8] = b"KALERT\x01\n";
/// No entry but a base is longer, and a base not longer than this.
const MAX_ENTRY: usize = 256 << 20;
/// A journal that is longer is written anew, once it is this much longer than when it was new.
const GROWTH: u64 = 4 << 20;

/// The journal of one channel.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    base_bytes: u64,
    problem: Option<String>,
}

/// What opening a journal found.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// What it holds.
    pub queue: Queue,
    /// There was one, and part of it is lost: what is told may be a repeat.
    pub damaged: bool,
    /// There was none.
    pub new: bool,
}

impl Journal {
    /// Opens a journal, or makes one. It never fails: without a disk it is in memory, and
    /// [`Self::problem`] says so.
    #[must_use]
    pub fn open(path: &Path) -> Opened {
        let mut journal = Self { path: path.to_owned(), file: None, bytes: 0, base_bytes: 0, problem: None };
        let mut queue = Queue::default();
        let (damaged, new) = match fs::read(path) {
            Ok(bytes) => {
                let good = replay(&bytes, &mut queue);
                let damaged = good < bytes.len();
                if damaged {
                    error!(
                        file = %path.display(), lost_bytes = bytes.len() - good,
                        "the end of the alert journal was torn or damaged and is cut off"
                    );
                }
                // A tail that was being written when the machine died was not acted upon.
                (good == 0 && !bytes.is_empty(), bytes.is_empty())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (false, true),
            Err(error) => {
                journal.fail(&error);
                (true, false)
            }
        };
        journal.rewrite(&queue);
        Opened { journal, queue, damaged, new }
    }

    /// The collector runs without this channel: what it tells when it is there again begins then. What
    /// waits stays.
    pub fn leave(path: &Path) {
        if !path.exists() {
            return;
        }
        let Opened { mut journal, mut queue, .. } = Self::open(path);
        if queue.taken().is_some() {
            let entry = Entry { off: true, ..Entry::default() };
            queue.apply(entry.clone());
            journal.append(&[entry], &queue);
        }
    }

    /// Why what is to be told is in memory only; nothing when it is on disk.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Makes entries durable that `queue` has taken already. A disk that takes none is logged once and
    /// stands in [`Self::problem`].
    pub fn append(&mut self, entries: &[Entry], queue: &Queue) {
        let long = self.bytes > 2 * self.base_bytes + GROWTH;
        let written = match &mut self.file {
            Some(file) if !long => write(file, entries),
            _ => {
                self.rewrite(queue);
                return;
            }
        };
        match written {
            Ok(bytes) => self.bytes += bytes,
            // What half stands there is gone with the whole file.
            Err(error) => {
                self.file = None;
                self.fail(&error);
                self.rewrite(queue);
            }
        }
    }

    fn rewrite(&mut self, queue: &Queue) {
        match write_new(&self.path, queue) {
            Ok((file, bytes)) => {
                self.file = Some(file);
                (self.bytes, self.base_bytes) = (bytes, bytes);
                if self.problem.take().is_some() {
                    info!(file = %self.path.display(), "alerts are on disk again");
                }
            }
            Err(error) => {
                self.file = None;
                self.fail(&error);
            }
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if self.problem.is_none() {
            error!(
                file = %self.path.display(), %error,
                "the alert journal cannot be written: alerts go on from memory and do not outlive the collector"
            );
        }
        self.problem = Some(format!("alert journal {}: {error}", self.path.display()));
    }
}

fn frame(entry: &Entry, into: &mut Vec<u8>) {
    let body = entry.encode_to_vec();
    into.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    into.extend_from_slice(&body);
}

fn write(file: &mut File, entries: &[Entry]) -> io::Result<u64> {
    let mut bytes = Vec::new();
    for entry in entries {
        frame(entry, &mut bytes);
    }
    file.write_all(&bytes)?;
    file.sync_data()?;
    Ok(bytes.len() as u64)
}

fn write_new(path: &Path, queue: &Queue) -> io::Result<(File, u64)> {
    let mut bytes = HEADER.to_vec();
    frame(&queue.base(), &mut bytes);
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok((file, bytes.len() as u64))
}

/// Takes all whole entries; how many bytes they are, with the header.
fn replay(bytes: &[u8], queue: &mut Queue) -> usize {
    let Some(mut rest) = bytes.strip_prefix(HEADER) else { return 0 };
    while let Some((entry, after)) = next(rest) {
        queue.apply(entry);
        rest = after;
    }
    bytes.len() - rest.len()
}

fn next(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|&length| length <= MAX_ENTRY)?;
    let (body, rest) = rest.split_at_checked(length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((Entry::decode(body).ok()?, rest))
}
