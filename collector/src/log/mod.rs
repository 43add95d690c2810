//! The log: every batch that was acknowledged, in segments of frames on the disk.
//!
//! One thread writes. It takes what is waiting, writes it at once, syncs, and only then resolves the
//! appends: whoever is answered is on the disk. A frame is never seen by a reader before that.
//!
//! - *Torn tail*: what a crash left of the last group is cut off when the log is opened. A frame that
//!   is damaged before it is named, and skipped.
//! - *Full disk*: the append fails and gives its frames back; what was written of it is cut off. The
//!   log tries by itself whether there is room again ([`Log::condition`]).
//! - *Failed sync*: the kernel may have dropped what it could not write and not say so twice. The
//!   segment is left as it was at the last good sync, and a new one is begun; the frames were not
//!   acknowledged and are offered again.

mod error;
mod frame;
mod reader;
mod recover;
mod retention;
mod segment;
mod shared;
mod writer;

use std::{path::Path, sync::Arc, thread, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

pub use error::{LogError, NotTaken, ReadError};
pub use frame::{Content, Frame, FrameBody, Prepared, Source};
pub use reader::Reader;
pub use recover::{Cut, Damage, Recovery};
pub use shared::Condition;

use shared::Shared;
use writer::{Request, Writer};

/// Appends that wait for the writer; those beyond wait with their caller.
const QUEUE: usize = 1024;

/// How much the log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment that has so many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// The oldest segments go when all together have more.
    pub max_bytes: u64,
    /// The oldest segments go when their last frame is older.
    pub max_age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, max_bytes: 8 << 30, max_age: Duration::from_hours(7 * 24) }
    }
}

/// The log. A cheap handle.
#[derive(Clone, Debug)]
pub struct Log {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

impl Log {
    /// Opens the log in `dir`, which is made where it is not there, and starts its writer.
    ///
    /// # Errors
    /// When the folder cannot be used, or a later collector wrote there.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), LogError> {
        let opened = recover::open(dir)?;
        let shared = Arc::new(Shared::new(dir, options, &opened));
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), queue, opened.active, opened.next);
        let failed = |source| LogError::Open { path: dir.to_owned(), source: Arc::new(source) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || runtime.block_on(writer.run()))
            .map_err(failed)?;
        Ok((Self { requests, shared }, opened.recovery))
    }

    /// Appends one frame, and answers with its number when it is on the disk.
    ///
    /// # Errors
    /// When it is not; it may be offered again.
    pub async fn append(&self, body: FrameBody) -> Result<u64, LogError> {
        let prepared = Prepared::new(body)?;
        self.append_all(vec![prepared]).await.map_err(|not_taken| not_taken.error)
    }

    /// Appends frames that are written and synced together: all of them or none. Answers with the
    /// number of the first.
    ///
    /// Once asked for, it happens, whether or not somebody waits for the answer.
    ///
    /// # Errors
    /// When they are not on the disk, with the frames.
    pub async fn append_all(&self, frames: Vec<Prepared>) -> Result<u64, NotTaken> {
        let (done, answer) = oneshot::channel();
        match self.requests.reserve().await {
            Ok(place) => place.send(Request::Append { frames, done }),
            Err(_) => return Err(NotTaken { error: LogError::Closed, frames }),
        }
        answer.await.unwrap_or_else(|_| Err(NotTaken { error: LogError::Closed, frames: Vec::new() }))
    }

    /// The frames from number `from_frame` on. Its reads block; it ends at the last frame that is
    /// there, and goes on when it is asked again later.
    #[must_use]
    pub fn reader(&self, from_frame: u64) -> Reader {
        Reader::new(Arc::clone(&self.shared), from_frame)
    }

    /// Number of the next frame; readers see all before it.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// Whether the log takes frames.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.shared.condition.subscribe()
    }

    /// Number of the oldest frame that is kept; that of the next one where none is.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.shared.oldest()
    }

    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes()
    }

    /// Segments on the disk.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.shared.segments()
    }

    /// Every frame that is committed from now on, in order. When it is full the writer waits, and
    /// with it everybody: for the one who must have seen all, and not for anybody who waits for an
    /// append meanwhile. A second call replaces the first.
    #[must_use]
    pub fn feed(&self, capacity: usize) -> mpsc::Receiver<Arc<Frame>> {
        let (sender, receiver) = mpsc::channel(capacity);
        self.shared.set_feed(sender);
        receiver
    }

    /// Keeps all frames from `frame` on, whatever their age, until `who` says otherwise.
    pub fn hold(&self, who: &'static str, frame: u64) {
        self.shared.hold(who, frame);
    }

    /// Resolves when the log does not write any more, whatever the reason.
    pub async fn ended(&self) {
        self.requests.closed().await;
    }

    /// Writes what was asked for, and takes no more. Ends the feed.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.requests.send(Request::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

#[cfg(test)]
mod tests;
