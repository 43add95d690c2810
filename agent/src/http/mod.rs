//! Metrics, health and status over HTTP/1.1, on loopback unless told otherwise. Read-only, one
//! request a connection, and bounded in every direction: connections, headers, time.

mod delivery;
mod health;
mod server;
mod status;

pub use delivery::{Delivery, DeliveryStatus, LaneReport};
pub use health::{Health, REQUIRED_HOOKS};
pub use server::{HttpError, Pages, Server, ServerLimits};
pub use status::{
    BlindStatus, CanaryStatus, HookStatus, RingStatus, Status, TableStatus, ThrottledStatus, VerdictCounts,
};

#[cfg(test)]
mod tests;
