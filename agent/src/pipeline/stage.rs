//! What follows from an effect of context: verdicts, questions, and word of it.

use std::time::Duration;

use super::{
    Outlets, clock,
    clock::Clocks,
    groups::Groups,
    inspections::Inspections,
    lifecycle::{Activity, LifecycleSender},
};
use crate::{
    context::{Effect, Process, ProcessId, SeccompAllow, Why, cri},
    posture::{Cause, Change, Judged, Posture},
    telemetry::Telemetry,
    time::Clock,
};

/// How something came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was seen to happen.
    Happen,
    /// It was found to be there.
    Found,
}

/// What an effect of context acts on.
pub(super) struct Stage<'a> {
    pub(super) posture: &'a mut Posture,
    pub(super) telemetry: &'a Telemetry,
    pub(super) outlets: &'a mut Outlets,
    pub(super) lifecycle: &'a mut LifecycleSender,
    pub(super) clocks: &'a Clocks,
    pub(super) changes: &'a mut Vec<Change>,
    pub(super) groups: &'a mut Groups,
    pub(super) inspections: &'a mut Inspections,
    pub(super) now: Clock,
    pub(super) seen: Seen,
    pub(super) by: By,
}

/// What the effects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The exec of this process.
    Exec(ProcessId),
    /// The end of a process.
    Exit {
        /// As `wait` encodes it.
        status: u32,
    },
    /// Something else.
    Other,
}

impl Stage<'_> {
    pub(super) fn follow(&mut self, effect: &Effect<'_>) {
        match *effect {
            Effect::Judge { process, container, state, seccomp_allow, why } => {
                let judged = Judged { task: state, allow: seccomp_allow, process, container };
                self.posture.judge(judged, cause(why), self.now, self.changes);
                match why {
                    Why::Exec => self.observe_latency(process),
                    Why::Joined | Why::Lingers if self.by != By::Exec(process.id) => {
                        self.lifecycle.joined(process, container, self.clocks);
                    }
                    _ => {}
                }
            }
            Effect::ImageReplaced { process, .. } => {
                self.posture.image_replaced(process.id, self.now, self.changes);
            }
            Effect::ExitedProcess { process, container } => {
                self.posture.process_gone(process.id, self.now, self.changes);
                if let By::Exit { status } = self.by {
                    self.lifecycle.exit(process, Some(container), status, self.now);
                }
            }
            Effect::ForgottenProcess { process, .. } => {
                self.posture.process_gone(process.id, self.now, self.changes);
            }
            Effect::ContainerSeen { container } => {
                self.inspections.seen(container.key, self.now.boottime_ns);
                let found = self.seen == Seen::Found;
                self.lifecycle
                    .container(container, self.now, |container| Activity::Started { container, found });
            }
            Effect::ContainerGone { container } => {
                self.inspections.gone(container.key);
                self.posture.container_gone(container.key, self.now, self.changes);
                self.lifecycle.container(container, self.now, |container| Activity::Gone { container });
            }
            Effect::LeftContainer { process, container, .. } => {
                let allow: &SeccompAllow = &process.seccomp_allow;
                let judged = Judged { task: &process.state, allow, process, container };
                self.posture.judge(judged, Cause::Context, self.now, self.changes);
            }
            Effect::CgroupKnown { id, path, is_host } => self.groups.known(id, path, is_host),
            Effect::CgroupGone { id, container } => self.groups.gone(id, container),
            Effect::NeedName { key, id, runtime } => {
                self.outlets.ask_name(cri::Question { key, id, runtime }, self.telemetry);
            }
            Effect::NeedCgroup { key, tgid } => self.outlets.ask_cgroup(key.cgroup, tgid, self.telemetry),
        }
    }

    /// From the exec in the kernel to its verdict.
    fn observe_latency(&self, process: &Process) {
        let taken = clock::boottime_ns().saturating_sub(process.exec_ns);
        self.telemetry.posture.latency.observe(Duration::from_nanos(taken));
    }
}

const fn cause(why: Why) -> Cause {
    match why {
        Why::Exec => Cause::Exec,
        Why::Fork => Cause::Fork,
        Why::Scan | Why::Joined | Why::Lingers => Cause::Scan,
        Why::Credentials => Cause::Credentials,
        Why::Named => Cause::Context,
    }
}
