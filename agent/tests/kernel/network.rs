//! Calls on sockets, each with what the kernel holds of the socket and what the caller named.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            fs::MetadataExt as _,
            net::{SocketAddr as UnixAddr, UnixListener, UnixStream},
        },
    },
    thread,
};

use agent_abi::record::{PENDING, SocketRef, Syscall, grade, socket_flag, via};
use kestrel_agent::{
    decode::{Event, decode},
    syscall::{Family, Only, name_of},
};
use nix::libc;

use crate::{
    environment::skip,
    loaded::{DEADLINE, Loaded, assert_quiet_sums, with},
    shared::Shared,
    way::Way,
};

pub(crate) const RINGS: [u32; 2] = [1 << 22, 1 << 22];
pub(crate) const LOOPBACK: [u8; 16] = [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Backlog of the call that ends a test.
const MARK: u64 = 0x5eed;
/// include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const SYN_SENT: u8 = 2;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// A record of a call on a socket.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) call: Syscall,
    pub(crate) socket: SocketRef,
    pub(crate) given: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) grade: u32,
    pub(crate) given_grade: u32,
}

impl Seen {
    /// `sockaddr_in` or `sockaddr_in6` as given.
    pub(crate) fn given_address(&self) -> (u16, u16, &[u8]) {
        let family = u16::from_ne_bytes([self.given[0], self.given[1]]);
        let port = u16::from_be_bytes([self.given[2], self.given[3]]);
        let address = if i32::from(family) == libc::AF_INET { &self.given[4..8] } else { &self.given[8..24] };
        (family, port, address)
    }

    /// Whether an LSM hook has told of it, before it was done.
    pub(crate) fn is_early(&self) -> bool {
        self.call.via == via::LSM
    }

    /// A connect that succeeded, to this port of an address: with the socket as it is before it or after.
    pub(crate) fn assert_connected(&self, address: &[u8], port: u16) {
        assert_eq!((self.name, self.given_address().1, self.given_address().2), ("connect", port, address));
        if self.is_early() {
            assert_eq!((self.socket.state, self.socket.peer_port), (CLOSE, 0));
            return;
        }
        assert_eq!((self.call.result, self.socket.state), (0, ESTABLISHED));
        assert_eq!((&self.socket.peer[..address.len()], self.socket.peer_port), (address, port));
    }
}

/// What a thread's `body` did on sockets, in order. `native` says whether the calls are those of this
/// ABI.
pub(crate) fn calls(body: impl FnOnce() + Send + 'static) -> Vec<Seen> {
    let mut loaded = Shared::new(RINGS, with(Family::Network, Only::default()));
    let tid = thread::spawn(|| {
        body();
        // SAFETY: no pointers.
        #[expect(unsafe_code, reason = "a call that fails on purpose")]
        let failed = unsafe { libc::listen(-1, MARK as i32) };
        assert_eq!(failed, -1);
        nix::unistd::gettid().as_raw().unsigned_abs()
    })
    .join()
    .unwrap();
    let seen = until_mark(&mut loaded, tid);
    assert_quiet_sums(&loaded);
    of_connects_one(&Way::of(&loaded), seen)
}

/// An LSM hook tells of a connection as it is tried, the exit of the call of one that failed: of these two
/// records the second is kept.
fn of_connects_one(way: &Way, seen: Vec<Seen>) -> Vec<Seen> {
    let mut kept: Vec<Seen> = Vec::new();
    for seen in seen {
        if seen.is_early() {
            let told = (seen.name, way.connects_by_lsm, seen.call.result, seen.grade, seen.given_grade);
            assert_eq!(told, ("connect", true, PENDING, grade::OBJECT, grade::OBJECT));
            assert_eq!((seen.socket.flags, seen.path.len()), (0, 0));
        } else if seen.name == "connect" && way.connects_by_lsm {
            // `socketcall` is no call that the hook tells of: its descriptor stands in memory.
            assert!(seen.call.result < 0 || seen.grade == grade::USER, "told twice: {seen:?}");
            kept.pop_if(|tried| tried.is_early() && tried.call.args == seen.call.args);
        }
        kept.push(seen);
    }
    kept
}

