//! Records with numbers in a row, and what they refer to: the unit in memory and on disk.

use bytes::Bytes;
use hashbrown::HashMap;
use prost::Message;
use thiserror::Error;

use super::{Definition, DefinitionKey, Item};
use crate::context::ContainerId;

/// A chunk is closed when it holds that much.
pub(super) const MAX_BYTES: usize = 64 << 10;
/// And when it holds that many records.
pub(super) const MAX_RECORDS: usize = 256;
/// What a record costs beside its bytes.
const RECORD_OVERHEAD: usize = 48;
/// What a chunk costs beside its records.
const OVERHEAD: usize = 256;

/// The records of a chunk. Each definition is held once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Body {
    pub(super) records: Vec<Bytes>,
    // Where each record's links end.
    ends: Vec<u32>,
    // Places in `refers`.
    links: Vec<u32>,
    refers: Vec<Definition>,
}

impl Body {
    /// What the record at `index` refers to.
    pub(super) fn refers(&self, index: usize) -> impl Iterator<Item = &Definition> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.links[start..self.ends[index] as usize].iter().map(|link| &self.refers[*link as usize])
    }

    /// What it is counted as, in memory and on disk.
    pub(super) fn cost(&self) -> u64 {
        let records: usize = self.records.iter().map(|record| record.len() + RECORD_OVERHEAD).sum();
        let refers: usize =
            self.refers.iter().map(|definition| definition.body.len() + RECORD_OVERHEAD).sum();
        (OVERHEAD + records + refers) as u64
    }

    /// Its form on disk.
    pub(super) fn encode(&self) -> Vec<u8> {
        let refers = self.refers.iter().map(StoredDefinition::from).collect();
        let stored = StoredBody {
            records: self.records.clone(),
            ends: self.ends.clone(),
            links: self.links.clone(),
            refers,
        };
        stored.encode_to_vec()
    }

    /// Reads what [`Body::encode`] made.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub(super) fn decode(bytes: Bytes) -> Result<Self, BodyError> {
        let StoredBody { records, ends, links, refers } =
            StoredBody::decode(bytes).map_err(BodyError::NotABody)?;
        let refers = refers
            .into_iter()
            .map(|stored| stored.into_definition().ok_or(BodyError::Definition))
            .collect::<Result<Vec<_>, _>>()?;
        let ends_fit = ends.len() == records.len()
            && ends.is_sorted()
            && ends.last().copied().unwrap_or(0) as usize == links.len();
        if !ends_fit || links.iter().any(|link| *link as usize >= refers.len()) {
            return Err(BodyError::Links);
        }
        Ok(Self { records, ends, links, refers })
    }
}

/// Why bytes are no body.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error("not a chunk")]
    NotABody(#[source] prost::DecodeError),
    #[error("a definition has no valid key")]
    Definition,
    #[error("a record refers to a definition that is not there")]
    Links,
}

/// Makes a body.
#[derive(Debug, Default)]
pub(super) struct Builder {
    body: Body,
    places: HashMap<DefinitionKey, u32>,
    bytes: usize,
}

impl Builder {
    /// Whether the next record belongs into another chunk.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES || self.body.records.len() >= MAX_RECORDS
    }

    /// Adds a record.
    pub(super) fn push(&mut self, record: Bytes, refers: impl IntoIterator<Item = Definition>) {
        self.bytes += record.len();
        self.body.records.push(record);
        for definition in refers {
            let next = self.body.refers.len() as u32;
            let place = *self.places.entry(definition.key).or_insert(next);
            if place == next {
                self.bytes += definition.body.len();
                self.body.refers.push(definition);
            }
            self.body.links.push(place);
        }
        self.body.ends.push(self.body.links.len() as u32);
    }

    /// The body.
    pub(super) fn finish(self) -> Body {
        self.body
    }
}

/// Bytes of an item as the limit on one counts them.
pub(super) fn size(item: &Item) -> usize {
    item.record.len() + item.refers.iter().map(|definition| definition.body.len()).sum::<usize>()
}

#[derive(Clone, PartialEq, Message)]
struct StoredBody {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    records: Vec<Bytes>,
    #[prost(uint32, repeated, tag = "2")]
    ends: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    links: Vec<u32>,
    #[prost(message, repeated, tag = "4")]
    refers: Vec<StoredDefinition>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredDefinition {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
    // Of a process; a container has an id.
    #[prost(uint64, tag = "2")]
    start_ticks: u64,
    #[prost(uint32, tag = "3")]
    tgid: u32,
    #[prost(uint64, tag = "4")]
    exec_id: u64,
    #[prost(string, optional, tag = "5")]
    container: Option<String>,
    #[prost(uint32, tag = "6")]
    version: u32,
}

impl From<&Definition> for StoredDefinition {
    fn from(definition: &Definition) -> Self {
        let body = definition.body.clone();
        match definition.key {
            DefinitionKey::Process { start_ticks, tgid, exec_id } => {
                Self { body, start_ticks, tgid, exec_id, ..Self::default() }
            }
            DefinitionKey::Container { id, version } => {
                Self { body, container: Some(id.as_str().to_owned()), version, ..Self::default() }
            }
        }
    }
}

impl StoredDefinition {
    fn into_definition(self) -> Option<Definition> {
        let Self { body, start_ticks, tgid, exec_id, container, version } = self;
        let key = match container {
            None => DefinitionKey::Process { start_ticks, tgid, exec_id },
            Some(id) => DefinitionKey::Container { id: ContainerId::parse(id.as_bytes())?, version },
        };
        Some(Definition { key, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(tgid: u32) -> Definition {
        let key = DefinitionKey::Process { start_ticks: 7, tgid, exec_id: 1 };
        Definition { key, body: Bytes::from(vec![1; 10]) }
    }

    fn container() -> Definition {
        let id = ContainerId::parse(&[b'a'; 64]).unwrap();
        Definition { key: DefinitionKey::Container { id, version: 3 }, body: Bytes::from_static(b"c") }
    }

    #[test]
    fn a_body_comes_back_as_it_was_and_holds_each_definition_once() {
        let mut builder = Builder::default();
        builder.push(Bytes::from_static(b"one"), [process(1), container()]);
        builder.push(Bytes::from_static(b""), []);
        builder.push(Bytes::from_static(b"three"), [container(), process(2)]);
        let body = builder.finish();
        assert_eq!(body.refers.len(), 3);
        let again = Body::decode(body.encode().into()).unwrap();
        assert_eq!(again, body);
        assert_eq!(again.refers(0).cloned().collect::<Vec<_>>(), [process(1), container()]);
        assert_eq!(again.refers(1).count(), 0);
        assert_eq!(again.refers(2).cloned().collect::<Vec<_>>(), [container(), process(2)]);
    }

    #[test]
    fn what_is_no_body_is_an_error() {
        let mut builder = Builder::default();
        builder.push(Bytes::from_static(b"one"), [process(1)]);
        let whole = builder.finish().encode();
        for length in 1..whole.len() {
            // Cut where a field ends it is a body with less in it, or one that does not add up.
            let _ = Body::decode(Bytes::copy_from_slice(&whole[..length]));
        }
        assert!(Body::decode(Bytes::from_static(&[0xff; 20])).is_err());
        let astray =
            StoredBody { records: vec![Bytes::new()], ends: vec![1], links: vec![5], refers: Vec::new() };
        assert!(matches!(Body::decode(astray.encode_to_vec().into()), Err(BodyError::Links)));
    }
}
