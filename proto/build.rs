//! Generates the messages and services of `kestrel/v1`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// One file a subject; `ARCHITECTURE.md` says which.
const FILES: [&str; 11] = [
    "kestrel/v1/workload.proto",
    "kestrel/v1/posture.proto",
    "kestrel/v1/activity.proto",
    "kestrel/v1/syscall.proto",
    "kestrel/v1/network.proto",
    "kestrel/v1/kernel.proto",
    "kestrel/v1/account.proto",
    "kestrel/v1/event.proto",
    "kestrel/v1/ingest.proto",
    "kestrel/v1/watch.proto",
    "kestrel/v1/store.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("kestrel.v1.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".kestrel.v1").compile_fds(descriptors)?;
    Ok(())
}
