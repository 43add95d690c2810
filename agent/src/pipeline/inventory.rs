//! When an inventory may be given.

/// What a held finding may take beyond its wait for a name: the tick that tells it.
const MARGIN_NS: u64 = 1_000_000_000;

/// Holds inventories back until everything that ran before the agent is judged and told: one that
/// lacks it would resolve findings that hold.
#[derive(Debug)]
pub(super) struct InventoryGate {
    /// A finding waits that long for a name.
    name_wait_ns: u64,
    /// When it opens; not known before the start scan is in.
    opens_ns: Option<u64>,
    wanted: bool,
}

impl InventoryGate {
    /// Closed.
    pub(super) const fn new(name_wait_ns: u64) -> Self {
        Self { name_wait_ns, opens_ns: None, wanted: false }
    }

    /// The start scan is in.
    pub(super) const fn scanned(&mut self, now_ns: u64) {
        let wait = if self.name_wait_ns == 0 { 0 } else { self.name_wait_ns.saturating_add(MARGIN_NS) };
        self.opens_ns = Some(now_ns.saturating_add(wait));
    }

    /// Somebody asks. Asked again before it is given, it is one.
    pub(super) const fn ask(&mut self) {
        self.wanted = true;
    }

    /// Whether one is to be given now.
    pub(super) fn take(&mut self, now_ns: u64) -> bool {
        let is_open = self.opens_ns.is_some_and(|opens_ns| now_ns >= opens_ns);
        is_open && std::mem::take(&mut self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_before_what_ran_is_judged_and_told() {
        let mut gate = InventoryGate::new(2_000_000_000);
        gate.ask();
        assert!(!gate.take(u64::MAX), "no scan");
        gate.scanned(10);
        assert!(!gate.take(2_000_000_010));
        assert!(gate.take(3_000_000_010));
        assert!(!gate.take(u64::MAX), "one for each time it is asked for");
    }
}
