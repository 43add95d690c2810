//! Sockets, addresses and packets in words.

use std::fmt::Write as _;

use inert::inert;
use kestrel_proto::v1::{self, Payload, SocketFamily, SocketType, TcpState};

use super::raw::{grade, note, push_name};

/// `IPPROTO_TCP`, `IPPROTO_UDP`.
const TCP: u32 = 6;
const UDP: u32 = 17;

/// A call on a socket, without its outcome.
pub(super) fn call(event: &v1::SocketEvent) -> String {
    let mut text = event.socket.as_ref().map_or_else(|| "socket not known".to_owned(), kind);
    let peer = event.socket.as_ref().and_then(|socket| socket.peer.as_ref());
    let local = event.socket.as_ref().and_then(|socket| socket.local.as_ref());
    let path = event.socket.as_ref().map_or(&[][..], |socket| &socket.path);
    // What the kernel holds comes first; what was only given is shown where it is something else.
    if let Some(local) = local {
        let _ = write!(text, " {}", address(local));
    }
    if let Some(peer) = peer {
        let _ = write!(text, " → {}", address(peer));
    }
    if !path.is_empty() {
        text.push(' ');
        push_name(&mut text, path);
    }
    note(&mut text, &grade(event.grade(), false));
    let is_said = |given: &&v1::Address| {
        let of_kernel = |held: &v1::Address| (&held.ip, held.port) == (&given.ip, given.port);
        let by_address = !given.ip.is_empty() && peer.or(local).is_some_and(of_kernel);
        by_address || (!given.path.is_empty() && given.path == path)
    };
    if let Some(given) = event.given.as_ref().filter(|given| !is_said(given)) {
        let _ = write!(text, ", asked for {}", address(given));
        note(&mut text, &grade(event.given_grade(), false));
    }
    text
}

/// A socket changed its state.
pub(super) fn state(event: &v1::SocketStateEvent) -> String {
    let ends = event.socket.as_ref().map_or_else(|| "-".to_owned(), ends);
    format!("{ends} {} → {}", tcp(event.from), tcp(event.to))
}

/// What a packet is.
pub(super) fn subject(packet: &v1::PacketEvent) -> String {
    match packet.payload() {
        Payload::Unspecified => "packet",
        Payload::TlsClientHello => "tls client hello",
        Payload::TlsServerHello => "tls server hello",
        Payload::Tls => "tls",
        Payload::Http => "http",
        Payload::Ssh => "ssh",
        Payload::Dns => "dns",
        Payload::NotDns => "not dns",
    }
    .to_owned()
}

