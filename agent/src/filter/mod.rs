//! What the kernel programs are to leave out: by path, by executable, by cgroup, and by number.
//!
//! Nothing is left out by what a workload chooses for itself, as its name or its arguments.

mod executable;
mod landmarks;
mod marks;
mod prefix;

use std::num::NonZeroU32;

use agent_abi::map::Executable;

pub use self::{
    executable::{ResolveError, resolve},
    landmarks::Landmarks,
    marks::{CgroupMarks, MarkCounts, MarkError, MarkStore},
    prefix::PathPrefix,
};

/// How many raw events a cgroup may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// A second, on the long run.
    pub rate: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// What the programs look at before they make a record. May change while they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `None`: as many as it likes.
    pub limit: Option<Limit>,
    /// Whose raw events nobody wants.
    pub executables: Vec<Executable>,
    /// Files below which paths are wanted, where calls are asked for with [`crate::syscall::Only::below`].
    pub prefixes: Vec<PathPrefix>,
    /// Names by which others are, where they are asked for with [`crate::syscall::Beside::landmarks`].
    pub landmarks: Landmarks,
}