fn until_mark(loaded: &mut Loaded, tid: u32) -> Vec<Seen> {
    let start = std::time::Instant::now();
    let mut seen: Vec<Seen> = Vec::new();
    loop {
        assert!(start.elapsed() < DEADLINE, "the last call did not come");
        let end = loaded.programs.bulk.produced();
        let mut done = false;
        loaded.programs.bulk.drain(end, |bytes| {
            let Event::Socket(socket) = decode(bytes).unwrap() else { return };
            let record = socket.record;
            if record.call.task.tid != tid {
                return;
            }
            if record.call.args[1] == MARK {
                done = true;
                return;
            }
            seen.push(Seen {
                name: name_of(&record.call).unwrap(),
                call: record.call,
                socket: record.socket,
                given: socket.given.to_vec(),
                path: socket.path.to_vec(),
                grade: record.grade,
                given_grade: record.given_grade,
            });
        });
        if done {
            return seen;
        }
        thread::yield_now();
    }
}

pub(crate) fn names(seen: &[Seen]) -> Vec<&'static str> {
    seen.iter().map(|seen| seen.name).collect()
}

pub(crate) fn only<'a>(seen: &'a [Seen], name: &str) -> &'a Seen {
    let mut of_name = seen.iter().filter(|seen| seen.name == name);
    let first = of_name.next().unwrap_or_else(|| panic!("no {name} in {:?}", names(seen)));
    assert!(of_name.next().is_none(), "{name} twice");
    first
}

/// A new socket by the call itself.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a new descriptor that nobody else has.
    #[expect(unsafe_code, reason = "the standard library has no sockets without an address")]
    unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// A `sockaddr_in`.
pub(crate) fn ipv4(address: [u8; 4], port: u16) -> [u8; 16] {
    let [family, port] = [(libc::AF_INET as u16).to_ne_bytes(), port.to_be_bytes()];
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&family);
    bytes[2..4].copy_from_slice(&port);
    bytes[4..8].copy_from_slice(&address);
    bytes
}

pub(crate) fn connect(fd: RawFd, address: &[u8]) -> io::Result<()> {
    // SAFETY: an address of that length.
    #[expect(unsafe_code, reason = "addresses that the standard library has not")]
    let result = unsafe { libc::connect(fd, address.as_ptr().cast(), address.len() as u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn a_tcp_connection_over_ipv4() {
    let (send, receive) = std::sync::mpsc::channel();
    let seen = calls(move || {
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", server.as_raw_fd())).unwrap().ino();
        send.send((listener.local_addr().unwrap(), client.local_addr().unwrap(), inode)).unwrap();
    });
    let (listening, client, inode) = receive.recv().unwrap();
    assert_eq!(names(&seen), ["socket", "bind", "listen", "socket", "connect", "accept4"]);
    let net_ns = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
    for seen in &seen {
        // The hook has no file, only its socket.
        let (grade, has_inode) = if seen.is_early() { (grade::OBJECT, false) } else { (grade::FD, true) };
        assert_eq!((seen.grade, seen.socket.inode != 0), (grade, has_inode), "{seen:?}");
        assert_eq!((seen.socket.family, seen.socket.kind, seen.socket.protocol), (2, 1, 6));
        assert_eq!(u64::from(seen.socket.net_ns), net_ns);
        assert_eq!(seen.socket.flags, 0);
        assert_eq!(seen.call.task.tgid, std::process::id());
        assert!(seen.path.is_empty());
    }
    let bind = &seen[1];
    assert_eq!(bind.given_address(), (2, 0, &[127, 0, 0, 1][..]));
    assert_eq!(bind.given_grade, grade::USER);
    assert_eq!((bind.socket.local, bind.socket.local_port), (LOOPBACK, listening.port()));
    assert_eq!(seen[2].socket.state, LISTEN);
    assert_eq!(seen[2].call.args[0] as i64, bind.call.args[0] as i64);
    let connect = &seen[4];
    connect.assert_connected(&[127, 0, 0, 1], listening.port());
    if !connect.is_early() {
        assert_eq!((connect.socket.local, connect.socket.local_port), (LOOPBACK, client.port()));
    }
    let accept = &seen[5];
    assert_eq!((accept.socket.local_port, accept.socket.peer_port), (listening.port(), client.port()));
    assert_eq!(accept.socket.peer, LOOPBACK);
    assert_eq!(accept.socket.inode, inode);
    assert!(accept.given.is_empty(), "accept only gives an address");
}

#[test]
fn a_tcp_connection_over_ipv6() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        skip("no IPv6 on loopback");
        return;
    }
    let seen = calls(|| {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap();
    });
    let (connect, accept) = (only(&seen, "connect"), only(&seen, "accept4"));
    let local = Ipv6Addr::LOCALHOST.octets();
    connect.assert_connected(&local, only(&seen, "listen").socket.local_port);
    assert_eq!((connect.socket.family, connect.given_address().0), (10, 10));
    assert_eq!((accept.socket.local, accept.socket.peer), (local, local));
    if !connect.is_early() {
        assert_eq!(connect.socket.local, local);
        assert_eq!(accept.socket.peer_port, connect.socket.local_port);
    }
}

#[test]
fn a_refused_connection_has_its_result_and_the_given_address() {
    let seen = calls(|| {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        TcpStream::connect(free).unwrap_err();
    });
    let connect = only(&seen, "connect");
    assert_eq!(connect.call.result, -i64::from(libc::ECONNREFUSED));
    let bound = only(&seen, "listen").socket.local_port;
    assert_eq!(connect.given_address(), (2, bound, &[127, 0, 0, 1][..]));
    assert_eq!(connect.given_grade, grade::USER);
    assert_eq!(connect.socket.peer_port, 0, "the kernel has let go of it");
}

#[test]
fn a_connection_that_is_still_being_made() {
    let seen = calls(|| {
        // A backlog of 0 takes one connection; the next one waits.
        let listener = socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        let listener = TcpListener::from(listener);
        // SAFETY: an address of that length; a listener of this test's.
        #[expect(unsafe_code, reason = "a backlog of the test's own")]
        unsafe {
            let address = ipv4([127, 0, 0, 1], 0);
            assert_eq!(libc::bind(listener.as_raw_fd(), address.as_ptr().cast(), 16), 0);
            assert_eq!(libc::listen(listener.as_raw_fd(), 0), 0);
        }
        let port = listener.local_addr().unwrap().port();
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let client = socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0).unwrap();
                let failed = connect(client.as_raw_fd(), &ipv4([127, 0, 0, 1], port)).unwrap_err();
                assert_eq!(failed.raw_os_error(), Some(libc::EINPROGRESS));
                client
            })
            .collect();
        drop(clients);
    });
    let connects: Vec<_> = seen.iter().filter(|seen| seen.name == "connect").collect();
    assert_eq!(connects.len(), 3);
    for connect in &connects {
        assert_eq!(connect.call.result, -i64::from(libc::EINPROGRESS));
        assert_eq!(connect.socket.peer, LOOPBACK);
        assert_eq!(connect.socket.peer_port, connect.given_address().1);
    }
    assert!(connects.iter().any(|connect| connect.socket.state == SYN_SENT));
}

