//! Configuration files of the daemons: a YAML file as written (every key optional, unknown keys
//! refused) is checked value by value, and a mistake is named with file, line, column and key.

#![forbid(unsafe_code)]

pub mod check;
mod error;
pub mod log;
mod near;
pub mod unit;
pub mod yaml;

pub use error::{ConfigError, Mistake, Problem};
pub use near::near;

/// A value as written, with its place.
pub use serde_saphyr::{Location, Spanned};

/// A key that may be left out.
pub type Key<T> = Option<Spanned<T>>;

/// Sections of a file, each a struct of optional keys that refuses unknown ones.
///
/// ```
/// settings::sections! {
///     /// `http`.
///     RawHttp { listen: String }
/// }
/// ```
#[macro_export]
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, expecting = "a mapping of configuration keys")]
        #[allow(missing_docs, reason = "the keys are those of the checked configuration")]
        pub struct $name { $(pub $field: $crate::Key<$type>),+ }
    )+ };
}
