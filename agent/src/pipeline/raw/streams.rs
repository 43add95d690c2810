//! Which raw events are wanted.

use agent_abi::{
    map::RING_CRITICAL,
    record::{Syscall, TaskRef},
};

use crate::{
    config::Scope,
    decode::Event,
    syscall::{self, Family},
};

/// Which raw events go out. Kills for memory and signals for the agent do in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawStreams {
    /// Calls on files.
    pub files: Scope,
    /// Calls on sockets, their states, first bytes of connections, DNS.
    pub network: Scope,
    /// Rare calls that change the node or reach into other processes, and kernel parameters.
    pub system: Scope,
    /// Frequent calls on processes.
    pub signals: Scope,
}

/// What a raw event is about.
pub(super) struct Subject<'a> {
    /// Who; `None` where the record says nothing of a task.
    pub(super) task: Option<&'a TaskRef>,
    pub(super) cgroup: Cgroup,
    pub(super) scope: Scope,
    /// It may not be lost for the sake of others, whichever ring it came by.
    pub(super) is_rare: bool,
}

/// A cgroup, by what names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cgroup {
    OfTask(u64),
    OfSocket(u64),
    None,
}

impl RawStreams {
    /// `None`: no raw event.
    pub(super) fn subject<'a>(&self, event: &Event<'a>) -> Option<Subject<'a>> {
        let is_critical = u32::from(event.header().ring) == RING_CRITICAL;
        let call = |call: &'a Syscall, family: Family| Subject {
            task: Some(&call.task),
            cgroup: Cgroup::OfTask(call.cgroup_id),
            scope: self.of(syscall::family_of(call).unwrap_or(family), is_critical),
            is_rare: false,
        };
        let of_task = |task: &'a TaskRef, cgroup: u64, scope: Scope| Subject {
            task: Some(task),
            cgroup: Cgroup::OfTask(cgroup),
            scope,
            is_rare: true,
        };
        let of_socket = |cgroup: u64| Subject {
            task: None,
            cgroup: Cgroup::OfSocket(cgroup),
            scope: self.network,
            is_rare: false,
        };
        Some(match event {
            Event::Fork(_) | Event::Exec(_) | Event::Exit(_) | Event::Cgroup(_) | Event::Credentials(_) => {
                return None;
            }
            Event::File(file) => call(&file.record.call, Family::Files),
            Event::Path(path) => call(&path.record.call, Family::Files),
            Event::Plain(plain) => call(&plain.record.call, Family::System),
            Event::Socket(socket) => call(&socket.record.call, Family::Network),
            Event::SocketState(state) => of_socket(state.cgroup_id),
            Event::Packet(packet) => of_socket(packet.record.cgroup_id),
            Event::OomKill(kill) => of_task(&kill.task, kill.cgroup_id, Scope::All),
            Event::Signal(signal) => of_task(&signal.task, signal.cgroup_id, Scope::All),
            Event::Sysctl(sysctl) => of_task(&sysctl.record.task, sysctl.record.cgroup_id, self.system),
            // It says nothing of whose it is; that of its operation decided whether this one came.
            Event::UringDone(_) => Subject {
                task: None,
                cgroup: Cgroup::None,
                scope: self.files.max(self.network).max(self.system),
                is_rare: false,
            },
        })
    }

    /// Whether a call was wanted at all, the kernel's table has decided.
    fn of(&self, family: Family, is_critical: bool) -> Scope {
        match family {
            // Mounts and their like.
            Family::Files if is_critical => self.system,
            Family::Files => self.files,
            Family::Network => self.network,
            Family::Processes if !is_critical => self.system.max(self.signals),
            Family::Credentials | Family::Processes | Family::System => self.system,
        }
    }
}
