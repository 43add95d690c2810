//! The programs in this machine's kernel, held against /proc. Needs root and a BPF file system.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![allow(clippy::print_stdout, reason = "figures and what a kernel does not have are printed")]

mod abi;
mod calls;
mod credentials;
mod elf;
mod exec;
mod files;
mod images;
mod loaded;
mod overfill;
mod paths;
mod processes;
mod restart;
mod row;
mod system;
mod toctou;
