//! Tells what its queue holds, in order, at its pace, until it has arrived.
//!
//! Before a request leaves, the journal says so; when the answer is there, the journal says that.
//! Whatever ends in between, the process or the connection, the next try says "repeat". A definite
//! "not received" clears the mark.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, Notify, mpsc},
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    batch::{self, Batch, Form},
    config::ChannelConfig,
    entry::{Entry, Place, Release, Result as Sent, Tally},
    journal::Journal,
    notice::Notice,
    post::{Outcome, Poster},
    queue::{Policy, Queue},
    secret::SecretUrl,
};
use crate::state::{presence::unix_ns, transition::Transition};

/// Most transitions that are journalled at once.
const TAKEN: usize = 256;

/// How fast, and how long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one message to the next.
    pub interval: Duration,
    /// First and longest wait after a failure; it doubles, with jitter.
    pub backoff: (Duration, Duration),
    /// Wait after the URL was found not to be valid any more.
    pub revoked: Duration,
    /// How often it is looked whether the URL changed while waiting for that.
    pub look: Duration,
    /// How long a request in flight may go on when the collector stops.
    pub grace: Duration,
    /// How long detections of one rule and place are gathered after one was told.
    pub window: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            interval: second,
            backoff: (second, second * 60),
            revoked: second * 300,
            look: second * 5,
            grace: second * 5,
            window: second * 300,
        }
    }
}

/// How a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// "slack" or "webhook".
    pub name: &'static str,
    /// Notices that wait.
    pub pending: u64,
    /// Notices received at the other end, over restarts.
    pub delivered: u64,
    /// Notices refused for good, over restarts.
    pub failed: u64,
    /// Requests made since the start.
    pub requests: u64,
    /// Of these the ones that said "repeat".
    pub repeats: u64,
    /// Of the last request, if that failed.
    pub last_error: Option<String>,
    /// Why notices do not outlive the collector now.
    pub memory_only: Option<String>,
    /// The last notice that is taken and on disk.
    pub taken: Option<Place>,
    /// Detections that wait for the end of their window.
    pub grouped: u64,
    /// Detections that were told before that, for want of room, over restarts.
    pub early: u64,
    /// What became of all other detections, over restarts.
    pub detections: Tally,
}

/// Queue and journal, changed together.
#[derive(Debug)]
struct Book {
    queue: Queue,
    journal: Journal,
}

/// One way to tell people.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: &'static str,
    render: fn(&Batch<'_>, Form) -> Vec<u8>,
    config: ChannelConfig,
    pace: Pace,
    book: Arc<AsyncMutex<Book>>,
    status: Arc<Mutex<ChannelStatus>>,
    wake: Notify,
}

/// What is to be done next.
enum Next {
    Send,
    /// A window ended.
    Release,
    /// Nothing, until a window ends.
    Wait(Option<Duration>),
}

/// What was tried, as long as its end is not in the journal.
struct Attempt {
    notices: Vec<Notice>,
    uncertain: bool,
    overflow: u64,
}

impl Channel {
    pub(super) fn new(
        name: &'static str,
        render: fn(&Batch<'_>, Form) -> Vec<u8>,
        config: ChannelConfig,
        pace: Pace,
        journal: Journal,
        queue: Queue,
    ) -> Self {
        let mut status = ChannelStatus { name, ..ChannelStatus::default() };
        let book = Book { queue, journal };
        book.tell(&mut status);
        Self {
            name,
            render,
            config,
            pace,
            book: Arc::new(AsyncMutex::new(book)),
            status: Arc::new(Mutex::new(status)),
            wake: Notify::new(),
        }
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            min_severity: self.config.min_severity,
            resolved: self.config.resolved,
            min_priority: self.config.min_priority,
            window_ns: self.window_ns(),
        }
    }

    fn window_ns(&self) -> i64 {
        i64::try_from(self.pace.window.as_nanos()).unwrap_or(i64::MAX)
    }

