//! The ends of images, processes and containers: what was said of them holds no longer.

use super::{
    Change, ControlId, Posture, TASK_CONTROLS, Verdict,
    entry::{Mark, ProcessEntry},
    observation::Class,
};
use crate::{
    context::{ContainerKey, ProcessId},
    time::{Clock, SECOND},
};

/// How long a container that went before it was named can still get its name.
const LINGER_NS: u64 = 30 * SECOND;

impl Posture {
    /// A process has ended.
    pub fn process_gone(&mut self, process: ProcessId, now: Clock, changes: &mut Vec<Change>) {
        self.image_replaced(process, now, changes);
        let Some(ProcessEntry { container: key, .. }) = self.processes.remove(&process) else { return };
        let Some(entry) = self.containers.get_mut(&key) else { return };
        entry.processes = entry.processes.saturating_sub(1);
        if entry.is_gone && entry.processes == 0 {
            self.count_out(key, now, changes);
        }
    }

    /// A process has replaced its image: nothing that was said of it holds, and its other threads
    /// are gone. It is judged anew next. [`Posture::judge`] sees that by itself where the kernel
    /// tells the image's version.
    pub fn image_replaced(&mut self, process: ProcessId, now: Clock, changes: &mut Vec<Change>) {
        let Some(kept) = self.processes.get_mut(&process) else { return };
        kept.exe = None;
        let leader = std::mem::replace(&mut kept.leader, [Mark::NONE; TASK_CONTROLS]);
        let tasks = std::iter::once((process.tgid, leader))
            .chain(kept.threads.drain(..).map(|thread| (thread.tid, thread.marks)));
        let Some(entry) = self.containers.get_mut(&kept.container) else { return };
        for (tid, marks) in tasks {
            for (control, mark) in marks.into_iter().enumerate() {
                let tally = &mut entry.tally[control][mark.class as usize];
                *tally = tally.saturating_sub(1);
                let verdict = Verdict::of(mark.class, entry.exempt[control].is_some());
                if verdict != Verdict::Pass
                    && let Some(id) = entry.findings[control]
                    && let Some(finding) = self.ledger.get_mut(id)
                {
                    finding.remove(verdict, process, tid, now);
                    self.ledger.settle(id, now, changes);
                }
            }
        }
    }

    /// A container's cgroup was removed. Tasks that had left it live on and are still its own.
    pub fn container_gone(&mut self, key: ContainerKey, now: Clock, changes: &mut Vec<Change>) {
        let Some(entry) = self.containers.get_mut(&key) else { return };
        if entry.linger_until.is_some() {
            return;
        }
        entry.is_gone = true;
        if entry.processes == 0 {
            self.count_out(key, now, changes);
            return;
        }
        let left = ControlId::LeftContainer as usize;
        let mut ended: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, entry)| entry.container == key && entry.leader[left].class != Class::Fail)
            .map(|(&id, _)| id)
            .collect();
        ended.sort_unstable();
        for process in ended {
            self.process_gone(process, now, changes);
        }
    }

    /// The last of a container that is gone.
    fn count_out(&mut self, key: ContainerKey, now: Clock, changes: &mut Vec<Change>) {
        self.forget_judgements(key, now, changes);
        let Some(entry) = self.containers.get_mut(&key) else { return };
        for id in entry.findings.iter().flatten() {
            self.ledger.detach(*id, now, changes);
        }
        if entry.names.is_none() && entry.findings.iter().any(Option::is_some) {
            entry.linger_until = Some(now.boottime_ns.saturating_add(LINGER_NS));
        } else {
            self.containers.remove(&key);
        }
    }
}
