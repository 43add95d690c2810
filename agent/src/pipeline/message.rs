//! What comes into the hot loop from the slow side.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Throttling;
use crate::{
    context::{ContainerKey, ProcessId, cgroupfs, cri, proc},
    detect::{Hosts, RuleSet, Users},
    image,
    inspect::{Inspection, node::NodeFacts},
    posture::Snapshot,
    source::AlignedRecord,
    telemetry::label::ScanKind,
};

/// Answer to an [`super::InspectionQuestion`].
#[derive(Debug)]
pub struct Inspected {
    /// The container.
    pub key: ContainerKey,
    /// What was found; `None`: none of its processes was there any more.
    pub inspection: Option<Inspection>,
}

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
    /// What the node is.
    NodeRead(Box<NodeFacts>),
    /// What a look into a container found.
    Inspected(Box<Inspected>),
    /// Rules that are in force from now on, and the names of the node's users.
    Rules {
        /// The rules.
        rules: Arc<RuleSet>,
        /// The users.
        users: Arc<Users>,
    },
    /// What addresses are called, as far as rules ask.
    Hosts(Arc<Hosts>),
    /// What was read of a process' image.
    Image(image::Answer),
    /// The kernel programs held events back.
    Throttling(Throttling),
    /// Asks for what is to outlive the agent.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Asks for an [`Outgoing::Inventory`], which comes the way of the changes.
    Inventory,
}
