//! What is so now: the log, folded. Findings, containers and nodes, and how far each outbox got.
//!
//! The fold depends on the log alone: no clock, no order of a map. So the same log gives the same
//! state and the same transitions, whether it is read from the start or from a snapshot on.

pub mod detected;
pub mod findings;
pub mod follow;
pub mod inventory;
pub mod monitor;
pub mod node;
mod open;
pub mod presence;
pub mod snapshot;
pub mod standing;
#[cfg(test)]
pub(crate) mod tests;
pub mod transition;
pub mod watermark;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use kestrel_proto::v1;

pub use self::{
    detected::Detected,
    node::Node,
    open::{Opened, Replayed},
    presence::{Connection, Presence, Presences},
    standing::Standing,
    transition::{Change, Transition},
};
use crate::{
    alert::Place,
    log::{Content, Frame},
};

/// Most nodes that are followed.
pub const NODES: usize = 10_000;
/// How long a node that says nothing is remembered.
const FORGOTTEN_NS: i64 = 14 * 24 * 3600 * 1_000_000_000;

/// A node's cluster and name.
pub type NodeKey = (Arc<str>, Arc<str>);

/// The fold. A cheap handle.
#[derive(Clone, Debug)]
pub struct State {
    fold: Arc<RwLock<Fold>>,
    presences: Presences,
    dir: Arc<PathBuf>,
}

/// All nodes, after all frames before `next_frame`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    pub(super) nodes: BTreeMap<NodeKey, Node>,
    pub(super) next_frame: u64,
    /// Of the last transition.
    pub(super) last: Option<Place>,
    /// Frames of nodes for which there was no room.
    pub(super) refused: u64,
}

impl Default for Fold {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), next_frame: 1, last: None, refused: 0 }
    }
}

impl Fold {
    /// Takes a frame. One that was taken before changes nothing.
    pub fn apply(&mut self, frame: &Frame) -> Vec<Transition> {
        if frame.number < self.next_frame {
            return Vec::new();
        }
        self.next_frame = frame.number + 1;
        let source = &frame.body.source;
        let at_unix_ns = frame.body.received_unix_ns;
        let key = (Arc::clone(&source.cluster), Arc::clone(&source.node));
        if !self.nodes.contains_key(&key) && !self.make_room(at_unix_ns) {
            self.refused += 1;
            return Vec::new();
        }
        let node = self.nodes.entry(key).or_default();
        let changes = match &frame.body.content {
            Content::Hello(hello) => {
                node.hello(hello, at_unix_ns);
                Vec::new()
            }
            Content::Batch(batch) => node.batch(batch, &source.boot_id, at_unix_ns),
            Content::Inventory(inventory) => node.inventory(inventory, at_unix_ns),
            Content::Node(status) => node.status(status).into_iter().collect(),
        };
        if !matches!(frame.body.content, Content::Node(_)) {
            node.last_frame_unix_ns = at_unix_ns;
        }
        let transitions: Vec<_> = changes
            .into_iter()
            .enumerate()
            .map(|(index, change)| Transition {
                frame: frame.number,
                index: u32::try_from(index).unwrap_or(u32::MAX),
                at_unix_ns,
                cluster: Arc::clone(&source.cluster),
                node: Arc::clone(&source.node),
                change,
            })
            .collect();
        if let Some(last) = transitions.last() {
            self.last = Some(Place { frame: last.frame, index: last.index });
        }
        transitions
    }

    /// Room for one more node. The ones that were not heard of for long are forgotten.
    fn make_room(&mut self, now_unix_ns: i64) -> bool {
        if self.nodes.len() >= NODES {
            self.nodes.retain(|_, node| now_unix_ns.saturating_sub(node.last_frame_unix_ns) <= FORGOTTEN_NS);
        }
        self.nodes.len() < NODES
    }
}

impl State {
    /// Takes a frame; the changes that it brought.
    pub fn apply(&self, frame: &Frame) -> Vec<Transition> {
        self.fold.write().unwrap_or_else(PoisonError::into_inner).apply(frame)
    }

    /// To read. Frames wait meanwhile, so be short.
    pub fn read(&self) -> RwLockReadGuard<'_, Fold> {
        self.fold.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far these outboxes of a node got: what the collector has, or knows to be missing.
    #[must_use]
    pub fn watermarks(&self, cluster: &str, node: &str, epochs: &[u64]) -> Vec<v1::Watermark> {
        let fold = self.read();
        fold.node(cluster, node).map(|node| node.watermarks(epochs)).unwrap_or_default()
    }

    /// Who is connected, and how the agents are.
    #[must_use]
    pub fn presences(&self) -> &Presences {
        &self.presences
    }

    /// An agent's connection began; it ends when this is dropped.
    #[must_use]
    pub fn connect(&self, cluster: &str, node: &str) -> Connection {
        self.presences.connect(cluster, node)
    }

    /// How an agent is, from itself.
    pub fn heard(&self, cluster: &str, node: &str, heartbeat: v1::Heartbeat) {
        self.presences.heard(cluster, node, heartbeat);
    }

    /// What is not as it should be.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let fold = self.read();
        let findings: u64 = fold.nodes.values().map(|node| node.findings.refused()).sum();
        let containers: u64 = fold.nodes.values().map(|node| node.containers.refused()).sum();
        let mut problems = Vec::new();
        if fold.refused > 0 {
            problems.push(format!(
                "{} frames came from more than {NODES} nodes and are only in the log; run another collector",
                fold.refused
            ));
        }
        if findings > 0 {
            problems
                .push(format!("{findings} findings found no room: a node has more than anybody can read"));
        }
        if containers > 0 {
            problems.push(format!("{containers} containers found no room: a node has more than is kept"));
        }
        problems
    }
}

impl Fold {
    /// All nodes, by cluster and name.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeKey, &Node)> {
        self.nodes.iter()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, cluster: &str, node: &str) -> Option<&Node> {
        self.nodes.get(&(Arc::from(cluster), Arc::from(node)))
    }

    /// Number of the frame that is taken next.
    #[must_use]
    pub fn next_frame(&self) -> u64 {
        self.next_frame
    }

    /// The last transition.
    #[must_use]
    pub fn last(&self) -> Option<Place> {
        self.last
    }

    /// Open findings of all nodes.
    #[must_use]
    pub fn open_findings(&self) -> u64 {
        self.nodes.values().map(|node| node.findings.open() as u64).sum()
    }
}
