//! What a fresh machine lacks. Says what it installs and why; asks nothing; silent when nothing is missing.

use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};

use crate::{
    command,
    host::Facts,
    toolchain::{self, BPF_LINKER, DEBIAN_CLIPPY, DEBIAN_PACKAGES, Offer},
    workspace::Workspace,
};

/// A Debian package and how to tell that what it brings is there, from wherever.
struct Need {
    package: &'static str,
    why: &'static str,
    is_met: fn() -> bool,
}

/// What `vm-test` needs beyond that.
const VM_NEEDS: [Need; 6] = [
    Need { package: "qemu-system-x86", why: "runs other kernels", is_met: || has("qemu-system-x86_64") },
    Need { package: "cpio", why: "packs what they boot", is_met: || has("cpio") },
    Need { package: "busybox-static", why: "fills it", is_met: has_static_busybox },
    Need { package: "kmod", why: "finds modules of theirs", is_met: || has("depmod") },
    Need { package: "xz-utils", why: "unpacks them", is_met: || has("xz") },
    Need { package: "binutils", why: "strips what they boot", is_met: || has("strip") },
];

/// What `build-arm64` needs beyond that.
const ARM64_NEEDS: [Need; 2] = [
    Need {
        package: "gcc-aarch64-linux-gnu",
        why: "links for arm64",
        is_met: || has("aarch64-linux-gnu-gcc"),
    },
    Need {
        package: "libc6-dev-arm64-cross",
        why: "is linked for arm64",
        is_met: || Path::new("/usr/aarch64-linux-gnu/include/stdlib.h").exists(),
    },
];

const NEEDS: [Need; 10] = [
    Need {
        package: "containerd",
        why: "private containers for demo and tests",
        is_met: || has("containerd"),
    },
    Need { package: "runc", why: "runs these containers", is_met: || has("runc") },
    Need { package: "busybox-static", why: "fills their image", is_met: has_static_busybox },
    Need { package: "protobuf-compiler", why: "compiles the CRI's interface", is_met: || has("protoc") },
    Need { package: "iproute2", why: "cuts networks in tests", is_met: || has("ip") && has("tc") },
    Need { package: "python3-venv", why: "holds what validates manifests", is_met: has_venv },
    Need { package: "curl", why: "fetches pages in tests of ordinary work", is_met: || has("curl") },
    Need { package: "git", why: "clones in tests of ordinary work", is_met: || has("git") },
    Need {
        package: "logrotate",
        why: "rotates logs in tests of ordinary work",
        is_met: || Path::new("/usr/sbin/logrotate").exists(),
    },
    Need {
        package: "openssh-server",
        why: "is logged in to in tests of ordinary work",
        is_met: || Path::new("/usr/sbin/sshd").exists() && has("ssh"),
    },
];

/// Packages whose services are not wanted: what is used of them is started by the tests.
const SERVICES: [(&str, &str); 2] = [("containerd", "containerd.service"), ("openssh-server", "ssh.service")];

/// File systems that the kernel's hooks are attached and pinned through.
const MOUNTS: [(&str, &str); 3] =
    [("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf"), ("securityfs", "/sys/kernel/security")];

/// Of these, what compiles and does not run or test: for images.
const BUILD_NEEDS: [&str; 1] = ["protobuf-compiler"];

/// Validates manifests against the schemas of Kubernetes, which it carries.
const VALIDATOR: (&str, &str) = ("kubernetes-validate", "1.37.0");

/// Installs and mounts what is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let facts = Facts::gather()?;
    facts.can_build()?;
    install_packages(&facts, &unmet(&NEEDS))?;
    install_linker()?;
    install_validator(workspace)?;
    mount_file_systems(&facts)
}

/// Installs what a build needs, and mounts nothing.
pub(crate) fn for_build() -> Result<()> {
    let facts = Facts::gather()?;
    facts.can_build()?;
    let mut missing = unmet(&NEEDS);
    missing.retain(|(package, _)| BUILD_NEEDS.contains(package));
    install_packages(&facts, &missing)?;
    install_linker()
}

fn install_packages(facts: &Facts, missing: &[(&'static str, &'static str)]) -> Result<()> {
    let mut missing = missing.to_vec();
    if Offer::gather().choose()?.is_none() {
        missing.extend(DEBIAN_PACKAGES.map(|package| (package, "compiles the kernel programs")));
    }
    if missing.is_empty() {
        return Ok(());
    }
    install(facts, &missing)?;
    if Path::new("/run/systemd/system").exists() {
        for (_, service) in SERVICES.iter().filter(|(of, _)| missing.iter().any(|(package, _)| package == of))
        {
            command::run(Command::new("systemctl").args(["--quiet", "disable", "--now", *service]))?;
        }
    }
    if Offer::gather().choose()?.is_none() {
        bail!("{} did not bring a compiler for BPF: is this not Debian 12?", DEBIAN_PACKAGES.join(", "));
    }
    Ok(())
}

