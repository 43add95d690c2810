//! Times in which the agent saw nothing.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    cell::Cells,
    label::{BlindReason, Label},
};

/// Intervals that /status lists; older ones remain in the sum.
const KEPT: usize = 16;

/// Times in which the agent saw nothing. Not for the hot path: an interval takes a lock.
#[derive(Debug, Default)]
pub struct Blind {
    pub(super) millis: Cells<BlindReason>,
    last: Mutex<VecDeque<BlindInterval>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindInterval {
    /// From, `CLOCK_BOOTTIME` in milliseconds.
    pub from_boottime_ms: u64,
    /// To.
    pub to_boottime_ms: u64,
    /// Why.
    pub reason: String,
}

impl Blind {
    /// Notes that nothing was seen between two points of boottime.
    pub fn note(&self, from: Duration, to: Duration, reason: BlindReason) {
        let millis = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.millis.of(reason).add(millis(to.saturating_sub(from)));
        // Poisoned only by a panic between two pushes: the list is whole.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(BlindInterval {
            from_boottime_ms: millis(from),
            to_boottime_ms: millis(to),
            reason: reason.value().to_owned(),
        });
    }

    /// The last few intervals, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<BlindInterval> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Sum over all reasons since start.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.millis.total())
    }
}
