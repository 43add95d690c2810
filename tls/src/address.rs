//! Where to connect to, and where to listen.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use http::{Uri, uri::PathAndQuery};
use thiserror::Error;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `https://host:port`, or `http://host:port` for plain text.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// With TLS.
        tls: bool,
    },
    /// `unix:///path`: a socket of this machine, in plain text.
    Unix(PathBuf),
}

/// A text that names no endpoint.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected https://HOST:PORT, http://HOST:PORT or unix:///PATH, got {0:?}")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || EndpointError(text.chars().take(256).collect());
        if let Some(path) = text.strip_prefix("unix://") {
            let absolute = path.starts_with('/') && !path.contains('\0');
            return if absolute { Ok(Self::Unix(path.into())) } else { Err(wrong()) };
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let plain_path = uri.path_and_query().map(PathAndQuery::as_str).is_none_or(|path| path == "/");
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let (Some(authority), true) = (authority, plain_path) else { return Err(wrong()) };
        let port = authority.port_u16().ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() { Err(wrong()) } else { Ok(Self::Tcp { host, port, tls }) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "http" };
                if host.contains(':') {
                    write!(formatter, "{scheme}://[{host}]:{port}")
                } else {
                    write!(formatter, "{scheme}://{host}:{port}")
                }
            }
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
        }
    }
}

impl Endpoint {
    /// Whether what is said there stays on this machine: only then plain text may be spoken unasked.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
        }
    }

    /// Whether it is reached by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// What tonic's `Endpoint` is made from; the connector goes its own way.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::Tcp { .. } => self.to_string(),
            Self::Unix(_) => "http://localhost".to_owned(),
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket of this machine.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// `ADDRESS:PORT` or `unix:///PATH`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix://").map(Path::new) {
            Some(path) if path.is_absolute() => Ok(Self::Unix(path.to_owned())),
            Some(_) => Err(format!("expected unix:///PATH, got {text:?}")),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| format!("expected an address with a port such as 0.0.0.0:9443, got {text:?}")),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_shown() {
        for (text, local, tls) in [
            ("https://collector.kestrel.svc:9443", false, true),
            ("https://[::1]:9443", true, true),
            ("http://127.0.0.1:9443", true, false),
            ("http://localhost:1", true, false),
            ("http://10.0.0.1:1", false, false),
            ("unix:///run/kestrel.sock", true, false),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), text);
            assert_eq!((endpoint.is_local(), endpoint.is_tls()), (local, tls), "{text}");
        }
        assert_eq!("https://a:1/".parse::<Endpoint>().unwrap().to_string(), "https://a:1");
        for text in [
            "",
            "collector:9443",
            "https://a",
            "https://a:1/x",
            "https://a:99999",
            "ftp://a:1",
            "https://u@a:1",
            "unix://run/x",
            "https://:1",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn listen_addresses_are_read_and_shown() {
        for (text, local) in [("127.0.0.1:1", true), ("[::]:9443", false), ("unix:///run/k.sock", true)] {
            let address = ListenAddress::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.is_local()), (text, local));
        }
        assert!(ListenAddress::parse("9443").is_err() && ListenAddress::parse("unix://x").is_err());
    }
}
