//! Reading frames in order.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use zstd::bulk::Decompressor;

use super::{
    Frame, FrameBody, ReadError,
    segment::{FRAME_HEADER_BYTES, FrameHeader, HEADER_BYTES, MAX_RAW_BYTES, SegmentHeader, find_frame},
    shared::{Place, Shared},
};

/// Read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The frames of a log, in order. It ends at the last frame that is committed, and goes on when it is
/// asked again after more have been. What cannot be read is an item, and it goes on behind that.
///
/// Its reads block.
pub struct Reader {
    shared: Arc<Shared>,
    next: u64,
    open: Option<OpenSegment>,
    decompressor: Option<Decompressor<'static>>,
}

struct OpenSegment {
    file: File,
    path: PathBuf,
    header: SegmentHeader,
    /// Where the next frame begins, and its number.
    at: u64,
    number: u64,
    /// A piece of the file, and where it begins. Never more than what is committed.
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: u64) -> Self {
        Self { shared, next: from.max(1), open: None, decompressor: None }
    }

    /// Number of the frame that comes next, unless it cannot be read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Reads the frame `self.next`; `None` where the segment has no more.
    fn read(&mut self, place: &Place) -> Result<Option<Frame>, ReadError> {
        let unreadable = |path: PathBuf, from, error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => ReadError::Expired { from, to: place.end - 1 },
            io::ErrorKind::InvalidData => ReadError::Damaged { path, from, to: place.end - 1 },
            _ => ReadError::Unreadable { path, from, to: place.end - 1, source: Arc::new(error) },
        };
        let from = self.next;
        let path = self.shared.path(place.segment.first);
        if self
            .open
            .as_ref()
            .is_none_or(|open| open.header.first != place.segment.first || open.number > from)
        {
            self.open = None;
            let opened = OpenSegment::new(path.clone(), place);
            self.open = Some(opened.map_err(|error| unreadable(path.clone(), from, error))?);
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let limit = place.segment.bytes;
        loop {
            let wanted = open.number >= from;
            match open.frame(limit, wanted).map_err(|error| unreadable(path.clone(), from, error))? {
                Found::Frame(header) if header.number >= place.end => return Ok(None),
                Found::Frame(header) if header.number < from => open.pass(&header),
                Found::Frame(header) => {
                    let decoded = decode(&mut self.decompressor, open.payload(&header), header);
                    open.pass(&header);
                    let Some(body) = decoded else {
                        return Err(ReadError::Damaged { path, from, to: header.number });
                    };
                    if header.number > from {
                        // A hole within a segment, which only damage makes: tell it first.
                        open.back(&header);
                        return Err(ReadError::Damaged { path, from, to: header.number - 1 });
                    }
                    return Ok(Some(Frame { number: header.number, body }));
                }
                Found::Damaged => {
                    let found = open
                        .search(limit, from)
                        .map_err(|error| unreadable(path.clone(), from, error))?
                        .filter(|&number| number < place.end);
                    match found {
                        Some(number) if number == from => {}
                        Some(number) => return Err(ReadError::Damaged { path, from, to: number - 1 }),
                        None => return Ok(None),
                    }
                }
                Found::End => return Ok(None),
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Arc<Frame>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Read once: what is committed meanwhile is for the next call.
        let committed = *self.shared.committed.borrow();
        if self.next >= committed {
            return None;
        }
        let from = self.next;
        let Some(place) = self.shared.place(from) else {
            let oldest = self.shared.oldest();
            self.next = oldest;
            return Some(Err(ReadError::Expired { from, to: oldest - 1 }));
        };
        let damaged = |path| ReadError::Damaged { path, from, to: place.end - 1 };
        if place.segment.unreadable {
            self.next = place.end;
            return Some(Err(damaged(self.shared.path(place.segment.first))));
        }
        match self.read(&place) {
            Ok(Some(frame)) => {
                self.next = frame.number + 1;
                Some(Ok(Arc::new(frame)))
            }
            // Numbers that this segment should have had.
            Ok(None) => {
                self.next = place.end;
                Some(Err(damaged(self.shared.path(place.segment.first))))
            }
            Err(error) => {
                self.next = error.missing().1 + 1;
                Some(Err(error))
            }
        }
    }
}

enum Found {
    Frame(FrameHeader),
    Damaged,
    End,
}

impl OpenSegment {
    fn new(path: PathBuf, place: &Place) -> io::Result<Self> {
        let file = File::open(&path)?;
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::ErrorKind::InvalidData.into(),
            _ => error,
        })?;
        let header =
            SegmentHeader::decode(&bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if header.first != place.segment.first {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let at = HEADER_BYTES as u64;
        Ok(Self { file, path, header, at, number: header.first, chunk: Vec::new(), chunk_at: at })
    }

    /// The frame at the present place. `whole`: its crc is looked at too.
    fn frame(&mut self, limit: u64, whole: bool) -> io::Result<Found> {
        if self.at >= limit {
            return Ok(Found::End);
        }
        if !self.load(FRAME_HEADER_BYTES, limit)? {
            return Ok(Found::Damaged);
        }
        let Some(header) = FrameHeader::peek(self.header.salt, self.loaded()) else {
            return Ok(Found::Damaged);
        };
        if header.number < self.number {
            return Ok(Found::Damaged);
        }
        if self.at + header.frame_bytes() as u64 > limit {
            return Ok(Found::Damaged);
        }
        if whole {
            let bytes = header.frame_bytes();
            let holds =
                self.load(bytes, limit)? && FrameHeader::holds(self.header.salt, &self.loaded()[..bytes]);
            return Ok(if holds { Found::Frame(header) } else { Found::Damaged });
        }
        Ok(Found::Frame(header))
    }

    /// Looks for a frame with number `from` or later behind the present place, and goes there.
    fn search(&mut self, limit: u64, from: u64) -> io::Result<Option<u64>> {
        // Damage is rare: the rest of the segment is read whole.
        let rest = usize::try_from(limit.saturating_sub(self.at)).unwrap_or(usize::MAX);
        if !self.load(rest, limit)? {
            return Ok(None);
        }
        let mut at = 1;
        while let Some((range, header)) = find_frame(self.header.salt, self.loaded(), at) {
            if header.number >= from {
                self.at += range.start as u64;
                self.number = header.number;
                return Ok(Some(header.number));
            }
            at = range.end;
        }
        Ok(None)
    }

    fn pass(&mut self, header: &FrameHeader) {
        self.at += header.frame_bytes() as u64;
        self.number = header.number + 1;
    }

    fn back(&mut self, header: &FrameHeader) {
        self.at -= header.frame_bytes() as u64;
        self.number = header.number;
    }

    fn payload(&self, header: &FrameHeader) -> &[u8] {
        &self.loaded()[FRAME_HEADER_BYTES..header.frame_bytes()]
    }

    /// What of the file is in memory, from the present place on.
    fn loaded(&self) -> &[u8] {
        let skip = self.at.checked_sub(self.chunk_at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.chunk.get(skip..)).unwrap_or_default()
    }

    /// Brings `bytes` from the present place on into memory; `false` where there are not as many.
    fn load(&mut self, bytes: usize, limit: u64) -> io::Result<bool> {
        if self.loaded().len() >= bytes {
            return Ok(true);
        }
        let there = usize::try_from(limit.saturating_sub(self.at)).unwrap_or(usize::MAX);
        if there < bytes {
            return Ok(false);
        }
        let take = bytes.max(CHUNK_BYTES).min(there);
        self.chunk.resize(take, 0);
        self.chunk_at = self.at;
        match self.file.read_exact_at(&mut self.chunk, self.at) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.chunk.clear();
                // Shorter than it was synced: somebody has cut it.
                if error.kind() == io::ErrorKind::UnexpectedEof { Ok(false) } else { Err(error) }
            }
        }
    }
}

fn decode(
    decompressor: &mut Option<Decompressor<'static>>,
    payload: &[u8],
    header: FrameHeader,
) -> Option<FrameBody> {
    let decompressor = match decompressor {
        Some(decompressor) => decompressor,
        None => decompressor.insert(Decompressor::new().ok()?),
    };
    let raw = header.raw as usize;
    let bytes = decompressor.decompress(payload, raw.min(MAX_RAW_BYTES)).ok()?;
    if bytes.len() != raw {
        return None;
    }
    FrameBody::decode(bytes.into())
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.open.as_ref().map(|open| &open.path);
        formatter
            .debug_struct("Reader")
            .field("next", &self.next)
            .field("segment", &path)
            .finish_non_exhaustive()
    }
}
