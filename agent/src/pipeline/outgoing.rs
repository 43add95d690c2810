//! What leaves the hot loop in order: changes of findings, and between them inventories.

use super::{Detected, Throttled, buffers::Lost, lifecycle::ContainerEntry};
use crate::{
    detect::Detection,
    posture::{Change, ControlPosture, FindingReport, Level},
    time::Clock,
};

/// Something on its way to whoever tells it.
#[derive(Debug)]
pub enum Outgoing {
    /// A finding changed.
    Change(Box<Change>),
    /// What is true, between the changes before it and those after it.
    Inventory(Box<InventorySnapshot>),
    /// Events were held back in the kernel.
    Throttled(Box<Throttled>),
    /// The agent detected something by itself.
    Detected(Box<Detected>),
    /// A rule matched.
    Detection(Box<Detection>),
    /// Something found no room in a queue of the hot loop.
    Lost(Lost),
}

/// All containers and all open findings at one moment.
#[derive(Clone, Debug)]
pub struct InventorySnapshot {
    /// When.
    pub at: Clock,
    /// Every container that is there.
    pub containers: Vec<ContainerSnapshot>,
    /// What the controls of the node say.
    pub node: Vec<ControlPosture>,
    /// Every finding that was told and is not resolved.
    pub findings: Vec<FindingReport>,
}

/// A container and what each control says of it.
#[derive(Clone, Debug)]
pub struct ContainerSnapshot {
    /// The container.
    pub container: ContainerEntry,
    /// One for each control that is judged.
    pub controls: Vec<ControlPosture>,
    /// The Pod Security level that is kept; `None`: it cannot be told.
    pub observed: Option<Level>,
    /// The one that is declared; `None`: it is not told.
    pub declared: Option<Level>,
}
