//! mTLS between agents, collector and clients: TLS 1.3, both sides show a certificate of one
//! authority, and what is in a client's certificate says for whom it may speak.
//!
//! - [`Material`] names the files; [`ClientTls`] and [`ServerTls`] read them, and again when they
//!   change.
//! - [`Connector`] is what tonic's client connects with, [`Incoming`] what its server serves.
//! - [`Identity`] is what a certificate says; a request has it in its [`Peer`].

#![forbid(unsafe_code)]

mod accept;
mod address;
mod connect;
mod identity;
mod material;
mod reload;
mod transport;

pub use accept::{Counts, Incoming, Limits, ListenError, Listener, Security};
pub use address::{Endpoint, EndpointError, ListenAddress};
pub use connect::{ConnectError, Connector, reason};
pub use identity::{Identity, IdentityError, NodePattern};
pub use material::{Material, TlsError};
pub use reload::{ClientTls, ServerTls};
pub use transport::{Connection, Peer, PeerAddress, Transport};
