//! How long a finding waits for the name of its container.

use crate::context::PendingReason;

/// How often a wait begins anew at most: late without a name is better than never.
const RENEWALS: u8 = 3;
/// As many times longer is waited while the runtime answers and does not know the container: it knows a pod's
/// sandbox only when the pod is up, which takes seconds where many start at once.
const PATIENCE: u64 = 5;

/// A wait for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    /// Boottime before which nothing is told that is worse than what was.
    until: u64,
    /// The same while the runtime does not know the container.
    not_known_until: u64,
    renewals: u8,
}

impl Hold {
    /// Nothing is waited for after that.
    pub(super) const fn until(until: u64) -> Self {
        Self { until, not_known_until: until, renewals: 0 }
    }

    /// A name is waited for from then on, that long.
    pub(super) const fn for_name(from: u64, wait: u64) -> Self {
        let until = from.saturating_add(wait);
        Self { until, not_known_until: from.saturating_add(wait.saturating_mul(PATIENCE)), renewals: 0 }
    }

    /// Boottime at which the wait ends, for this reason to wait.
    pub(super) fn ends(&self, pending: Option<PendingReason>) -> u64 {
        if pending == Some(PendingReason::NotKnown) { self.not_known_until } else { self.until }
    }

    /// Waits as long as the other, too.
    pub(super) fn extend(&mut self, other: Self) {
        self.until = self.until.max(other.until);
        self.not_known_until = self.not_known_until.max(other.not_known_until);
    }

    /// Nobody could take a name from `since` on: what was waited for by then is waited for until `until`.
    pub(super) fn renew(&mut self, pending: Option<PendingReason>, since: u64, until: u64) {
        let is_asked = pending.is_some_and(|reason| reason != PendingReason::NoRuntime);
        if is_asked && self.ends(pending) > since && self.renewals < RENEWALS {
            self.extend(Self::until(until));
            self.renewals += 1;
        }
    }
}
