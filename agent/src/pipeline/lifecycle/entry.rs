//! What a buffer holds: plain numbers, and pieces of one array of bytes.

use agent_abi::record::{FileRef, TaskState};

use crate::{
    context::{Container, ContainerId, ContainerKey, Enrichment, Origin, ProcessId},
    time::Clock,
};

/// Bytes of a [`LifecycleBatch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    offset: u32,
    len: u32,
}

/// A buffer of events.
#[derive(Debug)]
pub struct LifecycleBatch {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl LifecycleBatch {
    pub(crate) fn with_room(entries: usize, bytes: usize) -> Self {
        Self { entries: Vec::with_capacity(entries), bytes: Vec::with_capacity(bytes) }
    }

    /// The events in the order in which the hot loop met them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes of a piece of this buffer.
    #[must_use]
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        let start = piece.offset as usize;
        self.bytes.get(start..start + piece.len as usize).unwrap_or_default()
    }

    /// Whether another event with texts of so many bytes fits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.entries.len() < self.entries.capacity() && self.bytes.capacity() - self.bytes.len() >= bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Piece {
        let piece = Piece { offset: number(self.bytes.len()), len: number(bytes.len()) };
        self.bytes.extend_from_slice(bytes);
        piece
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }
}

fn number(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// An event.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it happened.
    pub at: Clock,
    /// What.
    pub activity: Activity,
}

/// What a process or a container did.
#[derive(Clone, Debug)]
pub enum Activity {
    /// A process replaced its image.
    Exec {
        /// As it is after that.
        process: ProcessEntry,
        /// Path as given to `execve`; empty where it was not told.
        filename: Piece,
    },
    /// A process ended.
    Exit {
        /// As it was.
        process: ProcessEntry,
        /// As `wait` encodes it.
        status: u32,
    },
    /// A call changed what a task may do.
    Credentials {
        /// The process.
        process: ProcessEntry,
        /// The calling thread.
        tid: u32,
        /// Number of the call.
        syscall: u32,
        /// Of the 32-bit table.
        compat: bool,
        /// The calling thread's state after the call: the bytes of a [`TaskState`].
        state: Piece,
    },
    /// A container is there.
    Started {
        /// The container.
        container: ContainerEntry,
        /// It was not seen to be made.
        found: bool,
    },
    /// A container's names have come, or are others now.
    Named {
        /// With its names.
        container: ContainerEntry,
    },
    /// A container's cgroup was removed and no process of it is left.
    Gone {
        /// As it was.
        container: ContainerEntry,
    },
}

/// A process with one image, whole.
#[derive(Clone, Debug)]
pub struct ProcessEntry {
    /// Who.
    pub id: ProcessId,
    /// Version of the image; 0 where it is not known.
    pub exec_id: u64,
    /// Its real parent.
    pub parent: Option<ProcessId>,
    /// What the kernel says of it.
    pub state: TaskState,
    /// The executable; its path is `exe`.
    pub file: FileRef,
    /// Path of the executable.
    pub exe: Piece,
    /// Arguments, NUL-separated.
    pub argv: Piece,
    /// Arguments were cut.
    pub argv_truncated: bool,
    /// Working directory; empty where it was not told.
    pub cwd: Piece,
    /// Its container, once it runs the container's files.
    pub container: Option<ContainerEntry>,
    /// How it came there.
    pub origin: Origin,
    /// When its image was replaced, boottime nanoseconds; 0 when that was not seen.
    pub exec_ns: u64,
}

/// A container.
#[derive(Clone, Debug)]
pub struct ContainerEntry {
    /// By its cgroup.
    pub key: ContainerKey,
    /// The runtime's id.
    pub id: ContainerId,
    /// Its names, or why there are none.
    pub names: Enrichment,
}

impl From<&Container> for ContainerEntry {
    fn from(container: &Container) -> Self {
        Self { key: container.key, id: container.id, names: container.enrichment.clone() }
    }
}
