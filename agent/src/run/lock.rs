//! One agent per state directory.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

/// Why the state directory is not this agent's.
#[derive(Debug, Error)]
pub(super) enum LockError {
    /// It cannot be made or opened.
    #[error("cannot use the state directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent has it.
    #[error("another agent runs on the state directory {path}")]
    Taken {
        /// The directory.
        path: PathBuf,
    },
}

/// Makes a folder and those above it, and puts their names on the disk: what is synced in a folder
/// that a power loss takes is lost all the same.
fn make(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|folder| !folder.exists()).count();
    fs::create_dir_all(path)?;
    for folder in path.ancestors().skip(1).take(missing) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Held while the agent runs; the kernel lets go of it with the process.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateDir {
    /// Makes the directory and takes it.
    ///
    /// # Errors
    /// When it cannot be made, or another agent has it.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Directory { path: path.to_path_buf(), source };
        make(path).map_err(failed)?;
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

    /// A file in it.
    #[must_use]
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = StateDir::take(&path).unwrap();
        assert!(matches!(StateDir::take(&path), Err(LockError::Taken { .. })));
        drop(first);
        StateDir::take(&path).unwrap();
    }
}
