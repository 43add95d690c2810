//! The node daemon, in the order in which an event passes through it:
//! kernel → source → decode → context → posture.
//!
//! Around it: [`config`], [`telemetry`], [`coverage`], [`http`] and [`cli`].

pub mod config;
pub mod context;
pub mod decode;
