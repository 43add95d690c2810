//! The files of the set, as they come with the project.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rules::load::{CompiledRule, Config, Loader, Report};

/// The folder of the rules.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("default")
}

/// The YAML files of a folder by name, with their text.
pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    paths.sort();
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (named(path), fs::read_to_string(path).unwrap())).collect()
}

/// What loading each file in order says, and the rules of all.
pub(crate) fn load() -> (Vec<Report>, Vec<CompiledRule>) {
    let mut loader = Loader::new(Config::default());
    let reports = files(&folder()).iter().map(|(name, text)| loader.load(name, text)).collect();
    (reports, loader.rules().rules().to_vec())
}

/// The rules of all files.
pub(crate) fn rules() -> Vec<CompiledRule> {
    load().1
}

/// The techniques a rule is about.
pub(crate) fn techniques(rule: &CompiledRule) -> Vec<&str> {
    rule.tags.iter().map(String::as_str).filter(|tag| tag.starts_with('T')).collect()
}
