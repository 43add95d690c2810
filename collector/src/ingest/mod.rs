//! From the agents to the log.
//!
//! ```text
//! decode → validate → quota → definitions → dedup → log → ack
//! ```
//!
//! A connection has one append on its way to the log at a time, and gathers the next one meanwhile.
//! So its frames are in the log in the order of their numbers or not at all, whatever the disk does,
//! and the groups of the log are made of what all connections have gathered.

pub mod decode;
pub mod dedup;
pub mod definitions;
mod nodes;
pub mod quota;
mod refusal;
mod service;
mod session;
pub mod validate;

use std::{sync::Arc, time::Duration};

use kestrel_proto::v1;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use quota::Quota;
pub use refusal::Refusal;
pub use service::IngestService;

use crate::{
    log::{Log, Source},
    telemetry::Telemetry,
};
use definitions::Memory;
use nodes::Nodes;

/// Largest message that is taken, decompressed.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// What ingest tells the state, and asks it once a node.
pub trait Registry: Send + Sync + 'static {
    /// Up to where the events of these outboxes are in the log. Asked before the first connection of
    /// a node since the collector started, when nothing of that node is on its way to the log.
    fn watermarks(&self, cluster: &str, node: &str, epochs: &[u64]) -> Vec<v1::Watermark>;
    /// The node's agent has connected; it is, until what this gives is dropped.
    fn connected(&self, source: &Source) -> Connected;
    /// It said how it is.
    fn heard(&self, source: &Source, heartbeat: v1::Heartbeat);
    /// It is connected, and what it says is not read for now: the quota, the disk.
    fn held_back(&self, source: &Source);
}

/// A connection, as the state knows it.
pub type Connected = Box<dyn Send + Sync>;

/// Bounds of ingest.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of one node.
    pub quota: Quota,
    /// Clusters whose nodes are served; all where it is empty.
    pub clusters: Vec<String>,
    /// Nodes that may have connected since the collector started.
    pub nodes: usize,
    /// What all connections together have on its way to the log, before compression.
    pub memory_bytes: usize,
    /// What one connection gathers while its last append is on its way.
    pub gather_bytes: usize,
    /// Time for the first message.
    pub hello_time: Duration,
    /// Time for an answer to find room with a peer that does not read.
    pub answer_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            quota: Quota { events_per_second: 50_000, bytes_per_second: 64 << 20 },
            clusters: Vec::new(),
            nodes: 10_000,
            memory_bytes: 256 << 20,
            gather_bytes: 1 << 20,
            hello_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(30),
        }
    }
}

/// What all connections share.
pub struct Ingest {
    log: Log,
    registry: Arc<dyn Registry>,
    telemetry: Arc<Telemetry>,
    options: Options,
    nodes: Nodes,
    /// KiB of what is on its way to the log.
    room: Arc<Semaphore>,
    room_kib: u32,
    definitions: Arc<Memory>,
    stopping: CancellationToken,
    sessions: TaskTracker,
}

impl Ingest {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(
        log: Log,
        registry: Arc<dyn Registry>,
        telemetry: Arc<Telemetry>,
        options: Options,
    ) -> Arc<Self> {
        let room_kib = u32::try_from(options.memory_bytes >> 10).unwrap_or(u32::MAX).max(1);
        Arc::new(Self {
            log,
            registry,
            telemetry,
            nodes: Nodes::new(options.nodes),
            room: Arc::new(Semaphore::new(room_kib as usize)),
            room_kib,
            options,
            definitions: Arc::default(),
            stopping: CancellationToken::new(),
            sessions: TaskTracker::new(),
        })
    }

    /// Bytes that connections remember of processes and containers.
    #[must_use]
    pub fn definition_bytes(&self) -> usize {
        self.definitions.bytes()
    }

    /// Ends all streams, and resolves when what they asked of the log is settled.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.sessions.close();
        self.sessions.wait().await;
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ingest").field("options", &self.options).finish_non_exhaustive()
    }
}
