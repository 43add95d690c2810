//! A row for each workload and node, and below it what does not pass.

use std::cmp::Reverse;

use inert::inert;
use kestrel_proto::v1;

use super::{Names, beside, bounded, levels, stale, wrap};
use crate::{
    look::{Cell, Look, Paint, Table, width},
    posture::{
        matrix::{OfNode, Workload},
        rank,
        said::{Counts, Said, WORST_FIRST},
    },
    text::{paint_of, verdict},
};

const HEAD: [&str; 8] = ["WORKLOAD", "LEVEL", "N", "PASS", "FAIL", "DRIFT", "EXEMPT", "UNKNOWN"];
/// A name is cut down to that, and no further.
const SHORTEST: usize = 20;

/// All as lines. Of what does not pass, these verdicts, or all.
#[must_use]
pub fn matrix(workloads: &[Workload], nodes: &[OfNode], verdicts: &[v1::Verdict], look: Look) -> Vec<String> {
    if workloads.is_empty() && nodes.is_empty() {
        return Vec::new();
    }
    let look = bounded(look);
    let names = Names::of(workloads, nodes);
    let level = |row: &Workload| levels(row.observed_level, row.declared_level);
    let widest = workloads.iter().map(|row| width(&level(row).text)).chain([HEAD[1].len()]).max();
    let replicas = workloads.iter().map(|row| row.containers.to_string().len()).max().unwrap_or(1);
    let counted = HEAD[3..].iter().map(|name| name.len());
    let others: Vec<_> = [widest.unwrap_or_default(), replicas].into_iter().chain(counted).collect();
    let room = look.width().saturating_sub(beside(&others)).max(SHORTEST);
    let mut table = Table::new(&HEAD);
    let mut below = Vec::new();
    for row in workloads {
        let stale = stale(&row.stale_nodes);
        let paint = if stale.is_some() { Paint::Dim } else { Paint::Plain };
        let name = Cell::painted(names.of_workload(row, room), paint);
        let mut cells = vec![name, level(row), row.containers.to_string().into()];
        cells.extend(numbers(&row.counts));
        table.row(cells);
        below.push(details(&row.controls, verdicts, stale, look));
    }
    for row in nodes {
        let paint = if row.stale { Paint::Dim } else { Paint::Plain };
        let name = Cell::painted(inert::fit(&format!("(node {})", names.of_node(row)), room), paint);
        let mut cells = vec![name, "-".into(), "-".into()];
        cells.extend(numbers(&row.counts));
        table.row(cells);
        below.push(details(&row.controls, verdicts, stale(row.stale.then_some(&row.node)), look));
    }
    let mut lines = Vec::new();
    let mut below = std::iter::once(Vec::new()).chain(below);
    for line in table.lines(look) {
        lines.push(line);
        lines.extend(below.next().unwrap_or_default());
    }
    lines
}

/// How often each verdict is given, in the order of the columns.
pub(super) fn numbers(counts: &Counts) -> impl Iterator<Item = Cell> {
    let counts = *counts;
    [v1::Verdict::Pass, v1::Verdict::Fail, v1::Verdict::Drift, v1::Verdict::Exempt, v1::Verdict::Unknown]
        .into_iter()
        .map(move |verdict| match counts.of(verdict) {
            0 => Cell::painted("0", Paint::Dim),
            count => Cell::painted(count.to_string(), paint_of(verdict)),
        })
}

/// What does not pass, by name, the worst first.
fn details(controls: &[Said], verdicts: &[v1::Verdict], stale: Option<String>, look: Look) -> Vec<String> {
    let mut words = Vec::new();
    for wanted in WORST_FIRST {
        // PASS is told by its number, unless it was asked for.
        let is_asked =
            if verdicts.is_empty() { wanted != v1::Verdict::Pass } else { verdicts.contains(&wanted) };
        let mut said: Vec<_> = controls.iter().filter(|said| said.verdict == wanted).collect();
        if !is_asked || said.is_empty() {
            continue;
        }
        said.sort_by_key(|said| (Reverse(said.severity), rank(&said.control)));
        words.push(Cell::painted(verdict(wanted), paint_of(wanted)));
        let last = said.len() - 1;
        words.extend(said.iter().enumerate().map(|(index, said)| {
            let end = if index == last { ";" } else { "," };
            Cell::from(format!("{}{end}", inert(&said.control)))
        }));
    }
    if let Some(last) = words.last_mut() {
        last.text.pop();
    }
    let mut lines = wrap(&words, 2, look);
    if let Some(stale) = stale {
        let words: Vec<_> = stale.split(' ').map(|word| Cell::painted(word, Paint::Warn)).collect();
        lines.extend(wrap(&words, 2, look));
    }
    lines
}