    pub(super) fn status(&self) -> ChannelStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut ChannelStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Decides upon the queue, and has the journal follow. The disk is not waited for on this thread.
    pub(super) async fn commit(
        &self,
        decide: impl FnOnce(&mut Queue) -> Vec<Entry> + Send + 'static,
    ) -> Result<(), tokio::task::JoinError> {
        let mut book = Arc::clone(&self.book).lock_owned().await;
        let status = Arc::clone(&self.status);
        spawn_blocking(move || {
            let Book { queue, journal } = &mut *book;
            let entries = decide(queue);
            if !entries.is_empty() {
                journal.append(&entries, queue);
            }
            book.tell(&mut status.lock().unwrap_or_else(PoisonError::into_inner));
        })
        .await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Takes transitions until there are no more.
    pub(super) async fn take(
        &self,
        mut transitions: mpsc::Receiver<Transition>,
    ) -> Result<(), tokio::task::JoinError> {
        let policy = self.policy();
        let mut taken = Vec::new();
        while transitions.recv_many(&mut taken, TAKEN).await > 0 {
            let taken = std::mem::take(&mut taken);
            self.commit(move |queue| {
                let mut entries: Vec<Entry> = Vec::new();
                for transition in &taken {
                    let Some(entry) = queue.decide(transition, policy) else { continue };
                    queue.apply(entry.clone());
                    // A flood of one rule is one entry.
                    if !entries.last_mut().is_some_and(|last| last.absorb(&entry)) {
                        entries.push(entry);
                    }
                }
                entries
            })
            .await?;
        }
        Ok(())
    }

    /// Sends what waits until `stop`.
    pub(super) async fn deliver(
        &self,
        poster: &Poster,
        stop: &CancellationToken,
    ) -> Result<(), tokio::task::JoinError> {
        let mut last: Option<Instant> = None;
        let mut failures = 0;
        while !stop.is_cancelled() {
            match self.next().await {
                Next::Send => {}
                Next::Release => {
                    self.release().await?;
                    continue;
                }
                Next::Wait(longest) => {
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = stop.cancelled() => {}
                        () = sleep_or_ever(longest) => {}
                    }
                    continue;
                }
            }
            if let Some(last) = last
                && stop.run_until_cancelled(sleep_until(last + self.pace.interval)).await.is_none()
            {
                break;
            }
            let url = match self.config.url.read(self.config.plain_http) {
                Ok(url) => url,
                Err(reason) => {
                    self.failing(&error_chain(&reason), failures);
                    failures += 1;
                    self.wait_for_url(None, self.pace.revoked, stop).await;
                    continue;
                }
            };
            let attempt = self.begin().await?;
            let Some(outcome) = self.send(poster, &url, &attempt, &mut last, stop).await else { break };
            // First how it went, then the journal's word: who sees that sees this.
            if outcome == Outcome::Delivered {
                if failures > 0 {
                    info!(channel = self.name, "alerts arrive again");
                }
                failures = 0;
                self.note(|status| status.last_error = None);
            } else {
                self.failing(reason(&outcome), failures);
            }
            if let Some(result) = end(&outcome, attempt.uncertain) {
                self.commit(move |queue| {
                    apply(queue, Entry { result: Some(result.into()), ..Entry::default() })
                })
                .await?;
            }
            match outcome {
                Outcome::Delivered | Outcome::Refused(_) => continue,
                Outcome::Throttled(wait) => pause(wait + self.pace.interval.mul_f64(random()), stop).await,
                Outcome::Revoked(_) => self.wait_for_url(Some(&url), self.pace.revoked, stop).await,
                Outcome::Failed(_) | Outcome::Unknown(_) => pause(self.backoff(failures), stop).await,
            }
            failures += 1;
        }
        Ok(())
    }

    async fn next(&self) -> Next {
        let book = self.book.lock().await;
        let left = book.queue.groups().next(unix_ns(), self.window_ns());
        match left.map(|left| Duration::from_nanos(u64::try_from(left).unwrap_or_default())) {
            Some(Duration::ZERO) => Next::Release,
            _ if !book.queue.waiting().is_empty() || book.queue.overflow() > 0 => Next::Send,
            left => Next::Wait(left),
        }
    }

    /// What was gathered in windows that have ended is to be told.
    async fn release(&self) -> Result<(), tokio::task::JoinError> {
        let now_unix_ns = unix_ns();
        let release = Release { before_unix_ns: now_unix_ns.saturating_sub(self.window_ns()), now_unix_ns };
        self.commit(move |queue| apply(queue, Entry { release: Some(release), ..Entry::default() })).await
    }

