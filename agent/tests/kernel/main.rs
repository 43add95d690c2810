//! The programs in this machine's kernel, held against /proc. Needs root and a BPF file system.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod credentials;
mod environment;
mod exec;
mod filter;
mod flood;
mod group;
mod loaded;
mod network;
mod network_compat;
mod network_packet;
mod network_race;
mod network_state;
mod overfill;
mod restart;
mod shared;
mod tier;
mod uring;
mod verified;
