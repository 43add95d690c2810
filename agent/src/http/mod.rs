//! Metrics, health and status over HTTP/1.1, on loopback unless told otherwise. Read-only, one
//! request a connection, and bounded in every direction: connections, headers, time.

mod health;
mod server;
mod status;

pub use health::{Health, REQUIRED_HOOKS};
pub use server::{HttpError, Pages, Server, ServerLimits};
pub use status::{BlindStatus, HookStatus, RingStatus, Status, TableStatus, VerdictCounts};

#[cfg(test)]
mod tests;