/// Installs clippy for Debian's compiler, which only a check before a merge needs.
pub(crate) fn install_bpf_lints() -> Result<()> {
    if Path::new(DEBIAN_CLIPPY).exists() {
        return Ok(());
    }
    install(&Facts::gather()?, &[("rust-web-clippy", "lints the kernel programs")])
}

/// Installs what runs other kernels, which only `vm-test` needs.
pub(crate) fn install_vm() -> Result<()> {
    install_needs(&VM_NEEDS)
}

/// Installs what compiles for arm64.
pub(crate) fn install_arm64() -> Result<()> {
    install_needs(&ARM64_NEEDS)
}

fn install_needs(needs: &[Need]) -> Result<()> {
    let missing = unmet(needs);
    if missing.is_empty() { Ok(()) } else { install(&Facts::gather()?, &missing) }
}

fn unmet(needs: &[Need]) -> Vec<(&'static str, &'static str)> {
    needs.iter().filter(|need| !(need.is_met)()).map(|need| (need.package, need.why)).collect()
}

fn install(facts: &Facts, missing: &[(&str, &str)]) -> Result<()> {
    let packages: Vec<_> = missing.iter().map(|(package, _)| *package).collect();
    if command::find("apt-get").is_none() {
        bail!("Please install the equivalents of these Debian packages: {}.", packages.join(", "));
    }
    if facts.is_root().is_err() {
        bail!("Installing {} needs root: run this once as root.", packages.join(", "));
    }
    let reasons: Vec<_> = missing.iter().map(|(package, why)| format!("{package} ({why})")).collect();
    eprintln!("setup: installing {}", reasons.join(", "));
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat())
}

fn apt(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).args(args);
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    command::run(&mut apt)
}

fn install_linker() -> Result<()> {
    if toolchain::installed_linker().as_deref() == Some(BPF_LINKER) {
        return Ok(());
    }
    eprintln!("setup: installing bpf-linker {BPF_LINKER} (links the kernel programs), which takes a minute");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "--quiet", "--locked", "--force", "--version", BPF_LINKER, "bpf-linker"]);
    command::run(cargo.stdin(Stdio::null()))?;
    match toolchain::installed_linker().as_deref() {
        Some(BPF_LINKER) => Ok(()),
        Some(other) => bail!("PATH leads to bpf-linker {other}, not to the {BPF_LINKER} just installed."),
        None => bail!("bpf-linker was installed but does not start: does its LLVM differ from rustc's?"),
    }
}

fn install_validator(workspace: &Workspace) -> Result<()> {
    let (name, version) = VALIDATOR;
    let tools = workspace.target.join("tools");
    let mark = tools.join(format!("{name}-{version}"));
    if mark.exists() {
        return Ok(());
    }
    eprintln!("setup: installing {name} {version} (validates manifests) in {}", tools.display());
    command::run(Command::new("python3").args(["-m", "venv"]).arg(&tools))?;
    let mut pip = Command::new(tools.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).arg(format!("{name}=={version}"));
    command::run(pip.stdin(Stdio::null()))?;
    Ok(fs::write(mark, "")?)
}

fn mount_file_systems(facts: &Facts) -> Result<()> {
    let mounted = fs::read_to_string("/proc/self/mounts")?;
    for (kind, path) in MOUNTS {
        if mounted.lines().any(|line| line.split(' ').nth(1) == Some(path)) || facts.is_root().is_err() {
            continue;
        }
        eprintln!("setup: mounting {kind} at {path}");
        let result = mount(Some("nodev"), path, Some(kind), MsFlags::empty(), None::<&str>);
        match result {
            // Only tells which security modules are active.
            Err(error) if kind == "securityfs" => eprintln!("setup: no securityfs here ({error})"),
            result => result.with_context(|| format!("cannot mount {kind} at {path}"))?,
        }
    }
    Ok(())
}

/// Whether a program is there, also in the folders that only root's PATH has.
fn has(program: &str) -> bool {
    command::find(program).is_some()
        || ["/usr/local/sbin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).is_file())
}

/// Debian's python3 has the module, and not what it needs.
fn has_venv() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import ensurepip, venv"]).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// A dynamic busybox would find no loader in the image.
fn has_static_busybox() -> bool {
    File::open("/bin/busybox").is_ok_and(|file| is_static(file).unwrap_or(false))
}

/// The name of a program's loader stands close to its start.
fn is_static(program: impl Read) -> io::Result<bool> {
    let mut head = Vec::new();
    program.take(4096).read_to_end(&mut head)?;
    Ok(!head.windows(8).any(|window| window == b"ld-linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_marks_a_dynamic_program() {
        assert!(is_static(&b"\x7fELF.........."[..]).unwrap());
        assert!(!is_static(&b"\x7fELF../lib64/ld-linux-x86-64.so.2"[..]).unwrap());
    }
}
