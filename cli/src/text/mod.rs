//! What people read.

mod detection;
pub mod event;
pub mod finding;
pub mod hook;
pub mod inventory;
mod network;
pub mod node;
pub mod posture;
mod raw;

use inert::inert;
use kestrel_proto::v1;

use crate::look::Paint;

/// A verdict as a word.
#[must_use]
pub const fn verdict(verdict: v1::Verdict) -> &'static str {
    match verdict {
        v1::Verdict::Unspecified => "-",
        v1::Verdict::Pass => "PASS",
        v1::Verdict::Exempt => "EXEMPT",
        v1::Verdict::Unknown => "UNKNOWN",
        v1::Verdict::Fail => "FAIL",
        v1::Verdict::Drift => "DRIFT",
    }
}

/// The colour of a verdict.
#[must_use]
pub const fn paint_of(verdict: v1::Verdict) -> Paint {
    match verdict {
        v1::Verdict::Unspecified => Paint::Plain,
        v1::Verdict::Pass => Paint::Good,
        v1::Verdict::Exempt => Paint::Calm,
        v1::Verdict::Unknown => Paint::Warn,
        v1::Verdict::Fail => Paint::Bad,
        v1::Verdict::Drift => Paint::Worst,
    }
}

/// A severity as a word.
#[must_use]
pub const fn severity(severity: v1::Severity) -> &'static str {
    match severity {
        v1::Severity::Unspecified => "-",
        v1::Severity::Info => "info",
        v1::Severity::Low => "low",
        v1::Severity::Medium => "medium",
        v1::Severity::High => "high",
        v1::Severity::Critical => "critical",
    }
}

/// The colour of a severity.
#[must_use]
pub const fn severity_paint(severity: v1::Severity) -> Paint {
    match severity {
        v1::Severity::Unspecified | v1::Severity::Info | v1::Severity::Low => Paint::Plain,
        v1::Severity::Medium => Paint::Warn,
        v1::Severity::High => Paint::Bad,
        v1::Severity::Critical => Paint::Worst,
    }
}

/// A lane as a word.
#[must_use]
pub const fn lane(lane: v1::Lane) -> &'static str {
    match lane {
        v1::Lane::Unspecified => "-",
        v1::Lane::Findings => "findings",
        v1::Lane::Detections => "detections",
        v1::Lane::Bulk => "bulk",
    }
}

/// The front of a container's id.
#[must_use]
pub fn short_id(id: &str) -> String {
    inert(id.get(..12).unwrap_or(id))
}

/// A number and its noun.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A number of bytes.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = "B";
    let mut rest = number;
    for larger in UNITS {
        if rest < 1024 {
            break;
        }
        rest /= 1024;
        unit = larger;
    }
    format!("{rest} {unit}")
}
