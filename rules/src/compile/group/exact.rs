//! Texts that a value is or is not: one look-up for all.

use hashbrown::HashMap;

use super::{
    super::dag::Pattern,
    rows::{Rows, RowsDraft},
    set,
};

/// So few texts are compared one after the other.
const FEW: usize = 3;

/// Texts with what is said of them.
#[derive(Debug, Clone)]
pub(super) struct Exact {
    texts: Texts,
    /// The lengths of the texts, as bits; the last stands for all that are longer.
    lengths: u64,
    /// The row of any other value.
    other: u32,
    rows: Rows,
}

#[derive(Debug, Clone)]
enum Texts {
    Few(Box<[(Box<[u8]>, u32)]>),
    Many(HashMap<Box<[u8]>, u32>),
}

impl Exact {
    pub(super) fn new(patterns: &[Pattern], width: usize) -> Self {
        let mut other = vec![0; width];
        let mut said: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (bit, pattern) in patterns.iter().enumerate() {
            match pattern {
                Pattern::Equal(text) => said.entry(text).or_default().push(bit),
                Pattern::NotEqual(text) => {
                    set(&mut other, bit);
                    said.entry(text).or_default().push(bit);
                }
                Pattern::Among(texts) => {
                    texts.iter().for_each(|text| said.entry(text).or_default().push(bit));
                }
                Pattern::StartsWith(_) | Pattern::EndsWith(_) | Pattern::Contains(_) => {}
            }
        }
        let mut rows = RowsDraft::new(width);
        let lengths = said.keys().map(|text| length(text)).fold(0, |all, one| all | one);
        let texts: HashMap<Box<[u8]>, u32> = said
            .into_iter()
            .map(|(text, bits)| {
                // A text turns round what is so of any other.
                let mut row = other.clone();
                for bit in bits {
                    if let Some(word) = row.get_mut(bit / 64) {
                        *word ^= 1 << (bit % 64);
                    }
                }
                (text.into(), rows.place(&row))
            })
            .collect();
        let other = rows.place(&other);
        let texts =
            if texts.len() <= FEW { Texts::Few(texts.into_iter().collect()) } else { Texts::Many(texts) };
        Self { texts, lengths, other, rows: rows.done() }
    }

    /// Adds what holds for a text, or for a value that is none.
    pub(super) fn add(&self, text: Option<&[u8]>, words: &mut [u64]) {
        let known = text.filter(|text| self.lengths & length(text) != 0).and_then(|text| match &self.texts {
            Texts::Few(few) => few.iter().find(|(known, _)| **known == *text).map(|(_, row)| *row),
            Texts::Many(many) => many.get(text).copied(),
        });
        self.rows.add(known.unwrap_or(self.other), words);
    }
}

fn length(text: &[u8]) -> u64 {
    1 << text.len().min(63)
}
