//! Checks a record and makes a view of it.

use agent_abi::{
    ABI_VERSION, map,
    record::{self, Header, Span, kind},
};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::event::{
    Cgroup, CgroupChange, Credentials, Event, Exec, ImageSource, Open, PathComponents, Strings,
};

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("{len} bytes are too short for a record header")]
    NoHeader {
        /// Bytes given.
        len: usize,
    },
    /// Not aligned to 8 bytes.
    #[error("record is not aligned to 8 bytes")]
    Misaligned,
    /// Another layout.
    #[error("record has ABI version {found}, this agent reads {ABI_VERSION}")]
    Version {
        /// The version it names.
        found: u16,
    },
    /// The header's length is not the bytes given.
    #[error("record names a length of {named} bytes, {given} were given")]
    Length {
        /// By the header.
        named: u32,
        /// By the ring.
        given: usize,
    },
    /// No such kind.
    #[error("unknown record kind {found}")]
    Kind {
        /// The kind it names.
        found: u16,
    },
    /// No such ring.
    #[error("unknown ring {found}")]
    Ring {
        /// The ring it names.
        found: u16,
    },
    /// Shorter than the fixed part of its kind.
    #[error("record of kind {kind} has {len} bytes, its fixed part alone needs {need}")]
    Short {
        /// The kind.
        kind: u16,
        /// Bytes given.
        len: usize,
        /// Bytes needed.
        need: usize,
    },
    /// A span leaves the tail.
    #[error("span of {len} bytes at {offset} leaves the record's tail")]
    Span {
        /// From the record's start.
        offset: u16,
        /// In bytes.
        len: u16,
    },
}

/// Checks `bytes` and gives a view of them.
///
/// # Errors
/// A [`DecodeError`] for anything that this agent's kernel programs do not write.
pub fn decode(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let (header, _) = Header::ref_from_prefix(bytes).map_err(|error| match error {
        zerocopy::CastError::Alignment(_) => DecodeError::Misaligned,
        zerocopy::CastError::Size(_) | zerocopy::CastError::Validity(_) => {
            DecodeError::NoHeader { len: bytes.len() }
        }
    })?;
    if header.abi != ABI_VERSION {
        return Err(DecodeError::Version { found: header.abi });
    }
    if usize::try_from(header.len) != Ok(bytes.len()) {
        return Err(DecodeError::Length { named: header.len, given: bytes.len() });
    }
    if usize::from(header.ring) >= map::RING_COUNT {
        return Err(DecodeError::Ring { found: header.ring });
    }
    match header.kind {
        kind::FORK => Ok(Event::Fork(Record::<record::Fork>::new(header, bytes)?.fixed)),
        kind::EXEC => exec(header, bytes, ImageSource::Exec),
        kind::SCAN => exec(header, bytes, ImageSource::Scan),
        kind::EXIT => Ok(Event::Exit(Record::<record::Exit>::new(header, bytes)?.fixed)),
        kind::CGROUP_MKDIR => cgroup(header, bytes, CgroupChange::Mkdir),
        kind::CGROUP_RMDIR => cgroup(header, bytes, CgroupChange::Rmdir),
        kind::CGROUP_ATTACH => cgroup(header, bytes, CgroupChange::Attach),
        kind::CREDENTIALS => {
            let record = Record::<record::Credentials>::new(header, bytes)?;
            Ok(Event::Credentials(Credentials {
                record: record.fixed,
                seccomp_allow: record.optional(record.fixed.seccomp_allow)?,
            }))
        }
        kind::OPEN => {
            let record = Record::<record::Open>::new(header, bytes)?;
            Ok(Event::Open(Open { record: record.fixed, path: record.path(record.fixed.file.path)? }))
        }
        found => Err(DecodeError::Kind { found }),
    }
}

fn exec<'a>(header: &Header, bytes: &'a [u8], source: ImageSource) -> Result<Event<'a>, DecodeError> {
    let record = Record::<record::Exec>::new(header, bytes)?;
    let fixed = record.fixed;
    Ok(Event::Exec(Exec {
        record: fixed,
        source,
        exe: record.path(fixed.exe.path)?,
        argv: Strings(record.span(fixed.argv)?),
        filename: record.span(fixed.filename)?,
        cwd: record.path(fixed.cwd)?,
        seccomp_allow: record.optional(fixed.seccomp_allow)?,
    }))
}

fn cgroup<'a>(header: &Header, bytes: &'a [u8], change: CgroupChange) -> Result<Event<'a>, DecodeError> {
    let record = Record::<record::Cgroup>::new(header, bytes)?;
    Ok(Event::Cgroup(Cgroup { record: record.fixed, change, path: record.span(record.fixed.path)? }))
}

/// A fixed part and the whole record that its spans point into.
struct Record<'a, T> {
    fixed: &'a T,
    bytes: &'a [u8],
}

impl<'a, T: FromBytes + KnownLayout + Immutable> Record<'a, T> {
    fn new(header: &Header, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (fixed, _) = T::ref_from_prefix(bytes).map_err(|_| DecodeError::Short {
            kind: header.kind,
            len: bytes.len(),
            need: size_of::<T>(),
        })?;
        Ok(Self { fixed, bytes })
    }

    fn span(&self, span: Span) -> Result<&'a [u8], DecodeError> {
        let Span { offset, len } = span;
        if len == 0 {
            return Ok(&[]);
        }
        let start = usize::from(offset);
        if start < size_of::<T>() {
            return Err(DecodeError::Span { offset, len });
        }
        self.bytes.get(start..start + usize::from(len)).ok_or(DecodeError::Span { offset, len })
    }

    fn optional(&self, span: Span) -> Result<Option<&'a [u8]>, DecodeError> {
        self.span(span).map(|bytes| (!bytes.is_empty()).then_some(bytes))
    }

    fn path(&self, span: Span) -> Result<PathComponents<'a>, DecodeError> {
        self.span(span).map(|bytes| PathComponents(Strings(bytes)))
    }
}
