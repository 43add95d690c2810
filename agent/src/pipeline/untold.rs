//! What was read and not told yet, on disk: for the agent that follows one that was killed.
//!
//! The rings free what is read, and a finding may be held for its name, so a kill can take it along.
//! While that is so, the file says which time it concerns. Written by the hot loop, 80 bytes into
//! the page cache, which outlives the process: twice a busy round at most.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64},
};

/// What the writing end has done.
#[derive(Debug, Default)]
pub struct Told {
    /// Changes of findings that are on disk.
    pub changes: AtomicU64,
    /// The ready line is written, and with it all that a start has to tell.
    pub ready: AtomicBool,
}

/// The file.
#[derive(Debug)]
pub struct Untold {
    file: Option<File>,
    boot_id: String,
    /// Since when something is untold.
    from_ns: Option<u64>,
    /// Up to when records have been read.
    read_to_ns: u64,
}

impl Untold {
    /// Opens the file. Records up to `read_to_ns` have been read by the agent before; what that one
    /// left untold, from when to when, is to be told first, and stands until then.
    #[must_use]
    pub fn open(path: &Path, boot_id: &str, read_to_ns: u64) -> (Self, Option<(u64, u64)>) {
        let before = fs::read_to_string(path).ok().and_then(|text| parse(&text, boot_id));
        let file = File::options().create(true).truncate(false).write(true).open(path);
        if let Err(error) = &file {
            tracing::warn!(%error, path = %path.display(), "after a kill it cannot be told what was untold");
        }
        let from_ns = before.map(|(from, _)| from);
        (Self { file: file.ok(), boot_id: boot_id.to_owned(), from_ns, read_to_ns }, before)
    }

    /// What came up to `now_ns` is read from now on.
    pub fn reading(&mut self, now_ns: u64) {
        let from = *self.from_ns.get_or_insert(self.read_to_ns);
        self.read_to_ns = now_ns;
        self.write(from, now_ns);
    }

    /// Whether something is untold.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.from_ns.is_some()
    }

    /// All is told.
    pub fn clear(&mut self) {
        if self.from_ns.take().is_some() {
            self.write(0, 0);
        }
    }

    fn write(&self, from: u64, to: u64) {
        // One width, so that nothing of an older text is left behind it.
        let text = format!("{} {from:020} {to:020}\n", self.boot_id);
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(text.as_bytes(), 0)
        {
            tracing::debug!(%error, "cannot note what is untold");
        }
    }
}

fn parse(text: &str, boot_id: &str) -> Option<(u64, u64)> {
    let mut words = text.split_whitespace();
    let is_this_boot = words.next()? == boot_id;
    let (from, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (is_this_boot && from != 0).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_leaves_word_and_a_clean_end_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("untold");
        let (mut first, before) = Untold::open(&path, "boot", 5);
        assert_eq!(before, None);
        first.reading(10);
        first.reading(20);
        let (mut second, before) = Untold::open(&path, "boot", 20);
        assert_eq!(before, Some((5, 20)));
        // Killed before it could tell: still there, and longer.
        second.reading(30);
        assert_eq!(Untold::open(&path, "boot", 30).1, Some((5, 30)));
        assert_eq!(Untold::open(&path, "other", 30).1, None);
        second.clear();
        assert_eq!(Untold::open(&path, "boot", 30).1, None);
        second.reading(40);
        assert_eq!(Untold::open(&path, "boot", 30).1, Some((30, 40)));
    }
}
