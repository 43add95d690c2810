//! Agents that are none: what many nodes send a collector, from one process.

mod records;
mod wire;

pub use records::Busy;
pub use wire::{Connection, Down, Ended, Frame, Heard, Up};
