//! From the configuration to a set of rules.

use std::time::Duration;

use rules::{compile::Matching, load};

use super::{FileError, Files, Refused, RuleSet, Source, Text};
use crate::config::{Config, Rules};

/// What is to be loaded, and how.
#[derive(Clone, Debug)]
pub struct Loading {
    files: Files,
    config: load::Config,
    matching: Matching,
    peer_names: bool,
    every: Duration,
}

/// Why there is no set of rules.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Loading {
    /// `None`: no rules are configured.
    #[must_use]
    pub fn of<E>(config: &Config<E>) -> Option<Self> {
        let Rules {
            builtin, files, interval, matching, min_priority, selections, additions, peer_names, ..
        } = &config.rules;
        let own = builtin.then_some(Source::Builtin).into_iter();
        let files = Files(own.chain(files.iter().cloned().map(Source::Path)).collect());
        (!files.is_empty()).then(|| Self {
            files,
            config: load::Config {
                minimum_priority: *min_priority,
                additions: additions.clone(),
                selections: selections.clone(),
                ..load::Config::default()
            },
            matching: *matching,
            peer_names: *peer_names,
            every: *interval,
        })
    }

    /// How often it is looked whether files have changed.
    #[must_use]
    pub const fn every(&self) -> Duration {
        self.every
    }

    /// The files as they are.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read(&self) -> Result<Vec<Text>, FileError> {
        self.files.read()
    }

    /// Checks and compiles them.
    ///
    /// # Errors
    /// The first that is refused.
    pub fn compile(&self, texts: &[Text]) -> Result<RuleSet, Refused> {
        let set = RuleSet::load(texts, &self.config, self.matching)?;
        Ok(if self.peer_names { set } else { set.without_peer_names() })
    }

    /// Both.
    ///
    /// # Errors
    /// The first file that cannot be read or is refused.
    pub fn load(&self) -> Result<RuleSet, LoadError> {
        Ok(self.compile(&self.read()?)?)
    }
}
