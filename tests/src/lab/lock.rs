//! One user of the kernel's hooks at a time.

use std::fs::{File, OpenOptions};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

const PATH: &str = "/run/kestrel-lab.lock";

/// Held by a test while it uses the kernel's hooks or containers; other tests wait, in whatever process they are.
#[derive(Debug)]
pub struct KernelLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

impl KernelLock {
    /// Waits for the lock.
    pub fn acquire() -> Result<Self> {
        exclusive(PATH).map(Self)
    }
}

/// Waits for an exclusive lock on a file, which is made if missing.
pub(super) fn exclusive(path: &str) -> Result<Flock<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {path} (these tests need root)"))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {path}"))
}
