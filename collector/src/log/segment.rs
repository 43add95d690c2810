//! The format of a segment file.
//!
//! ```text
//! file    = header frame*
//! header  = magic[8] version:u32 crc:u32 first:u64 salt:u64            (little endian, crc over the rest)
//! frame   = mark:u32 crc:u32 length:u32 raw:u32 number:u64 group:u64 payload[length]
//! payload = zstd of a kestrel.v1.StoredFrame of `raw` bytes
//! ```
//!
//! A frame's crc covers the segment's salt, what follows the crc in its header, and the payload. The
//! salt is random, so that what an attacker has put into a payload never passes for a frame, nor does
//! what a former file left on the disk.
//!
//! `group` is the number of the first frame that was written and synced together with this one. A
//! later group proves that the former ones were synced; within the last group it cannot be known.

use std::{fmt, ops::Range};

use crc32fast::Hasher;

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 32;
/// Bytes of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 32;
/// Largest payload.
pub(super) const MAX_PAYLOAD_BYTES: usize = 32 << 20;
/// Largest stored message before compression.
pub(super) const MAX_RAW_BYTES: usize = 64 << 20;

const MAGIC: [u8; 8] = *b"KESTREL\x01";
const VERSION: u32 = 1;
const SUFFIX: &str = ".log";

/// Name of the file whose first frame has this number.
pub(super) fn file_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The number in a file's name; `None` for other files.
pub(super) fn number_in(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Number of the first frame.
    pub(super) first: u64,
    /// Random.
    pub(super) salt: u64,
}

/// Why a file is no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderProblem {
    /// It ends within the header.
    Short,
    /// It is no segment, or its header was damaged.
    Damaged,
    /// A later collector wrote it.
    Version(u32),
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => formatter.write_str("its header is cut short"),
            Self::Damaged => formatter.write_str("its header is damaged"),
            Self::Version(version) => write!(formatter, "its format {version} is that of a later collector"),
        }
    }
}

impl SegmentHeader {
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        let crc = header_crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderProblem> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>().ok_or(HeaderProblem::Short)?;
        if bytes[..8] != MAGIC || u32_at(bytes, 12) != header_crc(bytes) {
            return Err(HeaderProblem::Damaged);
        }
        match u32_at(bytes, 8) {
            VERSION => Ok(Self { first: u64_at(bytes, 16), salt: u64_at(bytes, 24) }),
            version => Err(HeaderProblem::Version(version)),
        }
    }
}

fn header_crc(bytes: &[u8; HEADER_BYTES]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Of the payload.
    pub(super) length: u32,
    /// Of the payload before compression.
    pub(super) raw: u32,
    /// The frame's.
    pub(super) number: u64,
    /// Of the first frame that was synced with it.
    pub(super) group: u64,
}

impl FrameHeader {
    /// Appends the frame to `buffer`.
    pub(super) fn write(self, salt: u64, payload: &[u8], buffer: &mut Vec<u8>) {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..4].copy_from_slice(&mark(salt).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.group.to_le_bytes());
        let crc = frame_crc(salt, &bytes, payload);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        buffer.extend_from_slice(&bytes);
        buffer.extend_from_slice(payload);
    }

    /// What stands at the start of `bytes`, if it looks like a header. Its crc is not checked.
    pub(super) fn peek(salt: u64, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let header = Self {
            length: u32_at(bytes, 8),
            raw: u32_at(bytes, 12),
            number: u64_at(bytes, 16),
            group: u64_at(bytes, 24),
        };
        let sane = u32_at(bytes, 0) == mark(salt)
            && header.length as usize <= MAX_PAYLOAD_BYTES
            && header.raw as usize <= MAX_RAW_BYTES
            && header.group <= header.number;
        sane.then_some(header)
    }

    /// Whether `bytes`, the whole frame, are as they were written.
    pub(super) fn holds(salt: u64, bytes: &[u8]) -> bool {
        bytes
            .split_first_chunk::<FRAME_HEADER_BYTES>()
            .is_some_and(|(header, payload)| u32_at(header, 4) == frame_crc(salt, header, payload))
    }

    /// Of the whole frame, in bytes.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.length as usize
    }
}

/// Whole and valid frames of `bytes`, which begin at any place within a segment: the first at or
/// after `from`.
pub(super) fn find_frame(salt: u64, bytes: &[u8], from: usize) -> Option<(Range<usize>, FrameHeader)> {
    let mark = mark(salt).to_le_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.windows(mark.len()).position(|window| window == mark)?;
        if let Some(header) = FrameHeader::peek(salt, &bytes[at..]) {
            let range = at..at + header.frame_bytes();
            if bytes.get(range.clone()).is_some_and(|frame| FrameHeader::holds(salt, frame)) {
                return Some((range, header));
            }
        }
        at += 1;
    }
}

/// Where a frame begins; depends on the segment, as a payload may hold any constant.
fn mark(salt: u64) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(b"frame");
    hasher.update(&salt.to_le_bytes());
    hasher.finalize()
}

fn frame_crc(salt: u64, header: &[u8; FRAME_HEADER_BYTES], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&header[8..]);
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
