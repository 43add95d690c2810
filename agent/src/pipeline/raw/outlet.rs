//! The writing ends: which events go out, and by which way.

use agent_abi::{map::RING_CRITICAL, record::Header};

use super::{
    Narrow, RawBatch, RawStreams,
    streams::{Cgroup, Subject},
};
use crate::{
    config::Scope,
    context::{Container, Context, Process, Stage, Whose},
    decode::Event,
    pipeline::{
        Former,
        buffers::{Lost, Writer},
        lifecycle::is_of,
    },
    time::Clock,
};

/// The writing ends, in the hot loop.
pub struct RawSender {
    pub(in crate::pipeline) rare: Writer<RawBatch>,
    pub(in crate::pipeline) bulk: Writer<RawBatch>,
    streams: Option<RawStreams>,
    narrow: Option<Narrow>,
    /// The agent's own children are nobody's workload.
    own_tgid: u32,
}

/// Whose an event is.
struct Owner<'a> {
    process: Option<&'a Process>,
    container: Option<&'a Container>,
}

impl RawSender {
    pub(super) fn new(
        rare: Writer<RawBatch>,
        bulk: Writer<RawBatch>,
        streams: Option<RawStreams>,
        narrow: Option<Narrow>,
    ) -> Self {
        Self { rare, bulk, streams, narrow, own_tgid: std::process::id() }
    }

    /// Whether anybody wants raw events.
    pub(in crate::pipeline) const fn is_on(&self) -> bool {
        self.streams.is_some()
    }

    /// Takes an event whose record is `record`, if it is a raw one that is wanted; `context` has
    /// taken in what came before it.
    pub(in crate::pipeline) fn take(
        &mut self,
        event: &Event<'_>,
        record: &[u8],
        context: &Context,
        former: &Former,
        at: Clock,
    ) {
        let Some(subject) = self.streams.and_then(|streams| streams.subject(event)) else { return };
        if subject.scope == Scope::Off || self.narrow.as_ref().is_some_and(|narrow| !narrow.takes(event)) {
            return;
        }
        let Self { rare, bulk, own_tgid, .. } = self;
        let Some(owner) = owner(&subject, context, at, *own_tgid, former) else { return };
        let is_rare = subject.is_rare || is_critical(event.header());
        let way = if is_rare { rare } else { bulk };
        let Some(batch) = way.room(at, |batch| batch.has_room(record.len())) else { return };
        match owner {
            Owner { process: Some(process), container } => {
                batch.push(at, record, Some((process, container)), None);
            }
            Owner { process: None, container } => batch.push(at, record, None, container),
        }
    }

    /// The end of a round; see [`Writer::end_round`].
    pub(in crate::pipeline) fn end_round(&mut self) -> [Option<Lost>; 2] {
        [self.rare.end_round(), self.bulk.end_round()]
    }

    /// Nothing follows; see [`Writer::finish`].
    pub(in crate::pipeline) fn finish(&mut self) -> [Option<Lost>; 2] {
        [self.rare.finish(), self.bulk.finish()]
    }

    /// Since when something is lost that is not told as lost yet.
    pub(in crate::pipeline) fn lost_since(&self) -> [Option<u64>; 2] {
        [self.rare.lost_since(), self.bulk.lost_since()]
    }
}

/// `None`: of nobody whose events are wanted.
fn owner<'a>(
    subject: &Subject<'_>,
    context: &'a Context,
    at: Clock,
    own_tgid: u32,
    former: &'a Former,
) -> Option<Owner<'a>> {
    let process = subject.task.and_then(|task| context.process(task));
    if process.is_some_and(|process| is_of(own_tgid, process)) {
        return None;
    }
    // With another image it may have been anything, a runtime's process among it: where that is not
    // remembered, only its cgroup is known.
    let process = match process {
        Some(process) if at.boottime_ns < process.exec_ns => former.at(process.id, at.boottime_ns),
        process => process,
    };
    let by_cgroup = || match subject.cgroup {
        Cgroup::OfTask(cgroup) => context.whose(cgroup),
        Cgroup::OfSocket(cgroup) => context.whose_socket(cgroup),
        Cgroup::None => Whose::Unknown,
    };
    let whose = match process {
        // The runtime's own code is not the container's.
        Some(process) if process.container.is_some() && process.stage == Stage::Runtime => Whose::Host,
        Some(process) => process.container.map_or_else(by_cgroup, Whose::Container),
        None => by_cgroup(),
    };
    let container = match whose {
        Whose::Host if subject.scope != Scope::All => return None,
        Whose::Host | Whose::Unknown => None,
        Whose::Container(key) => context.container(key),
    };
    Some(Owner { process, container })
}

fn is_critical(header: &Header) -> bool {
    u32::from(header.ring) == RING_CRITICAL
}
