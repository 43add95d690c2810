//! Sockets: calls on them, their states, and what packets are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_abi::record::{self, SocketRef, grade, socket_flag};
use kestrel_proto::v1::{self, SocketFamily};

use super::{
    Who,
    call::{self, copy, graded},
    payload,
};
use crate::decode::{Packet, SocketCall};

/// A call on a socket.
pub(super) fn of_call(socket: &SocketCall<'_>, who: Who<'_>) -> v1::SocketEvent {
    let record = socket.record;
    // What could be another's descriptor by now is no better than raced.
    let raced = record.grade == grade::FD && record.socket.flags & socket_flag::RACED != 0;
    v1::SocketEvent {
        actor: Some(who.actor(&record.call.task, record.call.cgroup_id)),
        call: Some(call::of(&record.call)),
        socket: of_socket(&record.socket, socket.path),
        grade: graded(if raced { grade::FD_RACED } else { record.grade }).into(),
        given: given(socket.given),
        given_grade: graded(record.given_grade).into(),
    }
}

/// A socket changed its state.
pub(super) fn of_state(state: &record::SocketState, who: Who<'_>) -> v1::SocketStateEvent {
    v1::SocketStateEvent {
        socket: of_socket(&state.socket, &[]),
        // Numbers of the kernel's, whether or not they have names here.
        from: state.from.cast_signed(),
        to: state.to.cast_signed(),
        cgroup: state.cgroup_id,
        container_id: who.container_id(),
    }
}

/// First bytes of a connection, or a DNS message.
pub(super) fn of_packet(packet: &Packet<'_>, who: Who<'_>) -> v1::PacketEvent {
    let record = packet.record;
    let mut event = v1::PacketEvent {
        socket: of_socket(&record.socket, &[]),
        egress: record.egress != 0,
        length: record.length,
        cgroup: record.cgroup_id,
        container_id: who.container_id(),
        ..v1::PacketEvent::default()
    };
    payload::tell(packet.payload, &record.socket, &mut event);
    event
}

/// `None`: it is no socket, or could not be read.
fn of_socket(socket: &SocketRef, path: &[u8]) -> Option<v1::Socket> {
    if socket.family == 0 || socket.flags & socket_flag::NOT_READ != 0 {
        return None;
    }
    let address = |bytes: &[u8; 16], port: u16| {
        let ip = match family(socket.family) {
            Some(SocketFamily::Inet) => {
                IpAddr::from(Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            Some(SocketFamily::Inet6) => IpAddr::from(Ipv6Addr::from(*bytes)),
            _ => return None,
        };
        // Not bound, or not connected.
        (port != 0 || !ip.is_unspecified()).then(|| v1::Address {
            family: i32::from(socket.family),
            ip: ip.to_string(),
            port: u32::from(port),
            ..v1::Address::default()
        })
    };
    Some(v1::Socket {
        family: i32::from(socket.family),
        r#type: i32::from(socket.kind),
        protocol: u32::from(socket.protocol),
        local: address(&socket.local, socket.local_port),
        peer: address(&socket.peer, socket.peer_port),
        state: i32::from(socket.state),
        cookie: socket.cookie,
        inode: socket.inode,
        network_namespace: socket.net_ns,
        path: copy(path),
    })
}

/// `struct sockaddr` as the caller gave it; what does not fit its family is left out.
fn given(bytes: &[u8]) -> Option<v1::Address> {
    let (number, rest) = bytes.split_first_chunk().map(|(head, rest)| (u16::from_ne_bytes(*head), rest))?;
    let mut address = v1::Address { family: i32::from(number), ..v1::Address::default() };
    let port = || rest.first_chunk().map_or(0, |port| u32::from(u16::from_be_bytes(*port)));
    match family(number) {
        Some(SocketFamily::Inet) => {
            address.port = port();
            address.ip = rest.get(2..).and_then(<[u8]>::first_chunk::<4>).map_or_else(String::new, text4);
        }
        Some(SocketFamily::Inet6) => {
            address.port = port();
            // Behind sin6_flowinfo.
            address.ip = rest.get(6..).and_then(<[u8]>::first_chunk::<16>).map_or_else(String::new, text6);
        }
        Some(SocketFamily::Unix) => address.path = copy(unix_path(rest)),
        Some(SocketFamily::Vsock) => {
            // Behind svm_reserved1.
            let field = |at: usize| Some(u32::from_ne_bytes(*rest.get(at..)?.first_chunk()?));
            address.port = field(2).unwrap_or_default();
            address.cid = field(6);
        }
        _ => {}
    }
    Some(address)
}

fn text4(bytes: &[u8; 4]) -> String {
    Ipv4Addr::from(*bytes).to_string()
}

fn text6(bytes: &[u8; 16]) -> String {
    Ipv6Addr::from(*bytes).to_string()
}

/// `sun_path`: up to a NUL, but for an abstract name, which begins with one and ends with the address.
fn unix_path(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0, ..] => bytes,
        bytes => bytes.split(|&byte| byte == 0).next().unwrap_or_default(),
    }
}

fn family(number: u16) -> Option<SocketFamily> {
    SocketFamily::try_from(i32::from(number)).ok()
}
