//! The loop that empties the rings: one plain thread that waits for nothing but them.
//!
//! While records come it looks every [`POLL`] and the programs wake nobody (a wake-up costs three
//! times the record). After [`IDLE_ROUNDS`] empty looks it asks to be woken and sleeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Pipeline, clock::boottime_ns};
use crate::{
    http::Health,
    kernel::{Predecessor, Switches},
    source::Ring,
};

/// Between two looks while records come.
const POLL: Duration = Duration::from_millis(5);
/// Empty looks before it sleeps.
const IDLE_ROUNDS: u32 = 20;
/// Longest sleep: answers from the slow side and deadlines wait at most this long.
const SLEEP_MS: u8 = 100;
/// Between two rounds of deadlines.
const TICK_NS: u64 = 100_000_000;

/// The rings and what belongs to reading them.
pub struct Reader {
    /// Exec, exit, cgroup and credential records.
    pub critical: Ring,
    /// File records.
    pub bulk: Ring,
    /// Tells the programs whether to wake this loop.
    pub switches: Switches,
    /// Shows that the loop turns.
    pub health: Arc<Health>,
    /// The same by `CLOCK_BOOTTIME`, for whoever comes after.
    pub beat_ns: Arc<AtomicU64>,
    /// Set to end the loop.
    pub stop: Arc<AtomicBool>,
}

impl Reader {
    /// Reads what other programs left, then the rings until it is told to stop. Gives the pipeline
    /// back.
    pub fn run(mut self, mut pipeline: Pipeline, predecessors: Vec<Predecessor>) -> Pipeline {
        self.switches.set_agent(std::process::id());
        self.switches.set_reader_sleeps(false);
        for mut predecessor in predecessors {
            pipeline.look_up();
            pipeline.before_reading();
            for ring in &mut predecessor.rings {
                let end = ring.produced();
                ring.drain(end, |bytes| pipeline.left_record(bytes));
                pipeline.end_round();
            }
            let detach = move || {
                if let Err(error) = predecessor.remove() {
                    tracing::error!(%error, "cannot detach the programs of the agent before");
                }
            };
            // Where every call has a program of its own, that takes seconds.
            if let Err(error) = thread::Builder::new().name("detach".to_owned()).spawn(detach) {
                tracing::error!(%error, "cannot detach the programs of the agent before");
            }
        }
        let mut idle_rounds = 0;
        let mut last_tick = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let busy = self.round(&mut pipeline);
            let now = boottime_ns();
            if now - last_tick >= TICK_NS {
                // A turn that had much to read took no answers either.
                pipeline.look_up();
                pipeline.tick(now);
                last_tick = now;
            }
            self.health.beat();
            self.beat_ns.store(now, Ordering::Relaxed);
            idle_rounds = if busy { 0 } else { idle_rounds + 1 };
            if idle_rounds < IDLE_ROUNDS {
                thread::sleep(POLL);
            } else {
                self.sleep();
            }
        }
        // What was there when the stop was asked for is still judged.
        self.round(&mut pipeline);
        pipeline.tick(boottime_ns());
        pipeline.finish();
        pipeline
    }

    /// One look at everything. Bulk is read up to where it was before critical was: an exec is
    /// known before the opens that follow it.
    fn round(&mut self, pipeline: &mut Pipeline) -> bool {
        pipeline.look_up();
        let answers = pipeline.take_answers();
        let bulk_end = self.bulk.produced();
        let critical_end = self.critical.produced();
        if self.critical.backlog() > 0 || self.bulk.backlog() > 0 {
            pipeline.before_reading();
        }
        let critical = self.critical.drain(critical_end, |bytes| pipeline.record(bytes));
        let bulk = self.bulk.drain(bulk_end, |bytes| pipeline.record(bytes));
        pipeline.end_round();
        answers + critical + bulk > 0
    }

    fn sleep(&mut self) {
        self.switches.set_reader_sleeps(true);
        // A record that came before the switch was set woke nobody.
        if self.critical.backlog() == 0 && self.bulk.backlog() == 0 {
            let mut fds = [
                PollFd::new(self.critical.fd(), PollFlags::POLLIN),
                PollFd::new(self.bulk.fd(), PollFlags::POLLIN),
            ];
            // Interrupted or not, the next round looks.
            let _ = poll(&mut fds, PollTimeout::from(SLEEP_MS));
        }
        self.switches.set_reader_sleeps(false);
    }
}
