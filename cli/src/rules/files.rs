//! Files of rules.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use rules::load::{Config, Loader, MAX_FILE, Report, RuleSet};

use crate::{Failure, say};

/// Most files of a folder.
const MOST_FILES: usize = 4096;

/// Takes in files and what is in folders, in order.
pub(super) fn load(paths: &[PathBuf], config: Config) -> (Loader, Vec<Report>) {
    let mut loader = Loader::new(config);
    let mut reports = Vec::new();
    for path in paths {
        match files(path) {
            Ok(files) => reports.extend(files.iter().map(|file| take(&mut loader, file))),
            Err(why) => reports.push(Report::unreadable(&path.to_string_lossy(), why)),
        }
    }
    (loader, reports)
}

/// Rules that can be used: every file was taken. What is wrong with them is said, doubts are not: `check`
/// has them.
pub(super) fn usable(paths: &[PathBuf], config: Config) -> Result<RuleSet, Failure> {
    let (loader, reports) = load(paths, config);
    let refused: Vec<_> = reports.iter().filter(|report| !report.successful).collect();
    if refused.is_empty() {
        return Ok(loader.rules().clone());
    }
    for report in &refused {
        for line in super::check::lines(report, false) {
            say(&line);
        }
    }
    Err(Failure::Rules { refused: refused.len(), of: reports.len() })
}

/// The rules that come with Kestrel.
pub(super) fn builtin(config: Config) -> Result<RuleSet, Failure> {
    let mut loader = Loader::new(config);
    let reports = rules::default::FILES.map(|(name, content)| loader.load(name, content));
    let refused = reports.iter().filter(|report| !report.successful).count();
    if refused > 0 {
        return Err(Failure::Rules { refused, of: reports.len() });
    }
    Ok(loader.rules().clone())
}

/// The file, or what a folder has, by name.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if is_yaml && path.is_file() {
            all.push(path);
        }
        if all.len() > MOST_FILES {
            return Err(format!("the folder has more than {MOST_FILES} files of rules"));
        }
    }
    if all.is_empty() {
        return Err("the folder has no file that ends in .yaml or .yml".to_owned());
    }
    all.sort();
    Ok(all)
}

fn take(loader: &mut Loader, path: &Path) -> Report {
    let name = path.to_string_lossy();
    match read(path) {
        Ok(text) => loader.load(&name, &text),
        Err(why) => Report::unreadable(&name, why),
    }
}

/// A file of text that is no longer than a file of rules may be.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    // One byte more than is taken tells that there are more.
    let limit = MAX_FILE as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE {
        return Err(format!("the file is longer than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_by_name_and_what_is_no_text_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("b.yaml"), "- list: b\n  append: true\n  items: [two]\n").unwrap();
        fs::write(at("a.yml"), "- list: b\n  items: [one]\n").unwrap();
        fs::write(at("c.txt"), "no rules").unwrap();
        let (loader, reports) = load(&[folder.path().to_owned()], Config::default());
        assert_eq!(reports.iter().filter(|report| report.successful).count(), 2, "{reports:#?}");
        assert_eq!(loader.counts().lists, 1);

        fs::write(at("a.yml"), [b'-', 0xff]).unwrap();
        let (_, reports) = load(
            &[at("a.yml"), at("missing.yaml"), tempfile::tempdir().unwrap().path().to_owned()],
            Config::default(),
        );
        let said: Vec<_> = reports.iter().map(|report| report.errors[0].message.clone()).collect();
        assert_eq!(said[0], "byte 1 is not UTF-8");
        assert!(said[1].contains("No such file"), "{said:?}");
        assert!(!reports[2].successful);
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let why = read(Path::new("/dev/zero")).unwrap_err();
        assert!(why.contains("longer than"), "{why}");
    }
}
