//! What the agent costs, and how fast it is.
//!
//! - [`overhead`]: what a system call costs with nothing attached, with empty programs on the
//!   agent's hooks ([`condition`]) and with the agent, in interleaved rounds of the same
//!   [`workload`]s.
//! - [`flood`] and [`steady`]: opens as fast as they go, and at a pace at which none may be lost.
//! - [`latency`] and [`footprint`]: an agent beside many containers.
//! - [`replay`]: records through user space, without the kernel.
//! - [`rule_sets`]: events against rules.
//!
//! Numbers come with an interval ([`stats`]) and are held against [`bars`].

pub mod bars;
pub mod cli;
pub mod condition;
pub mod containers;
pub mod delivery;
pub mod flood;
pub mod footprint;
pub mod histogram;
pub mod interrupt;
pub mod latency;
pub mod machine;
pub mod overhead;
pub mod posture;
pub mod process;
pub mod replay;
pub mod report;
pub mod rule_sets;
pub mod stats;
pub mod steady;
pub mod workload;

use std::io::Write as _;

/// Says on standard error how far it is: a run takes minutes.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An error that cannot be returned.
pub(crate) fn complain(error: &anyhow::Error) {
    progress(&format!("error: {error:#}"));
}
