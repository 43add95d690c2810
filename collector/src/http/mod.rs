//! Metrics, health and status over HTTP/1.1, on loopback unless told otherwise. Read-only, one
//! request a connection, and bounded: connections, headers, time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Serialize;
use thiserror::Error;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

use crate::telemetry::{self, Telemetry};

/// Connections at a time; those beyond wait.
const CONNECTIONS: usize = 32;
/// Time for a client to send its request, and for all of it.
const HEADER_TIME: Duration = Duration::from_secs(2);
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of file descriptors, it fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const HEADER_BYTES: usize = 8192;

/// Why there is no server.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct HttpError {
    /// Where.
    address: SocketAddr,
    /// Why.
    source: io::Error,
}

/// How the collector is. Names no node and no workload.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Version of the collector.
    pub version: &'static str,
    /// Since it started.
    pub uptime_seconds: u64,
    /// All is as it should be.
    pub healthy: bool,
    /// It takes events.
    pub ready: bool,
    /// What is not as it should be.
    pub problems: Vec<String>,
    /// Number of the oldest frame of the log.
    pub oldest_frame: u64,
    /// Number of the next.
    pub next_frame: u64,
    /// On the disk.
    pub log_bytes: u64,
    /// Nodes that are known.
    pub nodes: u64,
    /// Streams of agents now.
    pub connections: u64,
    /// Findings that are open.
    pub open_findings: u64,
}

/// What the server shows.
pub struct Pages {
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// How the collector is.
    pub status: Box<dyn Fn() -> Status + Send + Sync>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pages").finish_non_exhaustive()
    }
}

/// Bound, not serving yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn bind(address: SocketAddr, pages: Pages) -> Result<Self, HttpError> {
        let listener = TcpListener::bind(address).await.map_err(|source| HttpError { address, source })?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "metrics and status are reachable from other machines, without authentication");
        }
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { text(StatusCode::OK, "ok\n".to_owned()) }))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .with_state(Arc::new(pages));
        Ok(Self { listener, router })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped.
    pub async fn serve(self) {
        let Self { listener, router } = self;
        let tasks = TaskTracker::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.clone());
            tasks.spawn(async move {
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIME)
                    .max_buf_size(HEADER_BYTES)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // Whatever becomes of it is the client's business.
                let _ = timeout(CONNECTION_TIME, serving).await;
                drop(place);
            });
        }
    }
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], pages.telemetry.render()).into_response()
}

/// Ready: it takes events. A full disk makes it not ready, and not unhealthy: a restart would not
/// help.
async fn readyz(State(pages): State<Arc<Pages>>) -> Response {
    let Status { ready, problems, .. } = (pages.status)();
    if ready {
        text(StatusCode::OK, "ok\n".to_owned())
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
    }
}

async fn status(State(pages): State<Arc<Pages>>) -> Response {
    match serde_json::to_string(&(pages.status)()) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the status: {error}\n")),
    }
}

fn text(code: StatusCode, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (code, headers, body).into_response()
}
