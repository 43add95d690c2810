//! Executables on the host, by what the kernel knows them by.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agent_abi::map::Executable;
use nix::sys::{
    stat::{major, minor},
    statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, statfs},
};
use thiserror::Error;

/// Why an executable cannot be told from others.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// It is not there, or not to be looked at.
    #[error("cannot look at {}", .path.display())]
    Look {
        /// It.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder, a device.
    #[error("{} is no file", .path.display())]
    NoFile {
        /// It.
        path: PathBuf,
    },
    /// What `stat` tells is not what the kernel has.
    #[error("{} is on btrfs or overlayfs, whose files have other numbers in the kernel", .path.display())]
    Numbers {
        /// It.
        path: PathBuf,
    },
}

/// The file at `path`, links followed. Another that is put in its place is another.
///
/// # Errors
/// When there is none that the kernel could tell from others.
pub fn resolve(path: &Path) -> Result<Executable, ResolveError> {
    let look = |source: io::Error| ResolveError::Look { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(look)?;
    if !metadata.is_file() {
        return Err(ResolveError::NoFile { path: path.to_owned() });
    }
    let file_system = statfs(path).map_err(|errno| look(errno.into()))?.filesystem_type();
    if file_system == BTRFS_SUPER_MAGIC || file_system == OVERLAYFS_SUPER_MAGIC {
        return Err(ResolveError::Numbers { path: path.to_owned() });
    }
    // As `FileRef::dev`; both numbers have fewer bits.
    let dev = u32::try_from(major(metadata.dev()) << 20 | minor(metadata.dev())).unwrap_or(u32::MAX);
    Ok(Executable { inode: metadata.ino(), dev, reserved: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_what_it_leads_to_and_a_copy_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, copy] = ["file", "link", "copy"].map(|name| dir.path().join(name));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::copy(&file, &copy).unwrap();
        let Ok(known) = resolve(&file) else { return };
        assert_eq!(resolve(&link).unwrap(), known);
        assert_ne!(resolve(&copy).unwrap(), known);
        assert!(matches!(resolve(dir.path()), Err(ResolveError::NoFile { .. })));
        assert!(matches!(resolve(&dir.path().join("none")), Err(ResolveError::Look { .. })));
    }
}
