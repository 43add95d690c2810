//! Findings, in a line of the stream and in a table.

use std::fmt::Write as _;

use inert::{inert, push_inert};
use kestrel_proto::v1;

use crate::{
    look::{Cell, Paint, Table, place},
    text::{paint_of, severity, severity_paint, short_id, verdict},
    time,
};

/// Where it is.
#[must_use]
pub fn place_of(finding: &v1::Finding, columns: usize) -> String {
    let namespace = finding.workload.as_ref().map_or("", |workload| &workload.namespace);
    match (&finding.workload, finding.container.as_str()) {
        (None, "") => format!("container {} (name PENDING)", short_id(&finding.container_id)),
        (workload, container) => {
            // The pod of one replica, or the workload's name where it is not known.
            let pod = match (finding.pod.as_str(), workload) {
                ("", Some(workload)) => &workload.name,
                (pod, _) => pod,
            };
            let container = if container.is_empty() { "(sandbox)" } else { container };
            place([namespace, pod, container], columns)
        }
    }
}

/// What was seen.
#[must_use]
pub fn evidence(finding: &v1::Finding) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    if finding.state() == v1::FindingState::Resolved {
        let _ = write!(text, "{}: was {}, ", resolution(finding.resolution()), verdict(finding.verdict()));
    }
    if finding.verdict() == v1::Verdict::Unknown && !finding.unknown_reason.is_empty() {
        let _ = write!(text, "{}: ", inert(&finding.unknown_reason));
    }
    match finding.instances.first() {
        None => text.push_str("no task left"),
        Some(first) => {
            push_inert(&mut text, first.observed.as_bytes());
            if let Some(declared) = &first.declared {
                let _ = write!(text, " (declared {})", inert(declared));
            }
            text.push_str(", ");
            push_inert(&mut text, &first.exe);
            if let Some(process) = &first.process {
                let _ = write!(text, " pid {}", process.tgid);
            }
            let more = finding.more_instances.saturating_add(finding.instances.len() as u64 - 1);
            if more > 0 {
                let _ = write!(text, " and {more} more");
            }
        }
    }
    if let Some(exemption) = &finding.exemption {
        let _ = write!(text, ", exempt: {}, {}", inert(&exemption.owner), inert(&exemption.reason));
        if let Some(expires) = &exemption.expires {
            let _ = write!(text, ", until {}", inert(expires));
        }
    }
    text
}

/// Its control.
#[must_use]
pub fn control(finding: &v1::Finding) -> String {
    inert(finding.control.as_ref().map_or("-", |control| &control.slug))
}

/// Why it is over.
#[must_use]
pub const fn resolution(resolution: v1::Resolution) -> &'static str {
    match resolution {
        v1::Resolution::Unspecified => "resolved",
        v1::Resolution::Quiet => "quiet",
        v1::Resolution::Gone => "gone",
        v1::Resolution::NotThereAfterRestart => "gone, not there after restart",
        v1::Resolution::Superseded => "superseded",
        v1::Resolution::Evicted => "evicted",
        v1::Resolution::NotInInventory => "gone, not in the node's inventory",
    }
}

/// Whether an open finding says FAIL or DRIFT.
#[must_use]
pub fn is_violation(finding: &v1::Finding) -> bool {
    finding.state() != v1::FindingState::Resolved
        && matches!(finding.verdict(), v1::Verdict::Fail | v1::Verdict::Drift)
}

/// The worst first, then by place.
pub fn sort(findings: &mut [v1::FindingsResponse]) {
    findings.sort_by_cached_key(|response| {
        let finding = response.finding.clone().unwrap_or_default();
        let state = finding.state() == v1::FindingState::Resolved;
        let rank = (std::cmp::Reverse(finding.severity), std::cmp::Reverse(finding.verdict));
        (state, rank, place_of(&finding, 400), control(&finding), response.node.clone(), finding.id)
    });
}

/// All as lines.
#[must_use]
pub fn table(findings: &[v1::FindingsResponse], is_wide: bool, now_unix_ns: i64) -> Table {
    let mut table = Table::new(if is_wide {
        &[
            "SINCE",
            "SEVERITY",
            "VERDICT",
            "CONTROL",
            "NAMESPACE/POD/CONTAINER",
            "NODE",
            "COUNT",
            "IMAGE",
            "ID",
            "EVIDENCE",
        ]
    } else {
        &["SINCE", "SEVERITY", "VERDICT", "CONTROL", "NAMESPACE/POD/CONTAINER", "EVIDENCE"]
    });
    for response in findings {
        let Some(finding) = &response.finding else { continue };
        let level = finding.severity();
        let word = match finding.state() {
            v1::FindingState::Resolved => Cell::painted("RESOLVED", Paint::Good),
            _ => Cell::painted(verdict(finding.verdict()), paint_of(finding.verdict())),
        };
        let mut evidence = evidence(finding);
        if response.stale {
            evidence.insert_str(0, "STALE (node is silent): ");
        }
        let since = if is_wide {
            time::rfc3339(finding.first_seen_unix_ns)
        } else {
            time::ago(finding.first_seen_unix_ns, now_unix_ns)
        };
        let mut row: Vec<Cell> = vec![
            since.into(),
            Cell::painted(severity(level), severity_paint(level)),
            word,
            control(finding).into(),
            place_of(finding, 60).into(),
        ];
        if is_wide {
            row.extend([
                inert(&response.node).into(),
                finding.count.to_string().into(),
                inert(&finding.image).into(),
                inert(&finding.id).into(),
            ]);
        }
        row.push(Cell::painted(evidence, if response.stale { Paint::Dim } else { Paint::Plain }));
        table.row(row);
    }
    table
}
