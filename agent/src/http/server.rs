//! The server.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tracing::{debug, warn};

use super::{Delivery, Health, Status};
use crate::telemetry::{self, Telemetry};

/// Why there is no server.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What the server shows.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Name of the node.
    pub node: String,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// The agent's health.
    pub health: Arc<Health>,
    /// The way to the collector, where there is one.
    pub delivery: Option<Delivery>,
}

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at a time; those beyond are answered 503 and closed.
    pub connections: usize,
    /// Time for a client to send its request.
    pub header_time: Duration,
    /// Time for a whole connection.
    pub connection_time: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 32,
            header_time: Duration::from_secs(2),
            connection_time: Duration::from_secs(10),
        }
    }
}

/// Least that hyper allows; no scraper sends more.
const HEADER_BYTES: usize = 8192;
const HEADERS: usize = 64;
/// Pause after a failed accept: out of file descriptors, it fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 21\r\n\r\ntoo many connections\n";

/// Bound, not serving yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    pages: Arc<Pages>,
    limits: ServerLimits,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn bind(address: SocketAddr, pages: Pages, limits: ServerLimits) -> Result<Self, HttpError> {
        let failed = |source| HttpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        // The port that was chosen, where 0 was asked for.
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            warn!(%address, "metrics and status are reachable from outside this node, without authentication");
        }
        Ok(Self { listener, address, pages: Arc::new(pages), limits })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is dropped, and its connections with it.
    pub async fn serve(self) {
        let Self { listener, address: _, pages, limits } = self;
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        warn!(%error, "a connection's task failed");
                    }
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            if connections.len() < limits.connections {
                connections.spawn(connection(stream, Arc::clone(&pages), limits));
            } else {
                // A fresh socket has room for this; if not, closing it says the same.
                let _ = stream.try_write(BUSY);
            }
        }
    }
}

async fn connection(stream: TcpStream, pages: Arc<Pages>, limits: ServerLimits) {
    let service = service_fn(move |request| {
        let response = respond(&request, &pages);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(limits.connection_time, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "connection failed"),
        Err(_) => debug!("connection took too long"),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn respond(request: &Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    // The whole target, so that a query or an absolute URI is no way to another page.
    let page: fn(&Pages) -> Response<Full<Bytes>> = match request.uri().to_string().as_str() {
        "/metrics" => metrics,
        "/healthz" => healthz,
        "/readyz" => readyz,
        "/status" => status,
        _ => return reply(StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
    };
    if *request.method() == Method::GET || *request.method() == Method::HEAD {
        return page(pages);
    }
    let mut refused = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refused
}

fn metrics(pages: &Pages) -> Response<Full<Bytes>> {
    reply(StatusCode::OK, telemetry::CONTENT_TYPE, pages.telemetry.render())
}

fn healthz(pages: &Pages) -> Response<Full<Bytes>> {
    probe(pages.health.unhealthy().into_iter().collect())
}

fn readyz(pages: &Pages) -> Response<Full<Bytes>> {
    probe(pages.health.not_ready())
}

fn probe(problems: Vec<String>) -> Response<Full<Bytes>> {
    if problems.is_empty() {
        reply(StatusCode::OK, TEXT, "ok\n".to_owned())
    } else {
        reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, problems.join("\n") + "\n")
    }
}

fn status(pages: &Pages) -> Response<Full<Bytes>> {
    match serde_json::to_string(&Status::collect(pages)) {
        Ok(json) => reply(StatusCode::OK, "application/json", json + "\n"),
        Err(error) => {
            warn!(%error, "cannot write the status");
            reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "cannot write the status\n".to_owned())
        }
    }
}

fn reply(code: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
