//! Packages of kernels: from the sources of this machine, else from the suites that have what it lacks.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{
    apt::{self, Lists},
    command,
};

/// Archive and suite of kernels that are older and newer than a stable release's own.
const SUITES: [(&str, &str); 3] =
    [("debian", "bullseye"), ("debian-security", "bullseye-security"), ("debian", "sid")];

/// Where a package is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The machine's own list of sources.
    Machine,
    /// A list of ours.
    Suites,
}

/// Apt with two lists of sources, each brought up to date when it is first asked.
#[derive(Debug)]
pub(super) struct Apt {
    lists: Lists,
    updated: Vec<Source>,
}

impl Apt {
    /// With its own lists in `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self { lists: Lists::new(dir, &SUITES), updated: Vec::new() }
    }

    /// The first package that is chosen of the names in a source, and which source that is.
    pub(super) fn find(&mut self, choose: impl Fn(&str) -> Option<String>) -> Result<(String, Source)> {
        for source in [Source::Machine, Source::Suites] {
            self.update(source)?;
            let names = command::output(self.command("apt-cache", source).args(["pkgnames", "linux-"]));
            if let Some(package) = names.as_deref().and_then(&choose) {
                return Ok((package, source));
            }
        }
        bail!("Debian has none of it in {}", SUITES.map(|(_, suite)| suite).join(", "));
    }

    /// Downloads a package into an empty folder.
    pub(super) fn download(&self, package: &str, source: Source, dir: &Path) -> Result<PathBuf> {
        apt::download(self.command("apt-get", source), package, dir)
    }

    fn update(&mut self, source: Source) -> Result<()> {
        if self.updated.contains(&source) {
            return Ok(());
        }
        match source {
            // These may be good as they are, and only root may renew them.
            Source::Machine => drop(apt::quiet(self.command("apt-get", source).args(["-qq", "update"]))),
            Source::Suites => self.lists.update()?,
        }
        self.updated.push(source);
        Ok(())
    }

    fn command(&self, program: &str, source: Source) -> std::process::Command {
        match source {
            Source::Machine => apt::machine(program),
            Source::Suites => self.lists.command(program),
        }
    }
}
