//! From a file to what is written in it, within limits, and from the parser's errors to ours.

use std::{fs::File, io::Read, path::Path};

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, MergeKeyPolicy, Options, UserMessageFormatter};

use super::{ConfigError, Mistake, Problem, near::near};

/// Longest file that is read. Thousands of exemptions fit.
const FILE_BYTES: u64 = 1 << 20;

/// The file's text; `None` where it is not there and need not be.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path, must_exist: bool) -> Result<Option<String>, ConfigError> {
    let failed = |source| ConfigError::Read { file: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(ConfigError::TooLong { file: path.to_owned(), limit: FILE_BYTES });
    }
    Ok(Some(text))
}

/// Deserialises `text`. An empty document is an empty configuration. `path` is only named in errors.
///
/// # Errors
/// The first thing that is wrong in it.
pub fn parse<C: DeserializeOwned + Default>(path: &Path, text: &str) -> Result<C, ConfigError> {
    let mut key = String::new();
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        let parsed = serde::Deserialize::deserialize(tracked);
        if parsed.is_err() {
            key = track.path().to_string();
        }
        parsed
    })
    .map(Option::<C>::unwrap_or_default)
    .map_err(|error| explain(path, &key, error))
}

/// Nobody writes a configuration this deep or long, and nobody needs anchors to.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            max_nodes: 100_000,
            max_events: 400_000,
            max_total_scalar_bytes: 1 << 20,
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
        },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn explain(path: &Path, tracked: &str, error: Error) -> ConfigError {
    let place = error.location();
    let mut key = key_path(tracked);
    let problem = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            // The tracker has already entered the key that is not one.
            if let Some(section) = key.strip_suffix(&field) {
                key = section.trim_end_matches('.').to_owned();
            }
            Problem::UnknownKey { near: near(&field, &expected), known: expected, key: field }
        }
        Error::SerdeMissingField { field, .. } => Problem::Value(format!("missing key `{field}`")),
        Error::DuplicateMappingKey { key, .. } => Problem::DuplicateKey(key.unwrap_or_default()),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            Problem::Value(format!("expected {expected}, got {}", unexpected.escape_debug()))
        }
        Error::InvalidScalar { ty, .. } => Problem::Value(format!("expected {}", plain(ty))),
        Error::InvalidBooleanStrict { .. } => Problem::Value("expected true or false".to_owned()),
        Error::Unexpected { expected, .. } => Problem::Value(format!("expected {}", plain(expected))),
        Error::Message { msg, .. } => Problem::Value(msg.escape_debug().to_string()),
        Error::Budget { .. } => Problem::Syntax(
            "anchors, a second document, or more nesting than a configuration needs".to_owned(),
        ),
        other => Problem::Syntax(sentence(&other)),
    };
    Mistake {
        file: path.to_owned(),
        line: place.map_or(0, |place| place.line()),
        column: place.map_or(0, |place| place.column()),
        key,
        problem,
    }
    .into()
}

/// The key as a reader of the file knows it: without the tracker's marks for "somewhere in here"
/// and without the field in which [`serde_saphyr::Spanned`] holds a value.
fn key_path(tracked: &str) -> String {
    let path = tracked.trim_end_matches('?').trim_end_matches('.');
    let path = path.replace("].value", "]").replace(".value.", ".").replace(".value[", "[");
    path.strip_suffix(".value").unwrap_or(&path).to_owned()
}

/// The parser's names of types, in words.
fn plain(expected: &str) -> &str {
    match expected {
        "mapping start" => "a mapping of keys",
        "sequence start" => "a list",
        "string scalar" => "one value, not a list or mapping",
        "u64" | "usize" | "u32" => "a whole number",
        other => other,
    }
}

/// The parser's message without its place, which stands in front of ours.
fn sentence(error: &Error) -> String {
    let text = error.without_snippet().render_with_formatter(&UserMessageFormatter);
    let line = text.lines().next().unwrap_or_default();
    line.rfind(" at line ").map_or(line, |end| &line[..end]).to_owned()
}
