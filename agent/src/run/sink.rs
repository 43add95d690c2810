//! Where findings and notices go: the state file first, then the event file and the live view.
//!
//! What was told is on disk: a finding keeps its id and first sight over a kill -9.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use crate::{
    output::{
        event::{Body, Event, Origin},
        jsonl::{Dropped, JsonLines},
        terminal::{self, Look},
    },
    pipeline::{Message, Outgoing, Told, lifecycle::LifecycleReceiver},
    posture::{Change, Snapshot, store},
    telemetry::{Telemetry, label::OutputDrop},
    time::Clock,
};

/// Changes that share one write of the state file.
const BATCH: usize = 256;
/// How often the state file is renewed when nothing is told: last sights and counts move on.
const RENEW: Duration = Duration::from_secs(30);

/// Something to tell that is no finding.
#[derive(Debug)]
pub(super) enum Notice {
    /// An event.
    Tell {
        /// When.
        at: Clock,
        /// What.
        body: Body,
    },
    /// Answered once all notices before it are written.
    Mark(oneshot::Sender<()>),
}

/// The writing end of the agent.
pub(super) struct Sink {
    /// Node and boot.
    pub(super) origin: Origin,
    /// State file.
    pub(super) state: PathBuf,
    /// Event file.
    pub(super) events: Option<JsonLines>,
    /// Asks the hot loop for a snapshot.
    pub(super) messages: mpsc::Sender<Message>,
    /// Counters.
    pub(super) telemetry: Arc<Telemetry>,
    /// How far it is, for the hot loop.
    pub(super) told: Arc<Told>,
    /// The last write of the state file failed.
    pub(super) state_failing: bool,
}

impl Sink {
    /// Writes until both channels are closed.
    pub(super) async fn run(
        mut self,
        mut changes: mpsc::Receiver<Outgoing>,
        mut lifecycle: LifecycleReceiver,
        mut notices: mpsc::Receiver<Notice>,
    ) {
        let look = Look::of_environment(io::stdout().is_terminal(), columns());
        show(&terminal::header(look));
        let mut renew = interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut notices_open = true;
        let mut lifecycle_open = true;
        loop {
            tokio::select! {
                received = changes.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                    self.store().await;
                    let count = batch.len() as u64;
                    for outgoing in batch.drain(..) {
                        match outgoing {
                            Outgoing::Change(change) => self.change(&change, look),
                            Outgoing::Lost(lost) => self.tell(Notice::Tell { at: lost.to, body: lost.into() }),
                            Outgoing::Inventory(_) => {}
                        }
                    }
                    self.told.changes.fetch_add(count, Ordering::Release);
                }
                filled = lifecycle.recv(), if lifecycle_open => match filled {
                    Some(_) => drop(self.told.lifecycle.fetch_add(1, Ordering::Release)),
                    None => lifecycle_open = false,
                },
                notice = notices.recv(), if notices_open => match notice {
                    Some(notice) => self.tell(notice),
                    None => notices_open = false,
                },
                _ = renew.tick() => self.store().await,
            }
        }
        while let Some(notice) = notices.recv().await {
            self.tell(notice);
        }
    }

    fn change(&mut self, change: &Change, look: Look) {
        // What is exempt or cannot be told is listed in the event file.
        if change.alert {
            show(&terminal::line(change, look));
        }
        let event = Event::of_change(&self.origin, change);
        append(&mut self.events, &self.telemetry, &event);
    }

    fn tell(&mut self, notice: Notice) {
        let (at, body) = match notice {
            Notice::Tell { at, body } => (at, body),
            Notice::Mark(written) => {
                // Whoever asked may be gone.
                let _ = written.send(());
                return;
            }
        };
        let text = body.sentence();
        let is_ready = matches!(body, Body::Ready { .. });
        append(&mut self.events, &self.telemetry, &Event::new(&self.origin, at, body));
        if let Some(text) = text {
            show(&format!("{}  {text}", at.rfc3339().get(11..19).unwrap_or_default()));
        }
        if is_ready {
            self.told.ready.store(true, Ordering::Release);
        }
    }

    async fn store(&mut self) {
        let (answer, snapshot) = oneshot::channel();
        if self.messages.send(Message::Snapshot(answer)).await.is_err() {
            return;
        }
        if let Ok(snapshot) = snapshot.await {
            self.write(&snapshot);
        }
    }

    fn write(&mut self, snapshot: &Snapshot) {
        match store::write(&self.state, snapshot) {
            Ok(()) => {
                if std::mem::take(&mut self.state_failing) {
                    tracing::info!(path = %self.state.display(), "state file can be written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.state_failing, true) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "state file cannot be written: after a restart findings will look new"
                    );
                }
            }
        }
    }
}

fn append(events: &mut Option<JsonLines>, telemetry: &Telemetry, event: &Event<'_>) {
    let Some(events) = events else { return };
    events.append(event);
    telemetry.output.written.set(events.written());
    let Dropped { no_space, read_only, other } = events.dropped();
    let dropped = &telemetry.output.dropped;
    dropped.of(OutputDrop::NoSpace).set(no_space);
    dropped.of(OutputDrop::ReadOnly).set(read_only);
    dropped.of(OutputDrop::Other).set(other);
}

/// Nobody may be there to see it any more; the event file is what counts.
fn show(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Width of the terminal, as the shell tells.
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}
