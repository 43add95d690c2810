//! What the writer and the readers of a log share.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::{mpsc, watch};

use super::{Frame, Options, recover::Opened, segment};

/// Whether the log takes frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Writing,
    /// The disk has no room, or is read-only. It is tried again every second.
    NoRoom(Arc<str>),
    /// The disk does not work. It is tried again every second.
    Failing(Arc<str>),
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writing => formatter.write_str("writing"),
            Self::NoRoom(why) | Self::Failing(why) => formatter.write_str(why),
        }
    }
}

/// A segment on the disk.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Number of its first frame.
    pub(super) first: u64,
    /// Bytes that are synced; readers look no further.
    pub(super) bytes: u64,
    /// When it was last written.
    pub(super) written: SystemTime,
    /// Nothing in it can be read.
    pub(super) unreadable: bool,
}

/// Where a frame is to be looked for.
pub(super) struct Place {
    pub(super) segment: Segment,
    /// Number of the first frame that is not in this segment.
    pub(super) end: u64,
}

/// What the writer and the readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) options: Options,
    pub(super) committed: watch::Sender<u64>,
    pub(super) condition: watch::Sender<Condition>,
    segments: Mutex<VecDeque<Segment>>,
    holds: Mutex<BTreeMap<&'static str, u64>>,
    feed: Mutex<Option<mpsc::Sender<Arc<Frame>>>>,
}

impl Shared {
    pub(super) fn new(dir: &Path, options: Options, opened: &Opened) -> Self {
        Self {
            dir: dir.to_owned(),
            options,
            committed: watch::Sender::new(opened.next),
            condition: watch::Sender::new(Condition::Writing),
            segments: Mutex::new(opened.segments.iter().cloned().collect()),
            holds: Mutex::default(),
            feed: Mutex::default(),
        }
    }

    pub(super) fn path(&self, first: u64) -> PathBuf {
        self.dir.join(segment::file_name(first))
    }

    pub(super) fn list(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        // Each change is one assignment: a list that a panic left is whole.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn oldest(&self) -> u64 {
        let segments = self.list();
        segments.front().map_or_else(|| *self.committed.borrow(), |segment| segment.first)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.list().iter().map(|segment| segment.bytes).sum()
    }

    pub(super) fn segments(&self) -> usize {
        self.list().len()
    }

    /// The segment that `frame`, which is committed, belongs to; `None` where it is not kept.
    pub(super) fn place(&self, frame: u64) -> Option<Place> {
        let segments = self.list();
        let after = segments.partition_point(|segment| segment.first <= frame);
        let segment = segments.get(after.checked_sub(1)?)?.clone();
        let end = segments.get(after).map_or_else(|| *self.committed.borrow(), |next| next.first);
        Some(Place { segment, end })
    }

    pub(super) fn hold(&self, who: &'static str, frame: u64) {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).insert(who, frame);
    }

    /// Frames before it may go.
    pub(super) fn held(&self) -> u64 {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.values().copied().min().unwrap_or(u64::MAX)
    }

    pub(super) fn set_feed(&self, feed: mpsc::Sender<Arc<Frame>>) {
        *self.feed.lock().unwrap_or_else(PoisonError::into_inner) = Some(feed);
    }

    pub(super) fn end_feed(&self) {
        *self.feed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn feed(&self) -> Option<mpsc::Sender<Arc<Frame>>> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
