//! Checks a record and makes a view of it.

use agent_abi::{
    ABI_VERSION, map,
    record::{self, Header, Span, kind},
};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::event::{
    Cgroup, CgroupChange, Credentials, Event, Exec, FileCall, ImageSource, NamedPath, Packet, PathCall,
    PlainCall, SocketCall, Strings, Sysctl,
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
        kind::CGROUP_RENAME => cgroup(header, bytes, CgroupChange::Rename),
        kind::CGROUP_RELEASE => cgroup(header, bytes, CgroupChange::Release),
        kind::FILE => {
            let record = Record::<record::FileCall>::new(header, bytes)?;
            let fixed = record.fixed;
            let (path, text) = (record.span(fixed.file.path)?, record.span(fixed.text)?);
            Ok(Event::File(FileCall { record: fixed, path, text }))
        }
        kind::PATH => {
            let record = Record::<record::PathCall>::new(header, bytes)?;
            let fixed = record.fixed;
            let root = record.span(fixed.root)?;
            let (from, to) = (record.named(&fixed.from, root)?, record.named(&fixed.to, root)?);
            Ok(Event::Path(PathCall { record: fixed, from, to, text: record.span(fixed.text)? }))
        }
        kind::PLAIN => {
            let record = Record::<record::PlainCall>::new(header, bytes)?;
            Ok(Event::Plain(PlainCall { record: record.fixed, text: record.span(record.fixed.text)? }))
        }
        kind::SOCKET => {
            let record = Record::<record::SocketCall>::new(header, bytes)?;
            let fixed = record.fixed;
            let (given, path) = (record.span(fixed.given)?, record.span(fixed.path)?);
            Ok(Event::Socket(SocketCall { record: fixed, given, path }))
        }
        kind::SOCKET_STATE => {
            Ok(Event::SocketState(Record::<record::SocketState>::new(header, bytes)?.fixed))
        }
        kind::PACKET => {
            let record = Record::<record::Packet>::new(header, bytes)?;
            Ok(Event::Packet(Packet { record: record.fixed, payload: record.span(record.fixed.payload)? }))
        }
        kind::OOM_KILL => Ok(Event::OomKill(Record::<record::OomKill>::new(header, bytes)?.fixed)),
        kind::SIGNAL => Ok(Event::Signal(Record::<record::Signal>::new(header, bytes)?.fixed)),
        kind::URING_DONE => Ok(Event::UringDone(Record::<record::UringDone>::new(header, bytes)?.fixed)),
        kind::SYSCTL => {
            let record = Record::<record::Sysctl>::new(header, bytes)?;
            let fixed = record.fixed;
            let (name, value) = (record.span(fixed.name)?, record.span(fixed.value)?);
            Ok(Event::Sysctl(Sysctl { record: fixed, name, value }))
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
        exe: record.span(fixed.exe.path)?,
        argv: Strings(record.span(fixed.argv)?),
        filename: record.span(fixed.filename)?,
        cwd: record.span(fixed.cwd)?,
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

    fn named(&self, path: &'a record::PathRef, root: &'a [u8]) -> Result<NamedPath<'a>, DecodeError> {
        Ok(NamedPath { record: path, base: self.span(path.base)?, name: self.span(path.name)?, root })
    }
}

#[cfg(test)]
mod tests {
    use agent_abi::record::{Exec as ExecRecord, Exit, FileRef};
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::*;

    /// Bytes aligned as those of a ring.
    fn aligned(bytes: &[u8]) -> Vec<u64> {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        words
    }

    fn check(bytes: &[u8]) -> Result<(), DecodeError> {
        decode(&aligned(bytes).as_bytes()[..bytes.len()]).map(|_| ())
    }

    fn header(kind: u16, len: usize) -> Header {
        Header { abi: ABI_VERSION, kind, len: u32::try_from(len).unwrap(), ..Header::default() }
    }

    fn exit() -> Vec<u8> {
        Exit { header: header(kind::EXIT, size_of::<Exit>()), ..Exit::default() }.as_bytes().to_vec()
    }

