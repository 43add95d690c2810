//! One GET over loopback: what `status` needs of HTTP and no more.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use thiserror::Error;

const CONNECT_TIME: Duration = Duration::from_secs(2);
const TOTAL_TIME: Duration = Duration::from_secs(5);
/// A status of ten thousand controls fits.
const ANSWER_BYTES: u64 = 4 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no agent reachable at {address} (is it running, with http.listen there?)")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or the answer took too long.
    #[error("agent at {address} did not answer in time")]
    Exchange {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// What answers is not the agent.
    #[error("what listens at {address} did not answer like a kestrel-agent")]
    NotAgent {
        /// The address.
        address: SocketAddr,
    },
    /// The agent answered with an error.
    #[error("agent at {address} answered with HTTP status {code}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Its status code.
        code: u16,
    },
}

/// The body at `path`.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<String, ClientError> {
    let address = reachable(address);
    let not_agent = || ClientError::NotAgent { address };
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIME)
        .map_err(|source| ClientError::Connect { address, source })?;
    let answer =
        exchange(stream, address, path).map_err(|source| ClientError::Exchange { address, source })?;

    let answer = String::from_utf8(answer).map_err(|_| not_agent())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_agent)?;
    let code: u16 = head
        .strip_prefix("HTTP/1.0 ")
        .or_else(|| head.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(not_agent)?;
    if code != 200 {
        return Err(ClientError::Refused { address, code });
    }
    Ok(body.to_owned())
}

/// HTTP/1.0, so that the body ends with the connection.
fn exchange(mut stream: TcpStream, address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + TOTAL_TIME;
    stream.set_write_timeout(Some(TOTAL_TIME))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(&chunk[..count]),
        }
        if answer.len() as u64 > ANSWER_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// An agent that listens everywhere is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}
