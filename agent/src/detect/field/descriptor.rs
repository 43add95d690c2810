//! `fd.*`: the file or socket that a call works on.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::ControlFlow,
};

use agent_abi::{
    interest::ABI_URING,
    record::{FileRef, PENDING, SocketRef, file_flag, socket_flag},
    uring::position,
};
use rules::{
    eval::Presence,
    field::{Field, Reference},
    value::{Scalar, Value},
};

use super::{boolean, number, path, signed, text};
use crate::{
    decode::{Event, SocketCall},
    detect::subject::Subject,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOCK_STREAM: u16 = 1;
const SOCK_DGRAM: u16 = 2;
const SOCK_RAW: u16 = 3;
/// First port that the kernel gives out by itself (`ip_local_port_range`).
const EPHEMERAL: u16 = 32_768;
/// `S_IFMT` and what it holds.
const TYPE: u32 = 0o170_000;

/// Both ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    local: Option<(IpAddr, u16)>,
    peer: Option<(IpAddr, u16)>,
    is_server: bool,
}

impl Ends {
    fn client(&self) -> Option<(IpAddr, u16)> {
        if self.is_server { self.peer } else { self.local }
    }

    fn server(&self) -> Option<(IpAddr, u16)> {
        if self.is_server { self.local } else { self.peer }
    }
}

pub(super) fn value<'a>(of: &'a Subject<'_>, reference: &Reference) -> Value<'a> {
    let field = reference.field();
    match field {
        Field::FdNum => descriptor(of).map_or(Value::Missing, signed),
        Field::FdName => name(of).map_or(Value::Missing, text),
        Field::FdNameraw => path::opened_name(of).or_else(|| name(of)).map_or(Value::Missing, text),
        Field::FdDirectory => file_name(of).map_or(Value::Missing, |name| text(parts(name).0)),
        Field::FdFilename => file_name(of).map_or(Value::Missing, |name| text(parts(name).1)),
        Field::FdContainername => within(of, name(of)),
        Field::FdContainerdirectory => within(of, file_name(of).map(|name| parts(name).0)),
        Field::FdTypechar => kind(of).map_or(Value::Missing, |(letter, _)| Value::text(letter)),
        Field::FdType => kind(of).map_or(Value::Missing, |(_, name)| Value::text(name)),
        Field::FdDev => file(of).map_or(Value::Missing, |file| signed(file.dev.cast_signed())),
        Field::FdDevMajor => file(of).map_or(Value::Missing, |file| signed((file.dev >> 20).cast_signed())),
        Field::FdDevMinor => {
            file(of).map_or(Value::Missing, |file| signed((file.dev & 0xf_ffff).cast_signed()))
        }
        Field::FdIno => file(of).map_or(Value::Missing, |file| signed(file.inode.cast_signed())),
        Field::FdIsUpperLayer => file(of).map_or(Value::Missing, |file| boolean(layer(file) == Some(true))),
        Field::FdIsLowerLayer => file(of).map_or(Value::Missing, |file| boolean(layer(file) == Some(false))),
        _ => of_socket(of, field),
    }
}

fn of_socket<'a>(of: &Subject<'a>, field: Field) -> Value<'a> {
    let Event::Socket(call) = of.event else { return Value::Missing };
    let socket = &call.record.socket;
    if socket.family == 0 || socket.flags & socket_flag::NOT_READ != 0 {
        return Value::Missing;
    }
    match field {
        Field::FdSockfamily => Value::text(if socket.family == AF_UNIX { "unix" } else { "ip" }),
        Field::FdL4proto => protocol(socket).map_or(Value::Missing, Value::text),
        _ => match ends(of, call) {
            Some(ends) => of_ends(of, &ends, socket, field),
            None => Value::Missing,
        },
    }
}

fn of_ends<'a>(of: &Subject<'a>, ends: &Ends, socket: &SocketRef, field: Field) -> Value<'a> {
    let address = |end: Option<(IpAddr, u16)>| {
        end.map_or(Value::Missing, |(address, _)| Value::One(Scalar::Address(address)))
    };
    let port = |end: Option<(IpAddr, u16)>| end.map_or(Value::Missing, |(_, port)| number(port));
    match field {
        Field::FdCip | Field::FdCnet => address(ends.client()),
        Field::FdSip | Field::FdSnet => address(ends.server()),
        Field::FdLip | Field::FdLnet => address(ends.local),
        Field::FdRip | Field::FdRnet => address(ends.peer),
        Field::FdCipName | Field::FdSipName | Field::FdLipName | Field::FdRipName => {
            match named_end(ends, field).map(|address| names(of, address).collect::<Vec<_>>()) {
                Some(names) if !names.is_empty() => Value::Many(names),
                _ => Value::Missing,
            }
        }
        Field::FdCport => port(ends.client()),
        Field::FdSport => port(ends.server()),
        Field::FdLport => port(ends.local),
        Field::FdRport => port(ends.peer),
        Field::FdIp | Field::FdNet => both(ends, |(address, _)| Scalar::Address(address)),
        Field::FdPort | Field::FdProto => both(ends, |(_, port)| Scalar::UInt(port.into())),
        Field::FdIsServer => boolean(ends.is_server),
        // Of TCP the state says it, of others that there is a peer.
        Field::FdConnected => boolean(if socket.kind == SOCK_STREAM {
            matches!(socket.state, 1 | 4 | 5 | 8)
        } else {
            socket.peer_port != 0
        }),
        _ => Value::Missing,
    }
}

