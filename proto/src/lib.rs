//! `kestrel.v1`, generated from the files in `kestrel/v1`: what agents, collector and clients say to
//! each other.

#![forbid(unsafe_code)]

pub mod detection;
pub mod raw;

/// Messages and services.
#[allow(missing_docs, unused_qualifications, clippy::all, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("kestrel.v1");
}

/// Version of the schema; a field that changes its meaning raises it.
pub const SCHEMA: u32 = 1;

/// The descriptors of all files, for reflection and tests.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kestrel.v1.binpb"));
