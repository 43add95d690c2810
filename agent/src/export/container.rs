//! Containers, and which version of one was given out last.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashMap;
use kestrel_proto::v1;
use prost::Message as _;

use super::Naming;
use crate::{
    context::{ContainerId, ContainerKey, ContainerRole, Enrichment, Names, PendingReason},
    outbox::{Definition, DefinitionKey},
    pipeline::lifecycle::ContainerEntry,
    time::{Clock, SECOND},
};

/// Containers that are remembered; beyond, all are forgotten and given out anew.
const REMEMBERED: usize = 8192;
/// Of those that are gone so many are remembered for what comes late by another way.
const GONE: usize = 256;

/// The definitions of containers.
#[derive(Debug, Default)]
pub(super) struct Containers {
    known: HashMap<ContainerId, Known>,
    gone: VecDeque<ContainerId>,
    /// The last version that was given out.
    version: u32,
}

#[derive(Debug)]
struct Known {
    key: ContainerKey,
    names: Enrichment,
    definition: Definition,
}

impl Containers {
    /// The definition of a container as it is known now. A version is higher than all before it,
    /// those of earlier starts too as long as the clock is right: the seconds of the wall.
    pub(super) fn define(&mut self, container: &ContainerEntry, now: Clock) -> Definition {
        let ContainerEntry { key, id, names } = container;
        if let Some(known) = self.known.get(id)
            && known.key == *key
            && !is_news(&known.names, names)
        {
            return known.definition.clone();
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let seconds = u32::try_from(now.wall_ns / SECOND).unwrap_or(u32::MAX);
        self.version = self.version.saturating_add(1).max(seconds);
        let definition = Definition {
            key: DefinitionKey::Container { id: *id, version: self.version },
            body: of(key.cgroup, *id, names).encode_to_vec().into(),
        };
        let known = Known { key: *key, names: names.clone(), definition: definition.clone() };
        self.known.insert(*id, known);
        definition
    }

    /// How it stands with the names of the container that these definitions are of; they are brought
    /// up to date.
    pub(super) fn naming(&self, refers: &mut [Definition]) -> Naming {
        for definition in refers {
            let DefinitionKey::Container { id, .. } = definition.key else { continue };
            let Some(known) = self.known.get(&id) else { return Naming::None };
            if known.definition.key != definition.key {
                definition.clone_from(&known.definition);
            }
            return match known.names {
                Enrichment::Complete(_) => Naming::Named(id),
                Enrichment::Pending(reason) if reason.is_asked() => Naming::Asked(id),
                Enrichment::Pending(_) => Naming::Refused(id),
            };
        }
        Naming::None
    }

    /// The container is gone, and little more will be said of it.
    pub(super) fn gone(&mut self, id: ContainerId) {
        self.gone.push_back(id);
        if self.gone.len() > GONE
            && let Some(id) = self.gone.pop_front()
        {
            self.known.remove(&id);
        }
    }
}

/// The ways out of the hot loop overtake each other: what was said before an answer came may pass
/// here after it.
fn is_news(known: &Enrichment, new: &Enrichment) -> bool {
    match (known, new) {
        (Enrichment::Pending(known), Enrichment::Pending(new)) => {
            known != new && (known.is_asked() || !new.is_asked())
        }
        (Enrichment::Pending(_), Enrichment::Complete(_)) => true,
        (Enrichment::Complete(known), Enrichment::Complete(new)) => !Arc::ptr_eq(known, new) && known != new,
        // A name once given stays.
        (Enrichment::Complete(_), Enrichment::Pending(_)) => false,
    }
}

/// The container itself.
pub(super) fn of(cgroup: u64, id: ContainerId, enrichment: &Enrichment) -> v1::Container {
    let (names, why) = match enrichment {
        Enrichment::Complete(names) => (Some(of_names(names)), v1::Pending::Unspecified),
        Enrichment::Pending(why) => (None, pending(*why)),
    };
    v1::Container { id: id.to_string(), names, pending: why.into(), cgroup }
}

fn of_names(names: &Names) -> v1::ContainerNames {
    v1::ContainerNames {
        namespace: names.namespace.clone(),
        pod: names.pod.clone(),
        pod_uid: names.pod_uid.clone(),
        container: names.container.clone(),
        image: names.image.clone(),
        image_digest: names.image_digest.clone(),
        workload: Some(v1::Workload {
            kind: names.owner.kind.to_owned(),
            name: names.owner.name.clone(),
            namespace: names.namespace.clone(),
        }),
        sandbox: names.role == ContainerRole::Sandbox,
    }
}

pub(super) const fn pending(reason: PendingReason) -> v1::Pending {
    match reason {
        PendingReason::Asked => v1::Pending::Asked,
        PendingReason::NoRuntime => v1::Pending::NoRuntime,
        PendingReason::RuntimeUnavailable => v1::Pending::RuntimeUnavailable,
        PendingReason::NotKnown => v1::Pending::NotKnown,
        PendingReason::QueueFull => v1::Pending::QueueFull,
    }
}
