//! The writing end: which events go out, and what they carry.

use agent_abi::{
    interest::ABI_COMPAT,
    record::{self, FileRef, TaskState, exec_truncated, file_flag, header_flag, task_flag},
};
use zerocopy::IntoBytes as _;

use super::{Activity, ContainerEntry, Entry, LifecycleBatch, ProcessEntry};
use crate::{
    context::{
        ARGV_BYTES, Container, Context, EXE_PATH_BYTES, NANOS_PER_TICK, Origin, Process, ProcessId, Stage,
    },
    decode::{Credentials, Exec},
    pipeline::{buffers::Writer, clock::Clocks, texts::Texts},
    time::Clock,
};

/// Of which processes execs, exits and credential changes go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Processes {
    /// Of none. Containers still do.
    Off,
    /// Of those in containers, once they run the container's files.
    #[default]
    Containers,
    /// Of the host's too.
    All,
}

/// Longest texts of an entry: path of the executable, arguments, working directory, file name.
const MAX_BYTES: usize =
    2 * record::PATH_BYTES + record::ARGV_BYTES + record::FILENAME_BYTES + size_of::<TaskState>();
const _: () = assert!(MAX_BYTES > EXE_PATH_BYTES + ARGV_BYTES && MAX_BYTES < super::BYTES);

/// The writing end, in the hot loop.
pub struct LifecycleSender {
    pub(in crate::pipeline) out: Writer<LifecycleBatch>,
    processes: Processes,
    /// The agent's own children are nobody's workload.
    own_tgid: u32,
}

impl LifecycleSender {
    pub(super) fn new(out: Writer<LifecycleBatch>, processes: Processes) -> Self {
        Self { out, processes, own_tgid: std::process::id() }
    }

    /// Whether events of the host's processes are wanted.
    pub(in crate::pipeline) const fn wants_host(&self) -> bool {
        matches!(self.processes, Processes::All)
    }

    /// A buffer with room for any entry.
    fn room(&mut self, at: Clock) -> Option<&mut LifecycleBatch> {
        self.out.room(at, |batch| batch.has_room(MAX_BYTES))
    }

