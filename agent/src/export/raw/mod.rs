//! Raw events: each by its record, decoded here once more.

mod bpf;
mod call;
mod file;
mod network;
mod operations;
mod payload;
#[cfg(test)]
mod tests;

use agent_abi::record::{TaskRef, via};
use kestrel_proto::v1::{self, record::Event};

pub(super) use self::operations::Operations;
use super::{Exported, Exporter, item, process};
use crate::{
    context::ProcessId,
    decode::{self, decode},
    outbox::{Definition, Lane},
    pipeline::raw::{RawBatch, RawEntry},
};

impl Exporter {
    /// The events of a buffer of raw ones, in their order, appended to `events`.
    pub fn raw(&mut self, batch: &RawBatch, lane: Lane, events: &mut Vec<Exported>) {
        events.extend(batch.entries().iter().filter_map(|entry| self.raw_event(batch, entry, lane)));
    }

    fn raw_event(&mut self, batch: &RawBatch, entry: &RawEntry, lane: Lane) -> Option<Exported> {
        // The hot loop has decoded the same bytes.
        let event = decode(batch.record(entry)).ok()?;
        let refers = self.refer_raw(batch, entry);
        let who = Who { batch, entry };
        let mut path = std::mem::take(&mut self.path);
        let out = match &event {
            decode::Event::File(it) => Event::File(file::of_file(it, who)),
            decode::Event::Path(it) => Event::Path(file::of_path(it, who, &mut path)),
            decode::Event::Plain(it) => Event::Call(call::of_plain(it, who)),
            decode::Event::Socket(it) => Event::Socket(network::of_call(it, who)),
            decode::Event::SocketState(it) => Event::SocketState(network::of_state(it, who)),
            decode::Event::Packet(it) => Event::Packet(network::of_packet(it, who)),
            decode::Event::OomKill(it) => {
                Event::OomKill(v1::OomKill { victim: Some(who.actor(&it.task, it.cgroup_id)) })
            }
            decode::Event::Signal(it) => Event::AgentSignal(v1::AgentSignal {
                actor: Some(who.actor(&it.task, it.cgroup_id)),
                signal: it.signal,
                code: it.code,
            }),
            decode::Event::Sysctl(it) => Event::Sysctl(v1::SysctlWrite {
                actor: Some(who.actor(&it.record.task, it.record.cgroup_id)),
                name: call::copy(it.name),
                value: call::copy(it.value),
            }),
            decode::Event::UringDone(it) => {
                self.path = path;
                let (done, refers) = self.operations.done(it);
                return Some(self.exported(item(lane, entry.at, Event::UringDone(done), refers)));
            }
            // None of these is put into a buffer of raw events.
            decode::Event::Fork(_)
            | decode::Event::Exec(_)
            | decode::Event::Exit(_)
            | decode::Event::Cgroup(_)
            | decode::Event::Credentials(_) => return None,
        };
        self.path = path;
        if let Some((actor, made)) = submitted(&out) {
            self.operations.submitted(event.header().boottime_ns, actor, made, &refers);
        }
        Some(self.exported(item(lane, entry.at, out, refers)))
    }

    /// What a raw event refers to.
    fn refer_raw(&mut self, batch: &RawBatch, entry: &RawEntry) -> Vec<Definition> {
        if let Some(process) = batch.process(entry) {
            return self.refer(batch.texts(), process, entry.at, super::activity::Known::Used);
        }
        let container = batch.container(entry);
        container.map(|container| self.containers.define(container, entry.at)).into_iter().collect()
    }
}

/// Who did it, of a call that went through an io_uring.
fn submitted(event: &Event) -> Option<(&v1::Actor, &v1::Call)> {
    let (actor, call) = match event {
        Event::File(it) => (&it.actor, &it.call),
        Event::Path(it) => (&it.actor, &it.call),
        Event::Call(it) => (&it.actor, &it.call),
        Event::Socket(it) => (&it.actor, &it.call),
        _ => return None,
    };
    let is_ring = |call: &&v1::Call| call.via() == v1::CallVia::Uring;
    Some((actor.as_ref()?, call.as_ref().filter(is_ring)?))
}

/// Where whose an event is stands.
#[derive(Clone, Copy)]
struct Who<'a> {
    batch: &'a RawBatch,
    entry: &'a RawEntry,
}

impl Who<'_> {
    fn actor(self, task: &TaskRef, cgroup: u64) -> v1::Actor {
        let known = self.batch.process(self.entry);
        let id = known.map_or_else(
            || process::id(ProcessId::of(task), 0),
            |entry| process::id(entry.id, entry.exec_id),
        );
        v1::Actor {
            // Nobody has the tgid 0.
            process: (id.tgid != 0).then_some(id),
            tid: task.tid,
            container_id: self.container_id(),
            cgroup,
        }
    }

    fn container_id(self) -> Option<String> {
        self.batch.container(self.entry).map(|container| container.id.to_string())
    }
}

const fn seen_via(number: u8) -> v1::CallVia {
    match number {
        via::SYS_EXIT => v1::CallVia::SysExit,
        via::SYS_ENTER => v1::CallVia::SysEnter,
        via::FEXIT => v1::CallVia::Fexit,
        via::LSM => v1::CallVia::Lsm,
        via::URING => v1::CallVia::Uring,
        _ => v1::CallVia::Unspecified,
    }
}
