//! What the hot side tells the loop that drives it.

use agent_abi::record::TaskState;

use super::{Container, ContainerId, ContainerKey, Process, ProcessId, Runtime, SeccompAllow};

/// Why a process is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It replaced its image.
    Exec,
    /// It was made by a process of the container. Its state may be its creator's, or differ
    /// (`CLONE_NEWUSER`).
    Fork,
    /// It ran when the agent started, or a rescan found what a lost event would have told.
    Scan,
    /// It may have changed what it may do.
    Credentials,
    /// It came into the container's cgroup and already runs the container's files.
    Joined,
    /// A process of the host lies in the container's cgroup and stays on the host's files.
    Lingers,
    /// Its container was named, or the names corrected how it came there.
    Named,
}

/// One thing that follows from an event.
#[derive(Clone, Copy, Debug)]
pub enum Effect<'a> {
    /// Judge a task. The verdict is kept per (process, thread of `state`).
    Judge {
        /// The process.
        process: &'a Process,
        /// Its container.
        container: &'a Container,
        /// The state to judge: that of the thread that changed, which need not be the leader.
        state: &'a TaskState,
        /// Goes with `state`.
        seccomp_allow: &'a SeccompAllow,
        /// Why.
        why: Why,
    },
    /// A judged process replaced its image: verdicts on its other threads are void. A `Judge`
    /// follows.
    ImageReplaced {
        /// With its new image.
        process: &'a Process,
        /// Its container.
        container: &'a Container,
    },
    /// A process of a container ended.
    ExitedProcess {
        /// As it was.
        process: &'a Process,
        /// Its container.
        container: &'a Container,
    },
    /// A live process of a container was dropped because the table was full.
    ForgottenProcess {
        /// As it was.
        process: &'a Process,
        /// Its container.
        container: &'a Container,
    },
    /// A container is known from now on.
    ContainerSeen {
        /// The container.
        container: &'a Container,
    },
    /// A container's cgroup was removed and no process of it is left.
    ContainerGone {
        /// The container.
        container: &'a Container,
    },
    /// A workload's process was moved out of its container's cgroups; it stays its container's.
    LeftContainer {
        /// The process.
        process: &'a Process,
        /// The container that it left.
        container: &'a Container,
        /// Path of the cgroup that it is in now; empty where that is not known.
        into: &'a [u8],
    },
    /// Ask the runtime for a container's names; [`super::Context::named`] takes the answer.
    NeedName {
        /// The container.
        key: ContainerKey,
        /// Its id.
        id: ContainerId,
        /// Who made it.
        runtime: Runtime,
    },
    /// A cgroup is there, at this path below the hierarchy's root.
    CgroupKnown {
        /// Its id.
        id: u64,
        /// Its path.
        path: &'a [u8],
        /// It is the host's: no container's, nor within one.
        is_host: bool,
    },
    /// A cgroup was removed: nothing happens in it any more.
    CgroupGone {
        /// Its id.
        id: u64,
        /// The container that it was of.
        container: Option<&'a Container>,
    },
    /// Find the path of a cgroup; [`super::Context::cgroup_found`] takes the answer.
    NeedCgroup {
        /// The cgroup.
        key: ContainerKey,
        /// A process that lies in it.
        tgid: u32,
    },
}

impl Effect<'_> {
    /// The process that the effect is about.
    #[must_use]
    pub const fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Judge { process, .. }
            | Self::ImageReplaced { process, .. }
            | Self::ExitedProcess { process, .. }
            | Self::ForgottenProcess { process, .. }
            | Self::LeftContainer { process, .. } => Some(process.id),
            Self::ContainerSeen { .. }
            | Self::ContainerGone { .. }
            | Self::CgroupKnown { .. }
            | Self::CgroupGone { .. }
            | Self::NeedName { .. }
            | Self::NeedCgroup { .. } => None,
        }
    }
}