#[test]
fn datagrams_that_name_where_to_are_seen_and_others_not() {
    let seen = calls(|| {
        let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let from = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        from.send_to(b"first", to.local_addr().unwrap()).unwrap();
        send_message(from.as_raw_fd(), &ipv4([127, 0, 0, 1], to.local_addr().unwrap().port()));
        from.connect(to.local_addr().unwrap()).unwrap();
        send_messages(from.as_raw_fd(), &ipv4([127, 0, 0, 1], to.local_addr().unwrap().port()));
        // By its connection: nothing is named.
        from.send(b"silent").unwrap();
        send_message(from.as_raw_fd(), &[]);
        // The name counts, not the connection.
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        from.send_to(b"named", other.local_addr().unwrap()).unwrap();
    });
    let expected = [
        "socket", "bind", "socket", "bind", "sendto", "sendmsg", "connect", "sendmmsg", "socket", "bind",
        "sendto",
    ];
    assert_eq!(names(&seen), expected);
    let to = seen[1].socket.local_port;
    for (send, peer) in [(&seen[4], 0), (&seen[5], 0), (&seen[7], to)] {
        assert_eq!(send.given_address(), (2, to, &[127, 0, 0, 1][..]), "{}", send.name);
        assert_eq!((send.socket.kind, send.socket.protocol), (2, 17));
        assert_eq!(send.socket.peer_port, peer);
        assert_eq!(send.given_grade, grade::USER);
        assert!(send.call.result > 0);
    }
    seen[6].assert_connected(&[127, 0, 0, 1], to);
    assert_eq!(seen[10].given_address().1, seen[9].socket.local_port);
    assert_eq!(seen[10].socket.peer_port, to);
}

