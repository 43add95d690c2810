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
    /// Whether it is connected.
    pub is_connected: bool,
    /// When it was heard of last.
    pub heard_at: Instant,
    /// The same, wall clock.
    pub heard_unix_ns: i64,
    /// The newest.
    pub heartbeat: Option<Heartbeat>,
}

/// All agents. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Presences(Arc<Mutex<Table>>);

type Table = HashMap<NodeKey, Presence>;

impl Presences {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what is known of one agent.
    #[must_use]
    pub fn get(&self, key: &NodeKey) -> Option<Presence> {
        self.lock().get(key).cloned()
    }

    /// How many are connected.
    #[must_use]
    pub fn count_connected(&self) -> usize {
        self.lock().values().filter(|presence| presence.is_connected).count()
    }

    /// A connection began.
    pub fn connected(&self, key: &NodeKey) {
        self.change(key, |presence| presence.is_connected = true);
    }

    /// The connection ended, and no newer one took its place.
    pub fn disconnected(&self, key: &NodeKey) {
        if let Some(presence) = self.lock().get_mut(key) {
            presence.is_connected = false;
        }
    }

    /// An agent said how it is.
    pub fn heard(&self, key: &NodeKey, heartbeat: Heartbeat) {
        self.change(key, |presence| presence.heartbeat = Some(heartbeat));
    }

    /// An agent is there.
    pub fn touch(&self, key: &NodeKey) {
        self.change(key, |_| {});
    }

    /// Every change is a sign of life.
    fn change(&self, key: &NodeKey, change: impl FnOnce(&mut Presence)) {
        let mut table = self.lock();
        if table.len() >= NODES && !table.contains_key(key) {
            table.retain(|_, presence| presence.is_connected);
            if table.len() >= NODES {
                return;
            }
        }
        let now = Instant::now();
        let presence = table.entry(key.clone()).or_insert(Presence {
            is_connected: false,
            heard_at: now,
            heard_unix_ns: 0,
            heartbeat: None,
        });
        (presence.heard_at, presence.heard_unix_ns) = (now, unix_ns());
        change(presence);
    }
}

/// The wall clock.
pub(crate) fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
