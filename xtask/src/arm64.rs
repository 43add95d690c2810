//! The agent for arm64: compiled and linked, not run.
//!
//! rustup's own standard library for it is taken where it is installed; else Debian's, for the compiler that
//! also builds the kernel programs.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    apt::{self, Lists},
    command, setup,
    workspace::Workspace,
};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Of Debian's gcc, which also compiles the agent's parts in C.
const LINKER: &str = "aarch64-linux-gnu-gcc";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Debian's standard library for [`DEBIAN_RUSTC`], whose version must be the same.
const STD: &str = "libstd-rust-web-dev";

/// Builds it.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    setup::install_arm64()?;
    let dir = workspace.target.join("arm64");
    let mut cargo = workspace.cargo("build");
    // Apart from other builds, for it may be another compiler's.
    cargo.args(["--quiet", "--target", TARGET, "--target-dir"]).arg(&dir);
    cargo.args(["-p", "kestrel-agent", "--bin", "kestrel-agent"]);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER).env("CARGO_PROFILE_DEV_DEBUG", "0");
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    if env::var_os("CI").is_some() {
        cargo.arg("--locked");
    }
    if !has_std(Command::new("rustc")) {
        let sysroot = debian_sysroot(&dir)?;
        let flag = format!("--sysroot={}", sysroot.display());
        cargo.env("RUSTC", DEBIAN_RUSTC).env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flag);
    }
    command::run(&mut cargo)?;
    println!("{}", dir.join(TARGET).join("debug/kestrel-agent").display());
    Ok(())
}

fn has_std(mut rustc: Command) -> bool {
    let libs = rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let Some(dir) = command::output(libs) else { return false };
    let Ok(entries) = Path::new(&dir).read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Debian's standard library, downloaded once for each version of its compiler and not installed.
fn debian_sysroot(dir: &Path) -> Result<PathBuf> {
    let version = command::output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", STD]))
        .with_context(|| format!("{DEBIAN_RUSTC} is not Debian's: install {TARGET} for your own compiler"))?;
    let std = dir.join(format!("std-{}", version.replace('~', "-")));
    let sysroot = std.join("usr");
    if sysroot.exists() {
        return Ok(sysroot);
    }
    let release = fs::read_to_string("/etc/os-release")?;
    let codename = codename(&release).context("/etc/os-release names no release")?;
    let security = format!("{codename}-security");
    let lists = Lists::new(&dir.join("apt"), &[("debian", codename), ("debian-security", &security)]);
    let lists = lists.of_architecture("arm64");
    eprintln!("build-arm64: downloading {STD} {version}");
    lists.update()?;
    let partial = dir.join("std.partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(partial.join("archive"))?;
    let package = format!("{STD}={version}");
    let archive = apt::download(lists.command("apt-get"), &package, &partial.join("archive"))?;
    command::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&partial))?;
    fs::remove_dir_all(partial.join("archive"))?;
    fs::rename(partial, &std)?;
    Ok(sysroot)
}

fn codename(release: &str) -> Option<&str> {
    release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_has_a_name() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n"), Some("bookworm"));
        assert_eq!(codename("ID=other\n"), None);
    }
}
