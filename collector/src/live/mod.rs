//! The last frames in memory, for those who follow what comes.
//!
//! Nobody has a buffer here: a follower has a place, and asks for what is behind it. One that is slow
//! holds nobody up; when its place is not in memory any more it reads on from the log, or says what
//! it missed.

pub mod filter;
pub mod joined;
pub mod place;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

pub use self::{
    filter::{Filter, FilterError},
    joined::Joined,
    place::Place,
};
use crate::log::{Content, Frame};

/// How much is kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Most frames.
    pub frames: usize,
    /// Most records in them.
    pub records: u64,
}

impl Default for Window {
    fn default() -> Self {
        // A record takes some 300 bytes, with what it refers to.
        Self { frames: 8192, records: 200_000 }
    }
}

/// A frame in memory.
#[derive(Clone, Debug)]
pub struct Recent {
    /// It, with what its records refer to.
    pub frame: Arc<Joined>,
    /// Records in all frames that were published before it.
    pub before: u64,
}

/// What is behind a place.
#[derive(Clone, Debug)]
pub enum Found {
    /// This frame.
    Frame(Recent),
    /// Nothing yet.
    End,
    /// It is not in memory any more, or was not published here: the log has it.
    Gone,
}

#[derive(Debug)]
struct Inner {
    recent: VecDeque<Recent>,
    records: u64,
    /// Records of all frames that were ever published.
    published: u64,
    next: u64,
}

/// The last frames. A cheap handle.
#[derive(Clone, Debug)]
pub struct Live {
    inner: Arc<Mutex<Inner>>,
    next: Arc<watch::Sender<u64>>,
    window: Window,
}

impl Live {
    /// `next_frame`: the first frame that will be published.
    #[must_use]
    pub fn new(next_frame: u64, window: Window) -> Self {
        let inner = Inner { recent: VecDeque::new(), records: 0, published: 0, next: next_frame };
        Self { inner: Arc::new(Mutex::new(inner)), next: Arc::new(watch::channel(next_frame).0), window }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame was committed. Frames come in order.
    pub fn publish(&self, frame: Arc<Frame>) {
        let next = frame.number + 1;
        let frame = Arc::new(Joined::new(frame));
        let count = frame.records() as u64;
        let mut inner = self.lock();
        let before = inner.published;
        inner.recent.push_back(Recent { frame, before });
        inner.records += count;
        inner.published += count;
        inner.next = next;
        // The newest stays, however large it is.
        while inner.recent.len() > 1
            && (inner.recent.len() > self.window.frames || inner.records > self.window.records)
        {
            let gone = inner.recent.pop_front().map_or(0, |gone| gone.frame.records() as u64);
            inner.records -= gone;
        }
        drop(inner);
        self.next.send_replace(next);
    }

    /// Number of the frame that is published next, and how many records were published before it.
    #[must_use]
    pub fn end(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.next, inner.published)
    }

    /// To wait for the next frame.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// The frame with this number, or the next that there is where that number is missing.
    #[must_use]
    pub fn get(&self, number: u64) -> Found {
        let inner = self.lock();
        if number >= inner.next {
            return Found::End;
        }
        let place = inner.recent.partition_point(|recent| recent.frame.number() < number);
        match inner.recent.get(place) {
            Some(recent) if recent.frame.number() == number || place > 0 => Found::Frame(recent.clone()),
            _ => Found::Gone,
        }
    }
}

/// How many records a frame shows to those who watch.
#[must_use]
pub fn records(frame: &Frame) -> usize {
    match &frame.body.content {
        Content::Batch(batch) => batch.records.len(),
        Content::Node(_) => 1,
        Content::Hello(_) | Content::Inventory(_) => 0,
    }
}
