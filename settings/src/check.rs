//! From a value as written to one that holds.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use super::{ConfigError, Key, Mistake, Problem, Spanned, unit};

/// Checks the values of one file.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'a> {
    /// The file, for mistakes.
    pub file: &'a Path,
}

impl Checker<'_> {
    /// Parses a text into its place, if it was given.
    ///
    /// # Errors
    /// What is wrong with it, and where it stands.
    pub fn text<V>(
        &self,
        key: &str,
        raw: Key<String>,
        parse: impl FnOnce(&str) -> Result<V, String>,
        into: &mut V,
    ) -> Result<(), ConfigError> {
        self.field(key, raw, |text| parse(&text), into)
    }

    /// Checks a value and puts it into its place, if it was given.
    ///
    /// # Errors
    /// What is wrong with it, and where it stands.
    pub fn field<R, V>(
        &self,
        key: &str,
        raw: Key<R>,
        parse: impl FnOnce(R) -> Result<V, String>,
        into: &mut V,
    ) -> Result<(), ConfigError> {
        let Some(raw) = raw else { return Ok(()) };
        let place = Spanned::new((), raw.referenced, raw.defined);
        *into = parse(raw.value).map_err(|message| self.refuse(key, &place, message))?;
        Ok(())
    }

    /// What is wrong with a value, with its place.
    #[must_use]
    pub fn refuse<R>(&self, key: &str, raw: &Spanned<R>, message: String) -> ConfigError {
        let place = raw.referenced;
        Mistake {
            file: self.file.to_owned(),
            line: place.line(),
            column: place.column(),
            key: key.to_owned(),
            problem: Problem::Value(message),
        }
        .into()
    }
}

/// A parser of durations within a range.
pub fn duration(range: RangeInclusive<Duration>) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let value = unit::parse_duration(text)?;
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (unit::show_duration(*range.start()), unit::show_duration(*range.end()));
        Err(format!("expected {low} to {high}, got {text}"))
    }
}

/// A parser of sizes within a range.
pub fn bytes(range: RangeInclusive<u64>) -> impl FnOnce(&str) -> Result<u64, String> {
    move |text| {
        let value = unit::parse_bytes(text)?;
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (unit::show_bytes(*range.start()), unit::show_bytes(*range.end()));
        Err(format!("expected {low} to {high}, got {text}"))
    }
}

/// A check of whole numbers within a range.
pub fn number(range: RangeInclusive<usize>) -> impl FnOnce(usize) -> Result<usize, String> {
    move |value| {
        if range.contains(&value) {
            Ok(value)
        } else {
            Err(format!("expected {} to {}, got {value}", range.start(), range.end()))
        }
    }
}
