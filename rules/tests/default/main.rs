//! Kestrel's own rules: they load, they are tested, they stay quiet over what is ordinary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../reference/mod.rs"]
#[allow(dead_code, reason = "shared by several tests, of which none needs all")]
mod reference;

#[path = "../evaluation/session.rs"]
#[allow(dead_code, reason = "shared by several tests, of which none needs all")]
mod session;

mod fixtures;
mod noise;
mod set;
mod shape;
