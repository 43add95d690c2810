//! The policy file: which controls are judged and how much they matter, what containers may have, and
//! who is exempt.
//!
//! It is checked as a whole: a file with a mistake changes nothing. [`Policy::load`] may be called again
//! when the file has changed.

mod check;
mod profile;
mod raw;
mod shipped;

use std::path::Path;

use settings::{ConfigError, Mistake, check::Checker, yaml};

use crate::{
    config::Located,
    posture::{Exemptions, Policy, RawExemption},
    time::Date,
};

/// A policy file that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What is asked of containers.
    pub policy: Policy,
    /// The file's exemptions, and those that come with the agent unless the file says otherwise.
    pub exemptions: Exemptions,
    /// The file's exemptions with their places.
    located: Vec<Located<RawExemption>>,
}

impl Policy {
    /// Reads the policy file, or takes the built-in policy where none is named.
    ///
    /// # Errors
    /// A file that cannot be read, or the first thing that is wrong in it.
    pub fn load(path: Option<&Path>) -> Result<Loaded, ConfigError> {
        match path {
            None => Loaded::parse(Path::new("built-in policy"), ""),
            Some(path) => Loaded::parse(path, &yaml::read(path, true)?.unwrap_or_default()),
        }
    }
}

impl Loaded {
    /// Checks the text of a file; `path` is only named in errors.
    ///
    /// # Errors
    /// The first thing that is wrong in it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        check::check(Checker { file: path }, yaml::parse(path, text)?)
    }

    /// What holds and yet is hardly meant: exemptions whose day is over.
    #[must_use]
    pub fn warnings(&self, today: Date) -> Vec<Mistake> {
        Located::warnings(&self.located, &self.exemptions, today)
    }
}

#[cfg(test)]
mod tests;
