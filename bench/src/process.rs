//! What the kernel says a process uses.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// A process of this machine.
#[derive(Clone, Debug)]
pub struct Process {
    dir: PathBuf,
}

impl Process {
    /// By its pid.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        Self { dir: Path::new("/proc").join(pid.to_string()) }
    }

    /// CPU time of its threads that live.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in self.dir.join("task").read_dir()? {
            // In nanoseconds, where the ticks of `stat` would be 10 ms.
            if let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) {
                nanoseconds += first_number(&text).context("schedstat without a number")?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Anonymous resident bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn anonymous(&self) -> Result<u64> {
        let status = fs::read_to_string(self.dir.join("status"))?;
        field(&status, "RssAnon:").map(|kilobytes| kilobytes << 10).context("no RssAnon in status")
    }

    /// Bytes of the BPF maps that it has open, each map once.
    ///
    /// # Errors
    /// When it is gone.
    pub fn maps(&self) -> Result<u64> {
        let mut maps = BTreeMap::new();
        for fd in self.dir.join("fdinfo").read_dir()? {
            // A descriptor may have been closed since.
            let text = fs::read_to_string(fd?.path()).unwrap_or_default();
            if let (Some(id), Some(bytes)) = (field(&text, "map_id:"), field(&text, "memlock:")) {
                maps.insert(id, bytes);
            }
        }
        Ok(maps.values().sum())
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| first_number(line.strip_prefix(name)?))
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let process = Process::new(std::process::id());
        assert!(process.cpu().unwrap() > Duration::ZERO);
        assert!(process.anonymous().unwrap() > 0);
        assert_eq!(process.maps().unwrap(), 0);
    }

    #[test]
    fn fields_are_told_from_others() {
        let text = "pos:\t0\nmap_type:\t27\nmemlock:\t4199216\nmap_id:\t61\nfrozen:\t0\n";
        assert_eq!(field(text, "map_id:"), Some(61));
        assert_eq!(field(text, "memlock:"), Some(4_199_216));
        assert_eq!(field(text, "map:"), None);
    }
}
