//! The node daemon, in the order in which an event passes through it:
//! kernel → source → decode → context → posture.

pub mod context;
pub mod decode;
pub mod kernel;
pub mod source;
