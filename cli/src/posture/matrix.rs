//! Workloads and nodes, and what each control says of them.

use std::collections::{BTreeMap, BTreeSet};

use kestrel_proto::v1;
use serde::{Serialize, Serializer};

use super::{
    control,
    said::{self, Counts, Said},
};

/// A container of a workload, with all its replicas.
#[derive(Clone, Debug, Serialize)]
pub struct Workload {
    /// Cluster.
    pub cluster: String,
    /// Kubernetes namespace; empty while there is no name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Kind of the owner as far as the runtime tells, else `Pod`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name of the owner.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workload: String,
    /// Name of the container in the pod; empty for a sandbox.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// The pods' sandboxes.
    pub sandbox: bool,
    /// The runtime's id, of a container without a name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container_id: String,
    /// How many containers.
    pub containers: u64,
    /// Their pods.
    pub pods: BTreeSet<String>,
    /// Their nodes.
    pub nodes: BTreeSet<String>,
    /// Those of the nodes that are silent, so that this may not be true any more.
    pub stale_nodes: BTreeSet<String>,
    /// The Pod Security level that all of them keep.
    #[serde(serialize_with = "level_word", skip_serializing_if = "is_unspecified")]
    pub observed_level: v1::PodSecurity,
    /// The one that all of them ask for.
    #[serde(serialize_with = "level_word", skip_serializing_if = "is_unspecified")]
    pub declared_level: v1::PodSecurity,
    /// Controls by verdict.
    pub counts: Counts,
    /// How bad the worst violation is.
    #[serde(serialize_with = "said::severity_word", skip_serializing_if = "said::is_unspecified")]
    pub worst_severity: v1::Severity,
    /// What each control says, in the catalogue's order.
    pub controls: Vec<Said>,
}

/// A node, by its own controls.
#[derive(Clone, Debug, Serialize)]
pub struct OfNode {
    /// Cluster.
    pub cluster: String,
    /// Name.
    pub node: String,
    /// It is silent, so that this may not be true any more.
    pub stale: bool,
    /// Controls by verdict.
    pub counts: Counts,
    /// How bad the worst violation is.
    #[serde(serialize_with = "said::severity_word", skip_serializing_if = "said::is_unspecified")]
    pub worst_severity: v1::Severity,
    /// What each control says, in the catalogue's order.
    pub controls: Vec<Said>,
}

/// Which workload a container is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    cluster: String,
    namespace: String,
    workload: String,
    container: String,
    kind: String,
    sandbox: bool,
    container_id: String,
}

impl Key {
    fn of(cluster: &str, container: &v1::Container) -> Self {
        let Some(names) = container.names.clone() else {
            return Self {
                cluster: cluster.to_owned(),
                namespace: String::new(),
                workload: String::new(),
                container: String::new(),
                kind: String::new(),
                sandbox: false,
                container_id: container.id.clone(),
            };
        };
        let (kind, workload) = match names.workload {
            Some(owner) if !owner.name.is_empty() => (owner.kind, owner.name),
            _ => ("Pod".to_owned(), names.pod),
        };
        Self {
            cluster: cluster.to_owned(),
            namespace: names.namespace,
            workload,
            container: if names.sandbox { String::new() } else { names.container },
            kind,
            sandbox: names.sandbox,
            container_id: String::new(),
        }
    }
}

/// What is gathered of a workload.
#[derive(Debug, Default)]
struct Gathered {
    containers: u64,
    pods: BTreeSet<String>,
    nodes: BTreeSet<String>,
    stale_nodes: BTreeSet<String>,
    observed: Vec<v1::PodSecurity>,
    declared: Vec<v1::PodSecurity>,
    said: BTreeMap<String, Said>,
}

/// A row for each container of each workload, by cluster, namespace and name.
#[must_use]
pub fn workloads(inventory: &[v1::InventoryResponse]) -> Vec<Workload> {
    let mut all = BTreeMap::<Key, Gathered>::new();
    for response in inventory {
        let Some(posture) = &response.container else { continue };
        let container = posture.container.clone().unwrap_or_default();
        let gathered = all.entry(Key::of(&response.cluster, &container)).or_default();
        gathered.containers += 1;
        gathered.pods.extend(container.names.map(|names| names.pod));
        gathered.nodes.insert(response.node.clone());
        if response.stale {
            gathered.stale_nodes.insert(response.node.clone());
        }
        gathered.observed.push(posture.observed_level());
        gathered.declared.push(posture.declared_level());
        for control in &posture.controls {
            said::merge(&mut gathered.said, control);
        }
    }
    all.into_iter().map(|(key, gathered)| workload(key, gathered)).collect()
}

