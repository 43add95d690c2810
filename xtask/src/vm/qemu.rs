//! One boot.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::TEST_SECONDS;

/// Of every boot. A kernel that panics reboots at once, which here is its end. 5.10 leaves bpf out of the
/// security modules unless it is named. Guarding an emulated processor against speculation takes time alone.
const ARGUMENTS: &str =
    "console=ttyS0 panic=-1 quiet mitigations=off lsm=lockdown,capability,yama,apparmor,bpf";
/// An old one is emulated in two thirds of the time: it has no memory protection that every access asks.
const PROCESSOR: &str = "Nehalem";
/// Seconds that the agent's part may take; the slowest needs half a minute on two cores.
const AGENT_SECONDS: u64 = 180;

/// What a machine has said.
#[derive(Debug)]
pub(super) struct Boot {
    /// By its script. That qemu ends well says nothing of it.
    pub(super) report: String,
    /// The kernel's own messages, or those of qemu where it did not start a machine.
    pub(super) console: String,
    pub(super) took: Duration,
}

/// Boots a kernel and waits until it powers off. What it says is kept in `dir`, by a name.
pub(super) fn boot(kernel: &Path, initramfs: &Path, arguments: &str, dir: &Path, name: &str) -> Result<Boot> {
    let file = |kind: &str| -> PathBuf { dir.join(format!("{name}.{kind}")) };
    let start = Instant::now();
    let limit = AGENT_SECONDS + TEST_SECONDS;
    let mut qemu = Command::new("timeout");
    qemu.arg(limit.to_string())
        .args([
            "qemu-system-x86_64",
            "-accel",
            // With a thread for each processor 5.10 was seen to hang: one of them at the jump of a tracepoint
            // that the other was turning on.
            "tcg,thread=single",
            "-cpu",
            PROCESSOR,
            "-smp",
            "2",
            "-m",
            "1536",
        ])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &format!("{ARGUMENTS} {arguments}"), "-no-reboot", "-nodefaults"])
        .args(["-nic", "none", "-display", "none", "-monitor", "none"])
        // The first serial line is the kernel's, the second the script's.
        .arg("-serial")
        .arg(format!("file:{}", file("console").display()))
        .args(["-serial", "stdio"]);
    // Into a file, which can be watched.
    let report = File::create(file("report"))?;
    let out = qemu.stdin(Stdio::null()).stdout(report).stderr(Stdio::piped());
    let out = out.spawn().and_then(Child::wait_with_output).context("cannot start qemu")?;
    let plain = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
    let report = plain(&fs::read(file("report"))?);
    let console = fs::read(file("console")).unwrap_or_default();
    let console = if console.is_empty() { out.stderr } else { console };
    Ok(Boot { report, console: plain(&console), took: start.elapsed() })
}
