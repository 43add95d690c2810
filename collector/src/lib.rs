//! Takes the events of all nodes, keeps them, shows them, alerts.

#![forbid(unsafe_code)]

pub mod ingest;
pub mod log;
pub mod telemetry;
pub mod alert;
pub mod api;
pub mod live;
pub mod state;
