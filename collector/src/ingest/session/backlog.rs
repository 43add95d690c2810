//! What a connection has taken and is not on the disk yet.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use kestrel_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::log::{Log, LogError, NotTaken, Prepared};

/// Frames that wait, and those on their way to the disk. Of the latter there is one append at a
/// time, so that none can overtake another that failed.
pub(super) struct Backlog {
    log: Log,
    /// Of all connections, in KiB.
    room: Arc<Semaphore>,
    /// All of it.
    most_kib: u32,
    waiting: VecDeque<(Prepared, Option<v1::Watermark>)>,
    waiting_bytes: usize,
    held: Vec<OwnedSemaphorePermit>,
    on_its_way: Option<OnItsWay>,
    /// There was no room: nothing more is read until there is.
    wanted: Option<Wanted>,
}

type Wanted = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

struct OnItsWay {
    answer: Pin<Box<dyn Future<Output = Result<u64, NotTaken>> + Send>>,
    marks: Vec<Option<v1::Watermark>>,
    /// Given back with it.
    held: Vec<OwnedSemaphorePermit>,
}

/// What happened to a backlog.
pub(super) enum Progress {
    /// The append on its way is settled.
    Settled(Settled),
    /// There is room for all that was taken.
    Roomy,
}

/// What became of an append.
pub(super) enum Settled {
    /// It is on the disk.
    Durable(Vec<v1::Watermark>),
    /// It is not, and waits again.
    NoRoom,
    /// There is no log any more.
    Closed,
}

impl Backlog {
    pub(super) fn new(log: Log, room: Arc<Semaphore>, most_kib: u32) -> Self {
        Self {
            log,
            room,
            most_kib,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            held: Vec::new(),
            on_its_way: None,
            wanted: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.on_its_way.is_none()
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.wanted.is_none() && self.waiting_bytes < most
    }

    pub(super) fn push(&mut self, frame: Prepared, mark: Option<v1::Watermark>) {
        let bytes = frame.raw_bytes();
        self.waiting_bytes += bytes;
        self.waiting.push_back((frame, mark));
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(self.most_kib);
        match Arc::clone(&self.room).try_acquire_many_owned(kib) {
            Ok(permit) => self.held.push(permit),
            // It is here already; its size is waited for in turn with the others', before more is.
            Err(_) if self.wanted.is_none() => {
                let room = Arc::clone(&self.room);
                self.wanted = Some(Box::pin(async move { room.acquire_many_owned(kib).await.ok() }));
            }
            Err(_) => {}
        }
    }

    /// Asks the log for what waits, unless an append is on its way.
    pub(super) fn start(&mut self) {
        if self.on_its_way.is_some() || self.waiting.is_empty() {
            return;
        }
        let (frames, marks) = self.waiting.drain(..).unzip();
        self.waiting_bytes = 0;
        let log = self.log.clone();
        let answer = Box::pin(async move { log.append_all(frames).await });
        self.on_its_way = Some(OnItsWay { answer, marks, held: std::mem::take(&mut self.held) });
    }

    /// Resolves when something has happened. May be dropped.
    pub(super) async fn progress(&mut self) -> Progress {
        tokio::select! {
            biased;
            answer = answer(&mut self.on_its_way) => Progress::Settled(self.settle(answer)),
            permit = granted(&mut self.wanted) => {
                self.wanted = None;
                // The frame may be on the disk by now; then it is given back with the next append.
                self.held.extend(permit);
                Progress::Roomy
            }
        }
    }

    /// What becomes of the append on its way, if there is one.
    pub(super) async fn last(&mut self) -> Option<Settled> {
        if self.on_its_way.is_none() {
            return None;
        }
        let answer = answer(&mut self.on_its_way).await;
        Some(self.settle(answer))
    }

    fn settle(&mut self, answer: Result<u64, NotTaken>) -> Settled {
        let Some(OnItsWay { marks, held, .. }) = self.on_its_way.take() else { return Settled::Closed };
        match answer {
            Ok(_) => Settled::Durable(marks.into_iter().flatten().collect()),
            Err(NotTaken { error: LogError::Closed, .. }) => Settled::Closed,
            Err(NotTaken { frames, .. }) => {
                // In front of those that came meanwhile.
                for (frame, mark) in frames.into_iter().zip(marks).rev() {
                    self.waiting_bytes += frame.raw_bytes();
                    self.waiting.push_front((frame, mark));
                }
                self.held.extend(held);
                Settled::NoRoom
            }
        }
    }
}

/// Never where nothing is on its way.
async fn answer(on_its_way: &mut Option<OnItsWay>) -> Result<u64, NotTaken> {
    match on_its_way {
        Some(on_its_way) => on_its_way.answer.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Never where nothing is wanted.
async fn granted(wanted: &mut Option<Wanted>) -> Option<OwnedSemaphorePermit> {
    match wanted {
        Some(wanted) => wanted.as_mut().await,
        None => std::future::pending().await,
    }
}
