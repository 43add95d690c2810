//! The way to the collector.

use std::time::Duration;

use kestrel_proto::v1::watch_client::WatchClient;
use kestrel_tls::{ClientTls, Connector, Endpoint, EndpointError, Material, TlsError, reason};
use tonic::{codec::CompressionEncoding, transport::Channel};

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
    #[error("--server: {0}")]
    Address(#[from] EndpointError),
    /// Certificates where they mean nothing, or some without the others.
    #[error("{0}")]
    Certificates(&'static str),
    /// A certificate or key cannot be used.
    #[error("cannot use the certificates")]
    Tls(#[source] TlsError),
    /// Nobody answers, or one side does not take the other's certificate.
    #[error("cannot reach the collector at {server}: {reason}")]
    Unreachable {
        /// As given.
        server: String,
        /// Why.
        reason: String,
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
    /// Connects, with the certificates as they are now.
    ///
    /// # Errors
    /// When the flags do not go together, or nobody answers.
    pub async fn connect(global: &Global) -> Result<Self, ConnectError> {
        let endpoint = address(global)?;
        let unreachable = |reason| ConnectError::Unreachable { server: global.server.clone(), reason };
        let tls = material(global).map(ClientTls::open).transpose().map_err(ConnectError::Tls)?;
        let uri = endpoint.uri();
        let connector = Connector::new(endpoint, tls, global.server_name.as_deref(), CONNECT)
            .map_err(|error| unreachable(reason(&error)))?;
        let channel = tonic::transport::Endpoint::from_shared(uri)
            .and_then(|endpoint| endpoint.user_agent(concat!("kestrel/", env!("CARGO_PKG_VERSION"))))
            .map_err(|error| unreachable(reason(&error)))?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .connect_with_connector(connector)
            .await
            .map_err(|error| unreachable(reason(&error)))?;
        let watch = WatchClient::new(channel)
            .max_decoding_message_size(LARGEST)
            .accept_compressed(CompressionEncoding::Zstd);
        Ok(Self { name: global.server.clone(), watch })
    }

    /// An error of a call.
    #[must_use]
    pub fn refused(&self, status: tonic::Status) -> Failure {
        Failure::Refused { server: self.name.clone(), status: Box::new(status) }
    }
}

/// The address, checked against the flags that go with it.
pub(crate) fn address(global: &Global) -> Result<Endpoint, ConnectError> {
    let endpoint: Endpoint = global.server.parse()?;
    let given = [&global.ca, &global.cert, &global.key].map(Option::is_some);
    if endpoint.is_tls() && given != [true; 3] {
        return Err(ConnectError::Certificates(
            "--server begins with https://, so --ca, --cert and --key are needed: each side shows a certificate",
        ));
    }
    if !endpoint.is_tls() && (given != [false; 3] || global.server_name.is_some()) {
        return Err(ConnectError::Certificates(
            "--ca, --cert, --key and --server-name are for a --server that begins with https://",
        ));
    }
    Ok(endpoint)
}

/// Whether what is said can be read by others on the way.
pub(crate) fn is_open(endpoint: &Endpoint) -> bool {
    !endpoint.is_tls() && !endpoint.is_local()
}

fn material(global: &Global) -> Option<Material> {
    Some(Material {
        ca: global.ca.clone()?,
        certificate: global.cert.clone()?,
        key: global.key.clone()?,
        revoked: None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn parse(args: &[&str]) -> Result<Endpoint, String> {
        let cli = Cli::try_parse_from([&["kestrel", "nodes"], args].concat()).unwrap();
        address(&cli.global).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses() {
        assert!(!is_open(&parse(&["--server", "http://127.0.0.1:1"]).unwrap()));
        assert!(is_open(&parse(&["--server", "http://collector:9480"]).unwrap()));
        assert!(!is_open(&parse(&["--server", "unix:///run/k.sock"]).unwrap()));
        for wrong in ["", "collector:9480", "ftp://x:1", "http://", "unix://k.sock", "http://a b"] {
            let said = parse(&["--server", wrong]).unwrap_err();
            assert!(said.contains("http://HOST:PORT"), "{wrong}: {said}");
        }
    }

    #[test]
    fn certificates_need_https_and_each_other() {
        assert!(parse(&["--ca", "ca.pem"]).unwrap_err().contains("https://"));
        let https = ["--server", "https://c:1"];
        assert!(parse(&[&https[..], &["--cert", "c.pem"]].concat()).unwrap_err().contains("--key"));
        let all = ["--ca", "ca.pem", "--cert", "c.pem", "--key", "k.pem"];
        assert!(!is_open(&parse(&[&https[..], &all].concat()).unwrap()));
    }
}
