//! The node daemon, in the order in which an event passes through it:
//! [`kernel`] → [`source`] → [`decode`] → [`context`] → [`posture`] → [`output`], driven by
//! [`pipeline`].
//!
//! What leaves the node goes through [`export`] into the [`outbox`], and by the [`uplink`] to the
//! collector.
//!
//! Around it: [`config`], [`policy`], [`filter`], [`coverage`], [`telemetry`], [`http`] and [`cli`].

mod capability;
pub mod cli;
pub mod config;
pub mod context;
pub mod coverage;
pub mod decode;
pub mod detect;
pub mod export;
pub mod filter;
pub mod http;
pub mod image;
pub mod inspect;
pub mod kernel;
pub mod outbox;
pub mod output;
pub mod pipeline;
pub mod policy;
pub mod posture;
pub mod privilege;
pub mod run;
mod secret;
pub mod source;
pub mod syscall;
pub mod telemetry;
pub mod time;
pub mod uplink;
