//! What waits for the collector, and the way to it, where one is configured.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::{oneshot, watch};

use super::{host::Boot, lock::StateDir, open::Ground, spawn_thread};
use crate::{
    config::{self, Config, Scope},
    http,
    outbox::{Opened, Options, Outbox},
    pipeline::{lifecycle::Processes, raw::RawStreams},
    uplink::{InventoryMaker, Reporter, Settings, Uplink, UplinkState, inventories},
};

/// Folder of the outbox in the state directory.
const FOLDER: &str = "outbox";

/// An outbox and where it empties to.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) outbox: Outbox,
    /// Of this start.
    pub(super) epoch: u64,
    pub(super) state: Arc<UplinkState>,
    uplink: config::Uplink,
}

impl Delivery {
    /// Opens the outbox. `None`: there is no collector, and nothing is kept for one.
    pub(super) fn open(config: &Config, state: &StateDir, boot: &Boot) -> Option<Self> {
        let uplink = config.uplink.clone()?;
        let (outbox, opened) = Outbox::open(&state.file(FOLDER), options(config, boot));
        let Opened { epoch, left, problem } = opened;
        let left: u64 = left.iter().sum();
        match problem {
            None => tracing::info!(left, "outbox opened"),
            Some(problem) => tracing::error!(
                left,
                problem,
                "the outbox is in memory only: what the collector has not taken is lost with the agent"
            ),
        }
        Some(Self { outbox, epoch, state: Arc::default(), uplink })
    }

    /// For status.
    pub(super) fn page(&self) -> http::Delivery {
        http::Delivery {
            endpoint: self.uplink.endpoint.to_string(),
            outbox: self.outbox.clone(),
            state: Arc::clone(&self.state),
        }
    }
}

/// Whose events go out.
pub(super) fn processes(config: &Config) -> Processes {
    match (&config.uplink, config.streams.processes) {
        (None, _) | (_, Scope::Off) => Processes::Off,
        (_, Scope::Containers) => Processes::Containers,
        (_, Scope::All) => Processes::All,
    }
}

/// Which raw events go out.
pub(super) fn raw_streams(config: &Config) -> Option<RawStreams> {
    config.uplink.as_ref()?;
    let config::Streams { files, network, system, signals, .. } = &config.streams;
    Some(RawStreams { files: *files, network: *network, system: *system, signals: *signals })
}

fn options(config: &Config, boot: &Boot) -> Options {
    let config::Outbox { findings_bytes, detections_bytes, bulk_bytes } = config.outbox;
    let mut options = Options::new(&boot.id);
    let [findings, detections, _] = options.memory_bytes;
    options.memory_bytes = [findings.min(findings_bytes), detections.min(detections_bytes), bulk_bytes];
    options.disk_bytes = [findings_bytes, detections_bytes, 0];
    options
}

/// A running uplink.
pub(super) struct RunningUplink {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl RunningUplink {
    /// On a thread of its own: it reads from the disk what does not fit into memory, and compresses.
    pub(super) fn spawn(delivery: &Delivery, ground: &Ground) -> Result<(Self, InventoryMaker)> {
        let (inventories, maker) = inventories();
        let reporter = Reporter {
            telemetry: Arc::clone(&ground.telemetry),
            health: Arc::clone(&ground.health),
            outbox: delivery.outbox.clone(),
            state: Arc::clone(&delivery.state),
        };
        let uplink = Uplink {
            uplink: delivery.uplink.clone(),
            settings: Settings::new(&ground.config, &ground.boot.id, &ground.boot.release),
            outbox: delivery.outbox.clone(),
            inventories,
            reporter,
            state: Arc::clone(&delivery.state),
            telemetry: Arc::clone(&ground.telemetry),
        };
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = spawn_thread("uplink", move || {
            runtime.block_on(uplink.run(stopped));
            // A name that does not resolve must not hold up the end.
            runtime.shutdown_background();
        })?;
        Ok((Self { stop, ended }, maker))
    }

    /// Waits for an end that nobody asked for.
    pub(super) async fn ended(&mut self) {
        // An error is a panic, and an end as well.
        let _ = (&mut self.ended).await;
    }

    /// Nothing is appended any more: what is left is delivered, as far as there is time.
    pub(super) async fn drain(self) {
        self.stop.send_replace(true);
        if self.ended.await.is_err() {
            tracing::error!("the uplink panicked");
        }
    }
}
