//! A kernel of Debian's, downloaded once and not installed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use crate::command;

/// Debian's kernels for virtual machines are the small ones.
const FLAVOUR: &str = "-cloud-amd64";
/// What names of packages start with that hold an image alone.
const BINARY: &str = "linux-binary-";

/// A kernel that lies in a folder of its own.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What it was asked for by, such as `6.12` or `7`.
    pub(super) series: String,
    /// Its folder: the image, its modules and what its machine said last.
    pub(super) dir: PathBuf,
}

impl Kernel {
    /// What a machine boots.
    pub(super) fn image(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// A root with all its modules and nothing else.
    pub(super) fn modules(&self) -> PathBuf {
        self.dir.join("modules")
    }
}

/// The newest kernel of a series.
pub(super) fn fetch(apt: &mut Apt, dir: &Path, series: &str) -> Result<Kernel> {
    if !series.split('.').all(|part| part.parse::<u32>().is_ok()) {
        bail!("a series looks like 6.12");
    }
    let kernel = Kernel { series: series.to_owned(), dir: dir.join(series) };
    // The folder comes into being whole; one of an older form has no modules.
    if kernel.modules().exists() {
        return Ok(kernel);
    }
    let (package, source) = apt.find(|names| newest(names, series))?;
    let partial = dir.join(format!("{series}.partial"));
    for old in [&partial, &kernel.dir] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    let files = partial.join("files");
    for package in [Some(package.clone()), modules_of(&package)].into_iter().flatten() {
        eprintln!("vm-test: downloading {package}");
        let archives = partial.join(&package);
        fs::create_dir_all(&archives)?;
        let archive = apt.download(&package, source, &archives)?;
        command::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&files))?;
        fs::remove_dir_all(archives)?;
    }
    let image = find(&files)?.with_context(|| format!("no vmlinuz in {package}"))?;
    fs::rename(image, partial.join("vmlinuz"))?;
    // Since the merge of /usr they are there.
    let lib = ["lib/modules", "usr/lib/modules"].map(|dir| files.join(dir));
    let lib = lib.iter().find(|dir| dir.is_dir()).with_context(|| format!("no modules for {package}"))?;
    let modules = partial.join("modules");
    fs::create_dir_all(modules.join("usr/lib"))?;
    // Tools of before and after that merge find them.
    symlink("usr/lib", modules.join("lib"))?;
    fs::rename(lib, modules.join("usr/lib/modules"))?;
    fs::remove_dir_all(files)?;
    fs::rename(partial, &kernel.dir)?;
    Ok(kernel)
}

/// The package of the modules, where the image's does not bring them.
fn modules_of(package: &str) -> Option<String> {
    package.strip_prefix(BINARY).map(|version| format!("linux-modules-{version}"))
}

/// The newest package of a series. From 7.x on the image is in `linux-binary-*`, and `linux-image-*` of the same
/// version only depends on it.
fn newest(names: &str, series: &str) -> Option<String> {
    let version = |name: &str| {
        let version = name.strip_suffix(FLAVOUR)?;
        let (rest, is_binary) = match version.strip_prefix("linux-image-") {
            Some(rest) => (rest, false),
            None => (version.strip_prefix(BINARY)?, true),
        };
        // The dot keeps 6.12 out of 6.1, and packages that stand for the newest out of all.
        let is_member = rest.strip_prefix(series)?.starts_with('.') && !rest.contains("rc");
        is_member.then(|| (numbers(rest), is_binary))
    };
    let candidates = names.lines().filter_map(|name| Some((version(name)?, name)));
    candidates.max().map(|(_, name)| name.to_owned())
}

/// `6.12.117+deb12` as 6, 12, 117, 12: by text 9 would be newer than 46.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// In `boot/` or, later, in `usr/lib/modules/*/`.
fn find(dir: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&path)? {
                return Ok(Some(found));
            }
        } else if entry.file_type()?.is_file() && entry.file_name().to_string_lossy().starts_with("vmlinuz") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "\
linux-image-6.1.0-9-cloud-amd64
linux-image-6.1.0-46-cloud-amd64
linux-image-6.1.0-46-cloud-amd64-dbg
linux-image-6.1.0-47-cloud-amd64-unsigned
linux-image-6.1.0-48-amd64
linux-image-6.12-cloud-amd64
linux-image-6.12.99+deb12-cloud-amd64
linux-image-6.12.117+deb12-cloud-amd64
linux-image-cloud-amd64
linux-image-7.2.13+deb14-cloud-amd64
linux-binary-7.2.13+deb14-cloud-amd64
linux-headers-7.3.1+deb14-cloud-amd64";

    #[test]
    fn the_newest_is_so_by_number() {
        let newest = |series| newest(NAMES, series);
        assert_eq!(newest("6.1").as_deref(), Some("linux-image-6.1.0-46-cloud-amd64"));
        assert_eq!(newest("6.12").as_deref(), Some("linux-image-6.12.117+deb12-cloud-amd64"));
    }

    #[test]
    fn the_package_with_the_image_is_taken() {
        assert_eq!(newest(NAMES, "7").as_deref(), Some("linux-binary-7.2.13+deb14-cloud-amd64"));
        assert_eq!(newest(NAMES, "7.2"), newest(NAMES, "7"));
    }

    #[test]
    fn an_image_alone_has_its_modules_beside_it() {
        assert_eq!(modules_of("linux-image-6.1.0-46-cloud-amd64"), None);
        assert_eq!(
            modules_of("linux-binary-7.2.13+deb14-cloud-amd64").as_deref(),
            Some("linux-modules-7.2.13+deb14-cloud-amd64")
        );
    }

    #[test]
    fn a_series_may_be_missing() {
        assert_eq!(newest(NAMES, "5.10"), None);
    }

    #[test]
    fn an_image_is_found_however_deep() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("usr/lib/modules/7.2");
        fs::create_dir_all(&modules).unwrap();
        assert_eq!(find(dir.path()).unwrap(), None);
        fs::write(modules.join("vmlinuz"), "").unwrap();
        assert_eq!(find(dir.path()).unwrap(), Some(modules.join("vmlinuz")));
    }
}
