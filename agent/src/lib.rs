//! The node daemon, in the order in which an event passes through it:
//! kernel → source → decode → context → posture → output.

pub mod context;
pub mod decode;
pub mod output;
pub mod posture;
pub mod time;
