//! What comes into the hot loop from the slow side.

use tokio::sync::oneshot;

use super::Throttling;
use crate::{
    context::{ProcessId, cgroupfs, cri, proc},
    posture::Snapshot,
    source::AlignedRecord,
    telemetry::label::ScanKind,
};

/// What the slow side tells.
#[derive(Debug)]
pub enum Message {
    /// A container's names, or why there are none.
    Names(cri::Answer),
    /// Cgroups that a walk or a look-up found.
    Cgroups(Vec<cgroupfs::Found>),
    /// Records of the task iterator.
    Scanned(Vec<AlignedRecord>),
    /// Processes as /proc shows them, where there is no iterator.
    ScannedProc(Vec<proc::Scanned>),
    /// All records of a scan were sent.
    ScanDone(ScanKind),
    /// What /proc says of a process that a scan found.
    Described {
        /// The process.
        id: ProcessId,
        /// Its executable.
        exe_path: Option<Vec<u8>>,
        /// Its arguments, NUL-separated.
        argv: Vec<u8>,
    },
    /// The kernel programs held events back.
    Throttling(Throttling),
    /// Asks for what is to outlive the agent.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Asks for an [`Outgoing::Inventory`], which comes the way of the changes.
    Inventory,
}
