//! The connecting side.

use std::{
    error::Error,
    io,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::{ClientTls, Endpoint, Transport};

/// Connects tonic's client to an [`Endpoint`], each time with the certificates of the moment. The
/// URI that tonic gives is not looked at.
#[derive(Clone, Debug)]
pub struct Connector {
    endpoint: Endpoint,
    tls: Option<(ClientTls, ServerName<'static>)>,
    time: Duration,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The endpoint needs TLS and there is none, or its name is none.
    #[error("{0} cannot be reached: no certificates are configured")]
    NoTls(Endpoint),
    /// Not a name that a certificate can have.
    #[error("{0:?} is no server name")]
    ServerName(String),
    /// No connection.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket is not there, or refuses.
    #[error("cannot connect to the socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No secure connection: mostly the certificate of one side.
    #[error("TLS with {endpoint} failed")]
    Handshake {
        /// With whom.
        endpoint: Endpoint,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No answer.
    #[error("{endpoint} did not answer within {} ms", time.as_millis())]
    Timeout {
        /// Who.
        endpoint: Endpoint,
        /// In which time.
        time: Duration,
    },
}

impl Connector {
    /// For `endpoint`, whose certificate must be of `server_name`, or of its host where none is
    /// given. `time` is for all of connect and handshake.
    ///
    /// # Errors
    /// When the endpoint needs TLS and there is none, or the name is none.
    pub fn new(
        endpoint: Endpoint,
        tls: Option<ClientTls>,
        server_name: Option<&str>,
        time: Duration,
    ) -> Result<Self, ConnectError> {
        let tls = match &endpoint {
            Endpoint::Tcp { host, tls: true, .. } => {
                let tls = tls.ok_or_else(|| ConnectError::NoTls(endpoint.clone()))?;
                let name = server_name.unwrap_or(host).to_owned();
                let parsed =
                    ServerName::try_from(name.clone()).map_err(|_| ConnectError::ServerName(name))?;
                Some((tls, parsed))
            }
            Endpoint::Tcp { tls: false, .. } | Endpoint::Unix(_) => None,
        };
        Ok(Self { endpoint, tls, time })
    }

    /// Where it connects to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect(&self) -> Result<Transport, ConnectError> {
        let elapsed = |_| ConnectError::Timeout { endpoint: self.endpoint.clone(), time: self.time };
        timeout(self.time, self.connect_at_leisure()).await.map_err(elapsed)?
    }

    async fn connect_at_leisure(&self) -> Result<Transport, ConnectError> {
        let failed = |source| ConnectError::Connect { endpoint: self.endpoint.clone(), source };
        let (host, port) = match &self.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let failed = |source| ConnectError::Socket { path: path.clone(), source };
                return stream.map(Transport::Unix).map_err(failed);
            }
            Endpoint::Tcp { host, port, .. } => (host.as_str(), *port),
        };
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        // Small messages that wait for nothing: acks and single events.
        stream.set_nodelay(true).map_err(failed)?;
        let Some((tls, name)) = &self.tls else { return Ok(Transport::Tcp(stream)) };
        let stream = TlsConnector::from(tls.current())
            .connect(name.clone(), stream)
            .await
            .map_err(|source| ConnectError::Handshake { endpoint: self.endpoint.clone(), source })?;
        Ok(Transport::Tls(Box::new(stream.into())))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Transport>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

/// An error and its sources in one line, without what says nothing: tonic wraps ours in several
/// layers that only repeat "transport error".
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> String {
    const EMPTY: [&str; 4] =
        ["transport error", "error trying to connect", "http2 error", "h2 protocol error"];
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = match error.downcast_ref::<tonic::Status>() {
            Some(status) => status.message().to_owned(),
            None => error.to_string(),
        };
        let is_new = !text.is_empty() && !parts.iter().any(|part| part.contains(&text));
        if is_new && !EMPTY.iter().any(|empty| text.starts_with(empty)) {
            parts.push(text);
        }
        next = error.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}
