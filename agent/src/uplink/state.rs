//! How the uplink is, for whoever asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{sync::Notify, time::Instant};

/// Shared between the uplink and status, heartbeat and drain.
#[derive(Debug)]
pub struct UplinkState {
    inner: Mutex<Inner>,
    /// The collector took something.
    acked: Notify,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    drift_ns: Option<i64>,
}

/// Whether there is a connection.
#[derive(Clone, Debug)]
pub enum Link {
    /// The first one is not there yet.
    Starting,
    /// The collector has welcomed the agent.
    Up {
        /// Since when.
        since: Instant,
    },
    /// There is none.
    Down {
        /// Since when.
        since: Instant,
        /// Why, as a sentence; inert.
        reason: String,
    },
}

impl Default for UplinkState {
    fn default() -> Self {
        let inner = Inner { link: Link::Starting, drift_ns: None };
        Self { inner: Mutex::new(inner), acked: Notify::new() }
    }
}

impl UplinkState {
    /// Whether there is a connection.
    #[must_use]
    pub fn link(&self) -> Link {
        self.lock().link.clone()
    }

    /// This node's clock minus the collector's, in nanoseconds, as of the last connection.
    #[must_use]
    pub fn drift_ns(&self) -> Option<i64> {
        self.lock().drift_ns
    }

    pub(super) fn up(&self, drift_ns: Option<i64>) {
        *self.lock() = Inner { link: Link::Up { since: Instant::now() }, drift_ns };
    }

    /// The time of the first failure stays, the reason is the newest.
    pub(super) fn down(&self, reason: String) {
        let mut inner = self.lock();
        let since = match &inner.link {
            Link::Down { since, .. } => *since,
            Link::Starting | Link::Up { .. } => Instant::now(),
        };
        inner.link = Link::Down { since, reason };
    }

    pub(super) fn acked(&self) {
        self.acked.notify_waiters();
    }

    /// Waits for the collector to take something.
    pub(super) fn next_ack(&self) -> tokio::sync::futures::Notified<'_> {
        self.acked.notified()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Poisoned only by a panic between two writes of whole values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
