//! Agents against the ingest of a real server: what they may do, what they may not, and what becomes
//! of the others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod identity;
mod numbers;
mod pressure;
mod rig;
