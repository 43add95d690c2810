//! Conditions: what is accepted, what is refused and where, and that printing loses nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../reference/mod.rs"]
mod reference;

mod errors;
mod falco;
mod round_trip;
mod tree;
