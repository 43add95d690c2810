//! When an agent last ran on this node, for the one that follows when nothing is pinned any more.

use std::{fs, path::PathBuf};

/// A file with boot id and boottime. Not synced: it matters within one boot only.
#[derive(Clone, Debug)]
pub(super) struct AliveFile {
    path: PathBuf,
    boot_id: String,
}

impl AliveFile {
    /// The file at `path`.
    #[must_use]
    pub(super) fn new(path: PathBuf, boot_id: &str) -> Self {
        Self { path, boot_id: boot_id.to_owned() }
    }

    /// When an agent was last alive in this boot, `CLOCK_BOOTTIME` nanoseconds.
    #[must_use]
    pub(super) fn read(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (boot_id, boottime_ns) = text.trim().split_once(' ')?;
        (boot_id == self.boot_id).then(|| boottime_ns.parse().ok())?
    }

    /// Notes that the agent is alive.
    pub(super) fn write(&self, boottime_ns: u64) {
        let text = format!("{} {boottime_ns}\n", self.boot_id);
        let temporary = self.path.with_extension("new");
        let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            tracing::debug!(%error, path = %self.path.display(), "cannot note that the agent is alive");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_within_one_boot_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive");
        let file = AliveFile::new(path.clone(), "boot-1");
        assert_eq!(file.read(), None);
        file.write(42);
        assert_eq!(file.read(), Some(42));
        assert_eq!(AliveFile::new(path.clone(), "boot-2").read(), None);
        fs::write(&path, "boot-1 nonsense").unwrap();
        assert_eq!(file.read(), None);
    }
}
