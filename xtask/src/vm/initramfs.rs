//! What the machines boot into: the agent, busybox and a script.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;

use super::CONTAINER;
use crate::{command, test, workspace::Workspace};

const INIT: &str = include_str!("init.sh");

/// Builds the agent and packs it.
pub(super) fn build(workspace: &Workspace, dir: &Path) -> Result<PathBuf> {
    let agent = agent(workspace)?;
    let root = dir.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for name in ["bin", "dev", "proc", "run", "sys", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    // Symbols are three quarters of it, and the machine unpacks into memory.
    command::run(Command::new("strip").arg("-o").arg(root.join("bin/kestrel-agent")).arg(agent))?;
    let init = root.join("init");
    fs::write(&init, INIT.replace("CONTAINER", CONTAINER))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let packed = dir.join("initramfs.gz");
    let mut pack = Command::new("sh");
    pack.args(["-ec", "find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 >\"$0\""]).arg(&packed);
    command::run(pack.current_dir(&root).stdin(Stdio::null()))?;
    Ok(packed)
}

fn agent(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("vm-test: building the agent");
    test::build_static(workspace)?;
    Ok(workspace.target.join(test::STATIC_TARGET).join("release/kestrel-agent"))
}
