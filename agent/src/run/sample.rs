//! What is looked at every second: counters, buckets, pins, the outbox.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use agent_abi::map;
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{alive::AliveFile, losses::Losses, sink::Notice, tell, throttle::BucketReader};
use crate::{
    http::Health,
    kernel::{self, Buckets, LinkPins, UntoldMap, UntoldWords},
    outbox::Outbox,
    pipeline::{Message, clock},
    telemetry::Telemetry,
};

/// How often losses are looked for and word is left.
const SAMPLE: Duration = Duration::from_secs(1);

/// Looks.
pub(super) struct Sampler {
    pub(super) losses: Losses,
    pub(super) buckets: BucketReader<Buckets>,
    /// To the hot loop, which knows whose they are.
    pub(super) throttling: mpsc::Sender<Message>,
    /// Asks for a scan.
    pub(super) scans: SyncSender<()>,
    pub(super) alive: AliveFile,
    pub(super) links: LinkPins,
    pub(super) health: Arc<Health>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) outbox: Option<Outbox>,
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) beat_ns: Arc<AtomicU64>,
    pub(super) words: Arc<UntoldMap>,
}

impl Sampler {
    /// Looks until it is dropped.
    pub(super) async fn run(mut self) {
        let mut due = interval(SAMPLE);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if let Some(hook) = self.links.removed()
                && !self.health.is_detached()
            {
                // Whoever watches the agent's health starts it again: that attaches a new hook, and
                // tells since when there was none.
                tracing::error!(
                    hook = hook.name(),
                    "somebody has removed the pin that keeps a hook attached"
                );
                self.health.hook_detached(hook);
            }
            if let Err(error) = self.tell_losses().await {
                tracing::error!(%error, "cannot read the hooks' counters");
            }
            self.tell_throttled().await;
            if let Some(outbox) = &self.outbox {
                self.telemetry.outbox.sample(&outbox.status());
            }
            if !self.health.is_detached() {
                // Where the pins go with the agent, so does the word on what is untold.
                let map::Untold { told_ns, read_ns } = UntoldWords::get((*self.words).as_ref());
                let beat_ns = self.beat_ns.load(Ordering::Relaxed);
                self.alive.write(if told_ns < read_ns { told_ns.min(beat_ns) } else { beat_ns });
            }
        }
    }

    async fn tell_throttled(&mut self) {
        match self.buckets.look(clock::now()) {
            Ok(Some(throttling)) => {
                // A hot loop that has ended takes the agent with it.
                let _ = self.throttling.send(Message::Throttling(throttling)).await;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot read what was held back"),
        }
    }

    async fn tell_losses(&mut self) -> Result<(), kernel::MapsError> {
        let missed = self.losses.sample()?;
        if missed.needs_scan {
            // Where one has been asked for and not begun, that will do.
            let _ = self.scans.try_send(());
        }
        for body in missed.told {
            tell(&self.notices, body).await;
        }
        // Behind all of them, those of the start too.
        let (written, is_written) = oneshot::channel();
        let sent = self.notices.send(Notice::Mark(written)).await;
        if sent.is_ok() && is_written.await.is_ok() { self.losses.written() } else { Ok(()) }
    }
}
