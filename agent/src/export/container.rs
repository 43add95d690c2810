//! Containers, and which version of one was given out last.

use std::sync::Arc;

use hashbrown::HashMap;
use kestrel_proto::v1;
use prost::Message as _;

use crate::{
    context::{ContainerId, ContainerKey, ContainerRole, Enrichment, Names, PendingReason},
    outbox::{Definition, DefinitionKey},
    pipeline::lifecycle::ContainerEntry,
    time::{Clock, SECOND},
};

/// Containers that are remembered; beyond, all are forgotten and given out anew.
const REMEMBERED: usize = 8192;

/// The definitions of containers.
#[derive(Debug, Default)]
pub(super) struct Containers {
    known: HashMap<ContainerId, Known>,
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
            && is_same(&known.names, names)
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

    /// The container is gone, and nothing more will be said of it.
    pub(super) fn forget(&mut self, id: ContainerId) {
        self.known.remove(&id);
    }
}

fn is_same(known: &Enrichment, new: &Enrichment) -> bool {
    match (known, new) {
        (Enrichment::Pending(known), Enrichment::Pending(new)) => known == new,
        (Enrichment::Complete(known), Enrichment::Complete(new)) => Arc::ptr_eq(known, new) || known == new,
        _ => false,
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
