//! What Kestrel's kernel programs and its agent agree on, byte by byte.
//!
//! The two sides come from two compilers, so everything here is `repr(C)`, of fixed width, without
//! padding and without logic. Sizes and offsets are asserted at compile time on both sides.
#![no_std]

pub mod hook;
pub mod interest;
pub mod landmark;
pub mod map;
pub mod offset;
pub mod record;
pub mod uring;
mod wire;

/// Version of everything in this crate. It names the pin directory and stands in every record, so
/// that an agent never reads the records, rings or counters of another layout.
pub const ABI_VERSION: u16 = 3;
