//! Whether the agent does its work. A blind agent never looks healthy.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use agent_abi::hook::Hook;

use crate::{
    context::cri::RuntimeVersion,
    coverage::{CoverageReport, Support},
    detect::{RulesStatus, Summary},
};

/// Without these the agent does not know which processes run.
pub const REQUIRED_HOOKS: [Hook; 3] = [Hook::Fork, Hook::Exec, Hook::Exit];

/// Shared between the hot thread, the start-up and the server.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    max_silence: Duration,
    /// Milliseconds from `started` to the last beat, plus one; 0 before the first.
    beat: AtomicU64,
    start_scan_done: AtomicBool,
    /// One more than the discriminant of a hook that was taken away; 0: none was.
    detached: AtomicU64,
    canary: RwLock<Canary>,
    coverage: RwLock<Option<Arc<CoverageReport>>>,
    runtime: RwLock<Option<RuntimeVersion>>,
    rules: RwLock<Option<RulesStatus>>,
}

/// The program that the agent runs to see whether it sees it.
#[derive(Debug, Default)]
struct Canary {
    latency_ns: Option<u64>,
    /// Why it is not seen, while it is not.
    missed: Option<&'static str>,
}

impl Health {
    /// Nothing has happened yet. A hot loop that is silent for longer than `max_silence` is dead.
    #[must_use]
    pub fn new(max_silence: Duration) -> Self {
        Self {
            started: Instant::now(),
            max_silence,
            beat: AtomicU64::new(0),
            start_scan_done: AtomicBool::new(false),
            detached: AtomicU64::new(0),
            canary: RwLock::default(),
            coverage: RwLock::new(None),
            runtime: RwLock::new(None),
            rules: RwLock::new(None),
        }
    }

    /// The hot loop has gone round once more. Called per batch, or when the poll times out.
    pub fn beat(&self) {
        self.beat_at(Instant::now());
    }

    pub(super) fn beat_at(&self, now: Instant) {
        self.beat.store(self.millis(now) + 1, Relaxed);
    }

    /// Somebody has taken a hook away from the running agent. It does not come back by itself: a
    /// new start attaches it.
    pub fn hook_detached(&self, hook: Hook) {
        self.detached.store(hook as u64 + 1, Relaxed);
    }

    /// Whether a hook was taken away.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.detached.load(Relaxed) != 0
    }

    /// The agent saw the program that it runs itself, so long after its exec.
    pub fn canary_seen(&self, latency: Duration) {
        let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        *self.canary.write().unwrap_or_else(PoisonError::into_inner) =
            Canary { latency_ns: Some(latency_ns), missed: None };
    }

    /// The agent does not see the program that it runs itself: it is blind.
    pub fn canary_missed(&self, reason: &'static str) {
        self.canary.write().unwrap_or_else(PoisonError::into_inner).missed = Some(reason);
    }

    /// From the canary's exec to its record, the last time that it was seen.
    #[must_use]
    pub fn canary_latency_ns(&self) -> Option<u64> {
        self.canary.read().unwrap_or_else(PoisonError::into_inner).latency_ns
    }

    /// Every task that ran before the agent is known.
    pub fn start_scan_done(&self) {
        self.start_scan_done.store(true, Relaxed);
    }

    /// Replaces the attach report.
    pub fn set_coverage(&self, report: CoverageReport) {
        *self.coverage.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(report));
    }

    /// The attach report, once there is one.
    #[must_use]
    pub fn coverage(&self) -> Option<Arc<CoverageReport>> {
        self.coverage.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The container runtime told which one it is.
    pub fn set_runtime(&self, runtime: RuntimeVersion) {
        *self.runtime.write().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
    }

    /// The container runtime, once it told.
    #[must_use]
    pub fn runtime(&self) -> Option<RuntimeVersion> {
        self.runtime.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rules are in force.
    pub fn rules_loaded(&self, summary: Summary) {
        self.change_rules(|rules| {
            rules.in_force = Some(summary);
            rules.error = None;
        });
    }

    /// The newest files of rules are refused.
    pub fn rules_refused(&self, error: String) {
        self.change_rules(|rules| {
            rules.error = Some(error);
            rules.failed += 1;
        });
    }

    /// Rules are in force, and not all that they want is seen.
    pub fn rules_lack(&self, what: String) {
        self.change_rules(|rules| rules.error = Some(what));
    }

    fn change_rules(&self, change: impl FnOnce(&mut RulesStatus)) {
        change(self.rules.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
    }

    /// The rules; `None` where none are configured.
    #[must_use]
    pub fn rules(&self) -> Option<RulesStatus> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Time since the agent started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Why the agent is not healthy; nothing when it is.
    #[must_use]
    pub fn unhealthy(&self) -> Option<String> {
        self.unhealthy_at(Instant::now())
    }

    pub(super) fn unhealthy_at(&self, now: Instant) -> Option<String> {
        if let Some(hook) = Hook::ALL.iter().find(|&&hook| self.detached.load(Relaxed) == hook as u64 + 1) {
            return Some(format!("hook {} was detached: its pin is gone", hook.name()));
        }
        let Some(beat) = self.beat.load(Relaxed).checked_sub(1) else {
            return Some("hot loop has not started".to_owned());
        };
        let silent = Duration::from_millis(self.millis(now).saturating_sub(beat));
        if silent > self.max_silence {
            return Some(format!("hot loop silent for {} s", silent.as_secs()));
        }
        let missed = self.canary.read().unwrap_or_else(PoisonError::into_inner).missed;
        missed.map(|reason| format!("the agent does not see the program that it runs itself: {reason}"))
    }

    /// Everything that keeps the agent from being ready; empty when it is.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.unhealthy().into_iter().collect();
        match self.coverage() {
            None => problems.push("hooks not attached yet".to_owned()),
            Some(report) => problems.extend(REQUIRED_HOOKS.iter().filter_map(|hook| missing(&report, *hook))),
        }
        if !self.start_scan_done.load(Relaxed) {
            problems.push("start scan not done".to_owned());
        }
        if let Some(RulesStatus { in_force: None, error: Some(error), .. }) = self.rules() {
            problems.push(format!("no rules in force: {error}"));
        }
        problems
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX - 1)
    }
}

fn has(report: &CoverageReport, hook: Hook) -> bool {
    report.hooks.iter().any(|entry| entry.name == hook.name())
}

fn missing(report: &CoverageReport, hook: Hook) -> Option<String> {
    // Where the exits of single calls serve all of them it is not attached.
    if hook == Hook::SysExit && !has(report, hook) && has(report, Hook::Fexit) {
        return missing(report, Hook::Fexit);
    }
    let name = hook.name();
    match report.hooks.iter().find(|entry| entry.name == name).map(|entry| &entry.support) {
        None => Some(format!("hook {name} not attached")),
        Some(Support::Unsupported(reason)) => Some(format!("hook {name} not attached: {reason}")),
        Some(Support::Supported | Support::Degraded(_)) => None,
    }
}
