//! An event as rules see it: what happened, who did it, and where.

use std::cell::Cell;

use agent_abi::record::{FileRef, Syscall, TaskRef, TaskState, file_flag};
use rules::{eval::Lineage, field::EventType};

use super::{
    hosts::{HostNames, Hosts},
    images::{Image, Images},
    kind,
    peers::PeerNames,
    room::Room,
    users::Users,
};
use crate::{
    context::{Container, Context, Enrichment, Names, PendingReason, Process, ProcessId, Stage},
    decode::{Event, Exec, ImageSource, Strings},
    image::{ImageId, Parts},
    posture::Posture,
    time::Clock,
};

/// Most forebears that are looked at.
pub(super) const FOREBEARS: usize = 32;

/// What is the same for all events.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) context: &'a Context,
    pub(super) posture: &'a Posture,
    pub(super) users: &'a Users,
    pub(super) hosts: &'a Hosts,
    pub(super) peers: &'a PeerNames,
    pub(super) images: &'a Images,
    /// Names that rules let pass: of these only the node's own look-up counts.
    pub(super) passing: &'a HostNames,
    pub(super) hostname: &'a str,
    /// When the agent began, nanoseconds of the wall's clock.
    pub(super) started_ns: u64,
}

/// An event with all that rules ask of it.
pub(super) struct Subject<'a> {
    pub(super) event: &'a Event<'a>,
    pub(super) kind: EventType,
    pub(super) at: Clock,
    pub(super) number: u64,
    pub(super) task: TaskRef,
    /// Who did it, with the image of that time.
    pub(super) process: Option<&'a Process>,
    /// What the kernel said of it before a call that changed its credentials.
    pub(super) before: Option<&'a TaskState>,
    pub(super) container: Option<&'a Container>,
    pub(super) scene: Scene<'a>,
    pub(super) room: &'a Room,
    /// The image that did it.
    pub(super) image: Option<ImageId>,
    /// Whether that can still be read: what is asked of it is unknown until then, rather than missing.
    pub(super) reads_image: bool,
    /// What of it was asked for, and is not read yet.
    pub(super) lacks: &'a Cell<Parts>,
    /// Names that are still asked for are unknown, rather than missing.
    pub(super) waits: bool,
    /// Values are for people: what looks like a secret is replaced.
    pub(super) is_shown: bool,
}

/// A field that belongs to a container's names.
pub(super) enum Named<'a> {
    Names(&'a Names),
    Pending,
    Missing,
}

/// A part of an image.
pub(super) enum Looked<'a> {
    Known(&'a Image),
    Pending,
    Missing,
}

/// The task that an event is about.
pub(super) fn task<'a>(event: &Event<'a>) -> Option<&'a TaskRef> {
    match event {
        Event::Exec(exec) if exec.source == ImageSource::Exec => Some(&exec.record.state.task),
        Event::Exit(exit) => Some(&exit.task),
        Event::Fork(fork) => Some(&fork.creator),
        Event::Credentials(it) => Some(&it.record.state.task),
        event => kind::call(event).map(|call| &call.task),
    }
}

impl Lineage for Subject<'_> {
    fn lineage(&self, take: &mut dyn FnMut(u64)) {
        // A pid has at most 22 bits (include/linux/threads.h, `PID_MAX_LIMIT`).
        let number = |id: ProcessId| id.start_ticks << 22 ^ u64::from(id.tgid);
        if let Some(process) = self.process {
            take(number(process.id));
        }
        self.ancestors().for_each(|process| take(number(process.id)));
    }
}

