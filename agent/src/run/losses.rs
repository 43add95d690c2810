//! What the rings had no room for, and when the agent was blind: named, counted, told once.
//!
//! The hooks' counters are exact and outlive the agent, and so does how much of them was told
//! (`PROGRESS`), once it is written. So a loss is told once whoever was there to see it; twice only
//! by an agent that was killed in between.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    map::{Progress, RING_BULK, RING_COUNT, RING_CRITICAL},
};

use crate::{
    kernel::{Counters, MapsError, ProgressMap, RecursionCounters},
    output::event::Body,
    pipeline::clock,
    telemetry::{Telemetry, label::BlindReason},
    time::Clock,
};

/// Watches the counters, and leaves word for the agent that follows.
pub(super) struct Losses {
    counters: Counters,
    progress: ProgressMap,
    recursion: RecursionCounters,
    told: [u64; RING_COUNT],
    /// Runs that did not happen, per hook: tail calls that failed, and recursion misses.
    told_unrun: [u64; HOOKS],
    /// Of `told`, what is known to be written: the next agent tells the rest once more.
    written: [u64; RING_COUNT],
    since: Clock,
    /// Boottime at which the hot loop last turned.
    beat_ns: Arc<AtomicU64>,
    telemetry: Arc<Telemetry>,
}

/// What was lost.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// What is told of it.
    pub(super) told: Vec<Body>,
    /// Posture rests on it: a scan finds what the records would have told.
    pub(super) needs_scan: bool,
}

/// How the programs came to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// They ran before this agent did.
    Adopted,
    /// They are new; the last agent that ran on this boot was last alive then.
    Attached {
        /// `CLOCK_BOOTTIME`, nanoseconds; `None` for the first agent of this boot.
        last_alive_ns: Option<u64>,
    },
}

impl Losses {
    /// Tells what was missed before this agent: a gap in which no program ran, or records that the
    /// rings lost while nobody read them.
    ///
    /// # Errors
    /// When the maps cannot be read.
    pub(super) fn start(
        start: Start,
        counters: Counters,
        progress: ProgressMap,
        recursion: RecursionCounters,
        beat_ns: Arc<AtomicU64>,
        telemetry: Arc<Telemetry>,
    ) -> Result<(Self, Vec<Body>), MapsError> {
        let now = clock::now();
        let before = progress.get()?;
        let mut told = Vec::new();
        let since = match start {
            Start::Adopted if before.alive_ns != 0 => at(now, before.alive_ns),
            Start::Adopted => now,
            Start::Attached { last_alive_ns: None } => now,
            Start::Attached { last_alive_ns: Some(alive_ns) } => {
                let from = at(now, alive_ns);
                told.push(Body::blind("no program was attached", from, now));
                note(&telemetry, BlindReason::Detached, from, now);
                now
            }
        };
        // What the programs missed before is in the metrics; when it was cannot be told any more.
        let told_unrun = unrun(&counters.read()?, &recursion.read());
        let mut losses = Self {
            counters,
            progress,
            recursion,
            told: before.reported_lost,
            told_unrun,
            written: before.reported_lost,
            since,
            beat_ns,
            telemetry,
        };
        told.extend(losses.look("ring full while no agent read it")?.told);
        Ok((losses, told))
    }

    /// Tells what was lost since it last looked.
    ///
    /// # Errors
    /// When the maps cannot be read.
    pub(super) fn sample(&mut self) -> Result<Missed, MapsError> {
        self.look("ring full")
    }

    /// All that was told so far is written.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub(super) fn written(&mut self) -> Result<(), MapsError> {
        self.written = self.told;
        self.leave_word()
    }

    fn leave_word(&mut self) -> Result<(), MapsError> {
        let alive_ns = self.beat_ns.load(Ordering::Relaxed);
        self.progress.set(Progress { alive_ns, reported_lost: self.written })
    }

    fn look(&mut self, reason: &'static str) -> Result<Missed, MapsError> {
        let now = clock::now();
        let sums = self.counters.read()?;
        self.telemetry.hooks.sample(&sums);
        let lost = self.counters.lost()?;
        let mut missed = Missed::default();
        for (ring, (&lost, told)) in (0u32..).zip(lost.iter().zip(&mut self.told)) {
            if lost > *told {
                missed.told.push(Body::loss(ring_name(ring), lost - *told, reason, self.since, now));
                missed.needs_scan |= ring == RING_CRITICAL;
                *told = lost;
            }
        }
        // Each costs a file of /proc a program.
        let recursion = self.recursion.read();
        let unrun = unrun(&sums, &recursion);
        for (hook, (&count, told)) in Hook::ALL.into_iter().zip(unrun.iter().zip(&mut self.told_unrun)) {
            if count > *told {
                missed.needs_scan = true;
                missed.told.push(Body::loss(
                    hook.name(),
                    count - *told,
                    "the kernel did not run the program",
                    self.since,
                    now,
                ));
                *told = count;
            }
        }
        for &(hook, misses) in &recursion {
            self.telemetry.hooks.recursion_misses.of(hook).set(misses);
        }
        self.since = now;
        self.leave_word()?;
        Ok(missed)
    }
}

fn unrun(sums: &[HookCounters; HOOKS], recursion: &[(Hook, u64)]) -> [u64; HOOKS] {
    let mut unrun = sums.map(|counters| counters.tail_failed);
    for &(hook, misses) in recursion {
        unrun[hook as usize] += misses;
    }
    unrun
}

/// What the rings of other programs lost and nobody told.
pub(super) fn untold(lost: &[u64; RING_COUNT], progress: &Progress, now: Clock) -> Vec<Body> {
    let from = at(now, progress.alive_ns);
    (0u32..)
        .zip(lost.iter().zip(&progress.reported_lost))
        .filter(|(_, (lost, told))| lost > told)
        .map(|(ring, (lost, told))| {
            Body::loss(ring_name(ring), lost - told, "ring full before the programs were replaced", from, now)
        })
        .collect()
}

/// The agent before was killed with something read and not told.
pub(super) fn killed(from_ns: u64, to_ns: u64, telemetry: &Telemetry) -> Body {
    let now = clock::now();
    let (from, to) = (at(now, from_ns), at(now, to_ns));
    note(telemetry, BlindReason::Killed, from, to);
    Body::blind("the agent was killed before it had told what it read", from, to)
}

const fn ring_name(ring: u32) -> &'static str {
    if ring == RING_BULK { "bulk" } else { "critical" }
}

/// An earlier moment of this boot, by both clocks.
fn at(now: Clock, boottime_ns: u64) -> Clock {
    let ago = now.boottime_ns.saturating_sub(boottime_ns);
    Clock { boottime_ns, wall_ns: now.wall_ns.saturating_sub(ago) }
}

fn note(telemetry: &Telemetry, reason: BlindReason, from: Clock, to: Clock) {
    let duration = std::time::Duration::from_nanos;
    telemetry.blind.note(duration(from.boottime_ns), duration(to.boottime_ns), reason);
}
