//! Records from the task iterator: the same bytes as in a ring, one after the other in a stream.

use std::io::{self, Read};

use agent_abi::record::Header;
use thiserror::Error;
use zerocopy::IntoBytes;

/// Longest record that a program makes.
const RECORD_BYTES: usize = 1 << 14;

/// Why a scan ended early.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The kernel's iterator failed.
    #[error("cannot read the task iterator")]
    Read(#[from] io::Error),
    /// A length that no record has.
    #[error("the task iterator gave a record of {len} bytes")]
    Length {
        /// The length.
        len: usize,
    },
}

/// A record kept for later, aligned as those of a ring.
#[derive(Clone, Debug, Default)]
pub struct AlignedRecord {
    words: Vec<u64>,
    len: usize,
}

impl AlignedRecord {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.words.as_bytes()[..self.len]
    }

    /// Keeps these bytes in place of what it has, in the same memory where there is enough.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.words.clear();
        self.words.resize(bytes.len().div_ceil(size_of::<u64>()), 0);
        self.words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len();
    }
}

impl From<&[u8]> for AlignedRecord {
    fn from(bytes: &[u8]) -> Self {
        let mut record = Self::default();
        record.fill(bytes);
        record
    }
}

/// Gives each record of `stream` to `each`, aligned as records are. Returns their number.
///
/// # Errors
/// When the stream cannot be read or is not one of records.
pub fn scan(stream: &mut impl Read, mut each: impl FnMut(&[u8])) -> Result<usize, ScanError> {
    let mut record = vec![0u64; RECORD_BYTES / size_of::<u64>()];
    let mut records = 0;
    loop {
        let bytes = record.as_mut_bytes();
        let (header, tail) = bytes.split_at_mut(size_of::<Header>());
        match stream.read_exact(header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(records),
            result => result?,
        }
        // The second word of a header.
        let len = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let rest = len
            .checked_sub(header.len())
            .and_then(|rest| tail.get_mut(..rest))
            .ok_or(ScanError::Length { len })?;
        stream.read_exact(rest)?;
        each(&bytes[..len]);
        records += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(len: u32) -> Vec<u8> {
        let mut bytes = vec![7; len as usize];
        bytes[4..8].copy_from_slice(&len.to_ne_bytes());
        bytes
    }

    #[test]
    fn splits_a_stream() {
        let stream = [record(32), record(41), record(16384)].concat();
        let mut lens = Vec::new();
        assert_eq!(scan(&mut &stream[..], |bytes| lens.push(bytes.len())).unwrap(), 3);
        assert_eq!(lens, [32, 41, 16384]);
    }

    #[test]
    fn refuses_impossible_lengths_and_a_cut_stream() {
        let short = scan(&mut &record(32)[..31], |_| {}).unwrap();
        assert_eq!(short, 0);
        let mut tiny = record(32);
        tiny[4..8].copy_from_slice(&31u32.to_ne_bytes());
        assert!(matches!(scan(&mut &tiny[..], |_| {}), Err(ScanError::Length { len: 31 })));
        assert!(matches!(scan(&mut &record(16385)[..], |_| {}), Err(ScanError::Length { len: 16385 })));
        let cut = &record(100)[..60];
        assert!(matches!(scan(&mut &cut[..], |_| {}), Err(ScanError::Read(_))));
    }
}