impl<'a> Subject<'a> {
    pub(super) fn call(&self) -> Option<&'a Syscall> {
        kind::call(self.event)
    }

    pub(super) fn exec(&self) -> Option<&'a Exec<'a>> {
        match self.event {
            Event::Exec(exec) => Some(exec),
            _ => None,
        }
    }

    /// What the kernel says of the task: of a call that changes it, before.
    pub(super) fn state(&self) -> Option<&'a TaskState> {
        match self.event {
            Event::Exec(exec) => Some(&exec.record.state),
            Event::Credentials(it) => self.before.or(Some(&it.record.state)),
            _ => self.process.map(|process| &process.state),
        }
    }

    /// Arguments, the first of them argv[0]; empty where they are not known.
    pub(super) fn argv(&self) -> Strings<'a> {
        match self.event {
            Event::Exec(exec) if !exec.argv.0.is_empty() => exec.argv,
            _ => self.process.map_or_else(Strings::default, argv_of),
        }
    }

    pub(super) fn exe_path(&self) -> Option<&'a [u8]> {
        let (path, file) = match self.event {
            Event::Exec(exec) if !exec.exe.is_empty() => (exec.exe, &exec.record.exe),
            _ => (&self.process?.exe_path[..], &self.process?.exe),
        };
        Some(named(path, file)).filter(|path| !path.is_empty())
    }

    /// Whether its executable had lost its name when it was run. What is in no file system never had one.
    pub(super) fn is_exe_unlinked(&self) -> bool {
        let file = match self.event {
            Event::Exec(exec) if !exec.exe.is_empty() => Some(&exec.record.exe),
            _ => self.process.map(|process| &process.exe),
        };
        file.is_some_and(|file| file.flags & (file_flag::UNLINKED | file_flag::MEMFD) == file_flag::UNLINKED)
    }

    /// The process itself is 0, its parent 1.
    pub(super) fn ancestor(&self, distance: usize) -> Option<&'a Process> {
        let own = self.process?;
        if distance == 0 { Some(own) } else { self.ancestors().nth(distance - 1) }
    }

    /// The parent first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &'a Process> + use<'a> {
        let context = self.scene.context;
        let parent = |process: &Process| {
            let by_state = &process.state.parent;
            let id = process.parent.or((by_state.tgid != 0).then(|| ProcessId::of(by_state)))?;
            // One that is its own forebear is a lie of a reused number.
            (id != process.id).then(|| context.process_by_id(id))?
        };
        std::iter::successors(self.process.and_then(parent), move |process| parent(process)).take(FOREBEARS)
    }

    /// The leader of the session, where it is a forebear or the process itself.
    pub(super) fn session_leader(&self) -> Option<&'a Process> {
        let session = self.state()?.session;
        let is_leader = |process: &&Process| process.id.tgid == session;
        self.process.filter(is_leader).or_else(|| self.ancestors().find(is_leader))
    }

    /// What was read of the image that did it. What was not is asked for.
    pub(super) fn look(&self, part: Parts) -> Looked<'a> {
        match self.image.and_then(|id| self.scene.images.get(&id, part)) {
            Some(image) => Looked::Known(image),
            None if self.reads_image => {
                self.lacks.set(self.lacks.get().with(part));
                Looked::Pending
            }
            None => Looked::Missing,
        }
    }

    pub(super) fn names(&self) -> Named<'a> {
        match self.container.map(|container| &container.enrichment) {
            None => Named::Missing,
            Some(Enrichment::Complete(names)) => Named::Names(names),
            Some(Enrichment::Pending(reason)) if self.waits && may_come(*reason) => Named::Pending,
            Some(Enrichment::Pending(_)) => Named::Missing,
        }
    }
}

/// Whether an answer is on its way.
pub(super) const fn may_come(reason: PendingReason) -> bool {
    matches!(reason, PendingReason::Asked | PendingReason::QueueFull)
}

/// The container whose code a process runs: a runtime's own is the host's.
pub(super) fn container_of<'a>(process: &Process, context: &'a Context) -> Option<&'a Container> {
    if process.stage == Stage::Runtime {
        return None;
    }
    context.container(process.container?)
}

/// The path of an executable; what is in no file system goes by its name, `memfd:prog`, as Falco has it.
pub(super) fn named<'a>(path: &'a [u8], file: &FileRef) -> &'a [u8] {
    let is_memfd = file.flags & file_flag::MEMFD != 0;
    path.strip_prefix(b"/").filter(|_| is_memfd).unwrap_or(path)
}

pub(super) fn argv_of(process: &Process) -> Strings<'_> {
    Strings(&process.argv)
}

/// The name of a task without its padding.
pub(super) fn comm(state: &TaskState) -> &[u8] {
    state.comm.split(|&byte| byte == 0).next().unwrap_or_default()
}
