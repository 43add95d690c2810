//! What the agent counts: one struct per stage, in the order in which an event passes.
//!
//! Names are `kestrel_<what>_<unit>_total`. Labels come from [`label`] or from sets given at start,
//! never from a workload, and every series is there at zero from the first scrape.

mod blind;
mod cell;
mod delivery;
mod detect;
mod hooks;
mod images;
pub mod label;
mod peers;
mod render;
mod throttle;

use std::time::Duration;

use agent_abi::hook::Hook;

pub use blind::{Blind, BlindInterval};
pub use cell::{Cell, Cells, Grid, Latency, Named};
pub use delivery::{Canary, NameWait, Outbox, Uplink};
pub use detect::Detect;
pub use hooks::Hooks;
pub use images::Images;
use label::{
    CriResult, DecodeReason, EventKind, Label, OutputDrop, Queue, QueueDrop, Ring, ScanKind, SupportState,
    Table, VerdictLabel,
};
pub use peers::PeerNames;
pub use render::CONTENT_TYPE;
pub use throttle::Throttle;

use crate::coverage::{CoverageReport, Support};

/// All of it. Shared as `Arc<Telemetry>`; nothing in it locks on the hot path.
#[derive(Debug)]
pub struct Telemetry {
    /// The kernel's counters, as last sampled.
    pub hooks: Hooks,
    /// What was held back, and what is known of cgroups.
    pub throttle: Throttle,
    /// What came out of the rings.
    pub rings: Rings,
    /// Decoding.
    pub decode: Decode,
    /// Context: events, tables, scans.
    pub context: Context,
    /// The container runtime.
    pub cri: Cri,
    /// Judging.
    pub posture: Posture,
    /// Rules.
    pub detect: Detect,
    /// Names of peers.
    pub peers: PeerNames,
    /// Images of processes.
    pub images: Images,
    /// The queues between threads.
    pub queues: Queues,
    /// Lines written.
    pub output: Output,
    /// What waits for names.
    pub name_wait: NameWait,
    /// What waits for the collector.
    pub outbox: Outbox,
    /// The way to the collector.
    pub uplink: Uplink,
    /// The agent's own canary.
    pub canary: Canary,
    /// Times in which the agent saw nothing.
    pub blind: Blind,
    /// What works on this node.
    pub support: SupportGauges,
}

/// What came out of the rings.
#[derive(Debug, Default)]
pub struct Rings {
    /// Records.
    pub received: Cells<Ring>,
    /// Their bytes.
    pub bytes: Cells<Ring>,
    /// Records that gaps in the sequence tell of.
    pub lost: Cells<Ring>,
}

impl Rings {
    /// Counts a record of `bytes` bytes.
    pub fn record(&self, ring: Ring, bytes: usize) {
        self.received.of(ring).add(1);
        self.bytes.of(ring).add(bytes as u64);
    }
}

/// Decoding.
#[derive(Debug, Default)]
pub struct Decode {
    /// Records that are none.
    pub failed: Cells<DecodeReason>,
}

/// Context.
#[derive(Debug, Default)]
pub struct Context {
    /// Events that reached it.
    pub events: Cells<EventKind>,
    /// Entries now.
    pub entries: Cells<Table>,
    /// Most entries.
    pub capacity: Cells<Table>,
    /// Entries that had to go because the table was full.
    pub evicted: Cells<Table>,
    /// What found no room in the table, and is not watched.
    pub refused: Cells<Table>,
    /// Scans done.
    pub scans: Cells<ScanKind>,
    scan_last_us: Cells<ScanKind>,
}

impl Context {
    /// Counts a scan that took `took`.
    pub fn scan(&self, kind: ScanKind, took: Duration) {
        self.scans.of(kind).add(1);
        self.scan_last_us.of(kind).set(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

/// The container runtime.
#[derive(Debug, Default)]
pub struct Cri {
    /// Requests.
    pub requests: Cells<CriResult>,
}

/// Judging.
#[derive(Debug)]
pub struct Posture {
    /// Events that were judged.
    pub judged: Cell,
    /// Containers that were looked into.
    pub inspected: Cell,
    /// Containers that were to be looked into and had no process any more.
    pub missed: Cell,
    /// Containers now, by control and verdict.
    pub containers: Named<VerdictLabel>,
    /// Findings now, by control and verdict.
    pub findings: Named<VerdictLabel>,
    /// From the exec in the kernel to its verdict.
    pub latency: Latency,
}

/// The queues between threads.
#[derive(Debug, Default)]
pub struct Queues {
    /// Items now.
    pub depth: Cells<Queue>,
    /// Most items.
    pub capacity: Cells<Queue>,
    /// Items that were not queued.
    pub dropped: Grid<Queue, QueueDrop>,
}

/// Lines written.
#[derive(Debug, Default)]
pub struct Output {
    /// Lines.
    pub written: Cell,
    /// Lines that were not written.
    pub dropped: Cells<OutputDrop>,
}

/// What works on this node: 1 for the state that holds.
#[derive(Debug)]
pub struct SupportGauges {
    hooks: Grid<Hook, SupportState>,
    controls: Named<SupportState>,
}

impl SupportGauges {
    /// Takes over an attach report. Names that were not given at start are left out here; the
    /// report itself has them.
    pub fn set(&self, report: &CoverageReport) {
        for entry in &report.hooks {
            if let Some(&hook) = Hook::ALL.iter().find(|hook| hook.name() == entry.name) {
                for state in SupportState::ALL {
                    self.hooks.of(hook, *state).set(u64::from(*state == state_of(&entry.support)));
                }
            }
        }
        for entry in &report.controls {
            if let Some(cells) = self.controls.of(&entry.name) {
                for (state, cell) in cells.iter() {
                    cell.set(u64::from(state == state_of(&entry.support)));
                }
            }
        }
    }
}

fn state_of(support: &Support) -> SupportState {
    match support {
        Support::Supported => SupportState::Supported,
        Support::Degraded(_) => SupportState::Degraded,
        Support::Unsupported(_) => SupportState::Unsupported,
    }
}

impl Telemetry {
    /// Everything at zero, for these controls.
    #[must_use]
    pub fn new(controls: &[&'static str]) -> Self {
        Self {
            hooks: Hooks::default(),
            throttle: Throttle::default(),
            rings: Rings::default(),
            decode: Decode::default(),
            context: Context::default(),
            cri: Cri::default(),
            posture: Posture {
                judged: Cell::default(),
                inspected: Cell::default(),
                missed: Cell::default(),
                containers: Named::new(controls),
                findings: Named::new(controls),
                latency: Latency::default(),
            },
            detect: Detect::default(),
            peers: PeerNames::default(),
            images: Images::default(),
            queues: Queues::default(),
            output: Output::default(),
            name_wait: NameWait::default(),
            outbox: Outbox::default(),
            uplink: Uplink::default(),
            canary: Canary::default(),
            blind: Blind::default(),
            support: SupportGauges { hooks: Grid::default(), controls: Named::new(controls) },
        }
    }
}

#[cfg(test)]
mod tests;
