//! What leaves the agent on the node itself: JSON lines and the live view.

pub mod event;
pub mod jsonl;
pub mod terminal;
