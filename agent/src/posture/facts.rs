//! What a control may look at.

use agent_abi::record::{Namespaces, TaskState, UNMAPPED};

use super::{Policy, Sight, Witnessed};
use crate::{
    context::{Container, Declared, Enrichment, Names, Origin, Process, SeccompAllow},
    inspect::{Inspection, Read},
};

/// What the node itself has, read once at start. 0 stands for what could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Every capability that this kernel knows, as the host's init has them in its bounding set.
    pub bounding: u64,
    /// Namespaces of the host's init: inode numbers.
    pub ns: Namespaces,
    /// The kernel tells which layer of an overlay a file is in: it did not where overlayfs was not loaded
    /// when the agent started.
    pub sees_layers: bool,
}

/// What a container's first process was allowed when it was first judged: the measure for those
/// that come in from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// State of the container's init.
    pub state: TaskState,
}

/// What a task has more since it runs its present program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gain {
    /// Capabilities.
    pub capabilities: u64,
    /// Effective user id before, where it is another now.
    pub euid_before: Option<u32>,
}

/// What was last seen of a container as a whole, as far as its tasks are judged by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Device of its root file system, as [`agent_abi::record::FileRef::dev`]; 0: not known.
    pub root_dev: u32,
    /// Whether its sockets could be read; `None`: it was not looked into yet.
    pub listeners: Option<Read<()>>,
    /// Boottime at which it was first seen to listen on a port that others reach; 0: not seen.
    pub serves_since: u64,
}

/// A container as a whole.
#[derive(Clone, Copy, Debug)]
pub struct ContainerFacts<'a> {
    /// What was seen in it.
    pub inspection: &'a Inspection,
    /// The container.
    pub container: &'a Container,
    /// Its names, once they are known.
    pub names: Option<&'a Names>,
    /// What the pod declared, once that is known.
    pub declared: Option<&'a Declared>,
    /// What was seen to happen in it.
    pub witnessed: &'a Witnessed,
    /// What of that would be seen.
    pub sight: Sight,
    /// What is asked for.
    pub policy: &'a Policy,
    /// What the wall shows, seconds since 1970.
    pub now_unix: i64,
}

/// One task and everything that is known around it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The task: a process' leader or another thread.
    pub task: &'a TaskState,
    /// What its seccomp filters allow.
    pub allow: &'a SeccompAllow,
    /// Its process.
    pub process: &'a Process,
    /// Its container.
    pub container: &'a Container,
    /// What the pod declared, once that is known.
    pub declared: Option<&'a Declared>,
    /// The node.
    pub host: &'a HostFacts,
    /// The container's init, once that was judged.
    pub baseline: Option<&'a Baseline>,
    /// What its program gave it.
    pub gain: Gain,
    /// What was last seen of the container.
    pub around: Surroundings,
    /// What is asked for.
    pub policy: &'a Policy,
    /// Found by a scan, rather than seen to happen.
    pub is_scan: bool,
}

impl<'a> Facts<'a> {
    /// What is declared of a container, as far as it is known.
    pub(super) fn declared_of(container: &'a Container) -> Option<&'a Declared> {
        match &container.enrichment {
            Enrichment::Pending(_) => None,
            Enrichment::Complete(names) => Some(&names.declared),
        }
    }

    /// Whether the program that is known of the process is the one that it runs: not where its exec was lost.
    #[must_use]
    pub fn is_program_known(&self) -> bool {
        let (known, runs) = (self.process.image_exec_id, self.task.exec_id);
        known == 0 || runs == 0 || known == runs
    }

    /// Whether the task came from outside and is measured against the container's init by the
    /// control `entered`. Its limits were not given by the workload, so the workload's controls
    /// do not speak of it.
    #[must_use]
    pub fn is_measured_against_init(&self) -> bool {
        self.process.origin == Origin::Entered && self.baseline.is_some()
    }

    /// Whether the task made itself a user namespace below its container's. The kernel gives the
    /// maker every capability inside, which says nothing of the container. `None`: not known.
    #[must_use]
    pub fn is_in_nested_user_namespace(&self) -> Option<bool> {
        if self.task.ns.user == 0 {
            return None;
        }
        if self.task.ns.user_level == 0 {
            return Some(false);
        }
        if let Some(Baseline { state }) = self.baseline {
            return Some(self.task.ns.user != state.ns.user && self.task.ns.user_level > state.ns.user_level);
        }
        let own_level = self.declared?.user_namespace? && self.task.ns.user_level == 1;
        own_level.then_some(false)
    }
}

/// Whether any of a task's user ids is the host's root.
pub(super) fn is_host_root(task: &TaskState) -> bool {
    let ids = &task.ids;
    [ids.uid, ids.euid, ids.suid, ids.fsuid].contains(&0)
}

/// Whether a task is root inside its user namespace.
pub(super) fn is_namespace_root(task: &TaskState) -> bool {
    task.ids.ns_uid == 0 || task.ids.ns_euid == 0
}

/// `Option<bool>` as a number: 0 false, 1 true, [`UNMAPPED`] not told.
pub(super) fn told(value: Option<bool>) -> u32 {
    value.map_or(UNMAPPED, u32::from)
}

/// The other way round, as text.
pub(super) const fn told_text(value: u32) -> Option<&'static str> {
    match value {
        0 => Some("false"),
        1 => Some("true"),
        _ => None,
    }
}
