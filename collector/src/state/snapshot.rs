//! The fold in a file, so that a start need not read the whole log.
//!
//! Header, CRC-32, length, then a zstd frame. Written beside, synced, renamed. A file that is not as
//! it was written counts as none.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use kestrel_proto::v1;
use prost::Message;
use thiserror::Error;

use super::{
    Fold, Node,
    findings::{Findings, StoredFinding},
    inventory::{Containers, Incoming, StoredContainers},
    watermark::{LaneMark, StoredLane},
};
use crate::alert::Place;

/// Name of the file.
const FILE: &str = "state.snapshot";
/// Name and version of the form.
const HEADER: &[u8; 8] = b"KSTATE\x01\n";
/// No snapshot is larger, unpacked.
const MAX_BYTES: u64 = 4 << 30;

/// Why a snapshot cannot be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("cannot use {}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Of another version, or not a snapshot.
    #[error("{} is of another version", .0.display())]
    Version(PathBuf),
    /// Not as it was written.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
}

/// A fold, packed.
#[derive(Debug)]
pub struct Image {
    bytes: Vec<u8>,
    /// Number of the first frame that is not in it.
    pub next_frame: u64,
    /// The last transition that is in it.
    pub last: Option<Place>,
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(uint64, tag = "1")]
    next_frame: u64,
    #[prost(message, optional, tag = "2")]
    last: Option<Place>,
    #[prost(uint64, tag = "3")]
    refused: u64,
    #[prost(message, repeated, tag = "4")]
    nodes: Vec<StoredNode>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredNode {
    #[prost(string, tag = "1")]
    cluster: String,
    #[prost(string, tag = "2")]
    node: String,
    #[prost(message, optional, tag = "3")]
    hello: Option<v1::Hello>,
    #[prost(message, optional, tag = "4")]
    status: Option<v1::NodeStatus>,
    #[prost(int64, tag = "5")]
    last_frame_unix_ns: i64,
    #[prost(int64, optional, tag = "6")]
    inventory_unix_ns: Option<i64>,
    #[prost(uint64, tag = "7")]
    gap_events: u64,
    #[prost(uint64, tag = "8")]
    lost_events: u64,
    #[prost(message, repeated, tag = "9")]
    findings: Vec<StoredFinding>,
    #[prost(uint64, tag = "10")]
    refused_findings: u64,
    #[prost(message, optional, tag = "11")]
    containers: Option<StoredContainers>,
    #[prost(message, repeated, tag = "12")]
    lanes: Vec<StoredLane>,
    #[prost(message, repeated, tag = "13")]
    parts: Vec<v1::Inventory>,
    #[prost(message, optional, tag = "14")]
    held: Option<v1::Inventory>,
    #[prost(message, repeated, tag = "15")]
    controls: Vec<v1::ControlPosture>,
}

/// Packs a fold. Takes time in proportion to all there is: not for a thread that others wait for.
///
/// # Errors
/// That it cannot be packed.
pub fn pack(fold: &Fold) -> io::Result<Image> {
    let Fold { nodes, next_frame, last, refused } = fold;
    let nodes = nodes.iter().map(|((cluster, name), node)| store(cluster, name, node)).collect();
    let stored = Stored { next_frame: *next_frame, last: *last, refused: *refused, nodes };
    let bytes = zstd::bulk::compress(&stored.encode_to_vec(), 1)?;
    Ok(Image { bytes, next_frame: *next_frame, last: *last })
}

/// Writes a snapshot in place of the one before.
///
/// # Errors
/// That the disk does not take it; the one before is still there.
pub fn write(dir: &Path, image: &Image) -> Result<(), SnapshotError> {
    let path = dir.join(FILE);
    let fresh = dir.join(format!("{FILE}.new"));
    write_new(&path, &fresh, dir, &image.bytes).map_err(|source| SnapshotError::Io { file: path, source })
}

fn write_new(path: &Path, fresh: &Path, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(fresh)?;
    file.write_all(HEADER)?;
    file.write_all(&crc32fast::hash(bytes).to_le_bytes())?;
    file.write_all(&(bytes.len() as u64).to_le_bytes())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    File::open(dir)?.sync_all()
}

/// Reads the snapshot; nothing where there is none.
///
/// # Errors
/// That there is one, and why it cannot be used.
pub fn read(dir: &Path) -> Result<Option<Fold>, SnapshotError> {
    let path = dir.join(FILE);
    let failed = |source| SnapshotError::Io { file: path.clone(), source };
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(failed)?,
    };
    let damaged = || SnapshotError::Damaged(path.clone());
    let rest = bytes.strip_prefix(HEADER).ok_or_else(|| SnapshotError::Version(path.clone()))?;
    let (crc, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let (length, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    if rest.len() as u64 != u64::from_le_bytes(*length) || crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return Err(damaged());
    }
    let mut plain = Vec::new();
    zstd::Decoder::new(rest).map_err(failed)?.take(MAX_BYTES).read_to_end(&mut plain).map_err(failed)?;
    let stored = Stored::decode(plain.as_slice()).map_err(|_| damaged())?;
    Ok(Some(restore(stored)))
}

fn store(cluster: &str, name: &str, node: &Node) -> StoredNode {
    let Node {
        hello,
        status,
        last_frame_unix_ns,
        inventory_unix_ns,
        gap_events,
        lost_events,
        findings,
        containers,
        controls,
        incoming,
        lanes,
    } = node;
    let (findings, refused_findings) = findings.store();
    let (parts, held) = incoming.store();
    StoredNode {
        cluster: cluster.to_owned(),
        node: name.to_owned(),
        hello: Some(hello.clone()),
        status: Some(status.clone()),
        last_frame_unix_ns: *last_frame_unix_ns,
        inventory_unix_ns: *inventory_unix_ns,
        gap_events: *gap_events,
        lost_events: *lost_events,
        findings,
        refused_findings,
        containers: Some(containers.store()),
        lanes: lanes.iter().map(|(&(epoch, lane), mark)| mark.store(epoch, lane)).collect(),
        parts,
        held,
        controls: controls.clone(),
    }
}

fn restore(stored: Stored) -> Fold {
    let Stored { next_frame, last, refused, nodes } = stored;
    let nodes = nodes
        .into_iter()
        .map(|stored| {
            let key = (Arc::from(stored.cluster.as_str()), Arc::from(stored.node.as_str()));
            let node = Node {
                hello: stored.hello.unwrap_or_default(),
                status: stored.status.unwrap_or_default(),
                last_frame_unix_ns: stored.last_frame_unix_ns,
                inventory_unix_ns: stored.inventory_unix_ns,
                gap_events: stored.gap_events,
                lost_events: stored.lost_events,
                findings: Findings::restore(stored.findings, stored.refused_findings),
                containers: Containers::restore(stored.containers.unwrap_or_default()),
                controls: stored.controls,
                incoming: Incoming::restore(stored.parts, stored.held),
                lanes: stored
                    .lanes
                    .iter()
                    .map(|lane| ((lane.epoch, lane.lane), LaneMark::restore(lane)))
                    .collect(),
            };
            (key, node)
        })
        .collect();
    Fold { nodes, next_frame, last, refused }
}
