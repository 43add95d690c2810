//! The programs in this machine's kernel, held against /proc. Needs root and a BPF file system.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![allow(clippy::print_stdout, reason = "figures and what a kernel does not have are printed")]

mod abi;
mod calls;
mod cgroup;
mod compat;
mod credentials;
mod elf;
mod entry;
mod environment;
mod exec;
mod files;
mod filter;
mod flood;
mod group;
mod images;
mod loaded;
mod network;
mod network_compat;
mod network_packet;
mod network_race;
mod network_state;
mod oom;
mod overfill;
mod paths;
mod processes;
mod restart;
mod row;
mod shared;
mod signal;
mod sysctl;
mod system;
mod tier;
mod toctou;
mod uring;
mod verified;
mod way;
