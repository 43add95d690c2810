//! Encoded definitions of processes, so that an exit uses the bytes of the exec before it.

use hashbrown::HashMap;

use crate::outbox::{Definition, DefinitionKey};

/// Bytes that are remembered at most, those of the map counted roughly.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a definition costs beside its body.
const OVERHEAD: usize = 128;

/// Definitions by their key, in two generations: one that is used moves to the young one; when that
/// has half of the room the old one is dropped, and it becomes the old one.
#[derive(Debug)]
pub(super) struct Definitions {
    young: HashMap<DefinitionKey, Definition>,
    old: HashMap<DefinitionKey, Definition>,
    young_bytes: usize,
    max_bytes: usize,
}

impl Default for Definitions {
    fn default() -> Self {
        Self::with_room(MAX_BYTES)
    }
}

impl Definitions {
    fn with_room(max_bytes: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, max_bytes }
    }

    /// The definition, if it is remembered.
    pub(super) fn get(&mut self, key: &DefinitionKey) -> Option<Definition> {
        if let Some(definition) = self.young.get(key) {
            return Some(definition.clone());
        }
        let definition = self.old.remove(key)?;
        self.insert(definition.clone());
        Some(definition)
    }

    /// Remembers it, in place of one with the same key.
    pub(super) fn insert(&mut self, definition: Definition) {
        let bytes = definition.body.len() + OVERHEAD;
        if self.young_bytes + bytes > self.max_bytes / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        if let Some(before) = self.young.insert(definition.key, definition) {
            self.young_bytes -= before.body.len() + OVERHEAD;
        }
    }

    /// Nothing more will be said of it.
    pub(super) fn forget(&mut self, key: &DefinitionKey) -> Option<Definition> {
        if let Some(definition) = self.young.remove(key) {
            self.young_bytes -= definition.body.len() + OVERHEAD;
            return Some(definition);
        }
        self.old.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(tgid: u32, bytes: usize) -> Definition {
        Definition {
            key: DefinitionKey::Process { start_ticks: 1, tgid, exec_id: 1 },
            body: vec![0; bytes].into(),
        }
    }

    #[test]
    fn stays_within_its_bytes_and_keeps_what_is_used() {
        let mut cache = Definitions::with_room(100 * (1000 + OVERHEAD));
        let used = definition(0, 1000);
        cache.insert(used.clone());
        for tgid in 1..10_000 {
            cache.insert(definition(tgid, 1000));
            assert!(cache.young.len() + cache.old.len() <= 101);
            assert_eq!(cache.get(&used.key), Some(used.clone()), "{tgid}");
        }
        assert_eq!(cache.get(&definition(1, 0).key), None);
        assert!(cache.forget(&used.key).is_some());
        assert_eq!(cache.get(&used.key), None);
    }

    #[test]
    fn another_of_the_same_key_takes_its_place() {
        let mut cache = Definitions::with_room(1 << 20);
        for bytes in [10, 20, 5] {
            cache.insert(definition(1, bytes));
        }
        assert_eq!(cache.young_bytes, 5 + OVERHEAD);
        assert_eq!(cache.get(&definition(1, 0).key), Some(definition(1, 5)));
    }
}
