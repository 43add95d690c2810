//! A kernel of Debian's, downloaded once and not installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use crate::command;

/// Debian's kernels for virtual machines are the small ones.
const FLAVOUR: &str = "-cloud-amd64";

/// The newest kernel of a series, such as `6.12` or `7`.
pub(super) fn fetch(apt: &mut Apt, dir: &Path, series: &str) -> Result<PathBuf> {
    if !series.split('.').all(|part| part.parse::<u32>().is_ok()) {
        bail!("a series looks like 6.12");
    }
    let kernel = dir.join(series).join("vmlinuz");
    if kernel.exists() {
        return Ok(kernel);
    }
    let (packages, source) = apt.find(|names| newest(names, series))?;
    let partial = dir.join(format!("{series}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    eprintln!("vm-test: downloading {packages}");
    let archive = apt.download(&packages, source, &partial)?;
    let files = partial.join("files");
    command::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&files))?;
    let found = find(&files)?.with_context(|| format!("no vmlinuz in {packages}"))?;
    fs::create_dir_all(dir.join(series))?;
    fs::rename(found, &kernel)?;
    fs::remove_dir_all(partial)?;
    Ok(kernel)
}

/// The newest package of a series. From 7.x on the image is in `linux-binary-*`, and `linux-image-*` of the same
/// version only depends on it.
fn newest(names: &str, series: &str) -> Option<String> {
    let version = |name: &str| {
        let version = name.strip_suffix(FLAVOUR)?;
        let (rest, is_binary) = match version.strip_prefix("linux-image-") {
            Some(rest) => (rest, false),
            None => (version.strip_prefix("linux-binary-")?, true),
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
