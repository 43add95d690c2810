//! `kestrel-agent record`: an agent beside the one that watches the node, which writes down what rules want.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};

use crate::{
    config::{Config, Listen},
    kernel,
};

/// Lines on their way to the file.
const LINES: usize = 65_536;

/// What is recorded, and for how long.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file, which must not exist.
    pub file: PathBuf,
    /// Until a signal, or this time after everything is seen.
    pub lasts: Option<Duration>,
}

/// Both ends of a recording.
pub(super) struct Tape {
    pub(super) lasts: Option<Duration>,
    pub(super) lines: SyncSender<String>,
    pub(super) writer: super::oneshot::Receiver<io::Result<()>>,
}

/// Records until a signal, or until the time is over. Leaves nothing in the kernel.
///
/// # Errors
/// Why it could not start, or that the file could not be written.
pub fn record(config: Config, recording: &Recording) -> Result<()> {
    let dir = state_dir()?;
    let config = beside(config, dir.path());
    let pins = config.pin_dir.clone();
    let file = open(&recording.file).with_context(|| recording.file.display().to_string())?;
    let (lines, written) = sync_channel(LINES);
    let is_gzip = recording.file.extension().is_some_and(|end| end == "gz");
    let writer = super::spawn_thread("recording", move || write(file, is_gzip, &written))?;
    let ended = super::run_with(config, Some(Tape { lasts: recording.lasts, lines, writer }));
    let detached = kernel::detach(&pins);
    ended?;
    Ok(detached?)
}

/// The same agent, with nothing in common with the one that runs.
fn beside(config: Config, state: &Path) -> Config {
    let mut config = Config { uplink: None, state_dir: state.to_owned(), ..config };
    let name =
        config.pin_dir.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
    config.pin_dir.set_file_name(format!("{name}-record-{}", std::process::id()));
    config.http.listen = Listen::Off;
    config.findings.file = None;
    if !config.rules.builtin && config.rules.files.is_empty() {
        config.rules.builtin = true;
    }
    config
}

/// Nobody but its owner reads what a node does.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The fastest compression makes a seventeenth of what events repeat of each other.
fn write(file: File, is_gzip: bool, lines: &Receiver<String>) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    let file = if is_gzip {
        let mut packed = GzEncoder::new(file, Compression::fast());
        write_lines(&mut packed, lines)?;
        packed.finish()?
    } else {
        write_lines(&mut file, lines)?;
        file
    };
    file.into_inner()?.sync_all()
}

fn write_lines(to: &mut impl Write, lines: &Receiver<String>) -> io::Result<()> {
    for line in lines {
        to.write_all(line.as_bytes())?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// A folder that goes with the process.
fn state_dir() -> Result<Scratch> {
    let path = std::env::temp_dir().join(format!("kestrel-record-{}", std::process::id()));
    std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
    Ok(Scratch(path))
}

struct Scratch(PathBuf);

impl Scratch {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
