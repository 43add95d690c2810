//! Bytes of a buffer's texts, in one array.

/// Bytes of a [`Texts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    offset: u32,
    len: u32,
}

/// Texts one after the other. Its room is made once.
#[derive(Debug)]
pub struct Texts(Vec<u8>);

impl Texts {
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// The bytes of a piece.
    #[must_use]
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        let start = piece.offset as usize;
        self.0.get(start..start + piece.len as usize).unwrap_or_default()
    }

    /// Whether another text of so many bytes fits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.0.capacity() - self.0.len() >= bytes
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Piece {
        let piece = Piece { offset: number(self.0.len()), len: number(bytes.len()) };
        self.0.extend_from_slice(bytes);
        piece
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn number(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
