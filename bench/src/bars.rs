//! What each measurement must reach. Held against the worse end of its interval.

use serde::Serialize;

use crate::{condition::Condition, stats::Estimate, workload::Workload};

/// Most bytes of anonymous memory.
pub const ANONYMOUS_MEMORY: Limit = Limit::Below(40e6);
/// Most bytes that the agent's cgroup is charged for, less what can be had back at once.
pub const CGROUP_MEMORY: Limit = Limit::Below(100e6);
/// Fewest opens per second, of two loops on two CPUs with every open wanted, that are decoded.
pub const FLOOD_DECODED: Limit = Limit::AtLeast(300e3);
/// Most of them that may be lost.
pub const FLOOD_LOST: Limit = Limit::Below(0.01);
/// Opens that are neither decoded nor counted as lost.
pub const UNACCOUNTED: Limit = Limit::AtMost(0.0);
/// Fewest opens per second, each of them wanted, that are made beside an agent with rules.
pub const STEADY_WANTED: Limit = Limit::AtLeast(300e3);
/// Most of them that may be lost.
pub const STEADY_LOST: Limit = Limit::AtMost(0.0);
/// Most seconds from exec to verdict, for 99 of 100.
pub const VERDICT_P99: Limit = Limit::Below(0.050);
/// Most CPU seconds for a look into each of 500 containers.
pub const INSPECTION_PASS: Limit = Limit::Below(1.0);
/// Most of a CPU that the agent takes beside 100 containers at rest, with its default configuration.
pub const AT_REST: Limit = Limit::Below(0.005);
/// Fewest records per second and core through user space.
pub const REPLAY: Limit = Limit::AtLeast(1e6);

/// Fewest exec events per second that a collector makes durable on two cores.
pub const DURABLE: Limit = Limit::AtLeast(100e3);
/// Most bytes of an exec on the wire.
pub const WIRE: Limit = Limit::AtMost(250.0);
/// Most seconds from exec to whoever watches, for 99 of 100.
pub const TAIL_P99: Limit = Limit::AtMost(0.050);

/// Most nanoseconds that an open takes against the official rules. All default rules may take twice these.
pub const RULES_OPENAT: f64 = 200.0;
/// Most that the start of a program takes.
pub const RULES_EXECVE: f64 = 1_000.0;
/// Most that an event takes that no rule is for.
pub const RULES_CLOSE: f64 = 20.0;
/// Most seconds that a thousand rules take to compile.
pub const RULES_COMPILING: Limit = Limit::Below(0.100);
/// Allocations for an event that no rule matches.
pub const RULES_ALLOCATIONS: Limit = Limit::AtMost(0.0);

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Good when less.
    Below(f64),
    /// Good when not more.
    AtMost(f64),
    /// Good when not less.
    AtLeast(f64),
}

impl Limit {
    /// Whether even the worse end of an interval is good.
    #[must_use]
    pub fn holds(self, low: f64, high: f64) -> bool {
        match self {
            Self::Below(limit) => high < limit,
            Self::AtMost(limit) => high <= limit,
            Self::AtLeast(limit) => low >= limit,
        }
    }
}

/// How much longer a workload may take than under another condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioBar {
    /// Than under this one.
    pub than: Condition,
    /// The ratio.
    pub limit: Limit,
}

impl RatioBar {
    /// The bar of a workload. Against the empty programs where the hooks alone may use the bar up
    /// (a call that nobody wants, the start of a program), else against a node without an agent.
    #[must_use]
    pub const fn of(workload: Workload) -> Option<Self> {
        match workload {
            Workload::Getppid => Some(Self { than: Condition::Floor, limit: Limit::AtMost(1.1) }),
            Workload::Open => Some(Self { than: Condition::Nothing, limit: Limit::AtMost(1.35) }),
            Workload::OpenWanted => Some(Self { than: Condition::Nothing, limit: Limit::AtMost(1.5) }),
            Workload::Connect => Some(Self { than: Condition::Nothing, limit: Limit::AtMost(1.2) }),
            Workload::ForkExec => Some(Self { than: Condition::Floor, limit: Limit::AtMost(1.05) }),
            Workload::ForkExecTiny => None,
        }
    }

    /// Whether the interval holds it; what could not be measured does not.
    #[must_use]
    pub fn holds(self, ratio: Option<Estimate>) -> bool {
        ratio.is_some_and(|Estimate { low, high, .. }| self.limit.holds(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_end_counts() {
        assert!(Limit::AtMost(1.1).holds(0.9, 1.1));
        assert!(!Limit::AtMost(1.1).holds(1.0, 1.101));
        assert!(!Limit::Below(40.0).holds(40.0, 40.0));
        assert!(!Limit::AtLeast(10.0).holds(9.0, 12.0));
    }

    #[test]
    fn what_was_not_measured_does_not_pass() {
        assert!(!RatioBar::of(Workload::Getppid).unwrap().holds(None));
    }
}
