//! What the kernel says is attached. A pinned link goes after a grace period, not with its file.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use aya::programs::{links::LinkInfo, loaded_links};

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until none of these programs is attached.
pub(super) fn wait_gone(programs: &[u32]) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while links().any(|link| programs.contains(&link.program_id())) {
        if Instant::now() > deadline {
            bail!("programs are still attached {LIMIT:?} after they were to be detached");
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Number of links on this machine; where none is ours, those of others, which add to every
/// condition.
#[must_use]
pub fn others() -> usize {
    links().count()
}

/// A link may go between being listed and being opened.
fn links() -> impl Iterator<Item = LinkInfo> {
    loaded_links().filter_map(Result::ok)
}
