//! The programs in this machine's kernel, held against /proc. Needs root and a BPF file system.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where something is not as it should be, and says what it skips"
)]

mod cgroup;
mod credentials;
mod entry;
mod exec;
mod loaded;
mod network;
mod oom;
mod overfill;
mod restart;
mod signal;
mod sysctl;
mod uring;
