//! Ctrl-C ends the run through its destructors, so that nothing stays attached.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use nix::sys::signal::{SigSet, Signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
const PAUSE: Duration = Duration::from_millis(50);

/// From now on SIGINT and SIGTERM are noted. To be called before any other thread is there.
///
/// # Errors
/// When the signals cannot be blocked.
pub fn watch() -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    thread::spawn(move || {
        if signals.wait().is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
        // The next one ends the process at once.
        let _ = signals.thread_unblock();
        loop {
            thread::park();
        }
    });
    Ok(())
}

/// An error once a signal came.
///
/// # Errors
/// That one.
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Lets time pass, unless a signal comes.
///
/// # Errors
/// When one came.
pub fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(PAUSE));
    }
}
