//! What the node is, read once at start.

use std::{fs, io};

use agent_abi::record::TaskState;
use procfs::process::Process;
use thiserror::Error;

use crate::{
    context::{self, proc},
    decode::{Event, decode},
    kernel::{Mounted, TaskScan},
    posture::HostFacts,
    source,
};

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
    /// Nothing tells of the host's namespaces.
    #[error("cannot tell the host's namespaces: neither the task scan nor /proc/1/ns shows them")]
    Namespaces,
    /// Process 1 cannot be read.
    #[error("cannot read process 1 in /proc: the agent needs the host's pid namespace")]
    Init(#[source] procfs::ProcError),
}

/// Names of this boot.
#[derive(Clone, Debug)]
pub(super) struct Boot {
    /// The kernel's boot id.
    pub(super) id: String,
    /// The kernel's release.
    pub(super) release: String,
}

impl Boot {
    /// Reads them.
    pub(super) fn read() -> Result<Self, HostError> {
        Ok(Self {
            id: read("/proc/sys/kernel/random/boot_id")?,
            release: read("/proc/sys/kernel/osrelease")?,
        })
    }
}

/// What the host's own init is: the measure for what lies outside of containers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// For context.
    pub(super) context: context::Host,
    /// For posture.
    pub(super) posture: HostFacts,
}

impl Host {
    /// Namespaces from the kernel's scan: /proc/1/ns is closed to whoever has fewer capabilities
    /// than process 1, and the agent has few. Without an iterator /proc has to do.
    pub(super) fn read(
        mounted: &Mounted,
        tasks: &mut TaskScan,
        sees_layers: bool,
    ) -> Result<Self, HostError> {
        let ns = scan_host(tasks).map_or_else(|| proc::namespaces(1), |state| state.ns);
        if ns.mnt == 0 || ns.pid == 0 {
            return Err(HostError::Namespaces);
        }
        let status = Process::new(1).and_then(|init| init.status()).map_err(HostError::Init)?;
        Ok(Self {
            context: context::Host { mnt_ns: ns.mnt, pid_ns: ns.pid, hierarchy: mounted.hierarchy.id() },
            posture: HostFacts { bounding: status.capbnd.unwrap_or(0), ns, sees_layers },
        })
    }
}

/// The host's init; where a host hides it from iterators, the kernel's own first thread, which
/// shares the initial namespaces.
fn scan_host(tasks: &mut TaskScan) -> Option<TaskState> {
    const KTHREADD: u32 = 2;
    let (mut init, mut kthreadd) = (None, None);
    let mut stream = tasks.open()?.ok()?;
    let scanned = source::scan(&mut stream, |bytes| {
        if let Ok(Event::Exec(exec)) = decode(bytes) {
            match exec.record.state.task.tid {
                1 => init = Some(exec.record.state),
                KTHREADD => kthreadd = Some(exec.record.state),
                _ => {}
            }
        }
    });
    scanned.ok().and(init.or(kthreadd))
}

fn read(path: &'static str) -> Result<String, HostError> {
    let text = fs::read_to_string(path).map_err(|source| HostError::Read { path, source })?;
    Ok(text.trim().to_owned())
}
