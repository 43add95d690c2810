//! How much passes, by namespace and by node.

use std::collections::{BTreeMap, BTreeSet};

use kestrel_proto::v1;
use serde::Serialize;

use super::{
    control, matrix,
    said::{self, Counts},
};

/// What is said of some containers, or of a node, added up.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sum {
    /// Judgements by verdict: each control of each container.
    pub counts: Counts,
    /// Share of those judged that passed; see [`Counts::passed_percent`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_percent: Option<u64>,
    /// How bad the worst violation is.
    #[serde(serialize_with = "said::severity_word", skip_serializing_if = "said::is_unspecified")]
    pub worst_severity: v1::Severity,
}

impl Sum {
    fn add(&mut self, controls: &[v1::ControlPosture]) {
        for control in controls {
            let verdict = said::known(control.verdict());
            self.counts.add(verdict);
            if matches!(verdict, v1::Verdict::Fail | v1::Verdict::Drift) {
                self.worst_severity = self.worst_severity.max(control::severity(control));
            }
        }
        self.passed_percent = self.counts.passed_percent();
    }
}

/// A namespace.
#[derive(Clone, Debug, Serialize)]
pub struct Namespace {
    /// Cluster.
    pub cluster: String,
    /// Its name; empty: containers that have no name yet.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// How many containers.
    pub containers: u64,
    /// Those of its nodes that are silent, so that this may not be true any more.
    pub stale_nodes: BTreeSet<String>,
    /// What is said of them.
    #[serde(flatten)]
    pub sum: Sum,
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// Cluster.
    pub cluster: String,
    /// Its name.
    pub node: String,
    /// It is silent, so that this may not be true any more.
    pub stale: bool,
    /// How many containers.
    pub containers: u64,
    /// What is said of them.
    #[serde(flatten)]
    pub sum: Sum,
    /// What the node's own controls say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Sum>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// By name.
    pub namespaces: Vec<Namespace>,
    /// By name.
    pub nodes: Vec<Node>,
    /// Pod sandboxes that were not looked at.
    pub sandboxes_left_out: u64,
}

/// Adds up what is said of containers and nodes.
#[must_use]
pub fn of(inventory: &[v1::InventoryResponse], nodes: &[v1::Node], sandboxes_left_out: u64) -> Summary {
    let mut namespaces = BTreeMap::<_, Namespace>::new();
    let mut by_node = BTreeMap::new();
    for node in nodes {
        let own = (!node.controls.is_empty()).then(|| {
            let mut sum = Sum::default();
            sum.add(&node.controls);
            sum
        });
        let empty = empty(&node.cluster, &node.name);
        let row = Node { stale: matrix::is_stale(node), own, ..empty };
        by_node.insert((node.cluster.clone(), node.name.clone()), row);
    }
    for response in inventory {
        let Some(posture) = &response.container else { continue };
        let (cluster, node) = (&response.cluster, &response.node);
        let row = by_node.entry((cluster.clone(), node.clone())).or_insert_with(|| empty(cluster, node));
        row.containers += 1;
        row.stale |= response.stale;
        row.sum.add(&posture.controls);

        let names = posture.container.as_ref().and_then(|container| container.names.as_ref());
        let name = names.map_or_else(String::new, |names| names.namespace.clone());
        let row = namespaces.entry((cluster.clone(), name.clone())).or_insert_with(|| Namespace {
            cluster: cluster.clone(),
            namespace: name,
            containers: 0,
            stale_nodes: BTreeSet::new(),
            sum: Sum::default(),
        });
        row.containers += 1;
        if response.stale {
            row.stale_nodes.insert(node.clone());
        }
        row.sum.add(&posture.controls);
    }
    Summary {
        namespaces: namespaces.into_values().collect(),
        nodes: by_node.into_values().collect(),
        sandboxes_left_out,
    }
}

fn empty(cluster: &str, node: &str) -> Node {
    Node {
        cluster: cluster.to_owned(),
        node: node.to_owned(),
        stale: false,
        containers: 0,
        sum: Sum::default(),
        own: None,
    }
}