/// The end whose names a field asks for.
fn named_end(ends: &Ends, field: Field) -> Option<IpAddr> {
    let end = match field {
        Field::FdCipName => ends.client(),
        Field::FdSipName => ends.server(),
        Field::FdLipName => ends.local,
        _ => ends.peer,
    };
    end.map(|(address, _)| address)
}

/// The names of an address: those by which its container asked for it, then those that rules compare with
/// and that the node found to stand for it. A container may ask a name server of its own, which says what it
/// likes: it does not make an address one that rules let pass.
fn names<'a>(of: &Subject<'a>, address: IpAddr) -> impl Iterator<Item = Scalar<'a>> {
    let scene = of.scene;
    let owner = of.container.map(|container| container.key);
    let at_ns = of.at.boottime_ns;
    let asked = move || {
        scene.peers.of(owner, address, at_ns).filter(move |name: &&str| !scene.passing.contains(*name))
    };
    let found = scene.hosts.names(address).iter().map(AsRef::as_ref);
    let others = found.filter(move |found: &&str| !asked().any(|name| name == *found));
    asked().chain(others).map(|name| Scalar::text(name.as_bytes()))
}

/// The names of an end, without a list of them. One that has none is unequal to every name.
pub(super) fn each_name(
    of: &Subject<'_>,
    field: Field,
    take: &mut dyn FnMut(&Scalar<'_>) -> ControlFlow<()>,
) -> Presence {
    let Some(address) = readable_ends(of).and_then(|ends| named_end(&ends, field)) else {
        return Presence::Missing;
    };
    let mut names = names(of, address).peekable();
    if names.peek().is_none() {
        let _ = take(&Scalar::text(b""));
    }
    let _ = names.try_for_each(|name| take(&name));
    Presence::There
}

/// Both ends of the socket that a call works on.
fn readable_ends(of: &Subject<'_>) -> Option<Ends> {
    let Event::Socket(call) = of.event else { return None };
    let socket = &call.record.socket;
    if socket.family == 0 || socket.flags & socket_flag::NOT_READ != 0 {
        return None;
    }
    ends(of, call)
}

fn both<'v>(ends: &Ends, of: impl Fn((IpAddr, u16)) -> Scalar<'v>) -> Value<'v> {
    let (client, server) = each_once(ends, of);
    let found: Vec<_> = client.into_iter().chain(server).collect();
    if found.is_empty() { Value::Missing } else { Value::Many(found) }
}

fn each_once<'v>(
    ends: &Ends,
    of: impl Fn((IpAddr, u16)) -> Scalar<'v>,
) -> (Option<Scalar<'v>>, Option<Scalar<'v>>) {
    let client = ends.client().map(&of);
    let server = ends.server().map(of).filter(|server| client.as_ref() != Some(server));
    (client, server)
}

