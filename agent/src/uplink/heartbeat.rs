//! How the agent is, as the collector is told.

use std::sync::Arc;

use agent_abi::hook::Hook;
use kestrel_proto::v1;
use procfs::process::Process;

use super::state::UplinkState;
use crate::{
    context::cri::RuntimeVersion,
    coverage::{CoverageReport, Entry, Support},
    detect::{RulesStatus, Summary},
    http::Health,
    outbox::{LaneStatus, Outbox},
    pipeline::clock,
    telemetry::{
        Telemetry,
        label::{Label as _, Queue},
    },
};

/// Knows where all of it is to be found.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// Health and coverage.
    pub health: Arc<Health>,
    /// What waits.
    pub outbox: Outbox,
    /// The clock's drift.
    pub state: Arc<UplinkState>,
}

impl Reporter {
    /// As of now.
    #[must_use]
    pub fn heartbeat(&self) -> v1::Heartbeat {
        let Self { telemetry, health, outbox, state } = self;
        let now = clock::now();
        let not_ready = health.not_ready();
        let outbox = outbox.status();
        let (resident_bytes, cpu_ms) = usage();
        v1::Heartbeat {
            boottime_ns: now.boottime_ns,
            wall_unix_ns: i64::try_from(now.wall_ns).unwrap_or(i64::MAX),
            uptime_ms: u64::try_from(health.uptime().as_millis()).unwrap_or(u64::MAX),
            healthy: health.unhealthy().is_none(),
            ready: not_ready.is_empty(),
            problems: not_ready,
            coverage: health.coverage().map(|report| coverage(&report)).unwrap_or_default(),
            hooks: Hook::ALL.iter().map(|&hook| counters(telemetry, hook)).collect(),
            queues: Queue::ALL.iter().map(|&queue| queue_state(telemetry, queue)).collect(),
            lanes: outbox.lanes.iter().map(lane_state).collect(),
            canary: Some(canary(telemetry, health)),
            clock_drift_ns: state.drift_ns(),
            memory_only: outbox.memory_only,
            resident_bytes,
            cpu_ms,
            runtime: health.runtime().map(|RuntimeVersion { name, version }| v1::Runtime { name, version }),
            rules: health.rules().map(rules),
        }
    }
}

fn rules(status: RulesStatus) -> v1::Rules {
    let RulesStatus { in_force, error, failed } = status;
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut rules = v1::Rules { error, failed, ..v1::Rules::default() };
    if let Some(Summary { hash, active, defined, loaded_ns, warnings }) = in_force {
        rules.hash = hash;
        (rules.active, rules.defined) = (number(active), number(defined));
        rules.loaded_unix_ns = i64::try_from(loaded_ns).unwrap_or(i64::MAX);
        rules.warnings = warnings;
    }
    rules
}

fn coverage(report: &CoverageReport) -> Vec<v1::Coverage> {
    let of = |kind: v1::CoverageKind| {
        move |entry: &Entry| v1::Coverage {
            at: entry.name.clone(),
            kind: kind.into(),
            support: match entry.support {
                Support::Supported => v1::Support::Supported,
                Support::Degraded(_) => v1::Support::Degraded,
                Support::Unsupported(_) => v1::Support::Unsupported,
            }
            .into(),
            reason: entry.support.reason().unwrap_or_default().to_owned(),
        }
    };
    let hooks = report.hooks.iter().map(of(v1::CoverageKind::Hook));
    hooks.chain(report.controls.iter().map(of(v1::CoverageKind::Control))).collect()
}

fn counters(telemetry: &Telemetry, hook: Hook) -> v1::HookCounters {
    let agent_abi::hook::HookCounters {
        seen,
        submitted,
        lost,
        filtered,
        throttled,
        errors,
        handed_on,
        tail_failed,
        shrunk,
        submitted_bulk: _,
        lost_bulk: _,
    } = telemetry.hooks.of(hook);
    v1::HookCounters {
        hook: hook.name().to_owned(),
        seen,
        submitted,
        lost,
        filtered,
        throttled,
        errors,
        handed_on,
        tail_failed,
        shrunk,
        recursion_misses: telemetry.hooks.recursion_misses.of(hook).get(),
    }
}

fn queue_state(telemetry: &Telemetry, queue: Queue) -> v1::QueueState {
    let queues = &telemetry.queues;
    let dropped = crate::telemetry::label::QueueDrop::ALL.iter();
    v1::QueueState {
        queue: queue.value().to_owned(),
        depth: queues.depth.of(queue).get(),
        capacity: queues.capacity.of(queue).get(),
        dropped: dropped.map(|&reason| queues.dropped.of(queue, reason).get()).sum(),
    }
}

fn lane_state(status: &LaneStatus) -> v1::LaneState {
    let LaneStatus {
        lane,
        events,
        bytes,
        capacity_bytes,
        memory_bytes: _,
        oldest_boottime_ns,
        appended,
        acked,
        evicted,
    } = *status;
    v1::LaneState {
        lane: lane.to_proto().into(),
        events,
        bytes,
        capacity_bytes,
        oldest_boottime_ns,
        appended,
        acked,
        evicted,
    }
}

fn canary(telemetry: &Telemetry, health: &Health) -> v1::Canary {
    v1::Canary {
        runs: telemetry.canary.runs.get(),
        failures: telemetry.canary.failures.get(),
        failing: telemetry.canary.failing.get() != 0,
        latency_ns: health.canary_latency_ns(),
    }
}

/// Resident bytes and milliseconds of CPU; 0 where /proc does not say.
fn usage() -> (u64, u64) {
    let Ok(stat) = Process::myself().and_then(|process| process.stat()) else { return (0, 0) };
    let ticks = (stat.utime + stat.stime).saturating_mul(1000);
    (stat.rss.saturating_mul(procfs::page_size()), ticks / procfs::ticks_per_second().max(1))
}
