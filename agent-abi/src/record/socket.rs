//! Sockets, and what goes through them.

use super::{Header, Span, Syscall};
use crate::wire::wire;

/// [`SocketRef::flags`].
pub mod socket_flag {
    /// The descriptor could have been changed by another thread since the call.
    pub const RACED: u8 = 1;
    /// It could not be read.
    pub const NOT_READ: u8 = 1 << 1;
    /// The walk of a unix socket's path stopped before the root: its front is missing.
    pub const PATH_TRUNCATED: u8 = 1 << 2;
}

wire! {
    /// A socket as the kernel holds it.
    pub struct SocketRef [64] {
        /// `sock.__sk_common.skc_cookie`; 0: it was given none.
        pub cookie: u64,
        /// Inode of the socket's file; 0 where there is none.
        pub inode: u64,
        /// Local address: of IPv4 the first four bytes.
        pub local: [u8; 16],
        /// The peer's.
        pub peer: [u8; 16],
        /// Local port.
        pub local_port: u16,
        /// The peer's.
        pub peer_port: u16,
        /// `AF_…`; 0: this is no socket.
        pub family: u16,
        /// `SOCK_STREAM` and its like.
        pub kind: u16,
        /// `IPPROTO_…`; of netlink its family. A packet socket's is among the arguments of its `socket`.
        pub protocol: u16,
        /// `TCP_ESTABLISHED` and its like (include/net/tcp_states.h), of other families too; 0 in a
        /// [`Packet`].
        pub state: u8,
        /// Of [`socket_flag`].
        pub flags: u8,
        /// Inode number of its network namespace; 0 in a [`Packet`].
        pub net_ns: u32,
    }

    /// A call on a socket.
    pub struct SocketCall [32 + 88 + 64 + 16] {
        /// Kind [`super::kind::SOCKET`].
        pub header: Header,
        /// The call.
        pub call: Syscall,
        /// The socket after it.
        pub socket: SocketRef,
        /// `struct sockaddr` as the caller gave it.
        pub given: Span,
        /// Path of a unix socket, its own or its peer's, as the kernel holds it; an abstract name begins
        /// with a NUL.
        pub path: Span,
        /// Of [`super::grade`]: that of `socket`.
        pub grade: u32,
        /// Of [`super::grade`]: that of `given`.
        pub given_grade: u32,
    }

    /// An internet socket changed its state.
    pub struct SocketState [32 + 64 + 16] {
        /// Kind [`super::kind::SOCKET_STATE`].
        pub header: Header,
        /// The socket.
        pub socket: SocketRef,
        /// Cgroup of the socket's owner (not of whoever runs): 0 where there is none, or where
        /// containers are in v1 cgroups, which sockets do not know.
        pub cgroup_id: u64,
        /// Before (include/net/tcp_states.h).
        pub from: u32,
        /// After.
        pub to: u32,
    }

    /// First bytes of a connection, or a DNS message.
    pub struct Packet [32 + 64 + 24] {
        /// Kind [`super::kind::PACKET`].
        pub header: Header,
        /// The socket; `local` is its own side, whichever way the packet goes.
        pub socket: SocketRef,
        /// Cgroup of the socket's owner, as in [`SocketState`].
        pub cgroup_id: u64,
        /// 1: it is sent; 0: it is received.
        pub egress: u32,
        /// Bytes of payload that the packet has.
        pub length: u32,
        /// The first of them.
        pub payload: Span,
        /// Keeps the size a multiple of 8.
        pub reserved: u32,
    }
}
