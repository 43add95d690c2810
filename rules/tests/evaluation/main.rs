//! What conditions are of events: held against what Falco answered, and against the laws of three values.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../reference/mod.rs"]
mod reference;

mod checking;
mod compiled;
mod falco;
mod hostile;
mod session;
mod truth;
mod types;
