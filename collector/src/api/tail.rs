//! Records in the order in which they were taken: from the log up to what is in memory, then on from
//! there as they come. The two meet by frame numbers, so nothing is left out or sent twice.

use std::{sync::Arc, time::Duration};

use kestrel_proto::v1::{
    Cursor, Missed, MissedReason, TailRequest, TailResponse, tail_request::Start, tail_response::Response,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    live::{Filter, Found, Joined, Live, Place},
    log::{Log, ReadError, Reader},
};

/// Answers that wait for a client.
const BUFFER: usize = 64;
/// Most frames that are read from the log at once, and answers at which reading stops.
const CHUNK: (usize, usize) = (256, 512);
/// A client that takes no answer for so long is let go.
const STALLED: Duration = Duration::from_secs(300);
/// How often a client learns how far the tail is when nothing passes its filter.
const REACHED: Duration = Duration::from_secs(1);

type Answer = Result<TailResponse, Status>;

/// One client.
struct Tail {
    log: Log,
    live: Live,
    filter: Arc<Filter>,
    out: mpsc::Sender<Answer>,
    /// What is read next.
    place: Place,
    /// A client that wants what comes now, and does not want to fall behind.
    is_now: bool,
    /// Records that were published before `place`, where that is known.
    published: Option<u64>,
    /// Where a tail ends that does not follow.
    end: Option<u64>,
    reader: Option<Reader>,
    /// What the client knows of the place, since when.
    told: (Place, Instant),
}

/// The client is gone, or took nothing for too long.
struct Gone;

