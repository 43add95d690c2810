//! The programs in this machine's kernel, held against /proc. Needs root and a BPF file system.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod credentials;
mod environment;
mod exec;
mod loaded;
mod overfill;
mod restart;
mod tier;
mod verified;
