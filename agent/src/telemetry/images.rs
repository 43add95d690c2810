//! What was read of processes' images for rules.

use super::{
    Cell, Cells,
    label::{ImageEnvironment, ImageHash},
};

/// What came of the reads, and what is known.
#[derive(Debug, Default)]
pub struct Images {
    /// Files.
    pub hashes: Cells<ImageHash>,
    /// Environments.
    pub environments: Cells<ImageEnvironment>,
    /// Files whose times were read.
    pub looked: Cell,
    /// Files whose times were not: the process was gone, or its file is of another machine.
    pub not_looked: Cell,
    /// Answers about images that had been replaced when they were read.
    pub replaced: Cell,
    /// Images that had to leave room for others.
    pub evicted: Cell,
    /// Images of which something is known, or asked for.
    pub known: Cell,
}
