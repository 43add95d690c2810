//! Where the secret URLs come from, and that they go nowhere else.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use reqwest::Url;
use thiserror::Error;

/// No URL is longer.
const MAX_BYTES: u64 = 4096;

/// Where a URL stands. It is read anew before each message, so a changed file counts at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// First line of this file.
    File(PathBuf),
    /// This environment variable.
    Env(String),
}

/// A URL that is a secret: it has no `Display`, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretUrl(..)")
    }
}

/// Why there is no URL. Says where it was looked for, never what was found.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The variable is not set, or not text.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// What stands there is no URL of http or https.
    #[error("what {0} holds is not an http or https URL")]
    NotUrl(String),
    /// Plain http to another machine.
    #[error("the URL in {0} is not https")]
    NotTls(String),
}

impl UrlSource {
    /// Reads the URL. `plain` allows http to other machines than this one.
    ///
    /// # Errors
    /// That there is none, or that it is not one to post to.
    pub fn read(&self, plain: bool) -> Result<SecretUrl, SecretError> {
        let text = match self {
            Self::File(file) => {
                let failed = |source| SecretError::Read { file: file.clone(), source };
                let mut bytes = Vec::new();
                File::open(file)
                    .and_then(|opened| opened.take(MAX_BYTES + 1).read_to_end(&mut bytes))
                    .map_err(failed)?;
                String::from_utf8(bytes).map_err(|_| SecretError::NotUrl(self.place()))?
            }
            Self::Env(name) => env::var(name).map_err(|_| SecretError::Unset(name.clone()))?,
        };
        if text.len() as u64 > MAX_BYTES {
            return Err(SecretError::NotUrl(self.place()));
        }
        let url = Url::parse(text.trim()).map_err(|_| SecretError::NotUrl(self.place()))?;
        match url.scheme() {
            "https" => {}
            "http" if plain || is_loopback(&url) => {}
            "http" => return Err(SecretError::NotTls(self.place())),
            _ => return Err(SecretError::NotUrl(self.place())),
        }
        Ok(SecretUrl(url))
    }

    /// The source in words.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::File(file) => format!("file {}", file.display()),
            Self::Env(name) => format!("environment variable {name}"),
        }
    }
}

impl SecretUrl {
    /// For the client, and nobody else.
    pub(super) fn expose(&self) -> Url {
        self.0.clone()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, plain: bool) -> Result<SecretUrl, SecretError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        UrlSource::File(file.path().to_owned()).read(plain)
    }

    #[test]
    fn what_is_taken() {
        for (text, plain, taken) in [
            ("https://hooks.example/services/T/B/x\n", false, true),
            ("http://127.0.0.1:8080/x", false, true),
            ("http://[::1]:8080/x", false, true),
            ("http://localhost/x", false, true),
            ("http://hooks.example/x", false, false),
            ("http://hooks.example/x", true, true),
            ("ftp://hooks.example/x", true, false),
            ("hooks.example/secret", true, false),
            ("", true, false),
        ] {
            assert_eq!(read(text, plain).is_ok(), taken, "{text}");
        }
    }

    #[test]
    fn a_secret_is_in_no_text() {
        let secret = read("https://hooks.example/services/T/B/xyzzy", false).unwrap();
        assert!(!format!("{secret:?}").contains("xyzzy"));
        for wrong in ["http://hooks.example/xyzzy", "xyzzy", "ftp://xyzzy"] {
            let error = read(wrong, false).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("xyzzy"));
        }
    }
}
