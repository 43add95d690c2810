//! Takes the events of all nodes, keeps them, shows them, alerts.
//!
//! [`ingest`] → [`log`] → [`state`] and [`live`] → [`api`] and [`alert`], put together by [`run`].

#![forbid(unsafe_code)]

pub mod alert;
pub mod api;
pub mod cli;
pub mod config;
pub mod http;
pub mod ingest;
pub mod live;
pub mod log;
pub mod run;
pub mod state;
pub mod telemetry;
