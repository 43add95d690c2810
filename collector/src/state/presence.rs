//! Who is connected and what was heard last. Not in the log: after a restart it is made anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use kestrel_proto::v1::Heartbeat;
use tokio::time::Instant;

use super::{NODES, NodeKey};

/// What is known of one agent since the collector started.
#[derive(Clone, Debug)]
pub struct Presence {
    /// Of the connection that counts; none: not connected.
    connection: Option<u64>,
    /// When the connection that counts, or counted last, began.
    pub connected_at: Instant,
    /// When it was heard of last.
    pub heard_at: Instant,
    /// The same, wall clock.
    pub heard_unix_ns: i64,
    /// The newest.
    pub heartbeat: Option<Heartbeat>,
}

impl Presence {
    /// Whether it is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }
}

#[derive(Debug, Default)]
struct Inner {
    of: HashMap<NodeKey, Presence>,
    connections: u64,
}

/// All agents. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Presences(Arc<Mutex<Inner>>);

/// A connection of an agent. When it is dropped, the agent is not connected any more, unless a newer
/// connection took its place.
#[derive(Debug)]
pub struct Connection {
    presences: Presences,
    key: NodeKey,
    number: u64,
}

impl Presences {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what is known of one agent.
    #[must_use]
    pub fn get(&self, key: &NodeKey) -> Option<Presence> {
        self.lock().of.get(key).cloned()
    }

    /// How many are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.lock().of.values().filter(|presence| presence.is_connected()).count()
    }

    /// How many connected agents do not use the newest files of their rules.
    #[must_use]
    pub fn refusing_rules(&self) -> usize {
        let refuses =
            |heartbeat: &Heartbeat| heartbeat.rules.as_ref().is_some_and(|rules| rules.error.is_some());
        let inner = self.lock();
        let presences = inner.of.values().filter(|presence| presence.is_connected());
        presences.filter(|presence| presence.heartbeat.as_ref().is_some_and(refuses)).count()
    }

    pub(super) fn connect(&self, cluster: &str, node: &str) -> Connection {
        let key: NodeKey = (cluster.into(), node.into());
        let mut inner = self.lock();
        inner.connections += 1;
        let number = inner.connections;
        let now = Instant::now();
        if let Some(presence) = inner.entry(&key, now) {
            presence.connection = Some(number);
            presence.connected_at = now;
            presence.touch(now);
        }
        drop(inner);
        Connection { presences: self.clone(), key, number }
    }

    pub(super) fn heard(&self, cluster: &str, node: &str, heartbeat: Heartbeat) {
        let now = Instant::now();
        if let Some(presence) = self.lock().entry(&(cluster.into(), node.into()), now) {
            presence.heartbeat = Some(heartbeat);
            presence.touch(now);
        }
    }

    /// It is there, though it said nothing.
    pub fn touch(&self, key: &NodeKey) {
        if let Some(presence) = self.lock().of.get_mut(key) {
            presence.touch(Instant::now());
        }
    }
}

impl Inner {
    fn entry(&mut self, key: &NodeKey, now: Instant) -> Option<&mut Presence> {
        if self.of.len() >= NODES && !self.of.contains_key(key) {
            self.of.retain(|_, presence| presence.is_connected());
        }
        if self.of.len() >= NODES && !self.of.contains_key(key) {
            return None;
        }
        Some(self.of.entry(key.clone()).or_insert(Presence {
            connection: None,
            connected_at: now,
            heard_at: now,
            heard_unix_ns: 0,
            heartbeat: None,
        }))
    }
}

impl Presence {
    fn touch(&mut self, now: Instant) {
        self.heard_at = now;
        self.heard_unix_ns = unix_ns();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(presence) = self.presences.lock().of.get_mut(&self.key)
            && presence.connection == Some(self.number)
        {
            presence.connection = None;
        }
    }
}

/// The wall clock.
pub(crate) fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
