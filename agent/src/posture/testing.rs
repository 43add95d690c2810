//! A posture under test: events in, changes out, with a clock that is turned by hand.

use std::sync::Arc;

use agent_abi::record::TaskState;

use super::{
    Cause, Change, ChangeKind, Exemptions, HostFacts, Judged, Policy, Posture, Settings,
    controls::testing::{HOST_NS, names, process, task},
};
use crate::{
    capability::ALL,
    context::{Container, Enrichment, Names, ProcessId},
    inspect::Inspection,
    time::{Clock, SECOND},
};

pub(super) struct Bench {
    pub(super) posture: Posture,
    pub(super) now: Clock,
    /// Every change so far.
    pub(super) changes: Vec<Change>,
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        Self::with(settings, Exemptions::default())
    }

    pub(super) fn with(settings: Settings, exemptions: Exemptions) -> Self {
        let host = HostFacts { bounding: ALL, ns: HOST_NS, sees_layers: true };
        Self {
            posture: Posture::new(settings, Policy::default(), exemptions, host, "node".into()),
            // 2024-02-29T12:34:56Z
            now: Clock { boottime_ns: 1000 * SECOND, wall_ns: 1_709_210_096 * SECOND },
            changes: Vec::new(),
        }
    }

    pub(super) fn judge(&mut self, container: &Container, state: TaskState, cause: Cause) {
        let process = process(state);
        self.judge_process(container, &process, cause);
    }

    pub(super) fn judge_process(
        &mut self,
        container: &Container,
        process: &crate::context::Process,
        cause: Cause,
    ) {
        let judged = Judged { task: &process.state, allow: &process.seccomp_allow, process, container };
        self.posture.judge(judged, cause, self.now, &mut self.changes);
    }

    /// A thread of the process has changed.
    pub(super) fn judge_thread(
        &mut self,
        container: &Container,
        process: &crate::context::Process,
        thread: &TaskState,
    ) {
        let judged = Judged { task: thread, allow: &process.seccomp_allow, process, container };
        self.posture.judge(judged, Cause::Credentials, self.now, &mut self.changes);
    }

    /// The container is looked into.
    pub(super) fn look(&mut self, container: &Container, inspection: &Inspection) -> bool {
        let process = process(task(|_| ()));
        self.posture.inspected(container, &process, inspection, self.now, &mut self.changes)
    }

    pub(super) fn exec(&mut self, container: &Container, state: TaskState) {
        self.judge(container, state, Cause::Exec);
    }

    pub(super) fn process_gone(&mut self, tgid: u32) {
        self.posture.process_gone(ProcessId { start_ticks: 0, tgid }, self.now, &mut self.changes);
    }

    pub(super) fn container_gone(&mut self, container: &Container) {
        self.posture.container_gone(container.key, self.now, &mut self.changes);
    }

    pub(super) fn look_up(&mut self) {
        self.posture.look_up(self.now.boottime_ns);
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now.boottime_ns += seconds * SECOND;
        self.now.wall_ns += seconds * SECOND;
        self.posture.tick(self.now, &mut self.changes);
    }

    /// What happened since the last call: state, verdict, control.
    pub(super) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changes)
            .iter()
            .map(|change| {
                let state = match change.kind {
                    ChangeKind::Open => "OPEN".to_owned(),
                    ChangeKind::Updated => "UPDATED".to_owned(),
                    ChangeKind::Resolved(why) => format!("RESOLVED({})", why.as_str()),
                };
                let alert = if change.alert { "" } else { " quietly" };
                format!("{state} {} {}{alert}", change.finding.verdict, change.finding.control)
            })
            .collect()
    }
}

pub(super) fn root(tgid: u32) -> TaskState {
    task(|task| {
        task.task.tgid = tgid;
        task.task.tid = tgid;
        task.ids = Default::default();
    })
}

pub(super) fn user(tgid: u32) -> TaskState {
    task(|task| {
        task.task.tgid = tgid;
        task.task.tid = tgid;
    })
}

fn drift(change: impl FnOnce(&mut Container, &mut crate::context::Process)) -> Change {
    let mut bench = Bench::new(Settings::default());
    let mut container = super::controls::testing::container(42);
    let mut names = names("web");
    names.declared.run_as_user = Some(101);
    container.enrichment = Enrichment::Complete(Arc::new(names));
    let mut process = process(root(100));
    change(&mut container, &mut process);
    bench.judge_process(&container, &process, Cause::Exec);
    bench.changes.remove(0)
}

/// A finding like any other.
pub(crate) fn plain_change() -> Change {
    drift(|_, _| ())
}

/// One in which every text that a workload chooses is an attack.
pub(crate) fn hostile_change() -> Change {
    drift(|container, process| {
        let mut names = names("web\u{202e}cba");
        names.namespace = "s\x1b[2J".into();
        names.container = "m\n12:00  PASS".into();
        names.declared.run_as_user = Some(101);
        container.enrichment = Enrichment::Complete(Arc::new(names));
        process.exe_path = b"/tmp/\x1b]0;owned\x07\xff".to_vec();
        process.state.comm = *b"\x1b[31mevil\0\0\0\0\0\0\0";
    })
}

/// Names of a container of a workload, for tests elsewhere.
pub(crate) fn names_of(owner: &str) -> Names {
    names(owner)
}
