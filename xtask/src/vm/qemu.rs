//! One boot.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

/// Seconds after which a machine that hangs is ended. The slowest needs half a minute on two cores.
const LIMIT: &str = "240";

/// What the machine writes to its console until it powers off. That qemu ends well says nothing of it.
pub(super) fn boot(kernel: &Path, initramfs: &Path) -> Result<String> {
    let mut qemu = Command::new("timeout");
    qemu.args([LIMIT, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        // A kernel that panics reboots at once, which here is its end.
        .args(["-append", "console=ttyS0 panic=-1 quiet", "-no-reboot"])
        .args(["-nodefaults", "-nic", "none", "-display", "none", "-monitor", "none", "-serial", "stdio"]);
    let out = qemu.stdin(Stdio::null()).output().context("cannot start qemu")?;
    let console = String::from_utf8_lossy(&out.stdout).replace('\r', "");
    // Only where it did not start a machine has qemu itself something to say.
    Ok(if console.is_empty() { String::from_utf8_lossy(&out.stderr).into_owned() } else { console })
}