    /// An exec record with these pieces in its tail.
    fn exec(path: &[u8], argv: &[u8], filename: &[u8], seccomp: &[u8]) -> Vec<u8> {
        let mut at = size_of::<ExecRecord>();
        let mut span = |bytes: &[u8]| {
            let span = Span { offset: u16::try_from(at).unwrap(), len: u16::try_from(bytes.len()).unwrap() };
            at += bytes.len();
            span
        };
        let mut record = ExecRecord {
            exe: FileRef { path: span(path), ..FileRef::default() },
            argv: span(argv),
            filename: span(filename),
            seccomp_allow: span(seccomp),
            ..ExecRecord::default()
        };
        record.header = header(kind::EXEC, at);
        [record.as_bytes(), path, argv, filename, seccomp].concat()
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(check(&[0; 31]), Err(DecodeError::NoHeader { len: 31 }));
        assert_eq!(check(&exit()), Ok(()));
        let mut bytes = exit();
        bytes[0] = 99;
        assert_eq!(check(&bytes), Err(DecodeError::Version { found: 99 }));
        let mut bytes = exit();
        bytes.push(0);
        assert_eq!(check(&bytes), Err(DecodeError::Length { named: 64, given: 65 }));
        let mut bytes = exit();
        bytes[2] = 200;
        assert_eq!(check(&bytes), Err(DecodeError::Kind { found: 200 }));
        let mut bytes = exit();
        bytes[10] = 2;
        assert_eq!(check(&bytes), Err(DecodeError::Ring { found: 2 }));
        let short = header(kind::EXEC, 32);
        assert_eq!(
            check(short.as_bytes()),
            Err(DecodeError::Short { kind: kind::EXEC, len: 32, need: size_of::<ExecRecord>() })
        );
        let words = aligned(&[&[0], &exit()[..]].concat());
        assert_eq!(decode(&words.as_bytes()[1..]).unwrap_err(), DecodeError::Misaligned);
    }

    #[test]
    fn a_span_may_not_leave_the_tail() {
        let mut record =
            ExecRecord { header: header(kind::EXEC, size_of::<ExecRecord>()), ..ExecRecord::default() };
        record.argv = Span { offset: 8, len: 4 };
        assert_eq!(check(record.as_bytes()), Err(DecodeError::Span { offset: 8, len: 4 }));
        record.argv = Span { offset: u16::MAX, len: u16::MAX };
        assert_eq!(check(record.as_bytes()), Err(DecodeError::Span { offset: u16::MAX, len: u16::MAX }));
    }

    #[test]
    fn reads_what_the_programs_write() {
        let bytes = exec(b"/bin/busybox", b"ls\0-l\0\0", b"/bin/ls", &[0xff; 64]);
        let words = aligned(&bytes);
        let Ok(Event::Exec(exec)) = decode(&words.as_bytes()[..bytes.len()]) else { panic!("an exec") };
        assert_eq!(exec.exe, b"/bin/busybox");
        assert_eq!(exec.argv.iter().collect::<Vec<_>>(), [&b"ls"[..], b"-l", b""]);
        assert_eq!(exec.filename, b"/bin/ls");
        assert_eq!(exec.seccomp_allow, Some(&[0xff; 64][..]));
        assert_eq!(exec.cwd, b"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
            let _ = check(&bytes);
        }

        #[test]
        fn any_damage_to_a_record_is_an_event_or_an_error(
            at in 0usize..400,
            value: u8,
            cut in 0usize..400,
        ) {
            let mut bytes = exec(b"/bin/sh", b"sh\0", b"/bin/sh", &[1; 64]);
            let len = bytes.len();
            bytes[at % len] = value;
            let _ = check(&bytes);
            bytes.truncate(cut % len);
            prop_assert!(check(&bytes).is_err());
        }

        #[test]
        fn strings_come_out_as_they_went_in(argv in prop::collection::vec("[^\0]{0,20}", 0..8)) {
            let joined: Vec<u8> = argv.iter().flat_map(|text| text.bytes().chain([0])).collect();
            let bytes = exec(b"", &joined, b"", b"");
            let words = aligned(&bytes);
            let Ok(Event::Exec(exec)) = decode(&words.as_bytes()[..bytes.len()]) else { panic!("an exec") };
            let texts: Vec<&[u8]> = exec.argv.iter().collect();
            prop_assert_eq!(texts, argv.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
