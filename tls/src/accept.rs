//! The accepting side: handshakes run beside each other, each within a time, so many at most.

use std::{
    collections::VecDeque,
    fs, io,
    net::SocketAddr,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    task::{AbortHandle, JoinSet},
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use crate::{
    ListenAddress, ServerTls,
    identity::Identity,
    transport::{Connection, Peer, PeerAddress, Transport},
};

/// Pause after a failed accept: out of file descriptors, it fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Between two lines about peers that were refused: anybody can make them.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Whether peers have to show a certificate.
#[derive(Clone, Debug)]
pub enum Security {
    /// They have to.
    Tls(ServerTls),
    /// They need none, and nothing is encrypted. For this machine, or where somebody said so aloud.
    Plain,
}

/// What peers may take before they have shown who they are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Handshakes at a time. One more, and the oldest is given up: an honest one takes milliseconds.
    pub handshakes: usize,
    /// Time for one.
    pub handshake_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshakes: 256, handshake_time: Duration::from_secs(5) }
    }
}

/// Why nobody listens.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// Where.
    pub address: ListenAddress,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// What became of peers so far. Shared; for metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections handed out.
    pub accepted: AtomicU64,
    /// Handshakes that failed: no or another authority's certificate, no TLS 1.3, no TLS at all.
    pub refused: AtomicU64,
    /// Handshakes that took too long.
    pub timed_out: AtomicU64,
    /// Handshakes given up because there were too many.
    pub crowded_out: AtomicU64,
}

/// Bound, not accepting yet.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    security: Security,
    limits: Limits,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn bind(
        address: &ListenAddress,
        security: Security,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address: address.clone(), source };
        let socket = match address {
            ListenAddress::Tcp(address) => Socket::Tcp(TcpListener::bind(address).await.map_err(failed)?),
            ListenAddress::Unix(path) => {
                remove_stale(path).map_err(failed)?;
                Socket::Unix(UnixListener::bind(path).map_err(failed)?, path.clone())
            }
        };
        Ok(Self { socket, security, limits, counts: Arc::default() })
    }

    /// Where it listens, with the port that was chosen where 0 was asked for; `None` for a unix
    /// socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// What becomes of peers.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Begins to accept.
    #[must_use]
    pub fn incoming(self) -> Incoming {
        let Self { socket, security, limits, counts } = self;
        Incoming {
            socket,
            security,
            limits,
            counts,
            handshakes: JoinSet::new(),
            order: VecDeque::new(),
            pause: None,
            said: None,
        }
    }
}

/// A socket that nobody listens on any more is in the way; one that somebody does is not ours.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
                _ => Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Connections whose peers have shown who they are, for tonic's `serve_with_incoming`. Never ends.
#[derive(Debug)]
pub struct Incoming {
    socket: Socket,
    security: Security,
    limits: Limits,
    counts: Arc<Counts>,
    handshakes: JoinSet<Result<Connection, Failed>>,
    /// The oldest first; some may be done.
    order: VecDeque<AbortHandle>,
    pause: Option<Pin<Box<Sleep>>>,
    /// When a refused peer was last spoken of.
    said: Option<Instant>,
}

/// A handshake that came to nothing.
#[derive(Debug)]
struct Failed {
    peer: SocketAddr,
    reason: String,
    in_time: bool,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let incoming = self.get_mut();
        loop {
            while let Poll::Ready(Some(ended)) = incoming.handshakes.poll_join_next(context) {
                if let Some(connection) = incoming.ended(ended) {
                    return Poll::Ready(Some(Ok(connection)));
                }
            }
            if let Some(pause) = &mut incoming.pause {
                if pause.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                incoming.pause = None;
            }
            let accepted = match &incoming.socket {
                Socket::Tcp(listener) => listener
                    .poll_accept(context)
                    .map_ok(|(stream, peer)| (Transport::Tcp(stream), PeerAddress::Tcp(peer))),
                Socket::Unix(listener, _) => listener.poll_accept(context).map_ok(|(stream, _)| {
                    let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                    (Transport::Unix(stream), PeerAddress::Unix { uid })
                }),
            };
            match accepted {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((transport, address))) => {
                    if let Some(connection) = incoming.greet(transport, address) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    incoming.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

impl Incoming {
    /// A connection that needs no handshake comes back at once.
    fn greet(&mut self, transport: Transport, address: PeerAddress) -> Option<Connection> {
        match (transport, address, &self.security) {
            (Transport::Tcp(stream), PeerAddress::Tcp(peer), Security::Tls(tls)) => {
                let acceptor = TlsAcceptor::from(tls.current());
                self.make_room();
                let time = self.limits.handshake_time;
                self.order.push_back(self.handshakes.spawn(handshake(acceptor, stream, peer, time)));
                None
            }
            (transport, address, _) => {
                if let Transport::Tcp(stream) = &transport {
                    // Fails on a connection that is gone already; whoever reads it finds out.
                    let _ = stream.set_nodelay(true);
                }
                self.counts.accepted.fetch_add(1, Relaxed);
                Some(Connection::new(transport, Peer { address, identity: None }))
            }
        }
    }

    fn make_room(&mut self) {
        self.order.retain(|handshake| !handshake.is_finished());
        while self.order.len() >= self.limits.handshakes.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                oldest.abort();
                self.counts.crowded_out.fetch_add(1, Relaxed);
            }
        }
    }

    fn ended(
        &mut self,
        ended: Result<Result<Connection, Failed>, tokio::task::JoinError>,
    ) -> Option<Connection> {
        match ended {
            Ok(Ok(connection)) => {
                self.counts.accepted.fetch_add(1, Relaxed);
                Some(connection)
            }
            Ok(Err(Failed { peer, reason, in_time })) => {
                let count = if in_time { &self.counts.refused } else { &self.counts.timed_out };
                count.fetch_add(1, Relaxed);
                if self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    self.said = Some(Instant::now());
                    let (refused, timed_out) =
                        (self.counts.refused.load(Relaxed), self.counts.timed_out.load(Relaxed));
                    tracing::warn!(%peer, reason, refused, timed_out, "a peer is refused");
                }
                None
            }
            // Crowded out, and counted then.
            Err(error) if error.is_cancelled() => None,
            Err(error) => {
                tracing::error!(%error, "a handshake's task failed");
                None
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            // Somebody may have removed it before.
            let _ = fs::remove_file(path);
        }
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    time: Duration,
) -> Result<Connection, Failed> {
    let failed = |reason: String| Failed { peer, reason, in_time: true };
    // As for plain connections.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(time, acceptor.accept(stream)).await {
        Ok(accepted) => accepted.map_err(|error| failed(error.to_string()))?,
        Err(_elapsed) => {
            let reason = format!("no handshake within {} ms", time.as_millis());
            return Err(Failed { peer, reason, in_time: false });
        }
    };
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    // The verifier demands one.
    let certificate = certificate.ok_or_else(|| failed("no certificate".to_owned()))?;
    let identity = Identity::of(certificate).map_err(|error| failed(error.to_string()))?;
    let peer = Peer { address: PeerAddress::Tcp(peer), identity: Some(Arc::new(identity)) };
    Ok(Connection::new(Transport::Tls(Box::new(stream.into())), peer))
}
