//! Whose a cgroup is, for events that name nothing else.

use super::{ContainerKey, Context, containers::Place};

/// Whose a cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The host's: it lies in no container.
    Host,
    /// The container's.
    Container(ContainerKey),
    /// Not known, or not any more.
    Unknown,
}

impl Context {
    /// Whose the cgroup of a task is, as records of tasks name it.
    #[must_use]
    pub fn whose(&self, cgroup: u64) -> Whose {
        match self.cgroups.peek(cgroup) {
            Some(Place::Host) => Whose::Host,
            Some(Place::In(key)) => Whose::Container(key),
            Some(Place::Asked(_)) | None => Whose::Unknown,
        }
    }

    /// Whose the cgroup of a socket is. That is always one of the v2 hierarchy, whose numbers mean
    /// nothing where containers are told apart by another.
    #[must_use]
    pub fn whose_socket(&self, cgroup: u64) -> Whose {
        if self.host.hierarchy == 0 { self.whose(cgroup) } else { Whose::Unknown }
    }
}
