//! Rows of bits, each there once.

use hashbrown::HashMap;

/// Rows of equal width.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    width: usize,
    words: Box<[u64]>,
}

impl Rows {
    /// Adds a row to others.
    pub(super) fn add(&self, row: u32, to: &mut [u64]) {
        if let [to] = to {
            *to |= self.words.get(row as usize).copied().unwrap_or_default();
            return;
        }
        let begin = row as usize * self.width;
        let words = self.words.get(begin..begin + self.width).unwrap_or_default();
        to.iter_mut().zip(words).for_each(|(to, word)| *to |= word);
    }
}

/// Rows under way.
#[derive(Debug)]
pub(super) struct RowsDraft {
    width: usize,
    words: Vec<u64>,
    places: HashMap<Box<[u64]>, u32>,
}

impl RowsDraft {
    pub(super) fn new(width: usize) -> Self {
        Self { width, words: Vec::new(), places: HashMap::new() }
    }

    /// The place of a row.
    pub(super) fn place(&mut self, row: &[u64]) -> u32 {
        if let Some(place) = self.places.get(row) {
            return *place;
        }
        let place = self.places.len() as u32;
        self.words.extend_from_slice(row);
        self.places.insert(row.into(), place);
        place
    }

    pub(super) fn done(self) -> Rows {
        Rows { width: self.width, words: self.words.into() }
    }
}
