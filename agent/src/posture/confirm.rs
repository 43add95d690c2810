//! Findings of the agent's last run, until this one has seen as much as the last had.

use hashbrown::HashMap;

use super::{Change, ControlId, Posture, Scope};
use crate::time::{Clock, SECOND};

/// After the start scan, by when a program in memory only is known not to be a runtime's own
/// (`context::membership` waits 30 s), and is judged.
const SEALED_NS: u64 = 40 * SECOND;
/// After the start scan, by when every container and the node should have been looked at.
const LOOK_NS: u64 = 120 * SECOND;

impl Posture {
    /// The start scan is done: what the last run left open must be confirmed by now.
    pub fn scan_complete(&mut self, now: Clock) {
        self.scanned_at = Some(now.boottime_ns);
    }

    /// What should be confirmed by now and is not is over.
    pub(super) fn resolve_unconfirmed(&mut self, now: Clock, changes: &mut Vec<Change>) {
        if self.has_unconfirmed
            && let Some(scanned_at) = self.scanned_at
        {
            let waits = self.containers.values().any(|entry| entry.names.is_none());
            if !waits || now.boottime_ns >= scanned_at.saturating_add(self.settings.name_wait_ns) {
                let is_of = |control: ControlId| !needs_look(control);
                self.ledger.resolve_unconfirmed(is_of, now, changes);
                self.has_unconfirmed = false;
                self.remembered = HashMap::new();
            }
        }
        if self.has_unseen
            && let Some(scanned_at) = self.scanned_at
        {
            let waits = self.containers.values().any(|entry| entry.through.is_none());
            let is_late = |wait| now.boottime_ns >= scanned_at.saturating_add(wait);
            if (!waits && !self.node.is_empty() && is_late(SEALED_NS)) || is_late(LOOK_NS) {
                let is_of = needs_look;
                self.ledger.resolve_unconfirmed(is_of, now, changes);
                self.has_unseen = false;
            }
        }
    }
}

/// Whether a control says nothing before the container, or the node, was looked at.
fn needs_look(control: ControlId) -> bool {
    control.control().scope != Scope::Task
        || matches!(control, ControlId::RuntimeDrift | ControlId::AdminTools)
}
