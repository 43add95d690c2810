//! The agent at work, and its end.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::SyncSender,
    },
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
};

use super::{alive::AliveFile, delivery::RunningUplink, open::Ground, sink::Notice, tell};
use crate::{
    output::event::Body,
    pipeline::Pipeline,
    posture::store,
    telemetry::{Telemetry, label::Table},
};

/// What runs.
pub(super) struct Running {
    pub(super) ground: Ground,
    pub(super) hot: oneshot::Receiver<Pipeline>,
    pub(super) sink: oneshot::Receiver<()>,
    pub(super) scanning: oneshot::Receiver<()>,
    pub(super) finding: oneshot::Receiver<()>,
    pub(super) inspecting: oneshot::Receiver<()>,
    pub(super) reading_node: oneshot::Receiver<()>,
    pub(super) reading_images: oneshot::Receiver<()>,
    pub(super) canary: oneshot::Receiver<()>,
    pub(super) rules: Option<oneshot::Receiver<()>>,
    /// Looks up names for them.
    pub(super) resolver: Option<oneshot::Receiver<()>>,
    /// Ends the thread that looks after the rules.
    pub(super) stop_rules: SyncSender<()>,
    pub(super) uplink: Option<RunningUplink>,
    pub(super) start_scan_done: watch::Receiver<bool>,
    pub(super) notices: mpsc::Sender<Notice>,
    /// Tells the hot loop.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) state_file: PathBuf,
    pub(super) alive: AliveFile,
    pub(super) beat_ns: Arc<AtomicU64>,
}

/// Why it ends: a signal, or a part that ended by itself.
pub(super) type Reason = Result<&'static str, &'static str>;

impl Running {
    /// Whoever ends before it is told to takes the agent down: half an agent is a blind one.
    pub(super) async fn watch(&mut self, signals: &mut Signals) -> Reason {
        loop {
            tokio::select! {
                name = signals.recv() => return Ok(name),
                _ = &mut self.hot => return Err("the hot loop ended"),
                _ = &mut self.sink => return Err("the writer ended"),
                _ = &mut self.scanning => return Err("the scanner ended"),
                _ = &mut self.reading_node => return Err("the reads of the node ended"),
                _ = &mut self.reading_images => return Err("the reads of images ended"),
                _ = &mut self.inspecting => return Err("the looks into containers ended"),
                _ = &mut self.finding => return Err("the search for cgroups ended"),
                _ = &mut self.canary => return Err("the canary ended"),
                () = over(&mut self.rules) => return Err("the reading of rules ended"),
                () = over(&mut self.resolver) => return Err("the looking up of names ended"),
                () = ended(&mut self.uplink) => return Err("the uplink ended"),
                Some(_) = self.ground.tasks.join_next() => return Err("a part of the agent ended"),
                Ok(()) = self.start_scan_done.changed() => {
                    self.ground.health.start_scan_done();
                    tell(&self.notices, ready(&self.ground.telemetry)).await;
                    tracing::info!("ready");
                }
            }
        }
    }

    /// Source, then what follows it, each when the one before has ended. What the collector has not
    /// taken in time stays on disk.
    pub(super) async fn end(self, reason: Reason, signals: &mut Signals) -> Result<()> {
        let Self {
            mut ground, hot, sink, uplink, notices, stop, stop_rules, state_file, alive, beat_ns, ..
        } = self;
        drop(stop_rules);
        stop.store(true, Ordering::Relaxed);
        let name = match reason {
            Ok(name) => name,
            Err(what) => bail!(what),
        };
        tell(&notices, Body::Stop { reason: name.to_owned() }).await;
        drop(notices);
        ground.tasks.shutdown().await;
        let mut pipeline = hot.await.context("the hot loop panicked")?;
        let snapshot = pipeline.snapshot();
        let untold = pipeline.take_word();
        // With the pipeline its ends of the channels go, and the sink writes what is left.
        drop(pipeline);
        sink.await.context("the writer panicked")?;
        store::write(&state_file, &snapshot)?;
        if !ground.health.is_detached() {
            alive.write(beat_ns.load(Ordering::Relaxed));
        }
        if let Some(mut untold) = untold {
            untold.clear();
        }
        if let Some(uplink) = uplink {
            tokio::select! {
                () = uplink.drain() => {}
                _ = signals.recv() => tracing::warn!("a second signal: what is left stays in the outbox"),
            }
        }
        Ok(())
    }
}

async fn over(thread: &mut Option<oneshot::Receiver<()>>) {
    match thread {
        Some(thread) => drop(thread.await),
        None => std::future::pending().await,
    }
}

async fn ended(uplink: &mut Option<RunningUplink>) {
    match uplink {
        Some(uplink) => uplink.ended().await,
        None => std::future::pending().await,
    }
}

fn ready(telemetry: &Telemetry) -> Body {
    let entries = &telemetry.context.entries;
    Body::Ready {
        containers: entries.of(Table::Containers).get(),
        processes: entries.of(Table::Processes).get(),
    }
}

/// What ends the agent.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "terminated",
            _ = self.interrupt.recv() => "interrupted",
        }
    }
}
