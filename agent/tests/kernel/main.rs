//! The programs in this machine's kernel, held against /proc. Needs root and a BPF file system.

mod credentials;
mod exec;
mod loaded;
mod overfill;
mod restart;
