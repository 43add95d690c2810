//! Where findings and notices go: the state file first, then the event file, the live view, and the
//! outbox.
//!
//! What was told is on disk: a finding keeps its id and first sight over a kill -9, and one that the
//! hot loop takes for told is in the outbox and outlives power loss.

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

use super::{
    keep::{Keeper, told},
    waiting::Way,
};
use crate::{
    output::{
        event::{Body, Event, Origin},
        jsonl::{Dropped, JsonLines},
        terminal::{self, Look},
    },
    pipeline::{
        Buffer, Filled, Message, Outgoing, Told,
        lifecycle::{FilledLifecycle, LifecycleReceiver},
        raw::{FilledRaw, RawReceivers},
    },
    posture::{Change, Snapshot, store},
    telemetry::{Telemetry, label::OutputDrop},
    time::Clock,
};

/// Changes that share one write of the state file.
const BATCH: usize = 256;
/// How often the state file is renewed when nothing is told: last sights and counts move on.
const RENEW: Duration = Duration::from_secs(30);

/// How often the outbox is synced while lifecycle comes: what happened since goes with a power loss.
const SYNC: Duration = Duration::from_millis(100);

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
    /// The outbox, where there is a collector.
    pub(super) keeper: Option<Keeper>,
    /// Asks the hot loop for a snapshot.
    pub(super) messages: mpsc::Sender<Message>,
    /// Counters.
    pub(super) telemetry: Arc<Telemetry>,
    /// How far it is, for the hot loop.
    pub(super) told: Arc<Told>,
    /// The last write of the state file failed.
    pub(super) state_failing: bool,
    /// That the agent stops, told when all else is.
    pub(super) last_word: Option<(Clock, Body)>,
}

/// What it writes, and whence.
pub(super) struct Inlets {
    /// From the hot loop.
    pub(super) changes: mpsc::Receiver<Outgoing>,
    /// From the hot loop.
    pub(super) lifecycle: LifecycleReceiver,
    /// From the hot loop.
    pub(super) raw: RawReceivers,
    /// From whoever has something to tell.
    pub(super) notices: mpsc::Receiver<Notice>,
    /// The uplink wants an inventory.
    pub(super) asked: Option<mpsc::Receiver<()>>,
}

