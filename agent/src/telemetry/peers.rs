//! Names of peers from the answers of name servers.

use super::{Cell, Cells, label::DnsMessage};

/// What was heard, and what is known of it: `learned` is what `expired`, was `evicted`, and is `known`.
#[derive(Debug, Default)]
pub struct PeerNames {
    /// Packets of name servers and to them, by what became of them.
    pub messages: Cells<DnsMessage>,
    /// Answers of which the end was not there or was not captured. What there was of them was taken.
    pub cut: Cell,
    /// Names of addresses that were not known.
    pub learned: Cell,
    /// Names whose time was over, or whose container was gone.
    pub expired: Cell,
    /// Names that had to leave room for others.
    pub evicted: Cell,
    /// Names of addresses now.
    pub known: Cell,
}