    /// Chooses what goes into the next message. What may have arrived goes again as it was.
    async fn begin(&self) -> Result<Attempt, tokio::task::JoinError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.commit(move |queue| {
            let uncertain = queue.attempted() > 0;
            let count = if uncertain { queue.attempted() } else { batch::size(queue.waiting().len()) };
            let entries = if uncertain {
                Vec::new()
            } else {
                apply(queue, Entry { attempt: Some(count as u64), ..Entry::default() })
            };
            let notices = queue.waiting().iter().take(count).cloned().collect();
            // Nobody waits for it any more only when the task was aborted.
            let _ = sender.send(Attempt { notices, uncertain, overflow: queue.overflow() });
            entries
        })
        .await?;
        // `commit` has run the closure, which has sent.
        Ok(receiver.await.unwrap_or(Attempt { notices: Vec::new(), uncertain: false, overflow: 0 }))
    }

    /// Posts the full form, and when that is refused the plain one. `None` when the collector stops
    /// before it is known what became of it.
    async fn send(
        &self,
        poster: &Poster,
        url: &SecretUrl,
        attempt: &Attempt,
        last: &mut Option<Instant>,
        stop: &CancellationToken,
    ) -> Option<Outcome> {
        let Attempt { notices, uncertain, overflow } = attempt;
        let batch = Batch { notices, uncertain: *uncertain, overflow: *overflow };
        let mut form = Form::Full;
        loop {
            *last = Some(Instant::now());
            self.note(|status| {
                status.requests += 1;
                status.repeats += u64::from(batch.is_repeat());
            });
            let posting = poster.post(url, (self.render)(&batch, form));
            tokio::pin!(posting);
            let outcome = match stop.run_until_cancelled(&mut posting).await {
                Some(outcome) => outcome,
                None => timeout(self.pace.grace, posting).await.ok()?,
            };
            match (&outcome, form) {
                (Outcome::Refused(reason), Form::Full) => {
                    warn!(
                        channel = self.name,
                        reason, "the message was refused, a plain one is sent instead"
                    );
                    form = Form::Plain;
                    sleep(self.pace.interval).await;
                }
                (Outcome::Refused(reason), Form::Plain) => {
                    error!(
                        channel = self.name,
                        reason,
                        lost = notices.len(),
                        "alerts were refused in every form and are given up; kestrel findings shows them"
                    );
                    return Some(outcome);
                }
                _ => return Some(outcome),
            }
        }
    }

    fn failing(&self, reason: &str, failures: u32) {
        self.note(|status| status.last_error = Some(reason.to_owned()));
        // The first of a row, and now and then: it is in the status all the time.
        if failures.is_power_of_two() || failures == 0 {
            warn!(channel = self.name, reason, tries = failures + 1, "alerts do not arrive and are kept");
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        let (first, longest) = self.pace.backoff;
        first.saturating_mul(1 << failures.min(16)).min(longest).mul_f64(0.5 + random())
    }

    /// Waits, but not longer than until another URL is there.
    async fn wait_for_url(&self, old: Option<&SecretUrl>, longest: Duration, stop: &CancellationToken) {
        let until = Instant::now() + longest;
        while Instant::now() < until && !stop.is_cancelled() {
            pause(self.pace.look, stop).await;
            if let Ok(url) = self.config.url.read(self.config.plain_http)
                && Some(&url) != old
            {
                return;
            }
        }
    }
}

impl Book {
    fn tell(&self, status: &mut ChannelStatus) {
        let Self { queue, journal } = self;
        status.pending = queue.waiting().len() as u64 + queue.overflow();
        (status.delivered, status.failed) = queue.totals();
        (status.grouped, status.early) = (queue.groups().untold(), queue.groups().early());
        status.detections = queue.tally();
        status.memory_only = journal.problem().map(str::to_owned);
        if status.memory_only.is_none() {
            status.taken = queue.taken();
        }
    }
}

fn apply(queue: &mut Queue, entry: Entry) -> Vec<Entry> {
    queue.apply(entry.clone());
    vec![entry]
}

/// What the journal says of an outcome. After a try that may have arrived, only an arrival or a
/// refusal for good clears the mark.
fn end(outcome: &Outcome, uncertain: bool) -> Option<Sent> {
    match outcome {
        Outcome::Delivered => Some(Sent::Sent),
        Outcome::Refused(_) => Some(Sent::Refused),
        Outcome::Throttled(_) | Outcome::Revoked(_) | Outcome::Failed(_) if !uncertain => Some(Sent::NotSent),
        Outcome::Throttled(_) | Outcome::Revoked(_) | Outcome::Failed(_) | Outcome::Unknown(_) => None,
    }
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Delivered => "",
        Outcome::Throttled(_) => "status 429, asked to wait",
        Outcome::Refused(reason)
        | Outcome::Revoked(reason)
        | Outcome::Failed(reason)
        | Outcome::Unknown(reason) => reason,
    }
}

/// An error and its sources, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(source) = inner {
        text += &format!(": {source}");
        inner = source.source();
    }
    text
}

async fn pause(wait: Duration, stop: &CancellationToken) {
    // Whoever called looks at `stop` next.
    let _ = stop.run_until_cancelled(sleep(wait)).await;
}

async fn sleep_or_ever(longest: Option<Duration>) {
    match longest {
        Some(longest) => sleep(longest).await,
        None => std::future::pending().await,
    }
}

/// From 0 to 1; so that many collectors do not come at the same moment.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let random = bits as f64 / (1_u64 << 53) as f64;
    random
}
