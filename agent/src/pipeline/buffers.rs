//! Buffers of events on their way out of the hot loop, and back.
//!
//! The loop fills buffers that were made at start and are used again, so that it neither allocates
//! nor waits. A buffer is handed over at the end of a round if the other side has none left to
//! read, else when it is full: a slow reader gets few full buffers instead of many empty ones. With
//! no free buffer an event is counted, and the count is told as a [`Lost`] when there is room again.
//! Only at start, before anybody reads, more buffers may be made: the rings may be full of what
//! happened while no agent ran.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use crate::{output::event::Body, time::Clock};

/// What goes back and forth.
pub trait Buffer: Send + 'static {
    /// Events in it.
    fn events(&self) -> usize;
    /// Makes it empty, and keeps its room.
    fn clear(&mut self);
}

/// How much there is room for, and what to call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<B> {
    /// Where a [`Lost`] was lost.
    pub(super) at: &'static str,
    /// Buffers that stay.
    pub(super) buffers: usize,
    /// Buffers until somebody reads; at least those that stay.
    pub(super) start_buffers: usize,
    /// Events of a buffer, at most.
    pub(super) entries: usize,
    /// Makes one.
    pub(super) make: fn() -> Box<B>,
}

/// Events for which there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where.
    pub at: &'static str,
    /// How many.
    pub lost: u64,
    /// Why.
    pub reason: &'static str,
    /// When the first of them happened.
    pub from: Clock,
    /// When the last of them did.
    pub to: Clock,
}

impl Lost {
    /// Adds one to what is not told yet.
    pub(super) fn add(lost: &mut Option<Self>, at: &'static str, reason: &'static str, when: Clock) {
        let lost = lost.get_or_insert(Self { at, lost: 0, reason, from: when, to: when });
        lost.lost += 1;
        lost.from = lost.from.min(when);
        lost.to = lost.to.max(when);
    }
}

impl From<Lost> for Body {
    fn from(lost: Lost) -> Self {
        Self::loss(lost.at, lost.lost, lost.reason, lost.from, lost.to)
    }
}

struct Shared<B> {
    free: ArrayQueue<Box<B>>,
    filled: ArrayQueue<Box<B>>,
    /// A buffer was handed over, or the writer is gone.
    changed: Notify,
    closed: AtomicBool,
    /// Somebody reads.
    is_read: AtomicBool,
}

/// Makes the buffers.
pub(super) fn channel<B: Buffer>(bounds: Bounds<B>) -> (Writer<B>, Receiver<B>) {
    let shared = Arc::new(Shared {
        free: ArrayQueue::new(bounds.buffers),
        filled: ArrayQueue::new(bounds.start_buffers),
        changed: Notify::new(),
        closed: AtomicBool::new(false),
        is_read: AtomicBool::new(false),
    });
    for _ in 0..bounds.buffers {
        // There is room for all of them.
        let _ = shared.free.push((bounds.make)());
    }
    let writer = Writer {
        shared: Arc::clone(&shared),
        bounds,
        current: None,
        handed_over: 0,
        lost: None,
        lost_ever: 0,
    };
    (writer, Receiver { shared })
}

/// The writing end, in the hot loop.
pub(super) struct Writer<B: Buffer> {
    shared: Arc<Shared<B>>,
    bounds: Bounds<B>,
    current: Option<Box<B>>,
    handed_over: u64,
    lost: Option<Lost>,
    lost_ever: u64,
}

impl<B: Buffer> Drop for Writer<B> {
    fn drop(&mut self) {
        self.hand_over();
        self.shared.closed.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }
}

impl<B: Buffer> Writer<B> {
    /// Buffers handed over once all that was taken so far is.
    pub(super) fn buffers(&self) -> u64 {
        let begun = self.current.as_ref().is_some_and(|current| current.events() != 0);
        self.handed_over + u64::from(begun)
    }

