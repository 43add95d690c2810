//! `test`: everything that can be tested on this machine.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{bpf, command, host::Facts, setup, workspace::Workspace};

/// Programs for containers are linked statically, which needs a target that is named.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these.
    #[arg(long, value_enum)]
    only: Option<Suite>,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// What a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Nothing: may run without root.
    Unit,
    /// The kernel's hooks: the files `tests/kernel*.rs` of every package.
    Kernel,
    /// Containers: the other files of the package `kestrel-tests`.
    Containers,
}

/// Builds and runs the tests.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let facts = Facts::gather()?;
    if args.only == Some(Suite::Unit) {
        facts.can_build()?;
    } else {
        facts.can_run()?;
    }
    setup::run(workspace)?;
    bpf::build(workspace)?;
    if args.only != Some(Suite::Unit) {
        build_triggers(workspace)?;
        build_static(workspace)?;
        command::run(workspace.cargo("build").args(["--workspace", "--bins"]))?;
    }

    let selection = match args.only {
        Some(suite) => {
            let selection = select(workspace, suite)?;
            if selection.is_empty() {
                eprintln!("test: no file holds tests of this kind");
                return Ok(());
            }
            selection
        }
        None => vec!["--workspace".to_owned()],
    };
    let nextest = command::find("cargo-nextest").is_some();
    let mut tests = if nextest {
        let mut tests = workspace.cargo("nextest");
        // A filter may leave a package without tests.
        tests.args(["run", "--no-tests=warn"]);
        tests
    } else {
        eprintln!("test: cargo-nextest is not installed, so this is cargo test");
        let mut tests = workspace.cargo("test");
        // Show every failure.
        tests.arg("--no-fail-fast");
        tests
    };
    let result = command::run(tests.args(selection).args(&args.filter));
    // A test that was killed could not clear its containers.
    let lab = workspace.target.join("debug/kestrel-lab");
    if args.only != Some(Suite::Unit) {
        command::run(Command::new(lab).arg("sweep"))?;
    }
    result?;
    if nextest && args.only.is_none() {
        command::run(workspace.cargo("test").args(["--workspace", "--doc", "--quiet"]).args(&args.filter))?;
    }
    Ok(())
}

/// Builds the programs that tests run inside containers.
pub(crate) fn build_triggers(workspace: &Workspace) -> Result<()> {
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    let mut build = workspace.cargo("build");
    build
        .args(["--quiet", "--release", "-p", "kestrel-triggers", "--target", STATIC_TARGET])
        .env("RUSTFLAGS", format!("{flags} -C target-feature=+crt-static -C strip=symbols"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::run(&mut build)
}

/// Builds the agent as it is in its image: without a loader or a library beside it.
pub(crate) fn build_static(workspace: &Workspace) -> Result<()> {
    let mut build = workspace.cargo("build");
    build.args(["--quiet", "-p", "kestrel-agent", "--bin", "kestrel-agent"]);
    command::run(link_statically(&mut build))
}

/// Makes a build one of [`STATIC_TARGET`]'s release, linked statically.
pub(crate) fn link_statically(build: &mut Command) -> &mut Command {
    let flags = env::var("RUSTFLAGS").map_or_else(|_| String::new(), |flags| flags + " ");
    build
        .args(["--release", "--target", STATIC_TARGET])
        .env("RUSTFLAGS", flags + "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // Speed is not what is tested.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
}

/// The arguments that make cargo run a suite.
fn select(workspace: &Workspace, suite: Suite) -> Result<Vec<String>> {
    let mut args = Vec::new();
    if suite == Suite::Unit {
        args.extend(["--workspace", "--lib", "--bins"].map(str::to_owned));
    }
    for package in fs::read_dir(&workspace.root)? {
        let package = package?.path();
        // Its manifest tells a member from other folders, and gives its name.
        let Some(name) = package_name(&package) else { continue };
        for file in test_files(&package)? {
            if suite_of(&name, &file) == suite {
                if suite != Suite::Unit {
                    args.extend(["--package".to_owned(), name.clone()]);
                }
                args.extend(["--test".to_owned(), file]);
            }
        }
    }
    Ok(args)
}

fn package_name(package: &Path) -> Option<String> {
    let manifest = fs::read_to_string(package.join("Cargo.toml")).ok()?;
    let is_member = manifest.contains("workspace = true");
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))?;
    is_member.then(|| name.to_owned())
}

fn test_files(package: &Path) -> Result<Vec<String>> {
    let Ok(entries) = package.join("tests").read_dir() else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // A file, or a folder with a main.rs.
        if path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").is_file() {
            let name = path.file_stem().context("a file has a name")?;
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn suite_of(package: &str, file: &str) -> Suite {
    match (package, file) {
        (_, file) if file.starts_with("kernel") => Suite::Kernel,
        // These read files.
        ("kestrel-tests", "manifests") => Suite::Unit,
        ("kestrel-tests", _) => Suite::Containers,
        _ => Suite::Unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_follows_from_the_file() {
        assert_eq!(suite_of("kestrel-agent", "kernel_hooks"), Suite::Kernel);
        assert_eq!(suite_of("kestrel-tests", "kernel"), Suite::Kernel);
        assert_eq!(suite_of("kestrel-tests", "lab"), Suite::Containers);
        assert_eq!(suite_of("kestrel-agent", "decode"), Suite::Unit);
    }

    #[test]
    fn members_are_told_from_other_folders() {
        let workspace = Workspace::find().unwrap();
        assert_eq!(package_name(&workspace.root.join("tests")).as_deref(), Some("kestrel-tests"));
        assert_eq!(package_name(&workspace.root.join("target")), None);
        let containers = select(&workspace, Suite::Containers).unwrap();
        assert!(containers.windows(2).any(|pair| pair == ["--test", "lab"]));
    }
}
