//! One look into a container.

use super::{
    Inspection, Read, devices,
    host::HostWatch,
    labels,
    limits::{self, Hierarchies},
    listeners::Ports,
    mounts, secrets,
};
use crate::{
    context::{ContainerId, ProcessId, proc},
    pipeline::clock::boottime_ns,
};

/// How often a look begins anew because a process went meanwhile. Then one process has to do.
const ATTEMPTS: usize = 3;

/// Looks into containers, one at a time.
#[derive(Debug)]
pub struct Inspector {
    hierarchies: Read<Hierarchies>,
    host: HostWatch,
    ports: Ports,
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

impl Inspector {
    /// Finds the control group hierarchies.
    #[must_use]
    pub fn new() -> Self {
        Self { hierarchies: Hierarchies::detect(), host: HostWatch::default(), ports: Ports::default() }
    }

    /// Looks into the container of these processes, by way of the first that is there; `None`: none is.
    pub fn inspect(
        &mut self,
        id: &ContainerId,
        cgroup_path: &[u8],
        processes: &[ProcessId],
    ) -> Option<Inspection> {
        for attempt in 0.. {
            let mut there: Vec<_> = processes.iter().copied().filter(|&id| proc::is_there(id)).collect();
            if attempt >= ATTEMPTS {
                there.truncate(1);
            }
            let &through = there.first()?;
            let inspection = self.through(through, id, cgroup_path, &there);
            // Its number may be another's by now, and what was read another's too.
            if there.iter().all(|&id| proc::is_there(id)) {
                return Some(inspection);
            }
        }
        None
    }

    fn through(
        &mut self,
        through: ProcessId,
        id: &ContainerId,
        cgroup_path: &[u8],
        processes: &[ProcessId],
    ) -> Inspection {
        let at_ns = boottime_ns();
        let tgids: Vec<_> = processes.iter().map(|process| process.tgid).collect();
        let mounts = match self.host.now() {
            Ok(host) => mounts::read(through.tgid, host),
            Err(why) => Err(why),
        };
        let devices = match &mounts {
            Ok(mounts) => devices::read(through.tgid, mounts),
            Err(why) => Err(*why),
        };
        let limits = match &self.hierarchies {
            Ok(hierarchies) => limits::limits(hierarchies, cgroup_path, id),
            Err(why) => Err(*why),
        };
        Inspection {
            through,
            at_ns,
            mounts,
            devices,
            limits,
            open_files: limits::open_files(through.tgid),
            labels: labels::labels(&tgids),
            listeners: self.ports.listeners(*id, &tgids, at_ns),
            environment: secrets::environment(&tgids),
            arguments: secrets::arguments(&tgids),
        }
    }
}
