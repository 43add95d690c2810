//! What already runs: cgroups from the mounted hierarchy, tasks from the kernel's iterator (or
//! /proc, where there is none), arguments from /proc.

use std::{
    io::Read,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    context::{ProcessId, cgroupfs, proc},
    decode::{Event, decode},
    kernel::{Mounted, TaskScan},
    pipeline::{CgroupQuestion, Message},
    source::{self, ScanError},
    telemetry::{Telemetry, label::ScanKind},
};

/// Cgroups or records in a message.
const CHUNK: usize = 64;
/// How often it looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(200);
/// From one scan to one that is asked for: a flood that goes on shall not have all of a CPU for its scans.
const LEAST_PAUSE: Duration = Duration::from_secs(2);

/// Scans, at start, now and then, and after a loss.
pub(super) struct Scanner {
    /// The hierarchy of the containers.
    pub(super) mounted: Mounted,
    /// The kernel's iterator.
    pub(super) tasks: TaskScan,
    /// To the hot loop.
    pub(super) messages: mpsc::Sender<Message>,
    /// Counters.
    pub(super) telemetry: Arc<Telemetry>,
}

/// The hot loop is gone.
struct Closed;

impl Scanner {
    /// Scans at start, then every `every` and when it is asked to, until the hot loop is gone. Blocks.
    pub(super) fn run(mut self, every: Duration, asked: &Receiver<()>) {
        let mut kind = ScanKind::Start;
        while self.scan(kind).is_ok() {
            match self.wait(every, asked) {
                Some(next) => kind = next,
                None => return,
            }
        }
    }

    /// Waits for the next scan; `None` where the hot loop, or who asks for scans, is gone.
    fn wait(&self, every: Duration, asked: &Receiver<()>) -> Option<ScanKind> {
        let last = Instant::now();
        let mut is_asked = false;
        while !self.messages.is_closed() {
            let since = last.elapsed();
            if is_asked && since >= LEAST_PAUSE {
                return Some(ScanKind::Loss);
            }
            if since >= every {
                return Some(ScanKind::Periodic);
            }
            let pause = LOOK.min(every - since);
            if is_asked {
                std::thread::sleep(pause);
                continue;
            }
            match asked.recv_timeout(pause) {
                Ok(()) => is_asked = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }

    fn scan(&mut self, kind: ScanKind) -> Result<(), Closed> {
        let start = Instant::now();
        self.cgroups()?;
        for id in self.tasks()? {
            self.describe(id)?;
        }
        self.telemetry.context.scan(kind, start.elapsed());
        self.send(Message::ScanDone(kind))
    }

    fn cgroups(&self) -> Result<(), Closed> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut result = Ok(());
        let walked = cgroupfs::walk(&self.mounted, |found| {
            chunk.push(found);
            if chunk.len() == CHUNK && result.is_ok() {
                result = self.send(Message::Cgroups(std::mem::take(&mut chunk)));
            }
        });
        match walked {
            Ok(true) => {}
            Ok(false) => tracing::warn!("too many cgroups: the walk of the hierarchy ended early"),
            Err(error) => {
                tracing::error!(%error, root = %self.mounted.root.display(), "cannot walk the cgroups")
            }
        }
        result?;
        self.send(Message::Cgroups(chunk))
    }

    /// The kernel's own scan, or /proc's.
    fn tasks(&mut self) -> Result<Vec<ProcessId>, Closed> {
        let scanned = match self.tasks.open() {
            Some(Ok(mut stream)) => self.iterator(&mut stream),
            Some(Err(error)) => Err(error.into()),
            None => return self.proc(),
        };
        match scanned {
            Ok(result) => result,
            Err(error) => {
                tracing::warn!(%error, "the task iterator failed, scanning /proc instead");
                self.proc()
            }
        }
    }

    fn iterator(&self, stream: &mut impl Read) -> Result<Result<Vec<ProcessId>, Closed>, ScanError> {
        let mut ids = Vec::new();
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut result = Ok(());
        source::scan(stream, |bytes| {
            if let Ok(Event::Exec(exec)) = decode(bytes) {
                ids.push(ProcessId::of(&exec.record.state.task));
            }
            chunk.push(bytes.into());
            if chunk.len() == CHUNK && result.is_ok() {
                result = self.send(Message::Scanned(std::mem::take(&mut chunk)));
            }
        })?;
        Ok(result.and_then(|()| self.send(Message::Scanned(chunk))).map(|()| ids))
    }

    /// Its records have their arguments already.
    fn proc(&self) -> Result<Vec<ProcessId>, Closed> {
        let mut result = Ok(());
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = proc::scan(&self.mounted, |scanned| {
            chunk.push(scanned);
            if chunk.len() == CHUNK && result.is_ok() {
                result = self.send(Message::ScannedProc(std::mem::take(&mut chunk)));
            }
        });
        if let Err(error) = read {
            tracing::error!(%error, "cannot scan /proc");
        }
        result?;
        self.send(Message::ScannedProc(chunk))?;
        Ok(Vec::new())
    }

    fn describe(&self, id: ProcessId) -> Result<(), Closed> {
        match proc::describe(id) {
            Some((exe_path, argv)) => self.send(Message::Described { id, exe_path: Some(exe_path), argv }),
            None => Ok(()),
        }
    }

    fn send(&self, message: Message) -> Result<(), Closed> {
        self.messages.blocking_send(message).map_err(|_| Closed)
    }
}

/// Finds the cgroups that the hot loop asks for, until it is gone. Blocks.
pub(super) fn find_cgroups(
    mounted: &Mounted,
    mut questions: mpsc::Receiver<CgroupQuestion>,
    messages: &mpsc::Sender<Message>,
) {
    while let Some(CgroupQuestion { cgroup, tgid }) = questions.blocking_recv() {
        match cgroupfs::find(mounted, cgroup, tgid) {
            Ok(Some(found)) => {
                if messages.blocking_send(Message::Cgroups(vec![found])).is_err() {
                    return;
                }
            }
            // Gone meanwhile, and its tasks with it.
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot look for a cgroup"),
        }
    }
}