/// What it says, and between whom.
pub(super) fn packet(packet: &v1::PacketEvent) -> String {
    let mut text = String::new();
    if !packet.server_name.is_empty() {
        push_name(&mut text, &packet.server_name);
        text.push(' ');
    }
    if let Some(dns) = &packet.dns {
        for question in &dns.questions {
            push_name(&mut text, &question.name);
            let _ = write!(text, " {} ", record_type(question.r#type));
        }
        for answer in &dns.answers {
            let _ = write!(text, "= {} ", record_type(answer.r#type));
            push_name(&mut text, if answer.ip.is_empty() { &answer.target } else { answer.ip.as_bytes() });
            text.push(' ');
        }
        if dns.response && dns.response_code != 0 {
            let _ = write!(text, "error {} ", dns.response_code);
        }
        if dns.incomplete {
            text.push_str("… ");
        }
    }
    let ends = packet.socket.as_ref().map_or_else(|| "-".to_owned(), ends);
    let way = if packet.egress { "sent" } else { "received" };
    let _ = write!(text, "{ends} {way}, {} bytes", packet.length);
    text
}

fn ends(socket: &v1::Socket) -> String {
    let end = |address_of: Option<&v1::Address>| address_of.map_or_else(|| "-".to_owned(), address);
    format!("{} {} → {}", kind(socket), end(socket.local.as_ref()), end(socket.peer.as_ref()))
}

fn kind(socket: &v1::Socket) -> String {
    let family = SocketFamily::try_from(socket.family);
    match (family, socket.protocol) {
        (Ok(SocketFamily::Inet), TCP) => return "tcp".to_owned(),
        (Ok(SocketFamily::Inet6), TCP) => return "tcp6".to_owned(),
        (Ok(SocketFamily::Inet), UDP) => return "udp".to_owned(),
        (Ok(SocketFamily::Inet6), UDP) => return "udp6".to_owned(),
        _ => {}
    }
    let family = family.map_or_else(|_| format!("family {}", socket.family), of_family);
    let kind = match SocketType::try_from(socket.r#type) {
        Ok(SocketType::Unspecified) => return family,
        Ok(SocketType::Stream) => "stream",
        Ok(SocketType::Dgram) => "dgram",
        Ok(SocketType::Raw) => "raw",
        Ok(SocketType::Rdm) => "rdm",
        Ok(SocketType::Seqpacket) => "seqpacket",
        Ok(SocketType::Dccp) => "dccp",
        Ok(SocketType::Packet) => "packet",
        Err(_) => return format!("{family} type {}", socket.r#type),
    };
    let mut text = format!("{family} {kind}");
    if socket.protocol != 0 {
        let _ = write!(text, " protocol {}", socket.protocol);
    }
    text
}

fn of_family(family: SocketFamily) -> String {
    match family {
        SocketFamily::Unspecified => "family 0",
        SocketFamily::Unix => "unix",
        SocketFamily::Inet => "inet",
        SocketFamily::Inet6 => "inet6",
        SocketFamily::Key => "key",
        SocketFamily::Netlink => "netlink",
        SocketFamily::Packet => "packet",
        SocketFamily::Can => "can",
        SocketFamily::Bluetooth => "bluetooth",
        SocketFamily::Alg => "alg",
        SocketFamily::Vsock => "vsock",
        SocketFamily::Xdp => "xdp",
    }
    .to_owned()
}

pub(super) fn address(address: &v1::Address) -> String {
    if !address.path.is_empty() {
        let mut text = String::new();
        push_name(&mut text, &address.path);
        return text;
    }
    if let Some(cid) = address.cid {
        return format!("cid {cid}:{}", address.port);
    }
    let ip = inert(&address.ip);
    match (ip.is_empty(), ip.contains(':')) {
        (true, _) => SocketFamily::try_from(address.family)
            .map_or_else(|_| format!("family {}", address.family), of_family),
        (false, true) => format!("[{ip}]:{}", address.port),
        (false, false) => format!("{ip}:{}", address.port),
    }
}

fn tcp(state: i32) -> String {
    match TcpState::try_from(state) {
        Ok(TcpState::Established) => "ESTABLISHED",
        Ok(TcpState::SynSent) => "SYN_SENT",
        Ok(TcpState::SynRecv) => "SYN_RECV",
        Ok(TcpState::FinWait1) => "FIN_WAIT1",
        Ok(TcpState::FinWait2) => "FIN_WAIT2",
        Ok(TcpState::TimeWait) => "TIME_WAIT",
        Ok(TcpState::Close) => "CLOSE",
        Ok(TcpState::CloseWait) => "CLOSE_WAIT",
        Ok(TcpState::LastAck) => "LAST_ACK",
        Ok(TcpState::Listen) => "LISTEN",
        Ok(TcpState::Closing) => "CLOSING",
        Ok(TcpState::NewSynRecv) => "NEW_SYN_RECV",
        Ok(TcpState::Unspecified) | Err(_) => return format!("state {state}"),
    }
    .to_owned()
}

/// RFC 1035, 3596, 2782, 9460; others by number.
fn record_type(number: u32) -> String {
    match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        65 => "HTTPS",
        255 => "ANY",
        number => return format!("TYPE{number}"),
    }
    .to_owned()
}