impl Sink {
    /// Writes until all channels are closed.
    pub(super) async fn run(mut self, inlets: Inlets) {
        let Inlets { mut changes, mut lifecycle, raw, mut notices, mut asked } = inlets;
        let RawReceivers { mut rare, mut bulk } = raw;
        let look = Look::of_environment(io::stdout().is_terminal(), columns());
        show(&terminal::header(look));
        let mut renew = interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sync = interval(SYNC);
        sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut notices_open = true;
        let mut lifecycle_open = true;
        let (mut rare_open, mut bulk_open) = (true, true);
        loop {
            tokio::select! {
                received = changes.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                    self.outgoing(&mut batch, look).await;
                }
                filled = lifecycle.recv(), if lifecycle_open => match filled {
                    Some(filled) => self.lifecycle(filled),
                    None => lifecycle_open = false,
                },
                filled = rare.recv(), if rare_open => match filled {
                    Some(filled) => self.rare(filled),
                    None => rare_open = false,
                },
                filled = bulk.recv(), if bulk_open => match filled {
                    Some(filled) => self.bulk(filled),
                    None => bulk_open = false,
                },
                notice = notices.recv(), if notices_open => match notice {
                    Some(notice) => self.tell(notice),
                    None => notices_open = false,
                },
                () = wanted(&mut asked) => {
                    // The hot loop is gone: nobody is told any more.
                    let _ = self.messages.send(Message::Inventory).await;
                }
                _ = renew.tick() => self.store().await,
                _ = sync.tick(), if self.keeper.is_some() => if let Some(keeper) = &mut self.keeper {
                    keeper.let_go();
                    keeper.tidy();
                }
            }
        }
        while let Some(filled) = lifecycle.recv().await {
            self.lifecycle(filled);
        }
        while let Some(filled) = rare.recv().await {
            self.rare(filled);
        }
        while let Some(filled) = bulk.recv().await {
            self.bulk(filled);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.finish();
        }
        while let Some(notice) = notices.recv().await {
            self.tell(notice);
        }
        if let Some((at, body)) = self.last_word.take() {
            self.say(at, body);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.sync();
        }
    }

    /// State file, event file, outbox, and all of it on disk: then the hot loop learns that it is.
    async fn outgoing(&mut self, batch: &mut Vec<Outgoing>, look: Look) {
        self.store().await;
        let count = batch.len() as u64;
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Change(change) => self.change(&change, look),
                Outgoing::Lost(lost) => self.say(lost.to, lost.into()),
                Outgoing::Throttled(throttled) => {
                    self.telemetry.throttle.note(&throttled);
                    if let Some(keeper) = &mut self.keeper {
                        keeper.throttled(&throttled);
                    }
                    self.show(throttled.to, Body::throttled(&throttled));
                }
                Outgoing::Detected(detected) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.detected(&detected);
                    }
                    self.show(detected.at, Body::detected(&detected));
                }
                Outgoing::Detection(detection) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.detection(&detection);
                    }
                    self.show(detection.at, Body::detection(&detection));
                }
                Outgoing::Inventory(snapshot) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.inventory(&snapshot);
                    }
                }
            }
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.append();
            keeper.sync();
        }
        self.told.changes.fetch_add(count, Ordering::Release);
    }

    fn change(&mut self, change: &Change, look: Look) {
        // What is exempt or cannot be told is listed in the event file.
        if change.alert {
            show(&terminal::line(change, look));
        }
        let event = Event::of_change(&self.origin, change);
        append(&mut self.events, &self.telemetry, &event);
        if let Some(keeper) = &mut self.keeper {
            keeper.change(change);
        }
    }

    fn lifecycle(&mut self, filled: FilledLifecycle) {
        self.buffer(filled, Way::Lifecycle, |keeper, batch| keeper.lifecycle(batch));
    }

    fn rare(&mut self, filled: FilledRaw) {
        self.buffer(filled, Way::Rare, |keeper, batch| keeper.rare(batch));
    }

    fn bulk(&mut self, filled: FilledRaw) {
        self.buffer(filled, Way::Bulk, |keeper, batch| keeper.bulk(batch));
    }

    fn buffer<B: Buffer>(&mut self, filled: Filled<B>, way: Way, keep: impl FnOnce(&mut Keeper, &B)) {
        let Some(keeper) = &mut self.keeper else {
            // There is nobody to whom more could be told.
            told(&self.told, way).fetch_add(1, Ordering::Release);
            return;
        };
        keep(keeper, &filled);
        // Back to the hot loop before the disk is waited for.
        drop(filled);
        keeper.append();
    }

    fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Tell { at, body: body @ Body::Stop { .. } } => self.last_word = Some((at, body)),
            Notice::Tell { at, body } => self.say(at, body),
            // Whoever asked may be gone.
            Notice::Mark(written) => drop(written.send(())),
        }
    }

    /// In the event file and the live view.
    fn show(&mut self, at: Clock, body: Body) {
        let text = body.sentence();
        append(&mut self.events, &self.telemetry, &Event::new(&self.origin, at, body));
        if let Some(text) = text {
            show(&format!("{}  {text}", at.rfc3339().get(11..19).unwrap_or_default()));
        }
    }

    fn say(&mut self, at: Clock, body: Body) {
        let is_ready = matches!(body, Body::Ready { .. });
        if let Some(keeper) = &mut self.keeper {
            keeper.notice(at, &body);
            keeper.append();
        }
        self.show(at, body);
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

/// Waits until the uplink wants an inventory.
async fn wanted(asked: &mut Option<mpsc::Receiver<()>>) {
    if let Some(receiver) = asked {
        if receiver.recv().await.is_some() {
            return;
        }
        // The uplink has ended.
        *asked = None;
    }
    std::future::pending().await
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