/// `sendmsg` of four bytes; to nobody with an empty address.
fn send_message(fd: RawFd, address: &[u8]) {
    let mut data = *b"four";
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: all pointers are good for the call.
    #[expect(unsafe_code, reason = "the standard library has no sendmsg")]
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        if !address.is_empty() {
            message.msg_name = address.as_ptr().cast_mut().cast();
            message.msg_namelen = address.len() as u32;
        }
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        assert_eq!(libc::sendmsg(fd, &raw const message, 0), 4);
    }
}

fn send_messages(fd: RawFd, address: &[u8]) {
    let mut data = *b"four";
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: all pointers are good for the call.
    #[expect(unsafe_code, reason = "the standard library has no sendmmsg")]
    unsafe {
        let mut messages: [libc::mmsghdr; 2] = std::mem::zeroed();
        for message in &mut messages {
            message.msg_hdr.msg_iov = &raw mut part;
            message.msg_hdr.msg_iovlen = 1;
        }
        // The first goes where the socket is connected to.
        messages[1].msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
        messages[1].msg_hdr.msg_namelen = address.len() as u32;
        assert_eq!(libc::sendmmsg(fd, messages.as_mut_ptr(), 2, 0), 2);
    }
}

#[test]
fn what_a_connected_stream_sends_is_not_seen_whatever_it_names() {
    let seen = calls(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let elsewhere = ipv4([192, 0, 2, 1], 443);
        // SAFETY: pointers that are good for the call.
        #[expect(unsafe_code, reason = "a connected stream with an address")]
        unsafe {
            let sent = libc::sendto(
                client.as_raw_fd(),
                [0u8; 4].as_ptr().cast(),
                4,
                0,
                elsewhere.as_ptr().cast(),
                16,
            );
            assert_eq!(sent, 4);
        }
    });
    assert_eq!(names(&seen), ["socket", "bind", "listen", "socket", "connect"]);
}

