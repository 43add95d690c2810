//! Tells the crate where the kernel object is.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=KESTREL_BPF_OBJECT");
    let object = env::var_os("KESTREL_BPF_OBJECT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bpf/kestrel.bpf.o"),
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => println!("cargo::rustc-env=KESTREL_BPF_OBJECT={}", object.display()),
        Err(error) => println!(
            "cargo::error=the kernel object {} is not there ({error}): run `cargo xtask build-ebpf` first",
            object.display()
        ),
    }
}
