//! open, read and close of a small file.

use std::{fs::File, io::Read as _};

use anyhow::{Context as _, Result};

use super::Batch;

/// Below it every file is wanted by the agent of the bench.
pub const WANTED_BELOW: &str = "/etc";
const WANTED: &str = "/etc/passwd";
/// A small file of the same file system that nobody wants (os-release(5)).
const UNWANTED: &str = "/usr/lib/os-release";

pub(super) struct Open {
    path: &'static str,
}

impl Open {
    /// A file that somebody wants to hear of.
    pub(super) const WANTED: Self = Self { path: WANTED };
    /// A file that nobody does.
    pub(super) const UNWANTED: Self = Self { path: UNWANTED };
}

impl Batch for Open {
    fn run(&mut self, times: u64) -> Result<()> {
        let mut bytes = [0; 64];
        for _ in 0..times {
            let mut file = File::open(self.path).context(self.path)?;
            std::hint::black_box(file.read(&mut bytes)?);
        }
        Ok(())
    }
}
