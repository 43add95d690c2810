//! How long a finding waits for the name of its container.

use crate::context::PendingReason;

/// How often a wait begins anew at most: late without a name is better than never.
const RENEWALS: u8 = 3;

/// A wait for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    /// Boottime before which nothing is told that is worse than what was.
    pub(super) until: u64,
    renewals: u8,
}

impl Hold {
    pub(super) const fn until(until: u64) -> Self {
        Self { until, renewals: 0 }
    }

    /// Nobody could take a name from `since` on: what was waited for by then is waited for until `until`.
    pub(super) fn renew(&mut self, pending: Option<PendingReason>, since: u64, until: u64) {
        let is_asked = pending.is_some_and(|reason| reason != PendingReason::NoRuntime);
        if is_asked && self.until > since && self.renewals < RENEWALS {
            self.until = self.until.max(until);
            self.renewals += 1;
        }
    }
}
