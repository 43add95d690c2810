//! A column for each control.

use inert::inert;
use kestrel_proto::v1;

use super::{Names, levels, stale, wrap};
use crate::{
    look::{Cell, GAP, Look, Paint, cell, last_cell, width},
    posture::{
        matrix::{OfNode, Workload},
        rank,
        said::Said,
    },
    text::paint_of,
};

/// A name is cut down to that where columns are short.
const LONGEST: usize = 60;
/// So many columns of controls stand beside a name, however narrow the terminal is.
const FEWEST: usize = 10;

/// A row of marks.
struct Row<'a> {
    name: Cell,
    level: Cell,
    replicas: String,
    controls: &'a [Said],
    stale: Option<String>,
}

/// A matrix of the workloads, one of the nodes, and what the marks mean.
#[must_use]
pub fn wide(workloads: &[Workload], nodes: &[OfNode], look: Look) -> Vec<Vec<String>> {
    let names = Names::of(workloads, nodes);
    let row = |name, level, replicas, controls, stale: Option<String>| {
        let paint = if stale.is_some() { Paint::Dim } else { Paint::Plain };
        Row { name: Cell::painted(name, paint), level, replicas, controls, stale }
    };
    let of_workloads: Vec<_> = workloads
        .iter()
        .map(|of| {
            let level = levels(of.observed_level, of.declared_level);
            let name = names.of_workload(of, LONGEST);
            row(name, level, of.containers.to_string(), of.controls.as_slice(), stale(&of.stale_nodes))
        })
        .collect();
    let of_nodes: Vec<_> = nodes
        .iter()
        .map(|of| {
            let stale = stale(of.stale.then_some(&of.node));
            row(
                format!("(node {})", names.of_node(of)),
                "-".into(),
                "-".to_owned(),
                of.controls.as_slice(),
                stale,
            )
        })
        .collect();
    let columns = [columns(&of_workloads), columns(&of_nodes)];
    if columns.iter().all(Vec::is_empty) {
        return Vec::new();
    }
    let mut sections = block(&of_workloads, &columns[0], 1, look);
    sections.extend(block(&of_nodes, &columns[1], columns[0].len() + 1, look));
    sections.push(legend(&columns.concat(), look));
    sections
}

/// The controls that say something of any row, in the catalogue's order.
fn columns<'a>(rows: &[Row<'a>]) -> Vec<&'a str> {
    let mut slugs: Vec<_> =
        rows.iter().flat_map(|row| row.controls).map(|said| said.control.as_str()).collect();
    slugs.sort_unstable_by_key(|slug| rank(slug));
    slugs.dedup();
    slugs
}

