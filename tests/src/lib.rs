//! Whole-system tests: a real kernel and real containers.
//!
//! [`lab`] holds what the tests stand on; the tests themselves are in `tests/`.
//! `cargo xtask test` builds all that they run and starts them as root.

pub mod lab;
pub mod ordinary;
