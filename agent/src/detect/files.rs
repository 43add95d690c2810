//! Files of rules: which there are, and what is in them.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rules::load::MAX_FILE;
use sha2::{Digest as _, Sha256};

/// Most files of one folder.
const MOST_FILES: usize = 1024;

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Those that come with Kestrel.
    Builtin,
    /// A file, or all of a folder that end in `.yaml` or `.yml`, by name.
    Path(PathBuf),
}

/// Rules come from these, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub Vec<Source>);

/// A file of rules with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub(super) name: String,
    pub(super) content: String,
}

/// Why rules cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or folder cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// It.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It has too many files.
    #[error("{}: {why}", path.display())]
    Folder {
        /// It.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// It is longer than a file of rules may be.
    #[error("{}: it is longer than {MAX_FILE} bytes", path.display())]
    TooLong {
        /// It.
        path: PathBuf,
    },
    /// It is no text.
    #[error("{}: byte {at} is not UTF-8", path.display())]
    NoText {
        /// It.
        path: PathBuf,
        /// The first bad byte.
        at: usize,
    },
}

impl Text {
    /// A text under a name.
    #[must_use]
    pub fn new(name: &str, content: &str) -> Self {
        Self { name: name.to_owned(), content: content.to_owned() }
    }

    /// SHA-256 of names and contents.
    #[must_use]
    pub fn digest(texts: &[Self]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in texts.iter().flat_map(|text| [&text.name, &text.content]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl Files {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads them all.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read(&self) -> Result<Vec<Text>, FileError> {
        let mut texts = Vec::new();
        for source in &self.0 {
            match source {
                Source::Builtin => texts.extend(rules::default::FILES.iter().map(|(name, content)| Text {
                    name: (*name).to_owned(),
                    content: (*content).to_owned(),
                })),
                Source::Path(path) => {
                    for file in files(path)? {
                        texts.push(Text { name: file.display().to_string(), content: read(&file)? });
                    }
                }
            }
        }
        Ok(texts)
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let unreadable = |error| FileError::Unreadable { path: path.to_owned(), error };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let folder = |why| FileError::Folder { path: path.to_owned(), why };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        // A ConfigMap's versions are in folders that begin with two dots.
        let is_hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml = file.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if is_yaml && !is_hidden && file.is_file() {
            found.push(file);
        }
        if found.len() > MOST_FILES {
            return Err(folder("it has more than 1024 files of rules"));
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, FileError> {
    let unreadable = |error| FileError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    // One byte more than is taken tells that there are more.
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > MAX_FILE {
        return Err(FileError::TooLong { path: path.to_owned() });
    }
    String::from_utf8(bytes)
        .map_err(|error| FileError::NoText { path: path.to_owned(), at: error.utf8_error().valid_up_to() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let texts = Files(vec![Source::Path(path.to_owned())]).read().unwrap();
        texts.into_iter().map(|text| text.content).collect()
    }

    #[test]
    fn a_folder_is_read_by_name_as_a_config_map_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("..2026_1")).unwrap();
        fs::write(at("..2026_1/b.yaml"), "b").unwrap();
        fs::write(at("..2026_1/a.yml"), "a").unwrap();
        symlink("..2026_1", at("..data")).unwrap();
        symlink("..data/b.yaml", at("b.yaml")).unwrap();
        symlink("..data/a.yml", at("a.yml")).unwrap();
        fs::write(at("README.md"), "no rules").unwrap();
        assert_eq!(names(folder.path()), ["a", "b"]);
        fs::create_dir(at("..2026_2")).unwrap();
        fs::write(at("..2026_2/b.yaml"), "b2").unwrap();
        fs::write(at("..2026_2/a.yml"), "a2").unwrap();
        symlink("..2026_2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!(names(folder.path()), ["a2", "b2"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let why = |path: &Path| Files(vec![Source::Path(path.to_owned())]).read().unwrap_err().to_string();
        assert_eq!(names(folder.path()), Vec::<String>::new(), "a ConfigMap may be empty, or come later");
        assert!(why(&folder.path().join("x.yaml")).contains("x.yaml: No such file"));
        assert_eq!(why(Path::new("/dev/zero")), format!("/dev/zero: it is longer than {MAX_FILE} bytes"));
        let bad = folder.path().join("bad.yaml");
        fs::write(&bad, [b'-', 0xff]).unwrap();
        assert!(why(&bad).ends_with("bad.yaml: byte 1 is not UTF-8"));
    }
}
