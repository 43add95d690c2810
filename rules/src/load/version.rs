//! Versions of engines and plugins: `x.y.z`.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// The engine whose language this is: Falco 0.44's (`falco_engine_version.h`).
pub const ENGINE_VERSION: Version = Version { major: 0, minor: 62, patch: 0 };

/// A version. What follows the three numbers is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Raised when what was valid becomes invalid.
    pub major: u32,
    /// Raised with something new.
    pub minor: u32,
    /// Raised with a repair.
    pub patch: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no version of the form x.y.z")]
pub struct InvalidVersion(String);

impl Version {
    /// Whether what wants `required` can have this: the same major version and nothing missing.
    #[must_use]
    pub fn satisfies(self, required: Self) -> bool {
        self.major == required.major && self >= required
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.to_owned());
        let mut numbers = text.splitn(3, '.');
        let mut number = |ends_with_label: bool| {
            let part = numbers.next().ok_or_else(invalid)?;
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let label = &part[end..];
            let is_label = ends_with_label && label.starts_with(['-', '+']);
            if label.is_empty() || is_label {
                part[..end].parse().map_err(|_| invalid())
            } else {
                Err(invalid())
            }
        };
        Ok(Self { major: number(false)?, minor: number(false)?, patch: number(true)? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers() {
        assert_eq!("0.57.0".parse(), Ok(Version { major: 0, minor: 57, patch: 0 }));
        assert_eq!("1.2.3-rc1+x".parse(), Ok(Version { major: 1, minor: 2, patch: 3 }));
        for text in ["", "1", "1.2", "1.2.x", "1.-2.3", "1.2.3.4", "99999999999.0.0", "v1.2.3"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn newer_serves_older_of_the_same_major() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(ENGINE_VERSION.satisfies(version("0.57.0")));
        assert!(!ENGINE_VERSION.satisfies(version("0.63.0")));
        assert!(!version("1.0.0").satisfies(version("0.9.0")));
    }
}
