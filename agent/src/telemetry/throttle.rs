//! What the kernel programs held back and left out, beyond what each hook counts.

use std::{
    cmp::Reverse,
    sync::{Mutex, PoisonError},
};

use super::Cell;
use crate::pipeline::Throttled;

/// Containers whose sums are kept. Beyond, the smallest go.
const CONTAINERS: usize = 256;

/// Held back events, and what is known of cgroups.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Events that were held back and told.
    pub events: Cell,
    /// Paths that were too deep to be read whole.
    pub hidden_paths: Cell,
    /// Cgroups that the programs know as the host's, or as muted.
    pub marked: Cell,
    /// Marks that found no room.
    pub marks_full: Cell,
    /// Marks that the kernel refused.
    pub marks_refused: Cell,
    by_container: Mutex<Vec<(String, u64)>>,
}

impl Throttle {
    /// Adds what was told. Never called by the hot loop.
    pub fn note(&self, throttled: &Throttled) {
        self.events.add(throttled.events);
        let name = match &throttled.container {
            Some(container) => container.id.to_string(),
            None => format!("cgroup {}", throttled.cgroup),
        };
        // A panic cannot have left it half changed.
        let mut sums = self.by_container.lock().unwrap_or_else(PoisonError::into_inner);
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, events)) => *events += throttled.events,
            None => sums.push((name, throttled.events)),
        }
        sums.sort_by_key(|(_, events)| Reverse(*events));
        sums.truncate(CONTAINERS);
    }

    /// The sums since the agent started, the largest first.
    #[must_use]
    pub fn by_container(&self) -> Vec<(String, u64)> {
        self.by_container.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
