//! The way to the collector: what is in the outbox goes up, acks come down and empty it.
//!
//! [`Uplink::run`] connects, says hello, delivers (`session`), and when the connection ends for
//! whatever reason connects again after a pause (`backoff`). Nothing is dropped here: what is not
//! acknowledged stays in the outbox and is sent again.

mod backoff;
pub mod canary;
mod connect;
mod drift;
mod end;
mod heartbeat;
mod inventory;
mod known;
mod refusal;
mod session;
mod state;
mod window;
mod wire;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use self::{
    backoff::{Backoff, random},
    connect::Dialer,
    end::End,
    refusal::Refusals,
    session::{Lent, Session},
};
pub use self::{
    heartbeat::Reporter,
    inventory::{Inventories, InventoryMaker, inventories},
    state::{Link, UplinkState},
};
use crate::{
    config,
    outbox::Outbox,
    telemetry::{Telemetry, label::UplinkEnd},
};

/// For the collector to end a stream that the agent has ended.
const FAREWELL: Duration = Duration::from_secs(1);
/// The same reason is said again after that long.
const SAY_AGAIN: Duration = Duration::from_mins(10);
/// That there is a connection again, after that long.
const SAY_UP_AGAIN: Duration = Duration::from_mins(1);

/// Who the agent is, and how patient.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// Boot id of the running kernel.
    pub boot_id: String,
    /// Its release.
    pub kernel: String,
    /// Time from one heartbeat to the next.
    pub heartbeat: Duration,
    /// Time from one inventory to the next.
    pub inventory: Duration,
    /// For connect and TLS handshake.
    pub connect_time: Duration,
    /// For the collector's welcome.
    pub answer_time: Duration,
    /// For an ack, when the collector says nothing else either.
    pub ack_time: Duration,
    /// Between two HTTP/2 pings; one that is not answered in twice the time ends the connection.
    pub ping: Duration,
    /// Bound of the first pause before connecting again.
    pub backoff_base: Duration,
    /// Bound of all pauses.
    pub backoff_cap: Duration,
}

impl Settings {
    /// With the usual patience.
    #[must_use]
    pub fn new<E>(config: &config::Config<E>, boot_id: &str, kernel: &str) -> Self {
        Self {
            cluster: config.cluster.clone(),
            node: config.node_name.clone(),
            boot_id: boot_id.to_owned(),
            kernel: kernel.to_owned(),
            heartbeat: config.heartbeat.interval,
            inventory: config.inventory.interval,
            connect_time: Duration::from_secs(5),
            answer_time: Duration::from_secs(10),
            ack_time: Duration::from_secs(15),
            ping: Duration::from_secs(5),
            backoff_base: Duration::from_millis(250),
            backoff_cap: Duration::from_secs(30),
        }
    }
}

/// Delivers.
#[derive(Debug)]
pub struct Uplink {
    /// Where to.
    pub uplink: config::Uplink,
    /// Who, and how.
    pub settings: Settings,
    /// What.
    pub outbox: Outbox,
    /// The whole state, now and then.
    pub inventories: Inventories,
    /// How the agent is.
    pub reporter: Reporter,
    /// How the uplink is.
    pub state: Arc<UplinkState>,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
}

impl Uplink {
    /// Delivers until `stop` says so, or its sender is gone; then until the collector has all, but no
    /// longer than [`config::Uplink::drain_timeout`]. Nothing may be appended after that.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let (outbox, state) = (self.outbox.clone(), Arc::clone(&self.state));
        let time = self.uplink.drain_timeout;
        let stop_too = stop.clone();
        let drained = async {
            // An error is a sender that is gone.
            let _ = stop.wait_for(|stopped| *stopped).await;
            if timeout(time, empty(&outbox, &state)).await.is_err() {
                let events: u64 = outbox.status().lanes.iter().map(|lane| lane.events).sum();
                tracing::warn!(
                    events,
                    "the collector has not taken all in time: the next agent sends the rest"
                );
            }
        };
        let (finish, finished) = watch::channel(false);
        let link = Arc::clone(&self.state);
        let deliver = self.deliver(finished, stop_too);
        tokio::pin!(deliver);
        tokio::select! {
            biased;
            () = drained => {}
            () = &mut deliver => return,
        }
        finish.send_replace(true);
        if matches!(link.link(), Link::Up { .. }) {
            // All is said; a peer that does not listen any more is not waited for.
            let _ = timeout(FAREWELL, deliver).await;
        }
    }

    async fn deliver(self, mut finish: watch::Receiver<bool>, mut stop: watch::Receiver<bool>) {
        let Self { uplink, settings, outbox, mut inventories, reporter, state, telemetry } = self;
        let endpoint = uplink.endpoint.to_string();
        let mut dialer = Dialer::new(uplink, &settings);
        let mut backoff = Backoff::new(settings.backoff_base, settings.backoff_cap);
        let mut refusals = Refusals::default();
        let mut said = Said::default();
        let mut is_stopping = false;
        loop {
            let end = match dialer.dial(&settings, outbox.epochs()).await {
                Ok(connection) => {
                    state.up(connection.welcome.drift_ns);
                    telemetry.uplink.connected.set(1);
                    telemetry.uplink.opened.add(1);
                    said.connected(&endpoint);
                    let lent = Lent {
                        outbox: &outbox,
                        settings: &settings,
                        state: &state,
                        telemetry: &telemetry,
                        reporter: &reporter,
                        inventories: &mut inventories,
                        backoff: &mut backoff,
                        refusals: &mut refusals,
                    };
                    Session::run(lent, connection, &mut finish).await
                }
                Err(end) => end,
            };
            telemetry.uplink.connected.set(0);
            telemetry.uplink.ended.of(end.label()).add(1);
            if matches!(end, End::Finished) {
                return;
            }
            said.ended(&endpoint, &end);
            state.down(end.reason());
            let pause = match end.label() {
                // Another agent goes by this node's name: two that fight must not do so at full speed.
                UplinkEnd::Replaced => backoff.long(random()),
                _ => backoff.next(random()),
            };
            tokio::select! {
                () = sleep(pause) => {}
                // There is no time left for long pauses.
                _ = stop.wait_for(|stopped| *stopped), if !is_stopping => {
                    is_stopping = true;
                    backoff.succeeded();
                }
            }
        }
    }
}

/// Waits until the collector has all.
async fn empty(outbox: &Outbox, state: &UplinkState) {
    loop {
        // Before the look: an ack in between counts.
        let acked = state.next_ack();
        tokio::pin!(acked);
        acked.as_mut().enable();
        if outbox.status().lanes.iter().all(|lane| lane.events == 0) {
            return;
        }
        acked.await;
    }
}

/// What the log was told, so that a collector that is away for a day does not fill it.
#[derive(Debug, Default)]
struct Said {
    up: Option<Instant>,
    down: Option<(String, Instant)>,
}

impl Said {
    fn connected(&mut self, endpoint: &str) {
        if self.up.is_none_or(|at| at.elapsed() >= SAY_UP_AGAIN) {
            self.up = Some(Instant::now());
            tracing::info!(endpoint, "connected to the collector");
        }
    }

    fn ended(&mut self, endpoint: &str, end: &End) {
        let reason = end.reason();
        if self.down.as_ref().is_some_and(|(before, at)| *before == reason && at.elapsed() < SAY_AGAIN) {
            tracing::debug!(endpoint, reason, "no connection to the collector");
        } else {
            tracing::warn!(endpoint, reason, "no connection to the collector, what is to be told is kept");
            self.down = Some((reason, Instant::now()));
        }
    }
}
