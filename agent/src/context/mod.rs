//! Who did it: processes, containers, and their names.

mod container;
mod process;

pub use container::{
    Container, ContainerId, ContainerKey, ContainerRole, Declared, DeclaredSeccomp, Enrichment, Names, Owner,
    PendingReason, Runtime,
};
pub(crate) use process::NANOS_PER_TICK;
pub use process::{Origin, Process, ProcessId, SeccompAllow, Stage};
