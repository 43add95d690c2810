//! The compiler for the kernel programs.
//!
//! Two will do: Debian's `rustc-web`, for which `libstd-rust-web-dev-bpf` carries a compiled core library, or a
//! rustup nightly with `rust-src`, which compiles core itself.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::command;

/// The version of bpf-linker that links against the LLVM of a Rust toolchain, without LLVM's development files.
pub(crate) const BPF_LINKER: &str = "0.10.3";

/// Debian's packages for it.
pub(crate) const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];

/// The lints of Debian's compiler, from its package `rust-web-clippy`.
pub(crate) const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

/// A compiler for the BPF target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// `/usr/bin/rustc` with a compiled core library.
    Debian,
    /// rustup's nightly with `rust-src`.
    Nightly,
}

/// What there is on a host to compile with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Debian's compiler and core library are installed.
    pub(crate) debian: bool,
    /// A nightly with `rust-src` is installed.
    pub(crate) nightly: bool,
    /// `apt-get` is there to install Debian's.
    pub(crate) apt: bool,
}

impl Offer {
    /// Of this host.
    pub(crate) fn gather() -> Self {
        let debian = has_bpf_core(Path::new("/usr/bin/rustc"));
        Self {
            debian,
            // Asking rustup takes a while; it is the second choice anyway.
            nightly: !debian && nightly_sysroot().is_some(),
            apt: command::find("apt-get").is_some(),
        }
    }

    /// The toolchain to use; `None` when Debian's is to be installed first.
    pub(crate) fn choose(self) -> Result<Option<Toolchain>> {
        match self {
            Self { debian: true, .. } => Ok(Some(Toolchain::Debian)),
            Self { nightly: true, .. } => Ok(Some(Toolchain::Nightly)),
            Self { apt: true, .. } => Ok(None),
            Self { apt: false, .. } => bail!(
                "There is no Rust compiler for BPF here: run `rustup toolchain install nightly --component rust-src`, \
                 or install {} where apt has them.",
                DEBIAN_PACKAGES.join(", ")
            ),
        }
    }
}

impl Toolchain {
    /// A `cargo build` for the BPF target, yet without a folder to run in.
    pub(crate) fn build(self) -> Command {
        self.cargo("build")
    }

    /// The same for clippy, with every warning an error.
    pub(crate) fn lint(self) -> Command {
        // What `cargo clippy` does; cargo-clippy itself would take the host's compiler.
        let driver = match self {
            Self::Debian => DEBIAN_CLIPPY,
            Self::Nightly => "clippy-driver",
        };
        let mut cargo = self.cargo("check");
        cargo.env("RUSTC_WORKSPACE_WRAPPER", driver).env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
        cargo
    }

    fn cargo(self, subcommand: &str) -> Command {
        let mut cargo = match self {
            Self::Debian => {
                let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                cargo.arg(subcommand);
                // The target is not stable, which the compiler itself does not mind.
                cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Self::Nightly => {
                let mut cargo = Command::new("rustup");
                cargo.args(["run", "nightly", "cargo", subcommand, "-Z", "build-std=core"]);
                cargo.env_remove("RUSTC").env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
                cargo
            }
        };
        // What is meant for the host's compiler.
        for name in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOC"]
        {
            cargo.env_remove(name);
        }
        cargo.args(["--release", "--target", "bpfel-unknown-none"]);
        add_linker_paths(&mut cargo);
        cargo
    }
}

/// Puts bpf-linker on a command's PATH, and the LLVM it loads where the loader looks.
fn add_linker_paths(command: &mut Command) {
    let add = |name: &str, dir: PathBuf| {
        let old = env::var_os(name).unwrap_or_default();
        let dirs =
            std::iter::once(dir).chain(env::split_paths(&old).filter(|dir| !dir.as_os_str().is_empty()));
        env::join_paths(dirs).unwrap_or(old)
    };
    if let Some(home) = cargo_home() {
        command.env("PATH", add("PATH", home.join("bin")));
    }
    if let Some(sysroot) = command::output(Command::new("rustc").args(["--print", "sysroot"])) {
        command.env("LD_LIBRARY_PATH", add("LD_LIBRARY_PATH", Path::new(&sysroot).join("lib")));
    }
}

/// The version of the bpf-linker that a build would use, when it starts at all.
pub(crate) fn installed_linker() -> Option<String> {
    let mut linker = Command::new("bpf-linker");
    add_linker_paths(&mut linker);
    let version = command::output(linker.arg("--version"))?;
    version.rsplit(' ').next().map(str::to_owned)
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}

fn has_bpf_core(rustc: &Path) -> bool {
    let mut rustc = Command::new(rustc);
    let libs = rustc.args(["--print", "target-libdir", "--target", "bpfel-unknown-none"]);
    let Some(dir) = command::output(libs) else { return false };
    let Ok(entries) = Path::new(&dir).read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

fn nightly_sysroot() -> Option<PathBuf> {
    let mut rustc = Command::new("rustup");
    rustc.args(["run", "nightly", "rustc", "--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN");
    let sysroot = PathBuf::from(command::output(&mut rustc)?);
    sysroot.join("lib/rustlib/src/rust/library/core").is_dir().then_some(sysroot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_goes_before_what_can_be() {
        let none = Offer { debian: false, nightly: false, apt: true };
        assert_eq!(none.choose().unwrap(), None);
        assert_eq!(Offer { nightly: true, ..none }.choose().unwrap(), Some(Toolchain::Nightly));
        let both = Offer { debian: true, nightly: true, apt: false };
        assert_eq!(both.choose().unwrap(), Some(Toolchain::Debian));
    }

    #[test]
    fn without_apt_and_nightly_the_remedy_is_named() {
        let error = Offer { debian: false, nightly: false, apt: false }.choose().unwrap_err().to_string();
        assert!(error.contains("rust-src") && error.contains("libstd-rust-web-dev-bpf"));
    }
}
