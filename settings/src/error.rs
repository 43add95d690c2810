//! What is wrong with a configuration, in one sentence.

use std::{fmt, path::PathBuf};

use thiserror::Error;

/// A configuration that a daemon will not start with.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than any configuration.
    #[error("configuration file {} is longer than {limit} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    Invalid(Box<Mistake>),
}

/// Something wrong in a file, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}{}: {}{problem}", file.display(), Place(*line, *column), Prefix(key))]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; 0 when not known.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the key, as `http.listen`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl From<Mistake> for ConfigError {
    fn from(mistake: Mistake) -> Self {
        Self::Invalid(Box::new(mistake))
    }
}

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Not YAML, or YAML beyond the limits.
    Syntax(String),
    /// No such key.
    UnknownKey {
        /// As written.
        key: String,
        /// Known keys close to it.
        near: Vec<&'static str>,
        /// All keys of the section.
        known: Vec<&'static str>,
    },
    /// A key twice.
    DuplicateKey(String),
    /// Not the type that the key has, or not a value it may have.
    Value(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(formatter, "not valid YAML: {}", message.escape_debug()),
            Self::UnknownKey { key, near, known } => {
                write!(formatter, "unknown key `{}`, ", key.escape_debug())?;
                if near.is_empty() {
                    write!(formatter, "known here: {}", known.join(", "))
                } else {
                    write!(formatter, "did you mean {}?", near.join(" or "))
                }
            }
            Self::DuplicateKey(key) => write!(formatter, "duplicate key `{}`", key.escape_debug()),
            Self::Value(message) => formatter.write_str(message),
        }
    }
}

struct Place(u64, u64);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(line, column) = self;
        if *line == 0 { Ok(()) } else { write!(formatter, ":{line}:{column}") }
    }
}

struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, "{}: ", self.0.escape_debug()) }
    }
}