#[test]
fn unix_streams_by_path_and_by_abstract_name() {
    let dir = std::env::temp_dir().join(format!("kestrel-net-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("docker.sock");
    let abstract_name = format!("kestrel-{}", std::process::id());
    let (at, name) = (path.clone(), abstract_name.clone());
    let seen = calls(move || {
        let listener = UnixListener::bind(&at).unwrap();
        let _client = UnixStream::connect(&at).unwrap();
        listener.accept().unwrap();
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let _client = UnixStream::connect_addr(&address).unwrap();
        listener.accept().unwrap();
        // Neither names anything, and no call of ours is left.
        UnixStream::pair().unwrap();
    });
    std::fs::remove_dir_all(&dir).unwrap();
    let expected = ["socket", "bind", "listen", "socket", "connect", "accept4"];
    assert_eq!(names(&seen), [expected, expected].concat());
    let abstract_name = [b"\0", abstract_name.as_bytes()].concat();
    for (seen, name) in [(&seen[..6], path.as_os_str().as_bytes()), (&seen[6..], &abstract_name)] {
        assert!(seen[0].path.is_empty() && seen[3].path.is_empty());
        for index in [1, 2, 4, 5] {
            assert_eq!((seen[index].socket.family, seen[index].socket.kind), (1, 1));
            if seen[index].is_early() {
                // Whose address the socket will have is not known yet.
                continue;
            }
            assert_eq!(
                seen[index].path.escape_ascii().to_string(),
                name.escape_ascii().to_string(),
                "{index}"
            );
            assert_eq!(seen[index].grade, grade::FD);
        }
        assert!(seen[4].given[2..].starts_with(name));
    }
}

#[test]
fn a_relative_unix_path_is_made_absolute() {
    let dir = std::env::temp_dir().join(format!("kestrel-relative-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let before = std::env::current_dir().unwrap();
    let at = dir.clone();
    let seen = calls(move || {
        std::env::set_current_dir(&at).unwrap();
        let _listener = UnixListener::bind("here.sock").unwrap();
        let _client = UnixStream::connect("./here.sock").unwrap();
        std::env::set_current_dir(before).unwrap();
    });
    std::fs::remove_dir_all(&dir).unwrap();
    let connect = only(&seen, "connect");
    if !connect.is_early() {
        assert_eq!(connect.path, dir.join("here.sock").as_os_str().as_bytes());
    }
    assert_eq!(connect.socket.flags & socket_flag::PATH_TRUNCATED, 0);
    assert!(connect.given[2..].starts_with(b"./here.sock"));
}

#[test]
fn sockets_of_other_families_are_told_apart() {
    let wanted = [
        (libc::AF_PACKET, libc::SOCK_RAW, i32::from(3u16.to_be())),
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        (libc::AF_VSOCK, libc::SOCK_STREAM, 0),
    ];
    let (send, receive) = std::sync::mpsc::channel();
    let seen = calls(move || {
        for (family, kind, protocol) in wanted {
            let result = socket(family, kind, protocol);
            send.send(result.map(|_| ()).map_err(|error| error.raw_os_error())).unwrap();
        }
    });
    let results: Vec<_> = receive.iter().collect();
    assert_eq!(seen.len(), wanted.len());
    for ((seen, (family, kind, protocol)), result) in seen.iter().zip(wanted).zip(results) {
        assert_eq!((seen.name, seen.call.args[0] as i32), ("socket", family));
        assert_eq!(seen.call.args[1] as i32 & 0xf, kind);
        assert_eq!(seen.call.args[2] as i32, protocol);
        if let Err(error) = result {
            eprintln!("SKIPPED: socket({family}, {kind}): {error:?}");
            assert_eq!(Some(-seen.call.result as i32), error);
            assert_eq!((seen.grade, seen.socket.flags), (grade::NONE, socket_flag::NOT_READ));
            continue;
        }
        assert_eq!((i32::from(seen.socket.family), i32::from(seen.socket.kind)), (family, kind));
        assert_eq!(seen.socket.local_port, 0, "a protocol is not a port");
        if family == libc::AF_INET || family == libc::AF_NETLINK {
            assert_eq!(i32::from(seen.socket.protocol), protocol);
        }
    }
}

#[test]
fn only_sockets_put_onto_the_standard_descriptors_are_seen() {
    /// Saves descriptor 0 and puts it back.
    struct Kept(OwnedFd);
    impl Drop for Kept {
        fn drop(&mut self) {
            duplicate_to(self.0.as_raw_fd(), 0);
        }
    }
    fn duplicate_to(fd: RawFd, to: RawFd) {
        // SAFETY: descriptors of this test's; descriptor 0 is put back.
        #[expect(unsafe_code, reason = "the standard library does not replace a descriptor")]
        let result = unsafe { libc::dup2(fd, to) };
        assert_eq!(result, to);
    }
    let (send, receive) = std::sync::mpsc::channel();
    let seen = calls(move || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let plain = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: descriptor 0 of this process, which is open under test.
        #[expect(unsafe_code, reason = "the standard descriptors are raw")]
        let kept = Kept(unsafe {
            let fd = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 100);
            assert!(fd >= 100);
            OwnedFd::from_raw_fd(fd)
        });
        duplicate_to(plain.as_raw_fd(), 0);
        duplicate_to(client.as_raw_fd(), 0);
        // SAFETY: as above; 0 is free for the call to take.
        #[expect(unsafe_code, reason = "as above")]
        unsafe {
            libc::close(0);
            assert_eq!(libc::fcntl(client.as_raw_fd(), libc::F_DUPFD, 0), 0);
            // Flags of it are read, not a descriptor put.
            assert!((0..3).contains(&libc::fcntl(client.as_raw_fd(), libc::F_GETFD)));
            assert_eq!(libc::dup3(client.as_raw_fd(), 0, 0), 0);
            // Not onto one of the three.
            let elsewhere = libc::dup(client.as_raw_fd());
            assert!(elsewhere > 2);
            libc::close(elsewhere);
        }
        send.send(listener.local_addr().unwrap().port()).unwrap();
        drop(kept);
    });
    let port = receive.recv().unwrap();
    assert_eq!(names(&seen), ["socket", "bind", "listen", "socket", "connect", "dup2", "fcntl", "dup3"]);
    for seen in &seen[5..] {
        assert_eq!((seen.call.result, seen.socket.peer_port), (0, port), "{}", seen.name);
        assert_eq!(seen.socket.peer, LOOPBACK);
    }
}

#[test]
fn a_descriptor_that_is_no_socket_says_so() {
    let seen = calls(|| {
        let plain = std::fs::File::open("/dev/null").unwrap();
        let failed = connect(plain.as_raw_fd(), &ipv4([127, 0, 0, 1], 1)).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(libc::ENOTSOCK));
    });
    let connect = only(&seen, "connect");
    assert_eq!((connect.grade, connect.socket.flags), (grade::NONE, socket_flag::NOT_READ));
    assert_eq!((connect.socket.family, connect.given_address().1), (0, 1));
}
