//! The writing end: which events go out, and what they carry.

use std::sync::{Arc, atomic::Ordering};

use agent_abi::{
    interest::ABI_COMPAT,
    record::{self, FileRef, TaskState, exec_truncated, file_flag, header_flag, task_flag},
};
use zerocopy::IntoBytes as _;

use super::{Activity, ContainerEntry, Entry, LifecycleBatch, ProcessEntry, Shared};
use crate::{
    context::{
        ARGV_BYTES, Container, Context, EXE_PATH_BYTES, NANOS_PER_TICK, Origin, Process, ProcessId, Stage,
    },
    decode::{Credentials, Exec},
    output::event::Body,
    pipeline::clock::Clocks,
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

/// Events for which there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where.
    pub at: &'static str,
    /// How many.
    pub lost: u64,
    /// Why.
    pub reason: &'static str,
    /// When the first of them happened.
    pub from: Clock,
    /// When the last of them did.
    pub to: Clock,
}

impl Lost {
    /// Adds one to what is not told yet.
    pub(in crate::pipeline) fn add(
        lost: &mut Option<Self>,
        at: &'static str,
        reason: &'static str,
        when: Clock,
    ) {
        let lost = lost.get_or_insert(Self { at, lost: 0, reason, from: when, to: when });
        lost.lost += 1;
        lost.from = lost.from.min(when);
        lost.to = lost.to.max(when);
    }
}

impl From<Lost> for Body {
    fn from(lost: Lost) -> Self {
        Self::loss(lost.at, lost.lost, lost.reason, lost.from, lost.to)
    }
}

/// Longest texts of an entry: path of the executable, arguments, working directory, file name.
const MAX_BYTES: usize =
    2 * record::PATH_BYTES + record::ARGV_BYTES + record::FILENAME_BYTES + size_of::<TaskState>();
const _: () = assert!(MAX_BYTES > EXE_PATH_BYTES + ARGV_BYTES && MAX_BYTES < super::BYTES);

/// The writing end, in the hot loop.
pub struct LifecycleSender {
    shared: Arc<Shared>,
    processes: Processes,
    /// The agent's own children are nobody's workload.
    own_tgid: u32,
    current: Option<Box<LifecycleBatch>>,
    handed_over: u64,
    lost: Option<Lost>,
    lost_ever: u64,
}

impl Drop for LifecycleSender {
    fn drop(&mut self) {
        self.hand_over();
        self.shared.closed.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }
}

impl LifecycleSender {
    pub(super) fn new(shared: Arc<Shared>, processes: Processes) -> Self {
        Self {
            shared,
            processes,
            own_tgid: std::process::id(),
            current: None,
            handed_over: 0,
            lost: None,
            lost_ever: 0,
        }
    }

    /// Whether events of the host's processes are wanted.
    pub(in crate::pipeline) const fn wants_host(&self) -> bool {
        matches!(self.processes, Processes::All)
    }

    /// Buffers handed over once all that was taken so far is.
    pub(in crate::pipeline) fn buffers(&self) -> u64 {
        let begun = self.current.as_ref().is_some_and(|current| !current.is_empty());
        self.handed_over + u64::from(begun)
    }

    /// Events in buffers that were handed over or begun, at most.
    pub(in crate::pipeline) fn depth(&self) -> u64 {
        let begun = self.current.as_ref().map_or(0, |current| current.len());
        (self.shared.filled.len() * super::ENTRIES + begun) as u64
    }

    /// Events for which there was no room, ever.
    pub(in crate::pipeline) const fn lost_ever(&self) -> u64 {
        self.lost_ever
    }

    /// Since when something is lost that is not told as lost yet.
    pub(in crate::pipeline) fn lost_since(&self) -> Option<u64> {
        self.lost.map(|lost| lost.from.boottime_ns)
    }

    /// The end of a round: gives the reader something if it has nothing. Returns what was lost,
    /// once there is room again.
    pub(in crate::pipeline) fn end_round(&mut self) -> Option<Lost> {
        if self.shared.filled.is_empty() {
            self.hand_over();
        }
        if self.lost.is_some() && (self.current.is_some() || !self.shared.free.is_empty()) {
            return self.lost.take();
        }
        None
    }

    /// Nothing follows: hands over what is begun, and tells what was lost.
    pub(in crate::pipeline) fn finish(&mut self) -> Option<Lost> {
        self.hand_over();
        self.lost.take()
    }

    fn hand_over(&mut self) {
        let Some(current) = self.current.take_if(|current| !current.is_empty()) else { return };
        // There are as many places as buffers.
        let _ = self.shared.filled.push(current);
        self.handed_over += 1;
        self.shared.changed.notify_one();
    }

    /// A buffer with room for any entry.
    fn room(&mut self, at: Clock) -> Option<&mut LifecycleBatch> {
        if self.current.as_ref().is_some_and(|current| !current.has_room(MAX_BYTES)) {
            self.hand_over();
        }
        if self.current.is_none() {
            self.current = self.shared.free.pop().or_else(|| self.more_at_start());
        }
        if self.current.is_none() {
            self.lost_ever += 1;
            Lost::add(&mut self.lost, "queue lifecycle", "queue full", at);
        }
        self.current.as_deref_mut()
    }

    fn more_at_start(&mut self) -> Option<Box<LifecycleBatch>> {
        let is_start = !self.shared.is_read.load(Ordering::Relaxed);
        // The last place is for this one.
        (is_start && self.shared.filled.len() < super::START_BATCHES).then(super::new_batch)
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
        let is_own = |tgid: u32| tgid == self.own_tgid;
        let is_ours = process.parent.is_some_and(|parent| is_own(parent.tgid))
            || is_own(process.state.parent.tgid)
            || is_own(process.id.tgid);
        if is_ours || process.state.flags & task_flag::KERNEL_THREAD != 0 {
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
            let process = kept(process, &process.state, Some(container.into()), batch);
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
            let process = kept(process, &process.state, container, batch);
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
            let process = kept(process, &record.state, container, batch);
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

/// A process as context keeps it. Of an image that it does not keep any more, or not yet, only the
/// state is known.
fn kept(
    process: &Process,
    state: &TaskState,
    container: Option<ContainerEntry>,
    batch: &mut LifecycleBatch,
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
        exe: batch.add(exe),
        argv: batch.add(argv),
        // What was cut by the kernel is not told any more; it is far above what is kept.
        argv_truncated: argv.len() >= ARGV_BYTES,
        cwd: batch.add(&[]),
        container,
        origin: if process.container.is_some() { process.origin } else { Origin::Born },
        exec_ns: if is_current { process.exec_ns } else { 0 },
    }
}
