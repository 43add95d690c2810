//! The nodes that have connected, and which of a node's connections counts.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use tokio::sync::{OwnedMutexGuard, watch};

use super::{Refusal, dedup::Watermarks, quota::Bucket};

/// All of them.
#[derive(Debug)]
pub(super) struct Nodes {
    table: Mutex<HashMap<Name, Arc<Slot>>>,
    most: usize,
}

type Name = (Arc<str>, Arc<str>);

/// What outlives a node's connections.
#[derive(Debug, Default)]
pub(super) struct NodeState {
    /// Of what is on the disk; `None` before the first connection.
    pub(super) watermarks: Option<Watermarks>,
    /// `None` before the first connection.
    pub(super) bucket: Option<Bucket>,
}

#[derive(Debug)]
struct Slot {
    /// Number of the newest connection.
    newest: watch::Sender<u64>,
    /// Held by the connection that counts, until nothing of it is on its way to the disk.
    state: Arc<tokio::sync::Mutex<NodeState>>,
}

/// A connection's hold on its node.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) state: OwnedMutexGuard<NodeState>,
    number: u64,
    newest: watch::Receiver<u64>,
}

impl Lease {
    /// Resolves when a newer connection wants the node.
    pub(super) async fn replaced(&mut self) {
        let number = self.number;
        // The slot is never dropped while it is in the table.
        let _ = self.newest.wait_for(|newest| *newest != number).await;
    }
}

impl Nodes {
    pub(super) fn new(most: usize) -> Self {
        Self { table: Mutex::default(), most }
    }

    /// Takes the node over. Waits until the connection before has settled what it asked of the log:
    /// only then it is known what is on the disk.
    pub(super) async fn take(&self, cluster: &Arc<str>, node: &Arc<str>) -> Result<Lease, Refusal> {
        let slot = self.slot(cluster, node)?;
        let mut number = 0;
        slot.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let newest = slot.newest.subscribe();
        let mut newer = slot.newest.subscribe();
        tokio::select! {
            state = Arc::clone(&slot.state).lock_owned() => Ok(Lease { state, number, newest }),
            _ = newer.wait_for(|newest| *newest != number) => Err(Refusal::Replaced),
        }
    }

    fn slot(&self, cluster: &Arc<str>, node: &Arc<str>) -> Result<Arc<Slot>, Refusal> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let room = table.len() < self.most;
        let name = (Arc::clone(cluster), Arc::clone(node));
        match table.entry(name) {
            hashbrown::hash_map::Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            hashbrown::hash_map::Entry::Vacant(entry) if room => {
                let slot = Slot { newest: watch::Sender::new(0), state: Arc::default() };
                Ok(Arc::clone(entry.insert(Arc::new(slot))))
            }
            hashbrown::hash_map::Entry::Vacant(_) => Err(Refusal::TooManyNodes(self.most)),
        }
    }
}
