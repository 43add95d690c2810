//! An image with what is ordinary in images: a Debian with a compiler, cron, a cache and a shell.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::lab::{Lab, image};

const TAG: &str = "docker.io/library/ordinary-debian:12";
const PACKAGES: &str = "--include=ca-certificates,cron,curl,gcc,libc6-dev,logrotate,make,openssh-client,procps,python3-minimal,redis-server";

/// Makes the image with debootstrap from where this machine's own packages come from, and imports it.
pub fn install(lab: &Lab) -> Result<String> {
    let root = lab.dir().join("debian");
    run(Command::new("debootstrap")
        .args(["--variant=minbase", PACKAGES, "bookworm"])
        .arg(&root)
        .arg(mirror()?))?;
    let tar = lab.dir().join("debian.tar");
    run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg("."))?;
    image::install_root(lab.containerd(), lab.cri(), TAG, fs::read(&tar)?)?;
    fs::remove_file(&tar)?;
    fs::remove_dir_all(&root)?;
    Ok(TAG.to_owned())
}

/// Where apt takes this machine's packages from.
fn mirror() -> Result<String> {
    let out = Command::new("apt-get").args(["indextargets", "--format", "$(SITE)"]).output()?;
    let sites = String::from_utf8(out.stdout)?;
    let first = sites.lines().find(|site| !site.contains("security")).context("apt has no sources")?;
    Ok(first.to_owned())
}

fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let out = command.output().with_context(|| format!("cannot run {program}"))?;
    ensure!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}
