//! Texts that a value has somewhere.

use aho_corasick::packed;
use memchr::memmem::Finder;

use super::{super::dag::Pattern, set};

/// From so many texts on it is worth to look first whether any is there at all, which costs little more than
/// to look for one.
const MANY: usize = 3;
/// So many texts one look takes.
const AT_ONCE: usize = 48;

/// Texts to look for.
#[derive(Debug, Clone)]
pub(super) struct Contains {
    chunks: Box<[Chunk]>,
}

#[derive(Debug, Clone)]
struct Chunk {
    any: Option<packed::Searcher>,
    finders: Box<[(usize, Finder<'static>)]>,
}

impl Contains {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let texts: Vec<(usize, &[u8])> = patterns
            .iter()
            .enumerate()
            .filter_map(|(bit, pattern)| match pattern {
                Pattern::Contains(text) => Some((bit, &**text)),
                _ => None,
            })
            .collect();
        Self { chunks: texts.chunks(AT_ONCE).map(Chunk::new).collect() }
    }

    /// Sets the bits of those that a text has.
    pub(super) fn add(&self, text: &[u8], words: &mut [u64]) {
        for Chunk { any, finders } in &self.chunks {
            if any.as_ref().is_some_and(|any| any.find(text).is_none()) {
                continue;
            }
            for (bit, finder) in finders {
                if finder.find(text).is_some() {
                    set(words, *bit);
                }
            }
        }
    }
}

impl Chunk {
    fn new(texts: &[(usize, &[u8])]) -> Self {
        // Not every processor can.
        let any = (texts.len() >= MANY)
            .then(|| packed::Searcher::new(texts.iter().map(|(_, text)| text)))
            .flatten();
        Self {
            any,
            finders: texts.iter().map(|(bit, text)| (*bit, Finder::new(text).into_owned())).collect(),
        }
    }
}