/// Rows by columns, in as many parts as the terminal's width asks for.
fn block(rows: &[Row<'_>], slugs: &[&str], first: usize, look: Look) -> Vec<Vec<String>> {
    if rows.is_empty() || slugs.is_empty() {
        return Vec::new();
    }
    let widest = |of: for<'a> fn(&'a Row<'a>) -> &'a str, head: &str| {
        rows.iter().map(|row| width(of(row))).max().unwrap_or_default().max(head.len())
    };
    let level = widest(|row| &row.level.text, "LEVEL");
    let replicas = widest(|row| &row.replicas, "N");
    let digits = (first + slugs.len() - 1).to_string().len();
    let beside = level + replicas + 3 * GAP.len();
    let name = widest(|row| &row.name.text, "WORKLOAD")
        .min(look.width().saturating_sub(beside + 2 * FEWEST))
        .max("WORKLOAD".len());
    let fitting = (look.width().saturating_sub(beside + name) / 2).max(FEWEST);
    let front = |line: &mut String, texts: [&Cell; 3]| {
        for (text, columns) in texts.into_iter().zip([name, level, replicas]) {
            cell(line, text, columns, look);
        }
    };
    let mut parts = Vec::new();
    for (part, slugs) in slugs.chunks(fitting).enumerate() {
        let first = first + part * fitting;
        let mut lines = Vec::new();
        for digit in 0..digits {
            let head = if digit + 1 == digits { ["WORKLOAD", "LEVEL", "N"] } else { [""; 3] };
            let head = head.map(Cell::from);
            let mut line = String::new();
            front(&mut line, head.each_ref());
            for number in first..first + slugs.len() {
                let number = format!("{number:>digits$}");
                line.push_str(number.get(digit..=digit).unwrap_or(" "));
                line.push(' ');
            }
            lines.push(line.trim_end().to_owned());
        }
        for row in rows {
            let mut line = String::new();
            front(&mut line, [&row.name, &row.level, &row.replicas.as_str().into()]);
            for slug in slugs {
                let said = row.controls.iter().find(|said| said.control == *slug);
                last_cell(&mut line, &mark(said.map(|said| said.verdict), look), 1, look);
                line.push(' ');
            }
            line.truncate(line.trim_end().len());
            if let Some(stale) = &row.stale {
                line.push_str(GAP);
                let left = look.width().saturating_sub(beside + name + 2 * slugs.len() + 1);
                last_cell(&mut line, &Cell::painted(stale.clone(), Paint::Warn), left, look);
            }
            lines.push(line);
        }
        parts.push(lines);
    }
    parts
}

/// A verdict as one character: a sign on a terminal, else a letter.
fn mark(verdict: Option<v1::Verdict>, look: Look) -> Cell {
    let on_terminal = look.columns.is_some();
    let mark = match verdict {
        None => return Cell::painted("-", Paint::Dim),
        Some(v1::Verdict::Pass) if on_terminal => "✓",
        Some(v1::Verdict::Fail) if on_terminal => "✗",
        Some(v1::Verdict::Pass) => "P",
        Some(v1::Verdict::Fail) => "F",
        Some(v1::Verdict::Drift) => "D",
        Some(v1::Verdict::Exempt) => "E",
        Some(v1::Verdict::Unknown | v1::Verdict::Unspecified) => "?",
    };
    Cell::painted(mark, paint_of(verdict.unwrap_or(v1::Verdict::Unknown)))
}

fn legend(slugs: &[&str], look: Look) -> Vec<String> {
    let marks = [
        (v1::Verdict::Pass, "pass"),
        (v1::Verdict::Fail, "fail"),
        (v1::Verdict::Drift, "drift"),
        (v1::Verdict::Exempt, "exempt"),
        (v1::Verdict::Unknown, "unknown"),
    ];
    let marks = marks.map(|(verdict, word)| format!("{} {word}", mark(Some(verdict), look).text));
    let numbers = slugs.iter().enumerate().map(|(index, slug)| format!("{} {}", index + 1, inert(slug)));
    // Words that stay together.
    let cells = |texts: Vec<String>| texts.into_iter().map(Cell::from).collect::<Vec<_>>();
    let look = super::bounded(look);
    let mut lines = wrap(&cells(numbers.map(|text| format!("{text} ")).collect()), 0, look);
    let marks = marks.into_iter().chain(["- not judged".to_owned()]);
    lines.extend(wrap(&cells(marks.map(|text| format!("{text} ")).collect()), 0, look));
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::matrix;

    #[test]
    fn it_fits_the_terminal_in_parts() {
        let control = |slug: &str| v1::ControlPosture {
            control: slug.to_owned(),
            verdict: v1::Verdict::Fail.into(),
            ..Default::default()
        };
        let names = v1::ContainerNames {
            namespace: "a-rather-long-namespace".to_owned(),
            pod: "a-rather-long-name-of-a-pod".to_owned(),
            container: "app".to_owned(),
            ..Default::default()
        };
        let posture = v1::ContainerPosture {
            container: Some(v1::Container { names: Some(names), ..Default::default() }),
            controls: controls::CONTROLS.iter().map(|of| control(of.slug)).collect(),
            ..Default::default()
        };
        let inventory = [v1::InventoryResponse { container: Some(posture), ..Default::default() }];
        let rows = matrix::workloads(&inventory);
        for columns in [60, 80, 100, 200] {
            let sections = wide(&rows, &[], Look { color: false, columns: Some(columns) });
            let marks: usize = sections[..sections.len() - 1]
                .iter()
                .map(|lines| lines.last().map_or(0, |line| line.matches('✗').count()))
                .sum();
            assert_eq!(marks, controls::CONTROL_COUNT, "{columns}");
            for line in sections.iter().flatten() {
                assert!(width(line) <= columns, "{columns}: {line}");
            }
        }
    }
}
