//! Texts that a value begins with: one walk for all. Those it ends with are kept from their ends.

use std::ops::Range;

use super::{
    super::dag::Pattern,
    rows::{Rows, RowsDraft},
    set,
};

/// A tree of texts, in which what is common to several is there once.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    nodes: Box<[Node]>,
    /// The first bytes of nodes below others, in order.
    firsts: Box<[u8]>,
    labels: Box<[u8]>,
    rows: Rows,
}

#[derive(Debug, Clone)]
struct Node {
    /// What leads here after its first byte, among `labels`.
    label: Range<u32>,
    /// What holds for texts that come so far.
    row: u32,
    /// The places of those below, and of their first bytes among `firsts`.
    below: Range<u32>,
}

/// A text and its bit.
type Entry = (Vec<u8>, usize);

impl Trie {
    pub(super) fn new(patterns: &[Pattern], width: usize) -> Self {
        let text = |pattern: &Pattern| match pattern {
            Pattern::StartsWith(text) => text.to_vec(),
            Pattern::EndsWith(text) => text.iter().rev().copied().collect(),
            Pattern::Equal(_) | Pattern::NotEqual(_) | Pattern::Among(_) | Pattern::Contains(_) => Vec::new(),
        };
        let mut entries: Vec<Entry> =
            patterns.iter().enumerate().map(|(bit, pattern)| (text(pattern), bit)).collect();
        entries.sort_unstable();
        Growing::grow(&entries, width)
    }

    /// Adds what holds for a text, byte by byte.
    pub(super) fn add<'t>(&self, mut text: impl Iterator<Item = &'t u8>, words: &mut [u64]) {
        let mut row = 0;
        let mut node = self.nodes.first();
        while let Some(Node { label, row: reached, below }) = node {
            let label = self.labels.get(label.start as usize..label.end as usize).unwrap_or_default();
            if !label.iter().all(|byte| text.next() == Some(byte)) {
                break;
            }
            row = *reached;
            let Some(first) = text.next() else { break };
            let firsts = self.firsts.get(below.start as usize..below.end as usize).unwrap_or_default();
            let Some(place) = firsts.iter().position(|byte| byte == first) else { break };
            node = self.nodes.get(below.start as usize + place);
        }
        self.rows.add(row, words);
    }
}

/// A tree under way.
struct Growing {
    nodes: Vec<Node>,
    firsts: Vec<u8>,
    labels: Vec<u8>,
    rows: RowsDraft,
}

/// A node that waits for what is below it: those of the texts in order that lead to it, how much of them,
/// and what holds above.
struct Waiting<'e> {
    place: usize,
    entries: &'e [Entry],
    depth: usize,
    row: Vec<u64>,
}

impl Growing {
    fn grow(entries: &[Entry], width: usize) -> Trie {
        let nothing = Node { label: 0..0, row: 0, below: 0..0 };
        let mut this =
            Self { nodes: vec![nothing], firsts: vec![0], labels: Vec::new(), rows: RowsDraft::new(width) };
        // The first row is the empty one.
        this.rows.place(&vec![0; width]);
        let mut waiting = vec![Waiting { place: 0, entries, depth: 0, row: vec![0; width] }];
        while let Some(next) = waiting.pop() {
            this.node(next, &mut waiting);
        }
        let Self { nodes, firsts, labels, rows } = this;
        Trie { nodes: nodes.into(), firsts: firsts.into(), labels: labels.into(), rows: rows.done() }
    }

    fn node<'e>(&mut self, node: Waiting<'e>, waiting: &mut Vec<Waiting<'e>>) {
        let Waiting { place, entries, depth, mut row } = node;
        // The root has no label, so that what holds for no text is what holds there.
        let end = if place == 0 { depth } else { common(entries) };
        let label_start = self.labels.len() as u32;
        if let Some((text, _)) = entries.first() {
            self.labels.extend_from_slice(text.get(depth..end).unwrap_or_default());
        }
        let (here, below) = entries.split_at(entries.partition_point(|(text, _)| text.len() <= end));
        here.iter().for_each(|(_, bit)| set(&mut row, *bit));
        let first_below = self.nodes.len() as u32;
        for group in below.chunk_by(|(one, _), (other, _)| one.get(end) == other.get(end)) {
            let first = group.first().and_then(|(text, _)| text.get(end)).copied().unwrap_or_default();
            let place = self.nodes.len();
            self.nodes.push(Node { label: 0..0, row: 0, below: 0..0 });
            self.firsts.push(first);
            waiting.push(Waiting { place, entries: group, depth: end + 1, row: row.clone() });
        }
        let made = Node {
            label: label_start..self.labels.len() as u32,
            row: self.rows.place(&row),
            below: first_below..self.nodes.len() as u32,
        };
        if let Some(node) = self.nodes.get_mut(place) {
            *node = made;
        }
    }
}

/// How many bytes texts in order have in common.
fn common(entries: &[Entry]) -> usize {
    match entries {
        [(first, _), .., (last, _)] => first.iter().zip(last).take_while(|(one, other)| one == other).count(),
        [(only, _)] => only.len(),
        [] => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_walk_finds_what_looking_for_each_finds(
            texts in prop::collection::vec("[ab]{1,4}", 1..90), text in "[ab]{0,6}"
        ) {
            let bytes = |text: &String| text.as_bytes().into();
            let starts: Vec<Pattern> = texts.iter().map(|it| Pattern::StartsWith(bytes(it))).collect();
            let ends: Vec<Pattern> = texts.iter().map(|it| Pattern::EndsWith(bytes(it))).collect();
            let width = texts.len().div_ceil(64);
            let (mut started, mut ended) = (vec![0; width], vec![0; width]);
            Trie::new(&starts, width).add(text.as_bytes().iter(), &mut started);
            Trie::new(&ends, width).add(text.as_bytes().iter().rev(), &mut ended);
            for (bit, pattern) in texts.iter().enumerate() {
                let has = |words: &[u64]| words[bit / 64] >> (bit % 64) & 1 == 1;
                prop_assert_eq!(has(&started), text.starts_with(pattern.as_str()));
                prop_assert_eq!(has(&ended), text.ends_with(pattern.as_str()));
            }
        }
    }
}
