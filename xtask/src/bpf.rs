//! The kernel programs: compiled by a toolchain of their own, handed to the agent's build as one object.

use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::{
    command,
    toolchain::{DEBIAN_PACKAGES, Offer},
    workspace::Workspace,
};

const PACKAGE: &str = "agent-ebpf";
const PROGRAM: &str = "bpfel-unknown-none/release/kestrel-ebpf";

/// Compiles the kernel programs. The object is written only when it differs, so that the agent is not rebuilt for
/// nothing.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let Some(toolchain) = Offer::gather().choose()? else {
        bail!("The BPF compiler ({}) is not installed: run `cargo xtask setup`.", DEBIAN_PACKAGES.join(", "));
    };
    let package = workspace.root.join(PACKAGE);
    // Apart from the workspace's own builds: another compiler, another profile.
    let target = workspace.target.join("bpf/build");
    let mut build = toolchain.cargo_build();
    build.current_dir(&package).arg("--target-dir").arg(&target);
    if env::var_os("CI").is_some() {
        build.arg("--locked");
    }
    command::run(build.arg("--quiet")).context("cannot compile the kernel programs")?;

    let object = target.join(PROGRAM);
    let new = fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
    let path = workspace.bpf_object();
    if fs::read(&path).ok().as_ref() != Some(&new) {
        // The reader must never see half of it.
        let partial = path.with_extension("partial");
        fs::write(&partial, new)?;
        fs::rename(&partial, &path)?;
    }
    Ok(())
}
