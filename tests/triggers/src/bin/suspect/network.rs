//! Connections.

use std::{
    net::{SocketAddr, SocketAddrV4, TcpStream},
    os::{
        fd::AsRawFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use nix::{
    errno::Errno,
    sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn},
};

/// Connects to a peer, `ADDRESS:PORT`.
pub(crate) fn connect(peer: &str) -> Result<()> {
    TcpStream::connect_timeout(&peer.parse()?, Duration::from_secs(5))?;
    Ok(())
}

/// Begins a connection and does not wait for it.
pub(crate) fn knock(peer: &str) -> Result<()> {
    let address: SocketAddrV4 = peer.parse()?;
    let peer = SockaddrIn::from(address);
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
    let begun = socket::connect(socket.as_raw_fd(), &peer);
    ensure!(matches!(begun, Ok(()) | Err(Errno::EINPROGRESS)), "{begun:?}");
    Ok(())
}

/// Connects to a socket that it has made at that path.
pub(crate) fn knock_unix(path: &str) -> Result<()> {
    let _listener = UnixListener::bind(path)?;
    UnixStream::connect(path)?;
    Ok(())
}

/// Makes a connection its standard input.
pub(crate) fn stdio(peer: &str) -> Result<()> {
    let stream = TcpStream::connect(peer.parse::<SocketAddr>()?)?;
    Ok(nix::unistd::dup2_stdin(&stream)?)
}

/// Makes a socket that sees whole frames.
pub(crate) fn packet_socket() -> Result<()> {
    socket::socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None)?;
    Ok(())
}
