//! What can go wrong with the log.

use std::{io, path::PathBuf, sync::Arc};

use thiserror::Error;

use super::Prepared;

/// Why the log does not open, or did not take a frame.
#[derive(Clone, Debug, Error)]
pub enum LogError {
    /// The folder cannot be used.
    #[error("cannot use {}", path.display())]
    Open {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A later collector wrote here, and what it wrote must not be lost.
    #[error("{} is no segment of this log: {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The disk has no room, or is read-only. It may have again.
    #[error("the disk does not take more")]
    NoRoom(#[source] Arc<io::Error>),
    /// Writing or syncing failed.
    #[error("the disk does not work")]
    Io(#[source] Arc<io::Error>),
    /// The frame is larger than any reader accepts.
    #[error("a frame of {bytes} bytes is more than {limit}")]
    TooLarge {
        /// Of the stored message.
        bytes: usize,
        /// Most.
        limit: usize,
    },
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// Of a failed write or sync.
    pub(super) fn write(error: io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | ReadOnlyFilesystem => Self::NoRoom(Arc::new(error)),
            _ => Self::Io(Arc::new(error)),
        }
    }

    /// It and what caused it, in one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

/// Frames that are not in the log. None of them is.
#[derive(Debug, Error)]
#[error("{} frames were not taken", frames.len())]
pub struct NotTaken {
    /// Why.
    #[source]
    pub error: LogError,
    /// They, in their order, to be offered again.
    pub frames: Vec<Prepared>,
}

/// What a reader does not get. It goes on behind it.
#[derive(Clone, Debug, Error)]
pub enum ReadError {
    /// Bytes are not as they were written.
    #[error("{}: frames {from} to {to} are damaged", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The first of the frames.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The file cannot be read.
    #[error("{}: frames {from} to {to} cannot be read", path.display())]
    Unreadable {
        /// The segment.
        path: PathBuf,
        /// The first of the frames.
        from: u64,
        /// The last.
        to: u64,
        /// Why.
        source: Arc<io::Error>,
    },
    /// They were there, and were deleted for their age or for room.
    #[error("frames {from} to {to} are not kept any more")]
    Expired {
        /// The first of the frames.
        from: u64,
        /// The last.
        to: u64,
    },
}

impl ReadError {
    /// The frames that are missing, first and last.
    #[must_use]
    pub fn missing(&self) -> (u64, u64) {
        match *self {
            Self::Damaged { from, to, .. }
            | Self::Unreadable { from, to, .. }
            | Self::Expired { from, to } => (from, to),
        }
    }
}
