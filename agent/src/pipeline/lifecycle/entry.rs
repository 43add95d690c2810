//! What a buffer holds: plain numbers, and pieces of its texts.

use agent_abi::record::{FileRef, TaskState};

use crate::{
    context::{Container, ContainerId, ContainerKey, Enrichment, Origin, ProcessId},
    pipeline::{
        buffers::Buffer,
        texts::{Piece, Texts},
    },
    time::Clock,
};

/// A buffer of events.
#[derive(Debug)]
pub struct LifecycleBatch {
    entries: Vec<Entry>,
    texts: Texts,
}

impl LifecycleBatch {
    pub(crate) fn with_room(entries: usize, bytes: usize) -> Self {
        Self { entries: Vec::with_capacity(entries), texts: Texts::with_room(bytes) }
    }

    /// The events in the order in which the hot loop met them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the pieces in the events are of.
    #[must_use]
    pub const fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The bytes of a piece of this buffer.
    #[must_use]
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        self.texts.bytes(piece)
    }

    /// Whether another event with texts of so many bytes fits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.entries.len() < self.entries.capacity() && self.texts.has_room(bytes)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Piece {
        self.texts.add(bytes)
    }

    pub(in crate::pipeline) const fn texts_mut(&mut self) -> &mut Texts {
        &mut self.texts
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
}

impl Buffer for LifecycleBatch {
    fn events(&self) -> usize {
        self.entries.len()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.texts.clear();
    }
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
