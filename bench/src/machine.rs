//! Where the numbers come from, without which they say little.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use kestrel_agent::kernel::detach;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde::Serialize;

use crate::condition::others;

/// A machine at the start of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Release of its kernel.
    pub kernel: String,
    /// Model of its CPUs.
    pub cpu: String,
    /// Number of its CPUs.
    pub cpus: usize,
    /// Runnable tasks, averaged over the last minute: a busy machine widens the intervals.
    pub load: f64,
    /// BPF links of others, which add to every condition.
    pub other_links: usize,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo").lines().find_map(|line| {
            line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_owned())
        });
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: model.unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(f64::NAN),
            other_links: others(),
        }
    }
}

/// The last CPU that this process may run on: the first ones get most interrupts.
///
/// # Errors
/// When there is none.
pub fn last_cpu() -> Result<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    (0..CpuSet::count()).rev().find(|&cpu| allowed.is_set(cpu) == Ok(true)).context("no CPU to run on")
}

/// Keeps this process on a CPU from now on.
///
/// # Errors
/// When it may not run there.
pub fn pin(cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("cannot be pinned to CPU {cpu}"))
}

/// Removes what runs that were killed have left: attached programs and empty cgroups.
pub fn sweep() {
    for pins in leftovers(Path::new("/sys/fs/bpf")) {
        let _ = detach(&pins);
    }
    for folder in ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"] {
        for group in leftovers(Path::new(folder)) {
            // It is removed as a whole.
            let _ = fs::remove_dir(group);
        }
    }
}

fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let dead = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix("kestrel-bench-")?.split('-').next());
        maker.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
    });
    dead.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let own = format!("kestrel-bench-{}", std::process::id());
        // Beyond the highest pid that there can be.
        let dead = "kestrel-bench-4294967295-3".to_owned();
        for name in [&own, &dead, &"kestrel".to_owned(), &"kestrel-bench-x".to_owned()] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(leftovers(folder.path()), [folder.path().join(dead)]);
    }
}
