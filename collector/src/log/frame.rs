//! What the log holds, and its encoding.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;
use kestrel_proto::v1::{self, stored_frame};
use prost::Message;
use zstd::bulk::Compressor;

use super::{
    LogError,
    segment::{FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, MAX_RAW_BYTES},
};

/// A frame as readers get it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Its number, from 1. Goes up; numbers are missing only where the log was damaged.
    pub number: u64,
    /// What it says.
    pub body: FrameBody,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameBody {
    /// Whose it is.
    pub source: Source,
    /// When the collector took it, its own wall clock in nanoseconds.
    pub received_unix_ns: i64,
    /// What was taken.
    pub content: Content,
}

/// Whose a frame is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Cluster of the node; may be empty.
    pub cluster: Arc<str>,
    /// Name of the node.
    pub node: Arc<str>,
    /// Of the node's kernel when the content was made, which may be before its last boot.
    pub boot_id: Arc<str>,
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Events, with every process and container that they refer to and that the collector knows.
    Batch(v1::Batch),
    /// One part of a node's inventory.
    Inventory(v1::Inventory),
    /// A connection of the node's agent began.
    Hello(v1::Hello),
    /// Made by the collector.
    Node(v1::NodeStatus),
}

impl FrameBody {
    /// As it is stored, before compression.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { source, received_unix_ns, content } = self;
        let head = v1::StoredFrame {
            cluster: source.cluster.to_string(),
            node: source.node.to_string(),
            boot_id: source.boot_id.to_string(),
            received_unix_ns: *received_unix_ns,
            content: None,
        };
        // Not put into `content` by value: that would copy the batch. Fields may come in any order.
        match content {
            Content::Batch(batch) => with_field(&head, 5, batch),
            Content::Inventory(inventory) => with_field(&head, 6, inventory),
            Content::Hello(hello) => with_field(&head, 7, hello),
            Content::Node(status) => with_field(&head, 8, status),
        }
    }

    /// From what was stored; `None` where it is no such thing.
    pub(super) fn decode(bytes: Bytes) -> Option<Self> {
        let v1::StoredFrame { cluster, node, boot_id, received_unix_ns, content } =
            v1::StoredFrame::decode(bytes).ok()?;
        let content = match content? {
            stored_frame::Content::Batch(batch) => Content::Batch(batch),
            stored_frame::Content::Inventory(inventory) => Content::Inventory(inventory),
            stored_frame::Content::Hello(hello) => Content::Hello(hello),
            stored_frame::Content::NodeStatus(status) => Content::Node(status),
        };
        let source = Source { cluster: cluster.into(), node: node.into(), boot_id: boot_id.into() };
        Some(Self { source, received_unix_ns, content })
    }
}

/// A frame that is ready to be written.
#[derive(Debug)]
pub struct Prepared {
    pub(super) body: FrameBody,
    pub(super) payload: Vec<u8>,
    pub(super) raw: u32,
}

impl Prepared {
    /// Encodes and compresses, which takes some microseconds per KiB.
    ///
    /// # Errors
    /// When it is larger than any reader accepts.
    pub fn new(body: FrameBody) -> Result<Self, LogError> {
        let bytes = body.encode();
        let too_large = LogError::TooLarge { bytes: bytes.len(), limit: MAX_RAW_BYTES };
        let (Ok(raw), true) = (u32::try_from(bytes.len()), bytes.len() <= MAX_RAW_BYTES) else {
            return Err(too_large);
        };
        let payload = COMPRESSOR
            .with_borrow_mut(|compressor| match compressor {
                Some(compressor) => compressor.compress(&bytes),
                None => compressor.insert(Compressor::new(LEVEL)?).compress(&bytes),
            })
            .map_err(|error| LogError::Io(Arc::new(error)))?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(LogError::TooLarge { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
        }
        Ok(Self { body, payload, raw })
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &FrameBody {
        &self.body
    }

    /// On the disk, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload.len()
    }

    /// Before compression, in bytes; about what it takes in memory.
    #[must_use]
    pub fn raw_bytes(&self) -> usize {
        self.raw as usize
    }
}

/// Faster than the disk; higher levels gain little on records that were compressed on the wire too.
const LEVEL: i32 = 1;

thread_local! {
    /// Making one costs more than using it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn with_field(head: &v1::StoredFrame, tag: u32, content: &impl Message) -> Vec<u8> {
    let length = content.encoded_len();
    let mut bytes = Vec::with_capacity(head.encoded_len() + length + 16);
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(length as u64, &mut bytes);
    content.encode_raw(&mut bytes);
    head.encode_raw(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_same_after_storing() {
        let source = Source { cluster: "c".into(), node: "n".into(), boot_id: "b".into() };
        let contents = [
            Content::Batch(v1::Batch { epoch: 7, first_sequence: 3, ..v1::Batch::default() }),
            Content::Inventory(v1::Inventory { number: 4, ..v1::Inventory::default() }),
            Content::Hello(v1::Hello { node: "n".to_owned(), ..v1::Hello::default() }),
            Content::Node(v1::NodeStatus { since_unix_ns: 5, ..v1::NodeStatus::default() }),
        ];
        for content in contents {
            let body = FrameBody { source: source.clone(), received_unix_ns: -3, content };
            assert_eq!(FrameBody::decode(body.encode().into()).unwrap(), body);
        }
    }
}
