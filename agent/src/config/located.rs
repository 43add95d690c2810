//! Values with their places: exemptions, which are checked apart from the file that they stand in.

use std::path::{Path, PathBuf};

use settings::{ConfigError, Mistake, Problem, Spanned};

use crate::{
    posture::{Exemptions, RawExemption},
    time::Date,
};

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

impl<T> Located<T> {
    /// A value of a file.
    #[must_use]
    pub fn new(file: &Path, raw: Spanned<T>) -> Self {
        let (line, column) = (raw.referenced.line(), raw.referenced.column());
        Self { value: raw.value, file: file.to_owned(), line, column }
    }
}

impl Located<RawExemption> {
    /// The exemptions of a file, checked.
    ///
    /// # Errors
    /// The first that cannot hold, and its place.
    pub fn exemptions(items: &[Self]) -> Result<Exemptions, ConfigError> {
        Exemptions::validate(items.iter().map(|item| item.value.clone()).collect()).map_err(|error| {
            let index = error.number().saturating_sub(1);
            mistake(items, index, error.to_string()).into()
        })
    }

    /// What of the exemptions made of `items` holds and yet is hardly meant. One whose day is over counts
    /// as absent; one by service account matches nothing as long as nobody tells the agent that.
    #[must_use]
    pub fn warnings(items: &[Self], exemptions: &Exemptions, today: Date) -> Vec<Mistake> {
        let mut warnings = Vec::new();
        for (index, exemption) in exemptions.configured().enumerate() {
            if let Some(day) = exemption.expires.filter(|_| !exemption.holds(today)) {
                warnings.push(mistake(items, index, format!("expired on {day} and counts as absent")));
            }
            if exemption.asks_for_service_account() {
                let message =
                    "matches nothing: container runtimes do not tell the service account".to_owned();
                warnings.push(mistake(items, index, message));
            }
        }
        warnings
    }
}

fn mistake(items: &[Located<RawExemption>], index: usize, message: String) -> Mistake {
    let item = items.get(index);
    Mistake {
        file: item.map(|item| item.file.clone()).unwrap_or_default(),
        line: item.map_or(0, |item| item.line),
        column: item.map_or(0, |item| item.column),
        key: format!("exemptions[{index}]"),
        problem: Problem::Value(message),
    }
}
