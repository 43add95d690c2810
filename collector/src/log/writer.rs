//! The one thread that writes.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::FileExt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{
    Condition, Frame, LogError, NotTaken, Prepared, retention,
    segment::{FrameHeader, HEADER_BYTES, SegmentHeader},
    shared::{Segment, Shared},
};

/// Most bytes of one group, but for an append that is larger by itself.
const GROUP_BYTES: usize = 8 << 20;
/// Keeps its room from group to group; more is given back.
const BUFFER_BYTES: usize = 16 << 20;
/// How often a disk that does not take more is tried, and old segments are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Written to try whether there is room: a little more than the smallest append.
const PROBE_BYTES: usize = 64 << 10;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// Write these together.
    Append { frames: Vec<Prepared>, done: oneshot::Sender<Result<u64, NotTaken>> },
    /// Write what was asked for, and end.
    Close(oneshot::Sender<()>),
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: File,
    pub(super) header: SegmentHeader,
    /// Up to here it is synced. What may be behind it belongs to nobody.
    pub(super) bytes: u64,
    pub(super) created: SystemTime,
}

struct Waiting {
    frames: Vec<Prepared>,
    done: oneshot::Sender<Result<u64, NotTaken>>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Request>,
    active: Option<Active>,
    next: u64,
    buffer: Vec<u8>,
    /// Why nothing is written until a probe succeeds.
    broken: Option<LogError>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Request>,
        active: Option<Active>,
        next: u64,
    ) -> Self {
        Self { shared, queue, active, next, buffer: Vec::new(), broken: None }
    }

    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut closing = None;
        while closing.is_none() {
            let first = tokio::select! {
                biased;
                _ = tick.tick() => {
                    self.tend();
                    continue;
                }
                request = self.queue.recv() => request,
            };
            let Some(first) = first else { break };
            let group = self.gather(first, &mut closing);
            let frames = self.write(group);
            self.feed(frames).await;
        }
        self.shared.end_feed();
        if let Some(done) = closing {
            // Nobody waits for that but for the answer.
            let _ = done.send(());
        }
    }

    /// What waits, up to a bound.
    fn gather(&mut self, first: Request, closing: &mut Option<oneshot::Sender<()>>) -> Vec<Waiting> {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut request = Some(first);
        while let Some(next) = request {
            match next {
                Request::Append { frames, done } => {
                    bytes += frames.iter().map(Prepared::stored_bytes).sum::<usize>();
                    group.push(Waiting { frames, done });
                }
                Request::Close(done) => {
                    *closing = Some(done);
                    break;
                }
            }
            request = if bytes < GROUP_BYTES { self.queue.try_recv().ok() } else { None };
        }
        group
    }

    /// Writes and syncs a group, and answers everybody in it. What it gives is committed.
    fn write(&mut self, group: Vec<Waiting>) -> Vec<Arc<Frame>> {
        if group.is_empty() {
            return Vec::new();
        }
        let written = match self.broken.clone() {
            Some(error) => Err(error),
            None => self.try_write(&group),
        };
        if let Err(error) = written {
            self.fail(&error);
            for Waiting { frames, done } in group {
                // A caller that is gone has lost nothing: nothing was acknowledged.
                let _ = done.send(Err(NotTaken { error: error.clone(), frames }));
            }
            return Vec::new();
        }
        let mut frames = Vec::new();
        for Waiting { frames: prepared, done } in group {
            let first = self.next;
            for Prepared { body, .. } in prepared {
                frames.push(Arc::new(Frame { number: self.next, body }));
                self.next += 1;
            }
            self.shared.committed.send_replace(self.next);
            let _ = done.send(Ok(first));
        }
        frames
    }

    fn try_write(&mut self, group: &[Waiting]) -> Result<(), LogError> {
        let frames = || group.iter().flat_map(|waiting| &waiting.frames);
        let bytes = frames().map(Prepared::stored_bytes).sum::<usize>() as u64;
        if self.active.as_ref().is_some_and(|active| self.is_over(active, bytes)) {
            self.active = None;
        }
        let salt = self.active()?.header.salt;
        self.buffer.clear();
        let group = self.next;
        for (number, prepared) in (group..).zip(frames()) {
            let length = u32::try_from(prepared.payload.len()).map_err(|_| LogError::TooLarge {
                bytes: prepared.payload.len(),
                limit: u32::MAX as usize,
            })?;
            FrameHeader { length, raw: prepared.raw, number, group }.write(
                salt,
                &prepared.payload,
                &mut self.buffer,
            );
        }
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.put(&buffer);
        if buffer.capacity() <= BUFFER_BYTES {
            self.buffer = buffer;
        }
        let end = written?;
        if let Some(active) = &mut self.active {
            active.bytes = end;
        }
        if let Some(segment) = self.shared.list().back_mut() {
            segment.bytes = end;
            segment.written = SystemTime::now();
        }
        Ok(())
    }

    /// A segment that is full, or old enough that its frames' age should be known better.
    fn is_over(&self, active: &Active, bytes: u64) -> bool {
        let options = &self.shared.options;
        let old = || active.created.elapsed().is_ok_and(|age| age > options.max_age / 8);
        active.bytes > HEADER_BYTES as u64 && (active.bytes + bytes > options.segment_bytes || old())
    }

    /// Writes at the end and syncs. Gives the new end.
    fn put(&mut self, bytes: &[u8]) -> Result<u64, LogError> {
        let active = self.active()?;
        let at = active.bytes;
        if let Err(error) = active.file.write_all_at(bytes, at) {
            if active.file.set_len(at).is_err() {
                self.active = None;
            }
            return Err(LogError::write(error));
        }
        if let Err(error) = active.file.sync_data() {
            // What the kernel could not write it may drop, and the next sync would not say so.
            let _ = active.file.set_len(at);
            self.active = None;
            return Err(LogError::write(error));
        }
        Ok(at + bytes.len() as u64)
    }

    fn active(&mut self) -> Result<&mut Active, LogError> {
        if self.active.is_none() {
            self.active = Some(self.begin().map_err(LogError::write)?);
        }
        self.active.as_mut().ok_or(LogError::Closed)
    }

    /// Begins a segment with the next frame. It is on the disk with its name before a frame is.
    fn begin(&mut self) -> io::Result<Active> {
        let header = SegmentHeader { first: self.next, salt: random() };
        let path = self.shared.path(header.first);
        if self.shared.list().back().is_some_and(|segment| segment.first == header.first) {
            // It was left after a failed sync and holds nothing.
            self.shared.list().pop_back();
        }
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let synced = file
            .write_all_at(&header.encode(), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(&self.shared.dir)?.sync_all());
        if let Err(error) = synced {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let (bytes, created) = (HEADER_BYTES as u64, SystemTime::now());
        let segment = Segment { first: header.first, bytes, written: created, unreadable: false };
        self.shared.list().push_back(segment);
        tracing::debug!(segment = %path.display(), "segment begun");
        Ok(Active { file, header, bytes, created })
    }

    fn fail(&mut self, error: &LogError) {
        let why: Arc<str> = error.sentence().into();
        let condition = match error {
            // Of one frame, not of the disk.
            LogError::TooLarge { .. } => return,
            LogError::NoRoom(_) => Condition::NoRoom(why),
            _ => Condition::Failing(why),
        };
        if self.broken.is_none() {
            tracing::error!(reason = %condition, "the log takes nothing, so nothing is acknowledged");
        }
        self.broken = Some(error.clone());
        self.shared.condition.send_if_modified(|before| {
            let changed = *before != condition;
            *before = condition;
            changed
        });
    }

    /// Once a second: is there room again, and what is too old?
    fn tend(&mut self) {
        retention::retire(&self.shared);
        if self.broken.is_none() {
            return;
        }
        match self.probe() {
            Ok(()) => {
                self.broken = None;
                tracing::info!("the log takes frames again");
                self.shared.condition.send_replace(Condition::Writing);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Writes something behind the end, syncs, and takes it away again.
    fn probe(&mut self) -> Result<(), LogError> {
        self.put(&[0; PROBE_BYTES])?;
        let active = self.active()?;
        active.file.set_len(active.bytes).map_err(LogError::write)
    }

    async fn feed(&self, frames: Vec<Arc<Frame>>) {
        let Some(feed) = self.shared.feed() else { return };
        for frame in frames {
            if feed.send(frame).await.is_err() {
                return;
            }
        }
    }
}

/// Nobody but the disk's owner sees it before it is written: the process' hash keys will do.
fn random() -> u64 {
    RandomState::new().hash_one(SystemTime::now())
}
