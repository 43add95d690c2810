//! A memory cgroup for the agent, so that the kernel counts its maps and page tables too.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// An empty cgroup is busy for a moment after its last process.
const LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// A cgroup with the memory controller, removed when dropped.
#[derive(Debug)]
pub struct MemoryCgroup {
    dir: PathBuf,
    usage: &'static str,
    inactive: &'static str,
}

impl MemoryCgroup {
    /// Makes one, in v2 where the controller is there, else in v1.
    ///
    /// # Errors
    /// When neither has it.
    pub fn make() -> Result<Self> {
        let v2 = Path::new("/sys/fs/cgroup");
        let v1 = v2.join("memory");
        let controllers = fs::read_to_string(v2.join("cgroup.subtree_control")).unwrap_or_default();
        let (root, usage, inactive) = if controllers.split_whitespace().any(|name| name == "memory") {
            (v2.to_owned(), "memory.current", "inactive_file")
        } else {
            (v1, "memory.usage_in_bytes", "total_inactive_file")
        };
        let dir = root.join(format!("kestrel-bench-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("no memory cgroup at {}", dir.display()))?;
        Ok(Self { dir, usage, inactive })
    }

    /// File that takes the pids of those who join.
    #[must_use]
    pub fn procs(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// Bytes charged: the working set (as a kubelet counts it), and all.
    ///
    /// # Errors
    /// When the kernel's files cannot be read.
    pub fn usage(&self) -> Result<(u64, u64)> {
        let charged: u64 = fs::read_to_string(self.dir.join(self.usage))?.trim().parse()?;
        let stat = fs::read_to_string(self.dir.join("memory.stat"))?;
        let inactive = stat.lines().find_map(|line| {
            let (name, value) = line.split_once(' ')?;
            (name == self.inactive).then(|| value.parse::<u64>().ok())?
        });
        Ok((charged.saturating_sub(inactive.unwrap_or(0)), charged))
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + LIMIT;
        while let Err(error) = fs::remove_dir(&self.dir) {
            if Instant::now() > deadline {
                crate::complain(&anyhow::Error::from(error).context(self.dir.display().to_string()));
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}
