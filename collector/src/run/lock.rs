//! One collector per data folder.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

/// Why the data folder is not this collector's.
#[derive(Debug, Error)]
pub(super) enum LockError {
    /// It cannot be made or opened.
    #[error("cannot use the data folder {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another collector has it.
    #[error("another collector runs on the data folder {path}")]
    Taken {
        /// The directory.
        path: PathBuf,
    },
}

/// Held while the collector runs; the kernel lets go of it with the process.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataDir {
    /// Makes the directory and takes it.
    ///
    /// # Errors
    /// When it cannot be made, or another collector has it.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Directory { path: path.to_path_buf(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_path_buf(), _lock: lock }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(LockError::Taken { path: path.to_path_buf() }),
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_collector_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = DataDir::take(&path).unwrap();
        assert!(matches!(DataDir::take(&path), Err(LockError::Taken { .. })));
        drop(first);
        DataDir::take(&path).unwrap();
    }
}
