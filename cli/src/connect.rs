//! The way to the collector.

use std::{net::IpAddr, path::Path, time::Duration};

use kestrel_proto::v1::watch_client::WatchClient;
use tonic::transport::{Channel, Endpoint};

use crate::{Failure, args::Global};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that says nothing is asked so often whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Largest answer: a finding with all its instances is some kilobytes.
const LARGEST: usize = 16 << 20;

/// Why the collector is not reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not an address.
    #[error("--server {server}: {reason}; it is http://host:port, https://host:port or unix:///path")]
    Address {
        /// As given.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// Certificates where they mean nothing, or one without the other.
    #[error("{0}")]
    Certificates(&'static str),
    /// A certificate or key cannot be used.
    #[error("cannot use the certificates")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody answers.
    #[error("cannot reach the collector at {server}; `kestrel doctor` says more")]
    Unreachable {
        /// As given.
        server: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// A collector that answered.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address, as given.
    pub name: String,
    /// Its calls.
    pub watch: WatchClient<Channel>,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// When the flags do not go together, or nobody answers.
    pub async fn connect(global: &Global) -> Result<Self, ConnectError> {
        let address = Address::parse(global)?;
        let unreachable = |source| ConnectError::Unreachable { server: global.server.clone(), source };
        let channel = match &address {
            Address::Plain(endpoint) | Address::Unix(endpoint) => {
                endpoint.connect().await.map_err(unreachable)?
            }
            Address::Tls(endpoint) => tls(global, endpoint).await?,
        };
        let watch = WatchClient::new(channel)
            .max_decoding_message_size(LARGEST)
            .accept_compressed(tonic::codec::CompressionEncoding::Zstd);
        Ok(Self { name: global.server.clone(), watch })
    }

    /// An error of a call.
    #[must_use]
    pub fn refused(&self, status: tonic::Status) -> Failure {
        Failure::Refused { server: self.name.clone(), status: Box::new(status) }
    }
}

/// An address, checked against the flags that go with it.
#[derive(Debug)]
pub(crate) enum Address {
    /// Without TLS.
    Plain(Endpoint),
    /// A socket on this machine.
    Unix(Endpoint),
    /// With TLS.
    Tls(Endpoint),
}

impl Address {
    pub(crate) fn parse(global: &Global) -> Result<Self, ConnectError> {
        let wrong =
            |reason: &str| ConnectError::Address { server: global.server.clone(), reason: reason.to_owned() };
        let is_tls = global.server.starts_with("https://");
        if global.cert.is_some() != global.key.is_some() {
            return Err(ConnectError::Certificates("--cert and --key go together"));
        }
        if !is_tls && (global.ca.is_some() || global.cert.is_some() || global.server_name.is_some()) {
            return Err(ConnectError::Certificates(
                "--ca, --cert, --key and --server-name are for a --server that begins with https://",
            ));
        }
        let endpoint = Endpoint::from_shared(global.server.clone()).map_err(|_| wrong("not a URL"))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .user_agent(concat!("kestrel/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| wrong("not a URL"))?;
        if let Some(path) = global.server.strip_prefix("unix://") {
            return if Path::new(path).is_absolute() {
                Ok(Self::Unix(endpoint))
            } else {
                Err(wrong("a socket's path begins with /"))
            };
        }
        if endpoint.uri().host().is_none_or(str::is_empty) {
            return Err(wrong("there is no host"));
        }
        match endpoint.uri().scheme_str() {
            Some("https") => Ok(Self::Tls(endpoint)),
            Some("http") => Ok(Self::Plain(endpoint)),
            _ => Err(wrong("it begins with neither http:// nor https://")),
        }
    }

    /// Whether what is said can be read by others on the way.
    pub(crate) fn is_open(&self) -> bool {
        let Self::Plain(endpoint) = self else { return false };
        let host = endpoint.uri().host().unwrap_or_default().trim_matches(['[', ']']);
        host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

async fn tls(_global: &Global, _endpoint: &Endpoint) -> Result<Channel, ConnectError> {
    Err(ConnectError::Tls("this build has no TLS yet".into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn parse(args: &[&str]) -> Result<Address, String> {
        let cli = Cli::try_parse_from([&["kestrel", "nodes"], args].concat()).unwrap();
        Address::parse(&cli.global).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses() {
        assert!(!parse(&["--server", "http://127.0.0.1:1"]).unwrap().is_open());
        assert!(!parse(&["--server", "http://[::1]:1"]).unwrap().is_open());
        assert!(parse(&["--server", "http://collector:9480"]).unwrap().is_open());
        assert!(!parse(&["--server", "https://collector:9480"]).unwrap().is_open());
        assert!(matches!(parse(&["--server", "unix:///run/k.sock"]), Ok(Address::Unix(_))));
        for wrong in ["", "collector:9480", "ftp://x", "http://", "unix://k.sock", "http://a b"] {
            let said = parse(&["--server", wrong]).unwrap_err();
            assert!(said.contains("http://host:port"), "{wrong}: {said}");
        }
    }

    #[test]
    fn certificates_need_https_and_each_other() {
        assert!(parse(&["--ca", "ca.pem"]).unwrap_err().contains("https://"));
        let https = ["--server", "https://c:1"];
        assert!(parse(&[&https[..], &["--cert", "c.pem"]].concat()).unwrap_err().contains("--key"));
        assert!(parse(&[&https[..], &["--cert", "c.pem", "--key", "k.pem"]].concat()).is_ok());
    }
}
