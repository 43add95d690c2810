//! What can be tuned, and what is counted.

use crate::time::SECOND;

/// Waits and bounds of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a finding waits for its container's name before it goes out as PENDING.
    pub name_wait_ns: u64,
    /// How long nothing must violate a control before its finding is resolved.
    pub quiet_ns: u64,
    /// How long after the last container a finding is resolved as gone. Once a finding has come
    /// back, it waits for the quiet time instead: a crash loop opens and resolves slowly.
    pub gone_after_ns: u64,
    /// Least time between two updates of a finding, unless its verdict got worse.
    pub update_interval_ns: u64,
    /// Most findings kept, resolved ones included.
    pub max_findings: usize,
    /// Most violating tasks kept with a finding; beyond it they are counted.
    pub max_instances: usize,
    /// Most processes kept.
    pub max_processes: usize,
    /// Most containers kept.
    pub max_containers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name_wait_ns: 2 * SECOND,
            quiet_ns: 300 * SECOND,
            gone_after_ns: 30 * SECOND,
            update_interval_ns: 60 * SECOND,
            max_findings: 4096,
            max_instances: 16,
            max_processes: 131_072,
            max_containers: 8192,
        }
    }
}

/// What did not fit, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks judged.
    pub judged: u64,
    /// Resolved findings forgotten to make room.
    pub findings_evicted: u64,
    /// Findings that found no room. Their containers still show the verdict in the inventory.
    pub findings_refused: u64,
    /// Tasks not judged because too many processes (or threads of one) were kept already.
    pub tasks_refused: u64,
    /// Tasks not judged because too many containers were kept already.
    pub containers_refused: u64,
}

/// How much is kept now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Findings, resolved ones included.
    pub findings: usize,
    /// Containers.
    pub containers: usize,
    /// Processes.
    pub processes: usize,
}