fn workload(key: Key, gathered: Gathered) -> Workload {
    let Key { cluster, namespace, workload, container, kind, sandbox, container_id } = key;
    let Gathered { containers, pods, nodes, stale_nodes, observed, declared, said } = gathered;
    let controls = in_order(said);
    let (counts, worst_severity) = said::sums(&controls);
    Workload {
        cluster,
        namespace,
        kind,
        workload,
        container,
        sandbox,
        container_id,
        containers,
        pods,
        nodes,
        stale_nodes,
        observed_level: weakest(&observed),
        declared_level: weakest(&declared),
        counts,
        worst_severity,
        controls,
    }
}

/// The level that all keep: not known where one of them may keep less than the others.
fn weakest(levels: &[v1::PodSecurity]) -> v1::PodSecurity {
    let known = levels.iter().copied().filter(|&level| level != v1::PodSecurity::Unspecified);
    match known.min() {
        Some(v1::PodSecurity::Privileged) => v1::PodSecurity::Privileged,
        Some(level) if levels.iter().all(|&one| one != v1::PodSecurity::Unspecified) => level,
        _ => v1::PodSecurity::Unspecified,
    }
}

/// A row for each node of which its own controls say something.
#[must_use]
pub fn nodes(nodes: &[v1::Node]) -> Vec<OfNode> {
    let with_controls = nodes.iter().filter(|node| !node.controls.is_empty());
    with_controls
        .map(|node| {
            let mut said = BTreeMap::new();
            for control in &node.controls {
                said::merge(&mut said, control);
            }
            let controls = in_order(said);
            let (counts, worst_severity) = said::sums(&controls);
            OfNode {
                cluster: node.cluster.clone(),
                node: node.name.clone(),
                stale: is_stale(node),
                counts,
                worst_severity,
                controls,
            }
        })
        .collect()
}

/// As the collector says it of containers and findings.
#[must_use]
pub fn is_stale(node: &v1::Node) -> bool {
    let condition = node.status.as_ref().map(v1::NodeStatus::condition);
    matches!(condition, Some(v1::NodeCondition::Silent | v1::NodeCondition::Stopped))
}

fn in_order(said: BTreeMap<String, Said>) -> Vec<Said> {
    let mut all: Vec<_> = said.into_values().collect();
    all.sort_by(|one, other| control::rank(&one.control).cmp(&control::rank(&other.control)));
    all
}

/// A level as a word; `None`: it is not known.
#[must_use]
pub const fn level(level: v1::PodSecurity) -> Option<&'static str> {
    match level {
        v1::PodSecurity::Unspecified => None,
        v1::PodSecurity::Privileged => Some("privileged"),
        v1::PodSecurity::Baseline => Some("baseline"),
        v1::PodSecurity::Restricted => Some("restricted"),
    }
}

pub(super) fn is_unspecified(level: &v1::PodSecurity) -> bool {
    *level == v1::PodSecurity::Unspecified
}

pub(super) fn level_word<S: Serializer>(of: &v1::PodSecurity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level(*of).unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::PodSecurity::{Baseline, Privileged, Restricted, Unspecified};

    #[test]
    fn a_level_is_kept_by_all_or_it_is_not_kept() {
        assert_eq!(weakest(&[Restricted, Baseline]), Baseline);
        assert_eq!(weakest(&[Restricted, Unspecified]), Unspecified);
        assert_eq!(weakest(&[Unspecified, Privileged]), Privileged);
        assert_eq!(weakest(&[]), Unspecified);
    }

    #[test]
    fn owners_of_one_name_are_two_workloads() {
        let of = |kind: &str, node: &str| {
            let names = v1::ContainerNames {
                namespace: "shop".to_owned(),
                pod: format!("{kind}-{node}"),
                container: "app".to_owned(),
                workload: Some(v1::Workload {
                    kind: kind.to_owned(),
                    name: "cart".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let container = v1::Container { names: Some(names), ..Default::default() };
            let container = v1::ContainerPosture { container: Some(container), ..Default::default() };
            v1::InventoryResponse { node: node.to_owned(), container: Some(container), ..Default::default() }
        };
        let rows = workloads(&[of("Deployment", "a"), of("StatefulSet", "a"), of("Deployment", "b")]);
        let rows: Vec<_> =
            rows.iter().map(|row| (row.kind.as_str(), row.containers, row.nodes.len())).collect();
        assert_eq!(rows, [("Deployment", 2, 2), ("StatefulSet", 1, 1)]);
    }
}
