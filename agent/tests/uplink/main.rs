//! The uplink against a real server over loopback: what is in the outbox arrives, each event once and
//! in its order, whatever happens to the connection.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![allow(unreachable_pub, reason = "nobody uses a test")]

mod collector;
mod delivery;
mod faults;
mod proxy;
mod rig;
mod tls;
