//! Hashes that are known, by the state of their file.

use std::{
    collections::VecDeque,
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    time::{Duration, SystemTime},
};

use hashbrown::HashMap;

/// Files that are remembered; the oldest go.
const FILES: usize = 4096;
/// A file that was changed so shortly before may change again without a sign: the kernel's times are as coarse as
/// its ticks, and those of some file systems as a second.
const SETTLED: Duration = Duration::from_secs(2);

/// A file in one of its states. Whoever writes to it changes one of these times: the first cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileState {
    dev: u64,
    inode: u64,
    changed: (i64, i64),
    modified: (i64, i64),
    bytes: u64,
}

impl FileState {
    pub(super) fn of(file: &Metadata) -> Self {
        Self {
            dev: file.dev(),
            inode: file.ino(),
            changed: (file.ctime(), file.ctime_nsec()),
            modified: (file.mtime(), file.mtime_nsec()),
            bytes: file.size(),
        }
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_secs(self.changed.0.max(0).unsigned_abs());
        since_1970.saturating_sub(SETTLED) > changed
    }
}

/// Hashes by file.
#[derive(Debug, Default)]
pub(super) struct Digests {
    known: HashMap<FileState, [u8; 32]>,
    order: VecDeque<FileState>,
}

impl Digests {
    pub(super) fn get(&self, file: &FileState) -> Option<[u8; 32]> {
        self.known.get(file).copied()
    }

    pub(super) fn learn(&mut self, file: FileState, hash: [u8; 32], now: SystemTime) {
        if !file.is_settled(now) {
            return;
        }
        if self.order.len() == FILES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(file, hash).is_none() {
            self.order.push_back(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_settled_is_known_until_others_need_its_room() {
        let mut digests = Digests::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let file =
            |inode, changed| FileState { dev: 1, inode, changed: (changed, 5), modified: (0, 0), bytes: 9 };
        digests.learn(file(1, 98), [1; 32], now);
        assert_eq!(digests.get(&file(1, 98)), None, "it may change in the same tick");
        digests.learn(file(1, 97), [1; 32], now);
        assert_eq!(digests.get(&file(1, 97)), Some([1; 32]));
        assert_eq!(digests.get(&file(1, 96)), None, "another state");
        for inode in 2..FILES as u64 + 2 {
            digests.learn(file(inode, 1), [2; 32], now);
        }
        assert_eq!(
            (digests.get(&file(1, 97)), digests.known.len(), digests.order.len()),
            (None, FILES, FILES)
        );
    }
}
