//! What outlives the agent: `<pin dir>/v<ABI>/<fingerprint>/`.
//!
//! The fingerprint covers the object, the offsets and the constants, so that programs are adopted
//! only where they are exactly those that this agent would load. A directory without
//! [`COMPLETE`] is what a start that was cut off left behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agent_abi::{ABI_VERSION, hook::Hook};
use thiserror::Error;

use super::release::{LINK, remove_tree};

/// `BPF_FS_MAGIC` (include/uapi/linux/magic.h).
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
/// Directory that marks a generation whose start went through.
const COMPLETE: &str = "complete";

/// Why nothing can be pinned.
#[derive(Debug, Error)]
pub enum PinError {
    /// Not a BPF file system.
    #[error("{path} is not on a BPF file system: mount -t bpf bpf /sys/fs/bpf, or set pin_dir")]
    NotBpfFs {
        /// The configured directory.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Pins of one set of programs and maps.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    dir: PathBuf,
}

impl Generation {
    /// Pin of a map.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.dir.join(format!("map_{name}"))
    }

    /// Pin of a hook's program.
    pub(super) fn program(&self, hook: Hook) -> PathBuf {
        self.dir.join(format!("program_{}", file_name(hook)))
    }

    /// Pin of a hook's link.
    pub(super) fn link(&self, hook: Hook) -> PathBuf {
        self.dir.join(format!("{LINK}{}", file_name(hook)))
    }

    /// Removes the pins of a hook, if it has any: it detaches.
    pub(super) fn detach(&self, hook: Hook) -> Result<(), PinError> {
        remove_pin(&self.link(hook))?;
        remove_pin(&self.program(hook))
    }

    /// Folder of the pins of [`Hook::Fexit`], which has a program for each function.
    pub(super) fn exits(&self) -> PathBuf {
        self.dir.join("fexit")
    }

    /// Pin of one of the links of a hook that has several.
    pub(super) fn link_of(&self, hook: Hook, part: &str) -> PathBuf {
        self.dir.join(format!("{LINK}{}_{part}", file_name(hook)))
    }

    /// Whether its start went through.
    pub(super) fn is_complete(&self) -> bool {
        self.dir.join(COMPLETE).is_dir()
    }

    /// Marks it as complete.
    pub(super) fn complete(&self) -> Result<(), PinError> {
        create_dir(&self.dir.join(COMPLETE))
    }

    /// Makes its directory.
    pub(super) fn create(&self) -> Result<(), PinError> {
        create_dir(&self.dir)
    }

    /// Removes all pins: hooks detach, maps go with their last user. What is cut off is no generation any more.
    pub(super) fn remove(&self) -> Result<(), PinError> {
        remove_tree(&self.dir.join(COMPLETE))?;
        remove_tree(&self.dir)
    }
}

/// The pin directory.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    root: PathBuf,
}

impl Pins {
    /// Checks that `root` is on a BPF file system and makes it.
    pub(super) fn open(root: &Path) -> Result<Self, PinError> {
        let existing = root.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
        let stat = nix::sys::statfs::statfs(existing).map_err(|errno| PinError::File {
            what: "look at",
            path: existing.to_path_buf(),
            source: errno.into(),
        })?;
        if stat.filesystem_type().0 != BPF_FS_MAGIC {
            return Err(PinError::NotBpfFs { path: root.to_path_buf() });
        }
        for path in [root.to_path_buf(), version_dir(root)] {
            create_dir(&path)?;
        }
        Ok(Self { root: root.to_path_buf() })
    }

    /// Removes every version's pins, and the directory if nothing else is in it.
    pub(super) fn remove(&self) -> Result<(), PinError> {
        for version in self.versions()? {
            remove_tree(&version)?;
        }
        // What others keep here, or a mount point, stays.
        match fs::remove_dir(&self.root) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy
                ) =>
            {
                Err(PinError::File { what: "remove", path: self.root.clone(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// The generation of `fingerprint`.
    pub(super) fn generation(&self, fingerprint: u64) -> Generation {
        Generation { dir: version_dir(&self.root).join(format!("{fingerprint:016x}")) }
    }

    /// The other generations of this ABI version: complete ones may hold records that nobody read.
    pub(super) fn others(&self, current: &Generation) -> Result<Vec<Generation>, PinError> {
        let mut others: Vec<_> =
            children(&version_dir(&self.root))?.into_iter().filter(|dir| *dir != current.dir).collect();
        others.sort_unstable();
        Ok(others.into_iter().map(|dir| Generation { dir }).collect())
    }

    /// Directories of other ABI versions, whose records this agent cannot read.
    pub(super) fn other_versions(&self) -> Result<Vec<Generation>, PinError> {
        let current = version_dir(&self.root);
        let others = self.versions()?.into_iter().filter(|dir| *dir != current);
        Ok(others.map(|dir| Generation { dir }).collect())
    }

    /// `v<number>` alone: the directory may be one that others pin in too.
    fn versions(&self) -> Result<Vec<PathBuf>, PinError> {
        let is_version = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.strip_prefix('v')).is_some_and(|number| number.parse::<u16>().is_ok())
        };
        Ok(children(&self.root)?.into_iter().filter(is_version).collect())
    }
}

/// Distinguishes what must not be adopted: FNV-1a, 64 bits.
pub(super) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts.into_iter().flatten().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The BPF file system refuses names with dots; slashes are the hook names' own.
fn file_name(hook: Hook) -> String {
    hook.name().replace('/', "_")
}

fn version_dir(root: &Path) -> PathBuf {
    root.join(format!("v{ABI_VERSION}"))
}

pub(super) fn children(dir: &Path) -> Result<Vec<PathBuf>, PinError> {
    let fail = |source| PinError::File { what: "list", path: dir.to_path_buf(), source };
    fs::read_dir(dir).map_err(fail)?.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect()
}

/// Removes one pin: what nothing else holds goes with it.
pub(super) fn remove_pin(path: &Path) -> Result<(), PinError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.map_err(|source| PinError::File { what: "remove", path: path.to_path_buf(), source })
        }
    }
}

pub(super) fn create_dir(path: &Path) -> Result<(), PinError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => {
            result.map_err(|source| PinError::File { what: "create", path: path.to_path_buf(), source })
        }
    }
}
