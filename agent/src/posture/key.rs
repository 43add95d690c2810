//! What a finding is about, and the id that follows from it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::ControlId;
use crate::context::{Container, Enrichment, Names};

/// Whose finding it is. Replicas and restarts of a container share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A container of a workload.
    Workload {
        /// Kubernetes namespace.
        namespace: String,
        /// Kind of the owner.
        kind: String,
        /// Name of the owner.
        name: String,
        /// Name of the container in the pod; empty for a sandbox.
        container: String,
    },
    /// A container that has no name yet, by its runtime id.
    Container(String),
    /// The node itself.
    Node,
}

impl Subject {
    pub(super) fn of_workload(names: &Names) -> Self {
        Self::Workload {
            namespace: names.namespace.clone(),
            kind: names.owner.kind.to_owned(),
            name: names.owner.name.clone(),
            container: names.container.clone(),
        }
    }

    pub(super) fn of(container: &Container) -> Self {
        match &container.enrichment {
            Enrichment::Complete(names) => Self::of_workload(names),
            Enrichment::Pending(_) => Self::Container(container.id.as_str().to_owned()),
        }
    }

    /// Whether it waits for a name.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Container(_))
    }
}

/// Names a finding for good: the same (node, subject, control) gives the same id after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FindingId(u128);

impl FindingId {
    /// Workloads choose their names, so the hash must not be one in which they can look for the
    /// id of another.
    #[must_use]
    pub fn of(node: &str, subject: &Subject, control: ControlId) -> Self {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            // With its length, so that no two lists of parts read the same.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        part("kestrel finding 1");
        part(node);
        part(control.slug());
        match subject {
            Subject::Workload { namespace, kind, name, container } => {
                part("workload");
                part(namespace);
                part(kind);
                part(name);
                part(container);
            }
            Subject::Container(id) => {
                part("container");
                part(id);
            }
            Subject::Node => part("node"),
        }
        let digest = hash.finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(id))
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for FindingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FindingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("finding id is not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_apart() {
        let subject = |name: &str, container: &str| Subject::Workload {
            namespace: "shop".into(),
            kind: "Deployment".into(),
            name: name.into(),
            container: container.into(),
        };
        let id = |name, container| FindingId::of("node", &subject(name, container), ControlId::Seccomp);
        assert_eq!(id("web", "main").to_string(), id("web", "main").to_string());
        assert_ne!(id("web", "main"), id("webm", "ain"));
        assert_ne!(id("web", "main"), FindingId::of("node", &subject("web", "main"), ControlId::Privileged));
        assert_ne!(id("web", "main"), FindingId::of("other", &subject("web", "main"), ControlId::Seccomp));
        // Stored by older agents: must never change.
        assert_eq!(id("web", "main").to_string(), "936cfdc68184a0959ab607891c00d6aa");
    }
}
