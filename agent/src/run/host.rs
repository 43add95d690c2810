//! What the node is, read once at start.

use std::{fs, io};

use procfs::process::Process;
use thiserror::Error;

use crate::{context, kernel::Mounted, posture::HostFacts};

/// Why the node cannot be described.
#[derive(Debug, Error)]
pub(super) enum HostError {
    /// A file of /proc or /sys.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Process 1.
    #[error(
        "cannot read the host's init in /proc: the agent needs the host's pid namespace and CAP_SYS_PTRACE"
    )]
    Init(#[from] procfs::ProcError),
    /// Process 1 has no such namespace.
    #[error("/proc/1/ns has no {0} namespace")]
    Namespace(&'static str),
}

/// The node.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// The kernel's boot id.
    pub(super) boot_id: String,
    /// The kernel's release.
    pub(super) release: String,
    /// For context.
    pub(super) context: context::Host,
    /// For posture.
    pub(super) posture: HostFacts,
}

impl Host {
    /// Reads it from process 1: the agent shares the host's pid namespace.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(super) fn read(mounted: &Mounted) -> Result<Self, HostError> {
        let init = Process::new(1)?;
        let namespaces = init.namespaces()?.0;
        let namespace = |name: &'static str| {
            let found = namespaces.get(std::ffi::OsStr::new(name)).ok_or(HostError::Namespace(name))?;
            u32::try_from(found.identifier).map_err(|_| HostError::Namespace(name))
        };
        let mnt_ns = namespace("mnt")?;
        Ok(Self {
            boot_id: read("/proc/sys/kernel/random/boot_id")?,
            release: read("/proc/sys/kernel/osrelease")?,
            context: context::Host { mnt_ns, pid_ns: namespace("pid")?, hierarchy: mounted.hierarchy.id() },
            posture: HostFacts {
                bounding: init.status()?.capbnd.unwrap_or(0),
                mnt_ns,
                user_ns: namespace("user")?,
            },
        })
    }
}

fn read(path: &'static str) -> Result<String, HostError> {
    let text = fs::read_to_string(path).map_err(|source| HostError::Read { path, source })?;
    Ok(text.trim().to_owned())
}
