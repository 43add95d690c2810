//! What already runs: cgroups from the mounted hierarchy, tasks from the kernel's iterator (or
//! /proc, where there is none), arguments from /proc.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    context::cgroupfs,
    kernel::{Mounted, TaskScan},
    pipeline::{Message, outlet::CgroupQuestion},
    source,
    telemetry::{Telemetry, label::ScanKind},
};

/// Cgroups or records in a message.
const CHUNK: usize = 64;

/// Scans, at start and now and then.
pub struct Scanner {
    /// The hierarchy of the containers.
    pub mounted: Mounted,
    /// The kernel's iterator.
    pub tasks: TaskScan,
    /// To the hot loop.
    pub messages: mpsc::Sender<Message>,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
}

/// The hot loop is gone.
struct Closed;

impl Scanner {
    /// Scans at start, then every `every`, until the hot loop is gone. Blocks.
    pub fn run(mut self, every: Duration) {
        let mut kind = ScanKind::Start;
        while self.scan(kind).is_ok() {
            kind = ScanKind::Periodic;
            let due = Instant::now() + every;
            while Instant::now() < due {
                if self.messages.is_closed() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(200).min(every));
            }
        }
    }

    fn scan(&mut self, kind: ScanKind) -> Result<(), Closed> {
        let start = Instant::now();
        self.cgroups()?;
        let pids = self.tasks()?;
        for pid in pids {
            self.describe(pid)?;
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
            Err(error) => tracing::error!(%error, root = %self.mounted.root.display(), "cannot walk the cgroups"),
        }
        result?;
        self.send(Message::Cgroups(chunk))
    }

    fn tasks(&mut self) -> Result<Vec<u32>, Closed> {
        todo!()
    }

    fn describe(&self, _pid: u32) -> Result<(), Closed> {
        Ok(())
    }

    fn send(&self, message: Message) -> Result<(), Closed> {
        self.messages.blocking_send(message).map_err(|_| Closed)
    }
}
