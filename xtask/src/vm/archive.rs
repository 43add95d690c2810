//! What the kernel unpacks at boot. Several archives may follow each other in one file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::command;

/// An empty folder, whatever was there.
pub(super) fn empty(dir: &Path) -> Result<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    Ok(dir.to_owned())
}

/// Packs a folder; its files become root's.
pub(super) fn pack(root: &Path, packed: &Path) -> Result<PathBuf> {
    let mut pack = Command::new("sh");
    pack.args(["-ec", "find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 >\"$0\""]).arg(packed);
    command::run(pack.current_dir(root).stdin(Stdio::null()))?;
    Ok(packed.to_owned())
}

/// Puts archives into one file, in their order.
pub(super) fn join(archives: &[&Path], joined: &Path) -> Result<PathBuf> {
    let mut out = File::create(joined)?;
    for archive in archives {
        io::copy(&mut File::open(archive)?, &mut out)?;
    }
    Ok(joined.to_owned())
}
