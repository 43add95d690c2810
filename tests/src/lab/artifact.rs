//! Where cargo has put what the tests run.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// A binary of this workspace in the profile of the running test, or what `KESTREL_BIN_DIR` points at.
pub fn binary(name: &str) -> Result<PathBuf> {
    let dir = match env::var_os("KESTREL_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir()?,
    };
    existing(dir.join(name), "cargo build --workspace")
}

/// A program of `tests/triggers`, statically linked.
pub fn trigger(name: &str) -> Result<PathBuf> {
    let dir = match env::var_os("KESTREL_TRIGGERS_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir()?
            .parent()
            .context("a profile folder has a parent")?
            .join("x86_64-unknown-linux-gnu/release"),
    };
    existing(dir.join(name), "cargo xtask build-triggers")
}

/// A daemon as it is in its image: linked statically.
pub fn static_binary(name: &str) -> Result<PathBuf> {
    let dir = match env::var_os("KESTREL_STATIC_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir()?
            .parent()
            .context("a profile folder has a parent")?
            .join("x86_64-unknown-linux-gnu/release"),
    };
    existing(dir.join(name), "cargo xtask build-static")
}

/// A tool that `cargo xtask setup` has installed beside what cargo builds.
pub fn tool(name: &str) -> Result<PathBuf> {
    let profile = profile_dir()?;
    let target = profile.parent().context("a profile folder has a parent")?;
    existing(target.join("tools/bin").join(name), "cargo xtask setup")
}

fn existing(path: PathBuf, remedy: &str) -> Result<PathBuf> {
    ensure!(path.is_file(), "{} is missing: run `{remedy}`", path.display());
    Ok(path)
}

/// `target/debug` or `target/release`: a test is in its folder `deps`, a binary in itself.
fn profile_dir() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let dir = own.parent().context("a program has a folder")?;
    let dir = if dir.ends_with("deps") { dir.parent() } else { Some(dir) };
    dir.map(Path::to_owned).context("a profile folder has a parent")
}
