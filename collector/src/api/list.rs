//! What is so now.

use std::{cmp::Reverse, sync::Arc};

use kestrel_proto::v1::{self, ContainerPosture, Finding, FindingsResponse, InventoryResponse};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::Answers;
use crate::{live::Filter, state::State};

/// An answer whose body is still shared with the state.
pub(super) struct Listed<T> {
    cluster: Arc<str>,
    node: Arc<str>,
    body: Arc<T>,
    stale: bool,
}

/// The worst first, then the newest.
pub(super) fn findings(state: &State, filter: &Filter, resolved: bool) -> Vec<Listed<Finding>> {
    let fold = state.read();
    let mut listed = Vec::new();
    for ((cluster, name), node) in fold.nodes().filter(|((_, name), _)| filter.takes_node(name)) {
        let entries = node
            .findings
            .iter()
            .filter(|entry| (resolved || entry.is_open()) && filter.takes_finding(&entry.finding));
        listed.extend(entries.map(|entry| Listed {
            cluster: Arc::clone(cluster),
            node: Arc::clone(name),
            body: Arc::clone(&entry.finding),
            stale: node.is_stale(),
        }));
    }
    drop(fold);
    listed.sort_by(|one, other| {
        let key = |listed: &Listed<Finding>| Reverse((listed.body.severity, listed.body.first_seen_unix_ns));
        key(one).cmp(&key(other)).then_with(|| one.body.id.cmp(&other.body.id))
    });
    listed
}

/// By node, namespace, pod and container.
pub(super) fn containers(state: &State, filter: &Filter) -> Vec<Listed<ContainerPosture>> {
    let fold = state.read();
    let mut listed = Vec::new();
    for ((cluster, name), node) in fold.nodes().filter(|((_, name), _)| filter.takes_node(name)) {
        let mut here: Vec<_> =
            node.containers.iter().filter(|posture| filter.takes_container(posture)).cloned().collect();
        here.sort_by(|one, other| by_name(one).cmp(&by_name(other)));
        listed.extend(here.into_iter().map(|body| Listed {
            cluster: Arc::clone(cluster),
            node: Arc::clone(name),
            body,
            stale: node.is_stale(),
        }));
    }
    listed
}

fn by_name(posture: &ContainerPosture) -> (&str, &str, &str, &str) {
    let Some(container) = &posture.container else { return ("", "", "", "") };
    match &container.names {
        Some(names) => (&names.namespace, &names.pod, &names.container, &container.id),
        None => ("", "", "", &container.id),
    }
}

pub(super) fn nodes(state: &State, filter: &Filter) -> Vec<v1::Node> {
    let fold = state.read();
    let taken = fold.nodes().filter(|((_, name), _)| filter.takes_node(name));
    taken
        .map(|(key, node)| {
            let presence = state.presences().get(key);
            let heard = presence.as_ref().map_or(0, |presence| presence.heard_unix_ns);
            v1::Node {
                cluster: key.0.to_string(),
                name: key.1.to_string(),
                boot_id: node.hello.boot_id.clone(),
                agent_version: node.hello.agent_version.clone(),
                kernel: node.hello.kernel.clone(),
                status: Some(node.status.clone()),
                connected: presence.as_ref().is_some_and(|presence| presence.is_connected()),
                last_heard_unix_ns: heard.max(node.last_frame_unix_ns),
                heartbeat: presence.and_then(|presence| presence.heartbeat),
                inventory_unix_ns: node.inventory_unix_ns,
                containers: node.containers.len() as u64,
                open_findings: node.findings.open() as u64,
                gap_events: node.gap_events,
                unexplained_events: node.unexplained(),
                controls: node.controls.clone(),
            }
        })
        .collect()
}

/// Copies each body only when it is its turn.
pub(super) fn stream<T, A>(listed: Vec<Listed<T>>, permit: OwnedSemaphorePermit) -> Answers<A>
where
    T: Send + Sync + 'static,
    A: From<Listed<T>> + Send + 'static,
{
    Box::pin(tokio_stream::iter(listed.into_iter().map(move |listed| {
        let _held = &permit;
        Ok::<_, Status>(A::from(listed))
    })))
}

impl From<Listed<Finding>> for FindingsResponse {
    fn from(listed: Listed<Finding>) -> Self {
        let Listed { cluster, node, body, stale } = listed;
        let finding = Some(Arc::unwrap_or_clone(body));
        Self { cluster: cluster.to_string(), node: node.to_string(), finding, stale }
    }
}

impl From<Listed<ContainerPosture>> for InventoryResponse {
    fn from(listed: Listed<ContainerPosture>) -> Self {
        let Listed { cluster, node, body, stale } = listed;
        let container = Some(Arc::unwrap_or_clone(body));
        Self { cluster: cluster.to_string(), node: node.to_string(), container, stale }
    }
}
