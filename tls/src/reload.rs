//! Files that are read again when they change: a rotation needs no restart.

use std::{
    error::Error as _,
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{ClientConfig, ServerConfig};

use crate::{Material, TlsError};

/// What tells one version of a file from another. Follows symlinks: Kubernetes swaps those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self {
            dev: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[derive(Debug)]
struct State<C> {
    /// Of the files when they were last read, well or not.
    stamps: Vec<Option<Stamp>>,
    good: Arc<C>,
}

/// A configuration of rustls that follows its files. The last good one stays until a better one is
/// there.
#[derive(Debug)]
struct Reloading<C> {
    material: Material,
    build: fn(&Material) -> Result<Arc<C>, TlsError>,
    state: Mutex<State<C>>,
}

impl<C> Reloading<C> {
    fn open(material: Material, build: fn(&Material) -> Result<Arc<C>, TlsError>) -> Result<Self, TlsError> {
        // Before they are read: what changes meanwhile is read again.
        let stamps = material.files().map(Stamp::of).collect();
        let good = build(&material)?;
        Ok(Self { material, build, state: Mutex::new(State { stamps, good }) })
    }

    /// Looks at the files, a few system calls, and reads them if they are not those of last time.
    fn current(&self) -> Arc<C> {
        // Poisoned only by a panic in rustls: what was good is whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps: Vec<_> = self.material.files().map(Stamp::of).collect();
        if stamps != state.stamps {
            state.stamps = stamps;
            match (self.build)(&self.material) {
                Ok(config) => {
                    state.good = config;
                    tracing::info!(certificate = %self.material.certificate.display(), "certificates were read again");
                }
                // Once for each change of the files.
                Err(error) => {
                    let source = error.source().map(ToString::to_string);
                    tracing::error!(%error, source, "new certificates cannot be used, the old ones stay");
                }
            }
        }
        Arc::clone(&state.good)
    }
}

/// The connecting side's TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Reloading<ClientConfig>>);

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn open(material: Material) -> Result<Self, TlsError> {
        Reloading::open(material, Material::client_config).map(|state| Self(Arc::new(state)))
    }

    /// With the files as they are now, or as they were when they last were good.
    #[must_use]
    pub fn current(&self) -> Arc<ClientConfig> {
        self.0.current()
    }
}

/// The accepting side's TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Reloading<ServerConfig>>);

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn open(material: Material) -> Result<Self, TlsError> {
        Reloading::open(material, Material::server_config).map(|state| Self(Arc::new(state)))
    }

    /// With the files as they are now, or as they were when they last were good.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.current()
    }
}
