//! open, read and close of a small file.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::Batch;

/// Below it every file is wanted by the agent of the bench.
pub const WANTED_BELOW: &str = "/var/tmp";
/// A small file of the same file system that nobody wants (os-release(5)).
const UNWANTED: &str = "/usr/lib/os-release";

/// Opens a file that nobody wants.
pub(super) struct Unwanted;

impl Batch for Unwanted {
    fn run(&mut self, times: u64) -> Result<()> {
        for _ in 0..times {
            read(File::open(UNWANTED), Path::new(UNWANTED))?;
        }
        Ok(())
    }
}

/// Opens a file that somebody wants to hear of: by where it is, and since it can be written, which rules ask of any open.
pub(super) struct Wanted(NamedTempFile);

impl Wanted {
    pub(super) fn new() -> Result<Self> {
        let mut file = NamedTempFile::with_prefix_in("kestrel-bench-", WANTED_BELOW).context(WANTED_BELOW)?;
        file.write_all(&[b'x'; 64])?;
        Ok(Self(file))
    }
}

impl Batch for Wanted {
    fn run(&mut self, times: u64) -> Result<()> {
        let path = self.0.path();
        for _ in 0..times {
            read(File::options().read(true).write(true).open(path), path)?;
        }
        Ok(())
    }
}

fn read(opened: std::io::Result<File>, path: &Path) -> Result<()> {
    let mut bytes = [0; 64];
    let mut file = opened.with_context(|| path.display().to_string())?;
    std::hint::black_box(file.read(&mut bytes)?);
    Ok(())
}
