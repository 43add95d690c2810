//! What the kernel's records do not tell of a process' image: the hash and the times of its file, and its
//! environment. Read from `/proc`, beside the hot loop, where a rule asks for it.
//!
//! ```text
//! detector ─▶ question ─▶ reader ─┬▶ file: what the process runs, hashed once
//!                                 └▶ environment
//! detector ◀─ answer ◀────────────┘
//! ```
//!
//! An answer is what was there when it was read. Whether that was still the image that was asked for, the hot
//! loop says: it has the execs of that time.

mod digests;
mod environment;
mod file;
mod pace;
mod reader;

use agent_abi::record::{FileRef, TaskState};

pub use self::reader::Reader;
use crate::context::ProcessId;

/// The image of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageId {
    /// The process.
    pub process: ProcessId,
    /// `self_exec_id`, which tells its images apart.
    pub exec_id: u64,
}

impl ImageId {
    /// Of a task.
    #[must_use]
    pub const fn of(state: &TaskState) -> Self {
        Self { process: ProcessId::of(&state.task), exec_id: state.exec_id }
    }
}

/// What of an image is wanted, or known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The hash of its file.
    pub const HASH: Self = Self(1);
    /// Its environment.
    pub const ENVIRONMENT: Self = Self(2);
    /// The times of its file.
    pub const TIMES: Self = Self(4);
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::HASH, Self::ENVIRONMENT, Self::TIMES];

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the other's.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has all of the other's.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// An image of which something is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The image.
    pub id: ImageId,
    /// Its file, as the kernel told of it.
    pub file: FileRef,
    /// What is to be read.
    pub parts: Parts,
}

/// When a file was changed, nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Its inode.
    pub changed_ns: u64,
    /// What is in it, as far as nobody set it to another time.
    pub modified_ns: u64,
}

/// What was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The image that was asked for.
    pub id: ImageId,
    /// What was to be read. What could not be is not there.
    pub parts: Parts,
    /// When the process was looked at, boottime in nanoseconds.
    pub read_ns: u64,
    /// SHA-256 of its file.
    pub hash: Option<[u8; 32]>,
    /// Of its file.
    pub times: Option<Times>,
    /// Variables, each with a NUL at its end.
    pub environment: Option<Box<[u8]>>,
}

// Environments hold secrets.
impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, parts, read_ns, hash, times, environment } = self;
        let bytes = environment.as_ref().map(|environment| environment.len());
        write!(
            formatter,
            "Answer({id:?}, {parts:?}, at {read_ns}, hash {hash:?}, {times:?}, environment {bytes:?} bytes)"
        )
    }
}
