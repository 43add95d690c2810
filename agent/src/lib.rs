//! The node daemon, in the order in which an event passes through it:
//! kernel → source → decode → context → posture.
//!
//! Around it: [`config`], [`coverage`], [`telemetry`], [`http`] and [`cli`].

pub mod cli;
pub mod config;
pub mod context;
pub mod coverage;
pub mod decode;
pub mod http;
pub mod kernel;
pub mod source;
pub mod telemetry;
