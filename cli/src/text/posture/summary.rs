//! How much passes, by namespace and by node.

use super::{bounded, left_out, matrix::numbers, node, stale};
use crate::{
    look::{Cell, Look, Paint, Table},
    posture::summary::{Sum, Summary},
    text::{severity, severity_paint},
};

/// All as lines.
#[must_use]
pub fn summary(summary: &Summary, look: Look) -> Vec<String> {
    let Summary { namespaces, nodes, sandboxes_left_out } = summary;
    let mut clusters: Vec<_> = nodes.iter().map(|row| &row.cluster).collect();
    clusters.dedup();
    let with_cluster = clusters.len() > 1;
    let mut table = Table::new(&[
        "SUMMARY",
        "CONTAINERS",
        "PASSED",
        "PASS",
        "FAIL",
        "DRIFT",
        "EXEMPT",
        "UNKNOWN",
        "WORST",
    ]);
    let mut row = |name: String, containers: Option<u64>, sum: &Sum, stale: Option<String>| {
        let Sum { counts, passed_percent, worst_severity } = sum;
        let passed = passed_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"));
        let paint = if *passed_percent == Some(100) { Paint::Good } else { Paint::Plain };
        let containers = containers.map_or_else(|| "-".to_owned(), |containers| containers.to_string());
        let mut cells: Vec<Cell> = vec![name.into(), containers.into(), Cell::painted(passed, paint)];
        cells.extend(numbers(counts));
        cells.push(match stale {
            None => Cell::painted(severity(*worst_severity), severity_paint(*worst_severity)),
            Some(stale) => Cell::painted(format!("{}, {stale}", severity(*worst_severity)), Paint::Dim),
        });
        table.row(cells);
    };
    for of in namespaces {
        let name = match of.namespace.as_str() {
            "" => "(name PENDING)".to_owned(),
            name => format!("namespace {}", node(&of.cluster, name, with_cluster)),
        };
        let stale = (!of.stale_nodes.is_empty()).then(|| "STALE in part".to_owned());
        row(name, Some(of.containers), &of.sum, stale);
    }
    for of in nodes {
        let name = node(&of.cluster, &of.node, with_cluster);
        let stale = || of.stale.then(|| "STALE".to_owned());
        row(format!("node {name}"), Some(of.containers), &of.sum, stale());
        if let Some(own) = &of.own {
            row(format!("(node {name})"), None, own, stale());
        }
    }
    let mut lines =
        if namespaces.is_empty() && nodes.is_empty() { Vec::new() } else { table.lines(bounded(look)) };
    let silent: Vec<_> = nodes.iter().filter(|node| node.stale).map(|node| &node.node).collect();
    lines.extend(stale(silent));
    lines.extend(left_out(*sandboxes_left_out));
    lines
}
