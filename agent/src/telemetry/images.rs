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
    /// Answers about images that had been replaced when they were read.
    pub replaced: Cell,
    /// Images that had to leave room for others.
    pub evicted: Cell,
    /// Images of which something is known, or asked for.
    pub known: Cell,
}