/// Both ends of a connection, without a list of them.
pub(super) fn each_end(
    of: &Subject<'_>,
    field: Field,
    take: &mut dyn FnMut(&Scalar<'_>) -> ControlFlow<()>,
) -> Presence {
    let Some(ends) = readable_ends(of) else { return Presence::Missing };
    let (client, server) = match field {
        Field::FdIp | Field::FdNet => each_once(&ends, |(address, _)| Scalar::Address(address)),
        _ => each_once(&ends, |(_, port)| Scalar::UInt(port.into())),
    };
    if client.is_none() && server.is_none() {
        return Presence::Missing;
    }
    let _ = client.iter().chain(&server).try_for_each(take);
    Presence::There
}

/// The descriptor; that of a call that makes one is what it returned, -1 when it failed.
pub(super) fn descriptor(of: &Subject<'_>) -> Option<i64> {
    match of.event {
        Event::File(file) => Some(i64::from(file.record.fd).max(-1)),
        // An open that failed names its file; of one through a ring nobody knows yet.
        Event::Path(path) if is_open(of) && path.record.call.result != PENDING => Some(-1),
        Event::Socket(socket) => {
            let call = &socket.record.call;
            let made =
                matches!(of.kind.name(), "socket" | "accept" | "accept4" | "dup" | "dup2" | "dup3" | "fcntl");
            let given = if made { call.result } else { i64::from(low(call.args[0])) };
            Some(given.max(-1))
        }
        _ => None,
    }
}

/// A register as a descriptor.
#[expect(clippy::cast_possible_truncation, reason = "the upper half of an int's register means nothing")]
fn low(value: u64) -> i32 {
    (value as u32).cast_signed()
}

/// Whether a call opens a file by its name.
pub(super) fn is_open(of: &Subject<'_>) -> bool {
    matches!(of.kind.name(), "open" | "openat" | "openat2" | "creat" | "open_by_handle_at")
}

/// The flags that a call opened a file with.
pub(super) fn given_flags(of: &Subject<'_>) -> Option<u64> {
    let (call, kept, text) = match of.event {
        Event::File(file) => (&file.record.call, u64::from(file.record.open_flags), file.text),
        Event::Path(path) if is_open(of) => {
            let call = &path.record.call;
            let of_ring = if call.abi == ABI_URING { call.args[usize::from(position::FLAGS)] } else { 0 };
            (call, of_ring, path.text)
        }
        _ => return None,
    };
    if call.abi == ABI_URING {
        return Some(kept);
    }
    Some(match of.kind.name() {
        "open" => call.args[1] & 0xffff_ffff,
        "openat" | "open_by_handle_at" => call.args[2] & 0xffff_ffff,
        // `struct open_how` begins with its flags.
        "openat2" => text.first_chunk().map_or(kept, |flags| u64::from_ne_bytes(*flags)),
        // O_CREAT, O_WRONLY and O_TRUNC are what it stands for.
        "creat" => 0o1101,
        _ => kept,
    })
}

fn file<'a>(of: &Subject<'a>) -> Option<&'a FileRef> {
    match of.event {
        Event::File(file) if file.record.file.flags & file_flag::NOT_READ == 0 && file.record.fd >= 0 => {
            Some(&file.record.file)
        }
        _ => None,
    }
}

/// Whether a file of an overlay came after the image.
fn layer(file: &FileRef) -> Option<bool> {
    (file.flags & file_flag::OVERLAY != 0).then_some(file.flags & file_flag::UPPER_LAYER != 0)
}

/// The path of a file; of an open that failed the name that was given, where it is absolute.
fn file_name<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    match of.event {
        Event::File(file) if !file.path.is_empty() => Some(file.path),
        Event::File(_) => {
            let given = path::opened_name(of)?;
            Some(of.room.name.get(|out| resolve(given, out)))
        }
        Event::Path(_) if is_open(of) => path::from(of),
        _ => None,
    }
}

/// Resolves `.` and `..` of a name by its text.
fn resolve(name: &[u8], out: &mut Vec<u8>) {
    if !name.starts_with(b"/") {
        out.extend_from_slice(name);
        return;
    }
    for component in name.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => out.truncate(out.iter().rposition(|&byte| byte == b'/').unwrap_or_default()),
            component => {
                out.push(b'/');
                out.extend_from_slice(component);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
}

/// The name of the descriptor: a path, or both ends of a connection.
pub(super) fn name<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    let Event::Socket(call) = of.event else { return file_name(of) };
    if call.record.socket.family == AF_UNIX {
        return Some(if call.path.is_empty() { unix_path(call.given) } else { call.path });
    }
    let ends = ends(of, call)?;
    // A buffer takes what is written to it.
    let write = |out: &mut Vec<u8>, (address, port): (IpAddr, u16)| drop(write!(out, "{address}:{port}"));
    Some(of.room.name.get(|out| match (ends.client(), ends.server()) {
        (Some(client), Some(server)) => {
            write(out, client);
            out.extend_from_slice(b"->");
            write(out, server);
        }
        (client, server) => server.or(client).into_iter().for_each(|end| write(out, end)),
    }))
}

/// Folder and name of a path.
fn parts(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b"/", path.get(1..).unwrap_or_default()),
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

fn within<'v>(of: &Subject<'_>, name: Option<&[u8]>) -> Value<'v> {
    let Some(name) = name else { return Value::Missing };
    let mut joined = of.container.map_or_else(Vec::new, |container| container.id.short().as_bytes().to_vec());
    joined.push(b':');
    joined.extend_from_slice(name);
    Value::One(Scalar::owned(joined))
}

/// What a descriptor is, as a letter and as a word.
fn kind(of: &Subject<'_>) -> Option<(&'static str, &'static str)> {
    match of.event {
        // What could not be opened is what files are.
        Event::File(call) if call.record.fd < 0 => Some(("f", "file")),
        Event::Path(_) if is_open(of) => Some(("f", "file")),
        Event::File(call) if call.record.file.flags & file_flag::MEMFD != 0 => Some(("m", "memfd")),
        Event::File(call) => Some(match call.record.file.mode & TYPE {
            0o040_000 => ("d", "directory"),
            0o010_000 => ("p", "pipe"),
            0o140_000 => ("u", "unix"),
            _ => ("f", "file"),
        }),
        Event::Socket(call) => Some(match call.record.socket.family {
            AF_UNIX => ("u", "unix"),
            AF_INET => ("4", "ipv4"),
            AF_INET6 => ("6", "ipv6"),
            16 => ("n", "netlink"),
            0 => return None,
            _ => ("o", "unknown"),
        }),
        _ => None,
    }
}

