//! What the kernel programs count.

use std::array;

use agent_abi::hook::{HOOKS, Hook, HookCounters};

use super::cell::{Cell, Cells};

/// The kernel's counters per hook, summed over CPUs.
#[derive(Debug)]
pub struct Hooks {
    sums: [[Cell; HookCounters::COUNT]; HOOKS],
    /// Times the kernel skipped the program because it ran already on that CPU.
    pub recursion_misses: Cells<Hook>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            sums: array::from_fn(|_| array::from_fn(|_| Cell::default())),
            recursion_misses: Cells::default(),
        }
    }
}

impl Hooks {
    /// Takes over the sums. They are pinned with the programs, so they are absolute.
    pub fn sample(&self, sums: &[HookCounters; HOOKS]) {
        for (cells, sum) in self.sums.iter().zip(sums) {
            let words: [u64; HookCounters::COUNT] = zerocopy::transmute!(*sum);
            cells.iter().zip(words).for_each(|(cell, word)| cell.set(word));
        }
    }

    /// The last sample of one hook.
    #[must_use]
    pub fn of(&self, hook: Hook) -> HookCounters {
        zerocopy::transmute!(self.sums[hook as usize].each_ref().map(Cell::get))
    }
}

/// A hook's counters as the page of metrics has them: name, what it says, number.
pub(super) fn metrics(counters: HookCounters) -> [(&'static str, &'static str, u64); 9] {
    // Without `..`: a new counter is a new metric, or a part of one.
    let HookCounters {
        seen,
        submitted,
        lost,
        filtered,
        throttled,
        errors,
        handed_on,
        tail_failed,
        shrunk,
        // Parts of two above, for the account of each ring.
        submitted_bulk: _,
        lost_bulk: _,
    } = counters;
    [
        ("kestrel_hook_seen_runs", "Times the kernel program ran", seen),
        ("kestrel_hook_submitted_records", "Records that reached a ring", submitted),
        ("kestrel_hook_lost_records", "Records that the ring had no room for", lost),
        ("kestrel_hook_filtered_runs", "Runs with nothing to report", filtered),
        (
            "kestrel_hook_throttled_records",
            "Records held back because their cgroup sends too many",
            throttled,
        ),
        ("kestrel_hook_failed_runs", "Runs that could not make their record", errors),
        ("kestrel_hook_handed_on_runs", "Runs given to a tail-called handler", handed_on),
        ("kestrel_hook_tail_failed_calls", "Tail calls that did not happen", tail_failed),
        ("kestrel_hook_shrunk_records", "Records cut to their posture part", shrunk),
    ]
}