    /// Events in buffers that were handed over or begun, at most.
    pub(super) fn depth(&self) -> u64 {
        let begun = self.current.as_ref().map_or(0, |current| current.events());
        (self.shared.filled.len() * self.bounds.entries + begun) as u64
    }

    /// Events for which there was no room, ever.
    pub(super) const fn lost_ever(&self) -> u64 {
        self.lost_ever
    }

    /// Since when something is lost that is not told as lost yet.
    pub(super) fn lost_since(&self) -> Option<u64> {
        self.lost.map(|lost| lost.from.boottime_ns)
    }

    /// The end of a round: gives the reader something if it has nothing. Returns what was lost,
    /// once there is room again.
    pub(super) fn end_round(&mut self) -> Option<Lost> {
        if self.shared.filled.is_empty() {
            self.hand_over();
        }
        if self.lost.is_some() && (self.current.is_some() || !self.shared.free.is_empty()) {
            return self.lost.take();
        }
        None
    }

    /// Nothing follows: hands over what is begun, and tells what was lost.
    pub(super) fn finish(&mut self) -> Option<Lost> {
        self.hand_over();
        self.lost.take()
    }

    fn hand_over(&mut self) {
        let Some(current) = self.current.take_if(|current| current.events() != 0) else { return };
        // There are as many places as buffers.
        let _ = self.shared.filled.push(current);
        self.handed_over += 1;
        self.shared.changed.notify_one();
    }

    /// A buffer in which what happened `at` that moment `fits`, as it does into an empty one.
    pub(super) fn room(&mut self, at: Clock, fits: impl Fn(&B) -> bool) -> Option<&mut B> {
        if self.current.as_ref().is_some_and(|current| !fits(current)) {
            self.hand_over();
        }
        if self.current.is_none() {
            self.current = self.shared.free.pop().or_else(|| self.more_at_start());
        }
        if self.current.is_none() {
            self.lost_ever += 1;
            Lost::add(&mut self.lost, self.bounds.at, "queue full", at);
        }
        self.current.as_deref_mut()
    }

    fn more_at_start(&mut self) -> Option<Box<B>> {
        let Bounds { buffers, start_buffers, make, .. } = self.bounds;
        let is_start = start_buffers > buffers && !self.shared.is_read.load(Ordering::Relaxed);
        // The last place is for this one.
        (is_start && self.shared.filled.len() < start_buffers).then(make)
    }
}

/// The reading end.
pub struct Receiver<B: Buffer> {
    shared: Arc<Shared<B>>,
}

impl<B: Buffer> Receiver<B> {
    /// The next buffer, once there is one; `None` when the hot loop has ended and all were read.
    /// May be dropped while it waits; nothing is lost by that.
    pub async fn recv(&mut self) -> Option<Filled<B>> {
        loop {
            let closed = self.shared.closed.load(Ordering::Acquire);
            if let Some(filled) = self.try_recv() {
                return Some(filled);
            }
            if closed {
                return None;
            }
            self.shared.changed.notified().await;
        }
    }

    /// The next buffer, if there is one.
    pub fn try_recv(&mut self) -> Option<Filled<B>> {
        self.shared.is_read.store(true, Ordering::Relaxed);
        let batch = self.shared.filled.pop()?;
        Some(Filled { batch: Some(batch), shared: Arc::clone(&self.shared) })
    }
}

/// A buffer that was handed over; goes back when it is dropped.
pub struct Filled<B: Buffer> {
    batch: Option<Box<B>>,
    shared: Arc<Shared<B>>,
}

impl<B: Buffer> Deref for Filled<B> {
    type Target = B;

    fn deref(&self) -> &B {
        self.batch.as_deref().expect("it is there until it is dropped")
    }
}

impl<B: Buffer> Drop for Filled<B> {
    fn drop(&mut self) {
        if let Some(mut batch) = self.batch.take() {
            // Here, so that names that nobody else holds are freed here and not in the hot loop.
            batch.clear();
            // One of those that were made at start goes.
            let _ = self.shared.free.push(batch);
        }
    }
}
