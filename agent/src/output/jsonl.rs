//! Appends events to a file, one write a line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

use super::event::Event;

/// Lines that were not written, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// No space or quota left (`ENOSPC`, `EDQUOT`).
    pub no_space: u64,
    /// The file system is read-only (`EROFS`).
    pub read_only: u64,
    /// Anything else.
    pub other: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.no_space + self.read_only + self.other
    }
}

/// A file of JSON lines. Rotation is seen by the file's identity: rename it away, and the next
/// line goes into a new one. What cannot be written is counted, said once, and gone.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Option<(File, Identity)>,
    line: Vec<u8>,
    written: u64,
    dropped: Dropped,
    is_failing: bool,
    /// A part of a line is at the end of the file.
    is_torn: bool,
}

type Identity = (u64, u64);

impl JsonLines {
    /// Appends to `path`, which is made when it is not there. Opened with the first line.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            line: Vec::new(),
            written: 0,
            dropped: Dropped { no_space: 0, read_only: 0, other: 0 },
            is_failing: false,
            is_torn: false,
        }
    }

    /// Appends one event.
    pub fn append(&mut self, event: &Event<'_>) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let result = self.open_current().and_then(|()| {
            if self.is_torn {
                line.push(b'\n');
            }
            event.write_line(&mut line)?;
            self.write(&line)
        });
        self.line = line;
        match result {
            Ok(()) => {
                self.written += 1;
                self.is_torn = false;
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(path = %self.path.display(), dropped = self.dropped.total(), "event file takes lines again");
                }
            }
            Err(error) => self.drop_line(&error),
        }
    }

    fn drop_line(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.dropped.no_space += 1,
            io::ErrorKind::ReadOnlyFilesystem => self.dropped.read_only += 1,
            _ => self.dropped.other += 1,
        }
        self.file = None;
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(path = %self.path.display(), %error, "event file takes no lines, they are counted and dropped");
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let Some((file, _)) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let mut done = 0;
        while done < line.len() {
            match file.write(&line[done..]) {
                Ok(0) => return Err(self.torn(done, io::ErrorKind::WriteZero.into())),
                Ok(more) => done += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.torn(done, error)),
            }
        }
        Ok(())
    }

    fn torn(&mut self, done: usize, error: io::Error) -> io::Error {
        self.is_torn |= done > 0;
        error
    }

    /// Opens the file that is at the path now.
    fn open_current(&mut self) -> io::Result<()> {
        let at_path = match fs::metadata(&self.path) {
            Ok(metadata) => Some((metadata.dev(), metadata.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if self.file.as_ref().is_none_or(|(_, identity)| Some(*identity) != at_path) {
            self.file = None;
            let file = OpenOptions::new().create(true).append(true).read(true).open(&self.path)?;
            let metadata = file.metadata()?;
            self.is_torn = ends_torn(&file, &metadata);
            self.file = Some((file, (metadata.dev(), metadata.ino())));
        }
        Ok(())
    }

    /// Lines written since start.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Lines not written since start.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// Whether the last line has no end: its writer was killed, or the disk was full.
fn ends_torn(file: &File, metadata: &fs::Metadata) -> bool {
    let mut last = [b'\n'];
    let end = metadata.len().checked_sub(1).filter(|_| metadata.is_file());
    end.is_some_and(|end| file.read_exact_at(&mut last, end).is_ok() && last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        output::event::{Body, Origin},
        time::Clock,
    };

    fn origin() -> Origin {
        Origin { node: "node\u{202e}".into(), boot_id: "boot".into() }
    }

    fn stop(origin: &Origin) -> Event<'_> {
        Event::new(origin, Clock::default(), Body::Stop { reason: "test\x1b[2J\n\u{e0041}".into() })
    }

    #[test]
    fn hostile_text_is_inert_and_whole() {
        let origin = origin();
        let mut line = Vec::new();
        stop(&origin).write_line(&mut line).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"schema":1,"node":"node\u202e","boot_id":"boot","time":"1970-01-01T00:00:00.000Z","#,
                r#""boottime_ns":0,"type":"stop","reason":"test\u001b[2J\n\udb40\udc41"}"#,
                "\n"
            )
        );
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["reason"], "test\x1b[2J\n\u{e0041}");
    }

    #[test]
    fn follows_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let rotated = folder.path().join("events.jsonl.1");
        let origin = origin();
        let mut lines = JsonLines::new(path.clone());
        lines.append(&stop(&origin));
        lines.append(&stop(&origin));
        fs::rename(&path, &rotated).unwrap();
        lines.append(&stop(&origin));
        let count = |path| fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((count(&rotated), count(&path), lines.written()), (2, 1, 3));
        assert_eq!(lines.dropped().total(), 0);
    }

    #[test]
    fn a_full_disk_is_counted() {
        let origin = origin();
        let mut lines = JsonLines::new("/dev/full".into());
        lines.append(&stop(&origin));
        lines.append(&stop(&origin));
        assert_eq!(lines.dropped(), Dropped { no_space: 2, ..Dropped::default() });
    }

    #[test]
    fn a_line_that_another_left_torn_stays_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        fs::write(&path, "{}\n{\"schema\":1,\"no").unwrap();
        let origin = origin();
        let mut lines = JsonLines::new(path.clone());
        lines.append(&stop(&origin));
        lines.append(&stop(&origin));
        let text = fs::read_to_string(path).unwrap();
        let parsed: Vec<_> =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).collect();
        assert_eq!(parsed, [true, false, true, true]);
    }

    #[test]
    fn goes_on_when_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("later");
        let path = missing.join("events.jsonl");
        let origin = origin();
        let mut lines = JsonLines::new(path.clone());
        lines.append(&stop(&origin));
        assert_eq!(lines.dropped().other, 1);
        fs::create_dir(&missing).unwrap();
        lines.append(&stop(&origin));
        assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 1);
    }
}