/// Starts a tail.
///
/// # Errors
/// What is wrong with the request.
pub async fn start(
    log: Log,
    live: Live,
    request: TailRequest,
    permit: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Result<ReceiverStream<Answer>, Status> {
    let TailRequest { filter, start, follow } = request;
    let filter = Arc::new(super::checked(filter)?);
    let committed = *log.committed().borrow();
    let (mut is_now, mut published) = (false, None);
    let place = match start {
        None | Some(Start::Now(_)) => {
            let (next, count) = live.end();
            (is_now, published) = (true, Some(count));
            Place::at(next)
        }
        Some(Start::Oldest(_)) => Place::at(log.oldest()),
        Some(Start::After(cursor)) => {
            let place = Place::after(cursor);
            if place.frame > committed {
                return Err(Status::out_of_range(
                    "the cursor is behind the end of the log: it is of another collector, or the log was lost",
                ));
            }
            place
        }
        Some(Start::SinceUnixNs(since)) => {
            let log = log.clone();
            let found = spawn_blocking(move || since_frame(&log, since)).await;
            Place::at(found.map_err(|_| Status::internal("the log could not be searched"))?)
        }
    };
    let (out, answers) = mpsc::channel(BUFFER);
    let end = (!follow).then_some(committed);
    let told = (place, Instant::now());
    let tail = Tail { log, live, filter, out, place, is_now, published, end, reader: None, told };
    // It ends with its client, which ends with the server; the permit bounds how many there are.
    tokio::spawn(async move {
        let _permit = permit;
        let out = tail.out.clone();
        if stop.run_until_cancelled(tail.run()).await.is_none() {
            let _ = out.try_send(Err(Status::unavailable("the collector stops")));
        }
    });
    Ok(ReceiverStream::new(answers))
}

/// The first frame that was taken at that time or later.
fn since_frame(log: &Log, since_unix_ns: i64) -> u64 {
    let taken_before = |number: u64| {
        let frame = log.reader(number).find_map(Result::ok);
        frame.is_some_and(|frame| frame.body.received_unix_ns < since_unix_ns)
    };
    let (mut low, mut high) = (log.oldest(), *log.committed().borrow());
    while low < high {
        let middle = low + (high - low) / 2;
        if taken_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

impl Tail {
    async fn run(mut self) {
        let mut changes = self.live.changes();
        loop {
            changes.mark_unchanged();
            if self.end.is_some_and(|end| self.place.frame >= end) {
                let _ = self.reached().await;
                return;
            }
            let step = match self.live.get(self.place.frame) {
                Found::Frame(recent) => {
                    self.published = Some(recent.before + recent.frame.records() as u64);
                    self.reader = None;
                    self.frame(&recent.frame).await
                }
                Found::End => self.wait(&mut changes).await,
                Found::Gone => match self.published {
                    Some(published) if self.is_now => self.skip(published).await,
                    _ => self.read().await,
                },
            };
            if step.is_err() {
                return;
            }
        }
    }

    async fn frame(&mut self, frame: &Joined) -> Result<(), Gone> {
        let mut answers = Vec::new();
        pick(frame, self.place, &self.filter, &mut answers);
        for answer in answers {
            self.send(answer).await?;
        }
        self.place = Place::at(frame.number() + 1);
        self.reached_now_and_then().await
    }

    async fn wait(&mut self, changes: &mut tokio::sync::watch::Receiver<u64>) -> Result<(), Gone> {
        tokio::select! {
            changed = timeout(REACHED, changes.changed()) => match changed {
                Ok(Ok(())) => Ok(()),
                // Nothing is published any more.
                Ok(Err(_)) => Err(Gone),
                Err(_) => self.reached_now_and_then().await,
            },
            () = self.out.closed() => Err(Gone),
        }
    }

    /// What this client should have seen by now is not in memory any more.
    async fn skip(&mut self, published: u64) -> Result<(), Gone> {
        let (next, count) = self.live.end();
        let to = Place::at(next);
        let missed = Missed {
            records: Some(count - published),
            from: Some(Cursor { frame: self.place.frame, index: self.place.index }),
            to: Some(to.before()),
            reason: MissedReason::Slow.into(),
        };
        (self.place, self.published) = (to, Some(count));
        self.send(Response::Missed(missed)).await
    }

    /// A piece of the log.
    async fn read(&mut self) -> Result<(), Gone> {
        let reader = self.reader.take().filter(|reader| reader.position() == self.place.frame);
        let mut reader = reader.unwrap_or_else(|| self.log.reader(self.place.frame));
        let (place, filter) = (self.place, Arc::clone(&self.filter));
        let end = self.end.unwrap_or(u64::MAX);
        let read = spawn_blocking(move || {
            let mut answers = Vec::new();
            let place = chunk(&mut reader, place, end, &filter, &mut answers);
            (reader, answers, place)
        });
        let Ok((reader, answers, place)) = read.await else { return Err(Gone) };
        self.reader = Some(reader);
        if place == self.place && answers.is_empty() {
            // Not there yet, and gone from memory: only a log that is being repaired is like that.
            sleep(Duration::from_millis(50)).await;
        }
        for answer in answers {
            self.send(answer).await?;
        }
        self.place = place;
        self.reached_now_and_then().await
    }

    async fn reached_now_and_then(&mut self) -> Result<(), Gone> {
        let (told, at) = self.told;
        if told != self.place && at.elapsed() >= REACHED { self.reached().await } else { Ok(()) }
    }

    async fn reached(&mut self) -> Result<(), Gone> {
        self.send(Response::Reached(self.place.before())).await
    }

    async fn send(&mut self, response: Response) -> Result<(), Gone> {
        let place = match &response {
            Response::Event(event) => event.cursor.map_or(self.place, Place::after),
            Response::Missed(_) | Response::Reached(_) => self.place,
        };
        let answer = TailResponse { response: Some(response) };
        match timeout(STALLED, self.out.send(Ok(answer))).await {
            Ok(Ok(())) => {
                self.told = (place, Instant::now());
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// Reads some frames; what passes the filter, and where to go on.
fn chunk(
    reader: &mut Reader,
    mut place: Place,
    end: u64,
    filter: &Filter,
    answers: &mut Vec<Response>,
) -> Place {
    for _ in 0..CHUNK.0 {
        if answers.len() >= CHUNK.1 || place.frame >= end {
            break;
        }
        match reader.next() {
            Some(Ok(frame)) => {
                let number = frame.number;
                pick(&Joined::new(frame), place, filter, answers);
                place = Place::at(number + 1);
            }
            Some(Err(error)) => {
                let (from, to) = error.missing();
                let reason = match error {
                    ReadError::Expired { .. } => MissedReason::Expired,
                    ReadError::Damaged { .. } | ReadError::Unreadable { .. } => MissedReason::Corrupt,
                };
                let next = Place::at(to + 1);
                answers.push(Response::Missed(Missed {
                    records: None,
                    from: Some(Cursor { frame: from, index: 0 }),
                    to: Some(next.before()),
                    reason: reason.into(),
                }));
                place = next;
            }
            None => break,
        }
    }
    place
}

fn pick(frame: &Joined, place: Place, filter: &Filter, answers: &mut Vec<Response>) {
    if !filter.takes_node(&frame.frame().body.source.node) {
        return;
    }
    let first = if frame.number() == place.frame { place.index as usize } else { 0 };
    for index in first..frame.records() {
        if frame.entry(index).is_some_and(|entry| filter.takes(entry)) {
            answers.extend(frame.envelope(index).map(Response::Event));
        }
    }
}
