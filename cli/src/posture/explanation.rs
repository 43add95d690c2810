//! What one control says of one container or node, with all that is known of why.

use std::collections::HashMap;

use kestrel_proto::v1;

/// What one control says of one container or node.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Cluster.
    pub cluster: String,
    /// Node.
    pub node: String,
    /// The node is silent, so that this may not be true any more.
    pub stale: bool,
    /// The container; `None`: the node itself.
    pub container: Option<v1::Container>,
    /// What is said; `None`: the control is not judged there.
    pub said: Option<v1::ControlPosture>,
    /// The findings that say it, each with those of its tasks that are of this container.
    pub findings: Vec<v1::Finding>,
}

impl Explanation {
    /// When the oldest of the findings was first seen.
    #[must_use]
    pub fn since_unix_ns(&self) -> Option<i64> {
        self.findings.iter().map(|finding| finding.first_seen_unix_ns).filter(|&since| since > 0).min()
    }
}

/// Findings by where they are.
#[derive(Debug, Default)]
pub struct Findings(HashMap<(String, String), Vec<v1::Finding>>);

impl Findings {
    /// Those of one control that are open.
    #[must_use]
    pub fn of(slug: &str, all: Vec<v1::FindingsResponse>) -> Self {
        let mut by_node = HashMap::<_, Vec<_>>::new();
        for v1::FindingsResponse { cluster, node, finding, stale: _ } in all {
            let Some(finding) = finding else { continue };
            let is_of_it = finding.control.as_ref().is_some_and(|control| control.slug == slug);
            if is_of_it && finding.state() != v1::FindingState::Resolved {
                by_node.entry((cluster, node)).or_default().push(finding);
            }
        }
        Self(by_node)
    }

    /// Those of a node itself.
    #[must_use]
    pub fn of_node(&self, cluster: &str, node: &str) -> Vec<v1::Finding> {
        let is_own = |finding: &&v1::Finding| {
            finding.workload.is_none() && finding.container_id.is_empty() && finding.container.is_empty()
        };
        self.at(cluster, node).filter(is_own).cloned().collect()
    }

    /// Those that speak of a container: by its id, or by its workload, which all replicas share.
    #[must_use]
    pub fn of_container(&self, cluster: &str, node: &str, container: &v1::Container) -> Vec<v1::Finding> {
        let of_it = |finding: &&v1::Finding| {
            let mut ids = finding.instances.iter().map(|instance| &instance.container_id);
            finding.container_id == container.id
                || ids.any(|id| *id == container.id)
                || is_of_workload(finding, container)
        };
        let only_its_tasks = |finding: &v1::Finding| {
            let mut finding = finding.clone();
            let before = finding.instances.len();
            // A task without a container is one that entered it, or left it.
            finding
                .instances
                .retain(|instance| instance.container_id.is_empty() || instance.container_id == container.id);
            finding.more_instances =
                finding.more_instances.saturating_add((before - finding.instances.len()) as u64);
            finding
        };
        self.at(cluster, node).filter(of_it).map(only_its_tasks).collect()
    }

    fn at(&self, cluster: &str, node: &str) -> impl Iterator<Item = &v1::Finding> {
        self.0.get(&(cluster.to_owned(), node.to_owned())).into_iter().flatten()
    }
}

fn is_of_workload(finding: &v1::Finding, container: &v1::Container) -> bool {
    let (Some(of), Some(names)) = (&finding.workload, &container.names) else { return false };
    let is_owner = match &names.workload {
        Some(owner) if !owner.name.is_empty() => (&owner.kind, &owner.name) == (&of.kind, &of.name),
        _ => finding.pod == names.pod || of.name == names.pod,
    };
    let name = if names.sandbox { "" } else { names.container.as_str() };
    is_owner && of.namespace == names.namespace && finding.container == name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, owner: &str) -> v1::Container {
        v1::Container {
            id: id.to_owned(),
            names: Some(v1::ContainerNames {
                namespace: "shop".to_owned(),
                pod: format!("{owner}-1"),
                container: "app".to_owned(),
                workload: Some(v1::Workload {
                    kind: "Deployment".to_owned(),
                    name: owner.to_owned(),
                    namespace: "shop".to_owned(),
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn finding(owner: &str, ids: &[&str]) -> v1::FindingsResponse {
        let finding = v1::Finding {
            control: Some(v1::Control { slug: "seccomp".to_owned(), ..Default::default() }),
            workload: container("", owner).names.and_then(|names| names.workload),
            container: "app".to_owned(),
            instances: ids
                .iter()
                .map(|id| v1::FindingInstance { container_id: (*id).to_owned(), ..Default::default() })
                .collect(),
            more_instances: 1,
            ..Default::default()
        };
        v1::FindingsResponse { node: "a".to_owned(), finding: Some(finding), ..Default::default() }
    }

    #[test]
    fn replicas_share_a_finding_and_each_has_its_tasks() {
        let findings =
            Findings::of("seccomp", vec![finding("cart", &["x", "y", "y"]), finding("search", &["z"])]);
        let of = findings.of_container("", "a", &container("y", "cart"));
        assert_eq!((of.len(), of[0].instances.len(), of[0].more_instances), (1, 2, 2));
        assert!(findings.of_container("", "b", &container("y", "cart")).is_empty(), "another node");
        assert!(findings.of_container("", "a", &container("y", "other")).len() == 1, "by its id");
        assert!(findings.of_container("", "a", &container("w", "other")).is_empty());
        assert!(findings.of_node("", "a").is_empty());
    }
}
