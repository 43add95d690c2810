//! What stands, for a comparison with what was told.

use std::sync::Arc;

use kestrel_proto::v1::{self, FindingState};

use super::{Change, Fold};
use crate::alert::notice::Subject;

/// A copy of what alerts are about.
#[derive(Clone, Debug)]
pub struct Standing(Fold);

impl Standing {
    /// Of a fold.
    #[must_use]
    pub fn new(fold: &Fold) -> Self {
        Self(fold.clone())
    }

    /// All that is open, and of what was told as open all that is not any more.
    #[must_use]
    pub fn differences<'a>(
        &self,
        told: impl Iterator<Item = &'a Subject>,
    ) -> Vec<(Arc<str>, Arc<str>, Change)> {
        let mut changes = Vec::new();
        for ((cluster, name), node) in self.0.nodes() {
            let mut change = |change| changes.push((Arc::clone(cluster), Arc::clone(name), change));
            change(Change::Node(node.status.clone()));
            let mut open: Vec<_> = node.findings.iter().filter(|entry| entry.is_open()).collect();
            open.sort_unstable_by(|one, other| one.finding.id.cmp(&other.finding.id));
            for entry in open {
                change(Change::Opened(Arc::clone(&entry.finding)));
            }
        }
        for Subject { cluster, node, finding } in told {
            // Of a node that is not known nothing can be said before it has told what there is.
            let Some(known) = self.0.node(cluster, node) else { continue };
            let over = match known.findings.get(finding) {
                _ if finding.is_empty() => continue,
                Some(entry) if entry.is_open() => continue,
                Some(entry) => Arc::clone(&entry.finding),
                None if known.inventory_unix_ns.is_none() => continue,
                None => {
                    let mut over = v1::Finding { id: finding.clone(), ..v1::Finding::default() };
                    over.set_state(FindingState::Resolved);
                    over.set_resolution(v1::Resolution::NotInInventory);
                    Arc::new(over)
                }
            };
            changes.push((cluster.as_str().into(), node.as_str().into(), Change::Resolved(over)));
        }
        changes
    }
}
