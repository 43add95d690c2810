//! Debian's packages: from the sources of this machine, else from the suites that have what it lacks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::command;

/// Archive and suite of kernels that are older and newer than a stable release's own.
const SUITES: [(&str, &str); 3] =
    [("debian", "bullseye"), ("debian-security", "bullseye-security"), ("debian", "sid")];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where a package is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The machine's own list of sources.
    Machine,
    /// A list of ours, with lists and caches apart from the machine's.
    Suites,
}

/// Apt with two lists of sources, each brought up to date when it is first asked.
#[derive(Debug)]
pub(super) struct Apt {
    dir: PathBuf,
    updated: Vec<Source>,
}

impl Apt {
    /// With its own lists in `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), updated: Vec::new() }
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
        quiet(self.command("apt-get", source).args(["-qq", "download", package]).current_dir(dir))?;
        let file = fs::read_dir(dir)?.next().context("apt-get downloaded nothing")?;
        Ok(file?.path())
    }

    fn update(&mut self, source: Source) -> Result<()> {
        if self.updated.contains(&source) {
            return Ok(());
        }
        if source == Source::Suites {
            self.write_sources()?;
        }
        let result = quiet(self.command("apt-get", source).args(["-qq", "update"]));
        // The machine's lists may be good as they are, and only root may renew them.
        if source == Source::Suites {
            result?;
        }
        self.updated.push(source);
        Ok(())
    }

    fn write_sources(&self) -> Result<()> {
        fs::create_dir_all(self.dir.join("lists/partial"))?;
        fs::create_dir_all(self.dir.join("cache/archives/partial"))?;
        // The mirrors that this machine uses may be the only ones it reaches.
        let format = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
        let used = command::output(Command::new("apt-get").args(format)).unwrap_or_default();
        let list: String = SUITES
            .iter()
            .map(|(archive, suite)| {
                format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror(&used, archive))
            })
            .collect();
        Ok(fs::write(self.dir.join("sources.list"), list)?)
    }

    fn command(&self, program: &str, source: Source) -> Command {
        let mut apt = Command::new(program);
        // An unprivileged helper could not write into the target folder.
        apt.args(["-o", "APT::Sandbox::User=root"]).stdin(Stdio::null());
        if source == Source::Suites {
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
        }
        apt
    }
}

/// The mirror of an archive among those in use.
fn mirror(used: &str, archive: &str) -> String {
    let is_of = |uri: &&str| uri.trim_end_matches('/').ends_with(&format!("/{archive}"));
    used.lines().find(is_of).map_or_else(|| format!("http://deb.debian.org/{archive}"), str::to_owned)
}

/// Runs a command; what it complains of is in the error.
fn quiet(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !out.status.success() {
        let complaint = String::from_utf8_lossy(&out.stderr);
        bail!("{}", complaint.lines().find(|line| line.starts_with("E:")).unwrap_or(complaint.trim()));
    }
    Ok(())
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