    /// The process of a task, if its events go out, and the container that they name.
    fn known<'a>(
        &self,
        task: &record::TaskRef,
        context: &'a Context,
    ) -> Option<(&'a Process, Option<ContainerEntry>)> {
        if self.processes == Processes::Off {
            return None;
        }
        let process = context.process(task)?;
        let container = process.container.and_then(|key| context.container(key));
        Some((process, self.wanted(process, container)?))
    }

    /// Whose event goes out: with its container, or without one where the host's are wanted.
    fn wanted(&self, process: &Process, container: Option<&Container>) -> Option<Option<ContainerEntry>> {
        if is_of(self.own_tgid, process) || process.state.flags & task_flag::KERNEL_THREAD != 0 {
            return None;
        }
        let container = container.filter(|_| process.stage == Stage::Workload).map(ContainerEntry::from);
        match self.processes {
            Processes::Off => None,
            Processes::Containers => container.map(Some),
            Processes::All => Some(container),
        }
    }

    /// A process replaced its image; `context` has taken the record in.
    pub(in crate::pipeline) fn exec(&mut self, exec: &Exec<'_>, context: &Context, at: Clock) {
        let state = &exec.record.state;
        let Some((process, container)) = self.known(&state.task, context) else { return };
        if let Some(batch) = self.room(at) {
            let exe = batch.add(exec.exe);
            let cwd = batch.add(exec.cwd);
            let is_shrunk = exec.record.header.flags & header_flag::SHRUNK != 0;
            let process = ProcessEntry {
                id: process.id,
                exec_id: state.exec_id,
                parent: (state.parent.tgid != 0).then(|| ProcessId::of(&state.parent)),
                state: *state,
                file: exec.record.exe,
                exe,
                argv: batch.add(exec.argv.0),
                argv_truncated: is_shrunk || exec.record.truncated & exec_truncated::ARGV != 0,
                cwd,
                container,
                origin: process.origin,
                exec_ns: at.boottime_ns,
            };
            let filename = batch.add(exec.filename);
            batch.push(Entry { at, activity: Activity::Exec { process, filename } });
        }
    }

    /// A process whose last exec was not its container's is the container's now.
    pub(in crate::pipeline) fn joined(&mut self, process: &Process, container: &Container, clocks: &Clocks) {
        // A process has the time of the exec from the one that made it.
        let is_own_exec = process.exec_ns / NANOS_PER_TICK >= process.id.start_ticks && process.exec_ns != 0;
        let is_told = self.processes != Processes::Containers || process.stage != Stage::Workload;
        if !is_own_exec || is_told || process.state.parent.tgid == self.own_tgid {
            return;
        }
        let at = clocks.at(process.exec_ns);
        if let Some(batch) = self.room(at) {
            let process = kept(process, &process.state, Some(container.into()), batch.texts_mut());
            let filename = batch.add(&[]);
            batch.push(Entry { at, activity: Activity::Exec { process, filename } });
        }
    }

    /// A process that was live until now has ended.
    pub(in crate::pipeline) fn exit(
        &mut self,
        process: &Process,
        container: Option<&Container>,
        status: u32,
        at: Clock,
    ) {
        let Some(container) = self.wanted(process, container) else { return };
        if let Some(batch) = self.room(at) {
            let process = kept(process, &process.state, container, batch.texts_mut());
            batch.push(Entry { at, activity: Activity::Exit { process, status } });
        }
    }

    /// A call changed what a task may do; `context` has taken the record in.
    pub(in crate::pipeline) fn credentials(
        &mut self,
        credentials: &Credentials<'_>,
        context: &Context,
        at: Clock,
    ) {
        let record = credentials.record;
        let Some((process, container)) = self.known(&record.state.task, context) else { return };
        if let Some(batch) = self.room(at) {
            let process = kept(process, &record.state, container, batch.texts_mut());
            let state = batch.add(record.state.as_bytes());
            let activity = Activity::Credentials {
                process,
                tid: record.state.task.tid,
                syscall: record.syscall,
                compat: record.syscall_abi == u32::from(ABI_COMPAT),
                state,
            };
            batch.push(Entry { at, activity });
        }
    }

    /// Something became of a container.
    pub(in crate::pipeline) fn container(
        &mut self,
        container: &Container,
        at: Clock,
        activity: impl FnOnce(ContainerEntry) -> Activity,
    ) {
        if let Some(batch) = self.room(at) {
            batch.push(Entry { at, activity: activity(container.into()) });
        }
    }
}

/// Whether a process is the one with this id, or was made by it.
pub(crate) fn is_of(tgid: u32, process: &Process) -> bool {
    process.id.tgid == tgid
        || process.state.parent.tgid == tgid
        || process.parent.is_some_and(|parent| parent.tgid == tgid)
}

/// A process as context keeps it. Of an image that it does not keep any more, or not yet, only the
/// state is known.
pub(crate) fn kept(
    process: &Process,
    state: &TaskState,
    container: Option<ContainerEntry>,
    texts: &mut Texts,
) -> ProcessEntry {
    let is_current = process.state.exec_id == state.exec_id;
    let (exe, argv): (&[u8], &[u8]) =
        if is_current { (&process.exe_path, &process.argv) } else { (&[], &[]) };
    let unread = FileRef { flags: file_flag::NOT_READ, ..FileRef::default() };
    ProcessEntry {
        id: process.id,
        exec_id: state.exec_id,
        parent: process.parent,
        state: if is_current { process.state } else { *state },
        file: if is_current { process.exe } else { unread },
        exe: texts.add(exe),
        argv: texts.add(argv),
        // What was cut by the kernel is not told any more; it is far above what is kept.
        argv_truncated: argv.len() >= ARGV_BYTES,
        cwd: texts.add(&[]),
        container,
        origin: if process.container.is_some() { process.origin } else { Origin::Born },
        exec_ns: if is_current { process.exec_ns } else { 0 },
    }
}
