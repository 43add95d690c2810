//! The agent's state as one JSON document, which `kestrel-agent status` reads back.

use agent_abi::hook::Hook;
use serde::{Deserialize, Serialize};

use super::{DeliveryStatus, Health, server::Pages};
use crate::{
    context::cri::RuntimeVersion,
    coverage::CoverageReport,
    detect::RulesStatus,
    telemetry::{
        BlindInterval, Cells, Named, Telemetry,
        label::{Label, Ring, Table, VerdictLabel},
    },
};

/// The agent's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the node.
    pub node: String,
    /// Version of the agent.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// The container runtime; absent until it told.
    pub runtime: Option<RuntimeVersion>,
    /// The rules; absent where none are configured.
    pub rules: Option<RulesStatus>,
    /// The hot loop runs.
    pub healthy: bool,
    /// Hooks are attached and the start scan is done, too.
    pub ready: bool,
    /// Why not, and what else is not as it should be.
    pub problems: Vec<String>,
    /// What works on this node; empty before the hooks are attached.
    pub coverage: CoverageReport,
    /// Per hook.
    pub hooks: Vec<HookStatus>,
    /// Raw events held back since the agent started, by container or cgroup, the most first.
    pub throttled: Vec<ThrottledStatus>,
    /// Per ring.
    pub rings: Vec<RingStatus>,
    /// Per table.
    pub tables: Vec<TableStatus>,
    /// Containers by control and verdict.
    pub containers: Vec<VerdictCounts>,
    /// Findings by control and verdict.
    pub findings: Vec<VerdictCounts>,
    /// Times in which the agent saw nothing.
    pub blind: BlindStatus,
    /// The program that the agent runs to see whether it sees it.
    pub canary: CanaryStatus,
    /// The way to the collector; absent where none is configured.
    pub delivery: Option<DeliveryStatus>,
}

/// The agent's canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryStatus {
    /// Times it ran.
    pub runs: u64,
    /// Times it was not seen.
    pub failures: u64,
    /// From its exec to its record, the last time that it was seen.
    pub latency_us: Option<u64>,
}

/// A hook's counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in agent_abi::hook::HookCounters")]
pub struct HookStatus {
    pub hook: String,
    pub seen: u64,
    pub submitted: u64,
    pub lost: u64,
    pub filtered: u64,
    pub throttled: u64,
    pub errors: u64,
    pub handed_on: u64,
    pub tail_failed: u64,
    pub shrunk: u64,
    pub recursion_misses: u64,
}

/// What a container sent too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottledStatus {
    /// Runtime's id of the container, or the cgroup.
    pub container: String,
    /// Raw events that were held back.
    pub events: u64,
}

/// A ring's counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingStatus {
    /// Name.
    pub ring: String,
    /// Records read.
    pub received: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that gaps in the sequence tell of.
    pub lost: u64,
}

/// A table's counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Name.
    pub table: String,
    /// Entries now.
    pub entries: u64,
    /// Most entries.
    pub capacity: u64,
    /// Entries that had to go.
    pub evicted: u64,
}

/// What a control says, by verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the verdicts")]
pub struct VerdictCounts {
    pub control: String,
    pub pass: u64,
    pub fail: u64,
    pub drift: u64,
    pub exempt: u64,
    pub unknown: u64,
}

/// Times in which the agent saw nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlindStatus {
    /// Sum since start.
    pub total_seconds: f64,
    /// The last few.
    pub last: Vec<BlindInterval>,
}

impl Status {
    pub(super) fn collect(pages: &Pages) -> Self {
        let Pages { node, telemetry, health, delivery } = pages;
        let mut problems = Health::not_ready(health);
        let ready = problems.is_empty();
        let delivery = delivery.as_ref().map(|delivery| delivery.status(telemetry));
        problems.extend(delivery.iter().flat_map(DeliveryStatus::problems));
        Self {
            node: node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: health.uptime().as_secs(),
            runtime: health.runtime(),
            rules: health.rules(),
            healthy: health.unhealthy().is_none(),
            ready,
            problems,
            coverage: health.coverage().map(|report| (*report).clone()).unwrap_or_default(),
            hooks: Hook::ALL.iter().map(|&hook| hook_status(telemetry, hook)).collect(),
            throttled: throttled(telemetry),
            rings: Ring::ALL.iter().map(|&ring| ring_status(telemetry, ring)).collect(),
            tables: Table::ALL.iter().map(|&table| table_status(telemetry, table)).collect(),
            containers: verdict_counts(&telemetry.posture.containers),
            findings: verdict_counts(&telemetry.posture.findings),
            blind: BlindStatus {
                total_seconds: telemetry.blind.total().as_secs_f64(),
                last: telemetry.blind.last(),
            },
            canary: CanaryStatus {
                runs: telemetry.canary.runs.get(),
                failures: telemetry.canary.failures.get(),
                latency_us: health.canary_latency_ns().map(|nanos| nanos / 1000),
            },
            delivery,
        }
    }
}

fn hook_status(telemetry: &Telemetry, hook: Hook) -> HookStatus {
    let counters = telemetry.hooks.of(hook);
    HookStatus {
        hook: hook.name().to_owned(),
        seen: counters.seen,
        submitted: counters.submitted,
        lost: counters.lost,
        filtered: counters.filtered,
        throttled: counters.throttled,
        errors: counters.errors,
        handed_on: counters.handed_on,
        tail_failed: counters.tail_failed,
        shrunk: counters.shrunk,
        recursion_misses: telemetry.hooks.recursion_misses.of(hook).get(),
    }
}

fn throttled(telemetry: &Telemetry) -> Vec<ThrottledStatus> {
    let sums = telemetry.throttle.by_container();
    sums.into_iter().map(|(container, events)| ThrottledStatus { container, events }).collect()
}

fn ring_status(telemetry: &Telemetry, ring: Ring) -> RingStatus {
    let rings = &telemetry.rings;
    RingStatus {
        ring: ring.value().to_owned(),
        received: rings.received.of(ring).get(),
        bytes: rings.bytes.of(ring).get(),
        lost: rings.lost.of(ring).get(),
    }
}

fn table_status(telemetry: &Telemetry, table: Table) -> TableStatus {
    let context = &telemetry.context;
    TableStatus {
        table: table.value().to_owned(),
        entries: context.entries.of(table).get(),
        capacity: context.capacity.of(table).get(),
        evicted: context.evicted.of(table).get(),
    }
}

fn verdict_counts(named: &Named<VerdictLabel>) -> Vec<VerdictCounts> {
    let row = |(control, cells): (&'static str, &Cells<VerdictLabel>)| VerdictCounts {
        control: control.to_owned(),
        pass: cells.of(VerdictLabel::Pass).get(),
        fail: cells.of(VerdictLabel::Fail).get(),
        drift: cells.of(VerdictLabel::Drift).get(),
        exempt: cells.of(VerdictLabel::Exempt).get(),
        unknown: cells.of(VerdictLabel::Unknown).get(),
    };
    named.iter().map(row).collect()
}
