//! Execs, exits, credential changes, and what becomes of containers.

use agent_abi::record::TaskState;
use bytes::Bytes;
use kestrel_proto::v1::{self, record::Event};
use prost::Message as _;
use zerocopy::FromBytes as _;

use super::{Exported, Exporter, Naming, item, process};
use crate::{
    outbox::{Definition, DefinitionKey, Lane},
    pipeline::{
        Texts,
        lifecycle::{Activity, ContainerEntry, Entry, LifecycleBatch, ProcessEntry},
    },
    time::Clock,
};

impl Exporter {
    pub(super) fn activity(&mut self, batch: &LifecycleBatch, entry: &Entry) -> Exported {
        let at = entry.at;
        let (event, refers) = match &entry.activity {
            Activity::Exec { process, filename } => {
                // A new image, whatever was known of the process.
                let refers = self.refer(batch.texts(), process, at, Known::Replaced);
                let filename = Bytes::copy_from_slice(batch.bytes(*filename));
                (Event::Exec(v1::Exec { process: Some(id(process)), filename }), refers)
            }
            Activity::Exit { process, status } => {
                let refers = self.refer(batch.texts(), process, at, Known::UsedLast);
                (Event::Exit(v1::Exit { process: Some(id(process)), status: *status }), refers)
            }
            Activity::Credentials { process, tid, syscall, compat, state } => {
                let refers = self.refer(batch.texts(), process, at, Known::Used);
                let state = TaskState::read_from_bytes(batch.bytes(*state)).ok();
                let change = v1::CredentialChange {
                    process: Some(id(process)),
                    tid: *tid,
                    syscall: *syscall,
                    compat: *compat,
                    state: state.as_ref().map(process::state),
                };
                (Event::Credentials(change), refers)
            }
            Activity::Started { container, found } => {
                let refers = vec![self.containers.define(container, at)];
                let started = v1::ContainerStarted { container_id: container.id.to_string(), found: *found };
                let item = item(Lane::Detections, at, Event::ContainerStarted(started), refers);
                return Exported { item, names: Naming::None };
            }
            Activity::Named { container } => {
                let refers = vec![self.containers.define(container, at)];
                let named = v1::ContainerNamed { container_id: container.id.to_string() };
                (Event::ContainerNamed(named), refers)
            }
            Activity::Gone { container } => {
                let refers = vec![self.containers.define(container, at)];
                self.containers.gone(container.id);
                let gone = v1::ContainerGone { container_id: container.id.to_string() };
                let item = item(Lane::Detections, at, Event::ContainerGone(gone), refers);
                let exported = self.exported(item);
                return match exported.names {
                    Naming::Named(_) => exported,
                    _ => Exported { names: Naming::Gone(container.id), ..exported },
                };
            }
        };
        self.exported(item(Lane::Detections, at, event, refers))
    }

    /// What an event about a process refers to: it, and its container.
    pub(super) fn refer(
        &mut self,
        texts: &Texts,
        entry: &ProcessEntry,
        at: Clock,
        known: Known,
    ) -> Vec<Definition> {
        let key = DefinitionKey::Process {
            start_ticks: entry.id.start_ticks,
            tgid: entry.id.tgid,
            exec_id: entry.exec_id,
        };
        let remembered = match known {
            Known::Replaced => None,
            Known::Used => self.processes.get(&key),
            Known::UsedLast => self.processes.forget(&key),
        };
        let definition = remembered.unwrap_or_else(|| {
            let body = process::of(texts, entry).encode_to_vec().into();
            let definition = Definition { key, body };
            if known != Known::UsedLast {
                self.processes.insert(definition.clone());
            }
            definition
        });
        let container: Option<&ContainerEntry> = entry.container.as_ref();
        let mut refers = Vec::with_capacity(2);
        refers.push(definition);
        refers.extend(container.map(|container| self.containers.define(container, at)));
        refers
    }
}

/// What to make of a definition that is remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It does not hold any more.
    Replaced,
    /// It is used again.
    Used,
    /// It is used for the last time.
    UsedLast,
}

fn id(entry: &ProcessEntry) -> v1::ProcessId {
    process::id(entry.id, entry.exec_id)
}
