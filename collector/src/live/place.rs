//! A reader's place in the log.

use kestrel_proto::v1::Cursor;

/// The record that is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of its frame.
    pub frame: u64,
    /// Place within it.
    pub index: u32,
}

impl Place {
    /// The begin of a frame.
    #[must_use]
    pub fn at(frame: u64) -> Self {
        Self { frame, index: 0 }
    }

    /// What follows a record, as a client names it.
    #[must_use]
    pub fn after(cursor: Cursor) -> Self {
        match cursor.index.checked_add(1) {
            Some(index) => Self { frame: cursor.frame, index },
            None => Self::at(cursor.frame.saturating_add(1)),
        }
    }

    /// The last that lies before it: who goes on after that misses nothing and gets nothing twice.
    #[must_use]
    pub fn before(self) -> Cursor {
        match self.index.checked_sub(1) {
            Some(index) => Cursor { frame: self.frame, index },
            None => Cursor { frame: self.frame.saturating_sub(1), index: u32::MAX },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_is_the_inverse_of_before() {
        for place in [Place::at(1), Place { frame: 7, index: 3 }, Place::at(9)] {
            assert_eq!(Place::after(place.before()), place);
        }
    }
}
