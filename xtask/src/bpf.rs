//! The kernel programs: compiled by a toolchain of their own, handed to the agent's build as one object.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    command, setup,
    toolchain::{DEBIAN_PACKAGES, Offer, Toolchain},
    workspace::Workspace,
};

const PACKAGE: &str = "agent-ebpf";
/// What is built, and the object's name below `bpf/` in the target folder: the agent's programs, the
/// empty ones that the benchmark holds them against, and candidates for the hook on entry.
const OBJECTS: [(&str, &str); 3] =
    [("kestrel-ebpf", "kestrel.bpf.o"), ("kestrel-floor", "floor.bpf.o"), ("kestrel-entry", "entry.bpf.o")];

/// Compiles the kernel programs. An object is written only when it differs, so that the agent is not rebuilt for
/// nothing.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    run(workspace, toolchain()?.build()).context("cannot compile the kernel programs")?;
    for (program, name) in OBJECTS {
        let object = build_dir(workspace).join("bpfel-unknown-none/release").join(program);
        let new = fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
        let path = workspace.bpf_dir().join(name);
        if fs::read(&path).ok().as_ref() != Some(&new) {
            // The reader must never see half of it.
            let partial = path.with_extension("partial");
            fs::write(&partial, new)?;
            fs::rename(&partial, &path)?;
        }
    }
    Ok(())
}

/// Runs clippy on the kernel programs, with the compiler that builds them.
pub(crate) fn lint(workspace: &Workspace) -> Result<()> {
    let toolchain = toolchain()?;
    if toolchain == Toolchain::Debian {
        setup::install_bpf_lints()?;
    }
    run(workspace, toolchain.lint())
}

fn toolchain() -> Result<Toolchain> {
    Offer::gather().choose()?.with_context(|| {
        format!(
            "The BPF compiler ({}) is not installed: run `cargo xtask setup`.",
            DEBIAN_PACKAGES.join(", ")
        )
    })
}

fn run(workspace: &Workspace, mut cargo: Command) -> Result<()> {
    cargo
        .current_dir(workspace.root.join(PACKAGE))
        .arg("--quiet")
        .arg("--target-dir")
        .arg(build_dir(workspace));
    if env::var_os("CI").is_some() {
        cargo.arg("--locked");
    }
    command::run(&mut cargo)
}

/// Apart from the workspace's own builds: another compiler, another profile.
fn build_dir(workspace: &Workspace) -> PathBuf {
    workspace.target.join("bpf/build")
}
