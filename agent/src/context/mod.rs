//! Who did it: processes, containers, and their names.
//!
//! [`Context`] is the hot side: one thread, no waiting, no allocation per event. What it cannot
//! know by itself it asks for with an [`Effect`], and the slow side answers: [`cri`] with names,
//! [`proc`] and [`cgroupfs`] with what was there before the agent.

pub mod cgroup;
pub mod cgroupfs;
mod chain;
mod container;
mod containers;
pub mod cri;
mod effect;
mod follow;
mod membership;
mod naming;
pub mod proc;
mod process;
mod processes;
mod settle;
#[cfg(test)]
mod tests;
mod whose;

pub use container::{
    Container, ContainerId, ContainerKey, ContainerRole, Declared, DeclaredMount, DeclaredPort,
    DeclaredSeccomp, Enrichment, Names, Owner, PendingReason, Runtime,
};
pub use containers::{CgroupCounts, ContainerCounts};
pub use effect::{Effect, Why};
pub use follow::{Context, Counts, Host, Limits};
pub(crate) use process::NANOS_PER_TICK;
pub use process::{Origin, Process, ProcessId, SeccompAllow, Stage};
pub use processes::{ARGV_BYTES, EXE_PATH_BYTES, ProcessCounts};
pub use whose::Whose;
