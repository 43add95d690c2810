//! Debian's packages from lists that are apart from the machine's own: other suites, another architecture.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::command;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Lists of ours.
#[derive(Debug)]
pub(crate) struct Lists {
    dir: PathBuf,
    /// Archive and suite.
    suites: Vec<(&'static str, String)>,
    /// Of the packages, where it is not the machine's.
    architecture: Option<&'static str>,
}

impl Lists {
    /// Of the machine's architecture, kept in `dir`.
    pub(crate) fn new(dir: &Path, suites: &[(&'static str, &str)]) -> Self {
        let suites = suites.iter().map(|&(archive, suite)| (archive, suite.to_owned())).collect();
        Self { dir: dir.to_owned(), suites, architecture: None }
    }

    /// Of another.
    pub(crate) fn of_architecture(mut self, architecture: &'static str) -> Self {
        self.architecture = Some(architecture);
        self
    }

    /// Fetches them.
    pub(crate) fn update(&self) -> Result<()> {
        fs::create_dir_all(self.dir.join("lists/partial"))?;
        fs::create_dir_all(self.dir.join("cache/archives/partial"))?;
        // The mirrors that this machine uses may be the only ones it reaches.
        let format = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
        let used = command::output(Command::new("apt-get").args(format)).unwrap_or_default();
        let list: String = self
            .suites
            .iter()
            .map(|(archive, suite)| {
                format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror(&used, archive))
            })
            .collect();
        fs::write(self.dir.join("sources.list"), list)?;
        quiet(self.command("apt-get").args(["-qq", "update"]))
    }

    /// A program of apt's that knows of them.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut apt = machine(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", self.dir.join("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State::lists", self.dir.join("lists")),
            ("Dir::Cache", self.dir.join("cache")),
        ] {
            apt.arg("-o").arg(format!("{key}={}", value.display()));
        }
        // Only names are of interest.
        apt.args(["-o", "Acquire::Languages=none"]);
        apt.args(["-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"]);
        if let Some(architecture) = self.architecture {
            apt.args(["-o", "Dir::State::status=/dev/null"]);
            apt.arg("-o").arg(format!("APT::Architecture={architecture}"));
            apt.arg("-o").arg(format!("APT::Architectures={architecture}"));
        }
        apt
    }
}

/// A program of apt's with the machine's own lists.
pub(crate) fn machine(program: &str) -> Command {
    let mut apt = Command::new(program);
    // An unprivileged helper could not write into the target folder.
    apt.args(["-o", "APT::Sandbox::User=root"]).stdin(Stdio::null());
    apt
}

/// Downloads a package (`NAME`, `NAME=VERSION`) into an empty folder.
pub(crate) fn download(mut apt: Command, package: &str, dir: &Path) -> Result<PathBuf> {
    quiet(apt.args(["-qq", "download", package]).current_dir(dir))?;
    let file = fs::read_dir(dir)?.next().context("apt-get downloaded nothing")?;
    Ok(file?.path())
}

/// Runs a command; what it complains of is in the error.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !out.status.success() {
        let complaint = String::from_utf8_lossy(&out.stderr);
        bail!("{}", complaint.lines().find(|line| line.starts_with("E:")).unwrap_or(complaint.trim()));
    }
    Ok(())
}

/// The mirror of an archive among those in use.
fn mirror(used: &str, archive: &str) -> String {
    let is_of = |uri: &&str| uri.trim_end_matches('/').ends_with(&format!("/{archive}"));
    used.lines().find(is_of).map_or_else(|| format!("http://deb.debian.org/{archive}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_in_use_is_taken() {
        let used = "http://mirror.example/debian/\nhttp://mirror.example/debian-security/";
        assert_eq!(mirror(used, "debian"), "http://mirror.example/debian/");
        assert_eq!(mirror(used, "debian-security"), "http://mirror.example/debian-security/");
        assert_eq!(mirror("http://mirror.example/ubuntu/", "debian"), "http://deb.debian.org/debian");
    }
}