fn protocol(socket: &SocketRef) -> Option<&'static str> {
    if !matches!(socket.family, AF_INET | AF_INET6) {
        return None;
    }
    Some(match (socket.protocol, socket.kind) {
        (6, _) | (0, SOCK_STREAM) => "tcp",
        (17, _) | (0, SOCK_DGRAM) => "udp",
        (1 | 58, _) => "icmp",
        (_, SOCK_RAW) => "raw",
        _ => return None,
    })
}

/// Both ends of an internet socket.
fn ends(of: &Subject<'_>, call: &SocketCall<'_>) -> Option<Ends> {
    let socket = &call.record.socket;
    let address = |bytes: &[u8; 16]| {
        Some(match socket.family {
            AF_INET => IpAddr::from(Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]])),
            AF_INET6 => Ipv6Addr::from(*bytes).to_canonical(),
            _ => return None,
        })
    };
    let bound =
        |address: IpAddr, port: u16| (port != 0 || !address.is_unspecified()).then_some((address, port));
    let local = bound(address(&socket.local)?, socket.local_port);
    let given = given(call.given);
    let mut peer = bound(address(&socket.peer)?, socket.peer_port);
    let kind = of.kind.name();
    if kind == "bind" {
        return Some(Ends { local: local.or(given), peer: None, is_server: true });
    }
    // A connect that failed, and what is sent without a connection.
    peer = peer.or(given);
    let is_server = match kind {
        "accept" | "accept4" | "listen" => true,
        "connect" | "sendto" | "sendmsg" | "sendmmsg" if socket.kind != SOCK_STREAM || kind == "connect" => {
            false
        }
        _ => socket.local_port != 0 && socket.local_port < EPHEMERAL && socket.peer_port >= EPHEMERAL,
    };
    Some(Ends { local, peer, is_server })
}

/// An internet address of a `struct sockaddr`.
fn given(bytes: &[u8]) -> Option<(IpAddr, u16)> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let address = match u16::from_ne_bytes(*family) {
        AF_INET => IpAddr::from(Ipv4Addr::from(*rest.first_chunk::<4>()?)),
        // Behind sin6_flowinfo.
        AF_INET6 => Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?).to_canonical(),
        _ => return None,
    };
    Some((address, u16::from_be_bytes(*port)))
}

/// `sun_path` of a `struct sockaddr_un`.
fn unix_path(bytes: &[u8]) -> &[u8] {
    match bytes.get(2..).unwrap_or_default() {
        abstract_name @ [0, ..] => abstract_name,
        path => path.split(|&byte| byte == 0).next().unwrap_or_default(),
    }
}

/// The other end of a call on an internet socket.
pub(in crate::detect) fn peer(of: &Subject<'_>) -> Option<(IpAddr, u16)> {
    match of.event {
        Event::Socket(call) => ends(of, call)?.peer,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_given_are_resolved_by_their_text() {
        let resolved = |name: &[u8]| {
            let mut out = Vec::new();
            resolve(name, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(resolved(b"/var/www/../../etc/./passwd"), "/etc/passwd");
        assert_eq!(resolved(b"/../../x"), "/x");
        assert_eq!(resolved(b"/.."), "/");
        assert_eq!(resolved(b"../x"), "../x", "what it starts at is not known");
        assert_eq!(parts(b"/etc/shadow"), (&b"/etc"[..], &b"shadow"[..]));
        assert_eq!(parts(b"/x"), (&b"/"[..], &b"x"[..]));
        assert_eq!(parts(b"x"), (&b""[..], &b"x"[..]));
    }

    #[test]
    fn addresses_that_were_given_are_read_within_their_bounds() {
        let mut v4 = 2_u16.to_ne_bytes().to_vec();
        v4.extend([0, 53, 10, 0, 0, 1]);
        assert_eq!(given(&v4), Some(("10.0.0.1".parse().unwrap(), 53)));
        for cut in 0..v4.len() {
            assert_eq!(given(&v4[..cut]), None, "{cut}");
        }
        let mut v6 = 10_u16.to_ne_bytes().to_vec();
        v6.extend([1, 187, 0, 0, 0, 0]);
        v6.extend(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets());
        assert_eq!(given(&v6), Some(("10.0.0.1".parse().unwrap(), 443)), "as what it stands for");
    }
}
