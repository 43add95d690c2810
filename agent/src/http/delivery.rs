//! The way to the collector, as status shows it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    outbox::{LaneStatus, Outbox},
    telemetry::Telemetry,
    uplink::{Link, UplinkState},
};

/// Where to look.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where the collector is.
    pub endpoint: String,
    /// What waits.
    pub outbox: Outbox,
    /// How the connection is.
    pub state: Arc<UplinkState>,
}

/// The way to the collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// Where the collector is.
    pub endpoint: String,
    /// It takes events.
    pub connected: bool,
    /// For how long it has, or has not; absent before the first try has ended.
    pub since_seconds: Option<u64>,
    /// Why it does not.
    pub reason: Option<String>,
    /// This node's clock minus the collector's, as of the last connection.
    pub clock_drift_ms: Option<i64>,
    /// Why events are kept in memory only; absent: they are on disk.
    pub memory_only: Option<String>,
    /// Events that wait for their container's names, and are in no lane yet.
    pub unnamed: u64,
    /// What waits.
    pub lanes: Vec<LaneReport>,
}

/// A queue of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneReport {
    /// Name.
    pub lane: String,
    /// Events that are not acknowledged.
    pub events: u64,
    /// What they take.
    pub bytes: u64,
    /// More of them are evicted.
    pub capacity_bytes: u64,
    /// Acknowledged since the start.
    pub acked: u64,
    /// Evicted since the start.
    pub evicted: u64,
}

impl Delivery {
    pub(super) fn status(&self, telemetry: &Telemetry) -> DeliveryStatus {
        let Self { endpoint, outbox, state } = self;
        // First: what stops waiting is in the outbox before it leaves this number.
        let unnamed = telemetry.name_wait.events.get();
        let outbox = outbox.status();
        let (connected, since, reason) = match state.link() {
            Link::Starting => (false, None, None),
            Link::Up { since } => (true, Some(since), None),
            Link::Down { since, reason } => (false, Some(since), Some(reason)),
        };
        DeliveryStatus {
            endpoint: endpoint.clone(),
            connected,
            since_seconds: since.map(|since| since.elapsed().as_secs()),
            reason,
            clock_drift_ms: state.drift_ns().map(|drift| drift / 1_000_000),
            memory_only: outbox.memory_only,
            unnamed,
            lanes: outbox.lanes.iter().map(lane).collect(),
        }
    }
}

impl DeliveryStatus {
    /// What is not as it should be. None of it makes the agent unhealthy: it sees and keeps.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let link = self.reason.as_ref().filter(|_| !self.connected).map(|reason| {
            let since = self.since_seconds.unwrap_or(0);
            format!("not connected to the collector {} for {since} s: {reason}", self.endpoint)
        });
        let disk = self.memory_only.as_ref().map(|reason| {
            format!("what the collector has not taken is in memory only and is lost with the agent: {reason}")
        });
        link.into_iter().chain(disk)
    }
}

fn lane(status: &LaneStatus) -> LaneReport {
    let LaneStatus { lane, events, bytes, capacity_bytes, acked, evicted, .. } = *status;
    LaneReport { lane: lane.name().to_owned(), events, bytes, capacity_bytes, acked, evicted }
}
