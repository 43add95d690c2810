//! The agent runs a program of its own now and then and looks for it in what the kernel tells. An
//! agent that does not see its own program sees nobody's.

use std::{
    env, io,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::backoff::random;
use crate::{
    http::Health,
    pipeline::{
        canary::{COMMAND, CanarySeen},
        clock,
    },
    telemetry::Telemetry,
};

/// How long its record may take.
const WAIT: Duration = Duration::from_secs(5);
/// So many in a row that are not seen mean that the agent is blind. One may be lost in a full ring.
const FAILURES: u32 = 2;
/// How often it is looked whether the agent stops.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the program, again and again.
pub struct Canary {
    /// Time from one to the next.
    pub every: Duration,
    /// What the hot loop saw.
    pub seen: Receiver<CanarySeen>,
    /// Told when it is not seen.
    pub health: Arc<Health>,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
}

impl Canary {
    /// Runs until the hot loop is gone. Blocks.
    pub fn run(self) {
        let mut failures = 0;
        loop {
            let Some(result) = self.fly() else { return };
            self.telemetry.canary.runs.add(1);
            match result {
                Ok(latency) => {
                    if failures >= FAILURES {
                        tracing::info!("the agent sees the program that it runs itself again");
                    }
                    failures = 0;
                    self.telemetry.canary.failing.set(0);
                    self.telemetry.canary.latency.observe(latency);
                    self.health.canary_seen(latency);
                }
                Err(reason) => {
                    failures += 1;
                    self.telemetry.canary.failures.add(1);
                    if failures == FAILURES {
                        tracing::error!(reason, "the agent does not see the program that it runs itself");
                    }
                    if failures >= FAILURES {
                        self.telemetry.canary.failing.set(1);
                        self.health.canary_missed(reason);
                    }
                }
            }
            if !self.pause() {
                return;
            }
        }
    }

    /// One: the time from its exec to its record. `None`: the hot loop is gone.
    fn fly(&self) -> Option<Result<Duration, &'static str>> {
        let nonce = random();
        let Ok(bird) = Bird::start(nonce) else { return Some(Err("it cannot be run")) };
        let tgid = bird.0.id();
        let deadline = Instant::now() + WAIT;
        loop {
            match self.seen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                // A record without arguments is told by its process.
                Ok(CanarySeen { nonce: seen, tgid: of, boottime_ns })
                    if seen == Some(nonce) || seen.is_none() && of == tgid =>
                {
                    let taken = clock::boottime_ns().saturating_sub(boottime_ns);
                    return Some(Ok(Duration::from_nanos(taken)));
                }
                // A late one.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Some(Err("its exec was not reported")),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Whether the agent goes on.
    fn pause(&self) -> bool {
        let due = Instant::now() + self.every;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            // What comes now is too late for whom it was.
            if let Err(RecvTimeoutError::Disconnected) = self.seen.recv_timeout(left.min(LOOK)) {
                return false;
            }
        }
    }
}

/// The running program. Ends with this value.
struct Bird(Child);

impl Bird {
    fn start(nonce: u64) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(COMMAND).arg(format!("{nonce:x}")).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }
}

impl Drop for Bird {
    fn drop(&mut self) {
        // It has ended by itself long ago; one that hangs must not hang this thread.
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(|_| ())) {
            tracing::warn!(%error, "cannot end the canary");
        }
    }
}

/// Whether this process is a canary: it has nothing to do.
#[must_use]
pub fn be_canary() -> Option<ExitCode> {
    (env::args_os().nth(1)? == COMMAND).then_some(ExitCode::SUCCESS)
}
