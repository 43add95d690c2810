//! What each control says of each workload and node.

pub mod explain;
pub mod levels;
mod matrix;
mod summary;
mod wide;

pub use self::{matrix::matrix, summary::summary, wide::wide};

use std::collections::{HashMap, HashSet};

use inert::{columns_of, inert};
use kestrel_proto::v1;

use crate::{
    look::{Cell, GAP, Look, Paint, last_cell, place, width},
    posture::matrix::{OfNode, Workload, level},
    text::{count, short_id},
};

/// Where nothing else bounds it, a line ends here.
const COLUMNS: usize = 100;

/// As wide as the terminal, or as a page.
fn bounded(look: Look) -> Look {
    Look { columns: Some(look.columns.unwrap_or(COLUMNS)), ..look }
}

/// Cluster, namespace, owner, container, and whether that is the sandbox.
type Place<'a> = (&'a str, &'a str, &'a str, &'a str, bool);

/// Names of rows, told apart where they would be the same.
#[derive(Debug)]
struct Names<'a> {
    /// How many owners have the name, by their kinds.
    owners: HashMap<Place<'a>, usize>,
    with_cluster: bool,
}

impl<'a> Names<'a> {
    fn of(workloads: &'a [Workload], nodes: &[OfNode]) -> Self {
        let mut owners = HashMap::new();
        for row in workloads {
            *owners.entry(place_of(row)).or_default() += 1;
        }
        let clusters = workloads.iter().map(|row| &row.cluster).chain(nodes.iter().map(|row| &row.cluster));
        let clusters: HashSet<_> = clusters.collect();
        Self { owners, with_cluster: clusters.len() > 1 }
    }

    /// Namespace, owner and container in so many columns.
    fn of_workload(&self, row: &Workload, columns: usize) -> String {
        if row.workload.is_empty() {
            return inert::fit(&format!("{} (name PENDING)", short_id(&row.container_id)), columns);
        }
        let container = if row.sandbox { "(sandbox)" } else { &row.container };
        let name = match self.owners.get(&place_of(row)) {
            Some(2..) => format!("{} {}", row.kind, row.workload),
            _ => row.workload.clone(),
        };
        let namespace = match self.with_cluster {
            true => format!("{}:{}", row.cluster, row.namespace),
            false => row.namespace.clone(),
        };
        place([&namespace, &name, container], columns)
    }

    fn of_node(&self, row: &OfNode) -> String {
        node(&row.cluster, &row.node, self.with_cluster)
    }
}

fn place_of(row: &Workload) -> Place<'_> {
    (&row.cluster, &row.namespace, &row.workload, &row.container, row.sandbox)
}

fn node(cluster: &str, name: &str, with_cluster: bool) -> String {
    if with_cluster { inert(format!("{cluster}:{name}")) } else { inert(name) }
}

/// The level that is kept, and the one that is declared where that is another.
fn levels(observed: v1::PodSecurity, declared: v1::PodSecurity) -> Cell {
    let word = |of| level(of).unwrap_or("?");
    if observed == declared {
        return word(observed).into();
    }
    let is_less = observed != v1::PodSecurity::Unspecified && observed < declared;
    let paint = if is_less { Paint::Bad } else { Paint::Plain };
    Cell::painted(format!("{} (declared {})", word(observed), word(declared)), paint)
}

/// That nodes are silent, and which.
fn stale<'a>(nodes: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let nodes: Vec<_> = nodes.into_iter().map(inert).collect();
    match nodes.as_slice() {
        [] => None,
        [node] => Some(format!("STALE ({node} is silent)")),
        nodes => Some(format!("STALE ({} are silent)", nodes.join(", "))),
    }
}

/// How many sandboxes are not shown, if any.
fn left_out(sandboxes: u64) -> Option<String> {
    let counted = count(sandboxes, "pod sandbox").replace("boxs", "boxes");
    (sandboxes > 0).then(|| format!("left out: {counted} (--all)"))
}

/// Who answers for what is exempt, why, and until when.
fn answers(exemption: &v1::Exemption) -> String {
    let v1::Exemption { owner, reason, expires } = exemption;
    let until =
        expires.as_ref().map_or_else(|| "without an end".to_owned(), |day| format!("until {}", inert(day)));
    format!("{}: {}, {until}", inert(owner), inert(reason))
}

/// Words with spaces between, on lines that begin with so many spaces. A word that is longer than a line
/// goes on in the next one: nothing is cut.
fn wrap(words: &[Cell], indent: usize, look: Look) -> Vec<String> {
    let columns = look.width().max(indent + 8);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in words.iter().flat_map(|word| pieces(word, columns - indent)) {
        let wanted = width(&word.text);
        if used > 0 && used + 1 + wanted > columns {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used == 0 {
            line.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else {
            line.push(' ');
            used += 1;
        }
        used += last_cell(&mut line, &word, wanted, look);
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}

/// A word in parts of at most so many columns.
fn pieces(word: &Cell, columns: usize) -> Vec<Cell> {
    let mut pieces = Vec::new();
    let mut rest = String::new();
    for char in word.text.chars() {
        if width(&rest) + columns_of(char) > columns {
            pieces.push(Cell::painted(std::mem::take(&mut rest), word.paint));
        }
        rest.push(char);
    }
    pieces.push(Cell::painted(rest, word.paint));
    pieces
}

/// The words of a sentence.
fn words(text: &str) -> Vec<Cell> {
    text.split_whitespace().map(Cell::from).collect()
}

/// Columns that a table takes beside the first one, whose widths are these.
fn beside(widths: &[usize]) -> usize {
    widths.iter().map(|columns| columns + GAP.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_should_and_no_word_is_lost() {
        let text = "a bb ccc dddd eeeee ffffff ggggggg";
        let look = Look { color: false, columns: Some(12) };
        let lines = wrap(&words(text), 2, look);
        assert!(lines.iter().all(|line| width(line) <= 12 && line.starts_with("  ")), "{lines:?}");
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
        assert!(wrap(&[], 2, look).is_empty());
        let long = "x".repeat(25);
        let lines = wrap(&words(&long), 2, look);
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<String>(), long);
        assert!(lines.iter().all(|line| width(line) <= 12), "{lines:?}");
    }

    #[test]
    fn what_is_not_known_is_a_question_mark() {
        use v1::PodSecurity::{Baseline, Restricted, Unspecified};
        assert_eq!(levels(Baseline, Restricted), Cell::painted("baseline (declared restricted)", Paint::Bad));
        assert_eq!(levels(Restricted, Restricted).text, "restricted");
        assert_eq!(levels(Unspecified, Restricted), "? (declared restricted)".into());
        assert_eq!(levels(Baseline, Unspecified), "baseline (declared ?)".into());
        assert_eq!(levels(Unspecified, Unspecified).text, "?");
    }
}
