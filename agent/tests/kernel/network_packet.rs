//! First bytes of connections, and DNS, in a network namespace of the test's own.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    thread,
    time::Instant,
};

use agent_abi::{hook::Hook, record};
use kestrel_agent::{
    decode::{
        Event, decode,
        dns::{Data, Dns},
        tls::{FirstBytes, ServerName},
    },
    syscall::Wants,
};
use nix::libc;

use crate::{
    environment::skip,
    loaded::{DEADLINE, Loaded, assert_balanced},
    network::{LOOPBACK, RINGS, socket},
    network_state::Own,
};

/// A question for A of `a.test`, and its answer.
const QUESTION: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
const ANSWER: &[u8] = b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01\
    \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07";
/// A client's hello of TLS 1.3 for `a.test`.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x49\x01\x00\x00\x45\x03\x03\
    01234567890123456789012345678901\x00\x00\x02\x13\x01\x01\x00\
    \x00\x1a\x00\x2b\x00\x03\x02\x03\x04\x00\x00\x00\x0b\x00\x09\x00\x00\x06a.test\x00\x17\x00\x00";

struct Seen {
    record: record::Packet,
    payload: Vec<u8>,
}

/// The packets of what `body` does in a thread with a network of its own, until `enough` have come.
fn packets(body: impl FnOnce() + Send + 'static, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
    let mut wants = Wants::default();
    wants.add_hook(Hook::Packet);
    let mut loaded = Loaded::new(RINGS, wants);
    thread::spawn(|| {
        // SAFETY: no pointers; this thread alone.
        #[expect(unsafe_code, reason = "a system call that no dependency offers here")]
        let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(unshared, 0);
        bring_up_loopback();
        body();
    })
    .join()
    .unwrap();
    let start = Instant::now();
    let mut seen = Vec::new();
    while !enough(&seen) {
        assert!(start.elapsed() < DEADLINE, "{} packets", seen.len());
        drain(&mut loaded, &mut seen);
        thread::yield_now();
    }
    loaded.detach();
    drain(&mut loaded, &mut seen);
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert_eq!(counters[Hook::Packet as usize].errors, 0);
    seen
}

/// Other connections of this machine are not of the ports of these tests.
fn drain(loaded: &mut Loaded, seen: &mut Vec<Seen>) {
    let end = loaded.programs.bulk.produced();
    loaded.programs.bulk.drain(end, |bytes| {
        let Event::Packet(packet) = decode(bytes).unwrap() else { return };
        let ports = [packet.record.socket.local_port, packet.record.socket.peer_port];
        if [53, PORT].iter().any(|port| ports.contains(port)) {
            seen.push(Seen { record: *packet.record, payload: packet.payload.to_vec() });
        }
    });
}

const PORT: u16 = 4433;

fn bring_up_loopback() {
    let any = socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
    // SAFETY: a request for `lo`, of this thread's own network.
    #[expect(unsafe_code, reason = "no library brings an interface up")]
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l'.cast_signed();
        request.ifr_name[1] = b'o'.cast_signed();
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        assert_eq!(libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request), 0);
    }
}

fn four(seen: &[Seen]) -> bool {
    seen.len() >= 4
}

fn find(seen: &[Seen], egress: u32, local_port_is_server: bool, port: u16) -> &Seen {
    let mut found = seen.iter().filter(|seen| {
        seen.record.egress == egress && (seen.record.socket.local_port == port) == local_port_is_server
    });
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "once per socket and direction");
    first
}

fn dns(server: IpAddr, client: IpAddr) {
    if server.is_ipv6() && UdpSocket::bind((server, 0)).is_err() {
        skip("no IPv6 on loopback");
        return;
    }
    let seen = packets(
        move || {
            let server = UdpSocket::bind((server, 53)).unwrap();
            let client = UdpSocket::bind((client, 0)).unwrap();
            client.send_to(QUESTION, server.local_addr().unwrap()).unwrap();
            let mut buffer = [0; 512];
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], QUESTION);
            server.send_to(ANSWER, from).unwrap();
            client.recv_from(&mut buffer).unwrap();
        },
        four,
    );
    let (asked, was_asked) = (find(&seen, 1, false, 53), find(&seen, 0, true, 53));
    let (answered, was_answered) = (find(&seen, 1, true, 53), find(&seen, 0, false, 53));
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => [&address.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    for packet in [asked, was_asked, answered, was_answered] {
        let socket = packet.record.socket;
        assert_eq!((socket.kind, socket.protocol), (2, 17));
        assert_eq!(socket.family, if server.is_ipv4() { 2 } else { 10 });
        assert_eq!([&socket.local[..], &socket.peer], [&octets(server)[..], &octets(client)]);
        assert_ne!(socket.cookie, 0);
    }
    assert_eq!(asked.record.socket.cookie, was_answered.record.socket.cookie);
    assert_eq!(asked.record.socket.peer_port, 53);
    for packet in [asked, was_asked] {
        let question = Dns::parse(&packet.payload).unwrap();
        assert!(!question.is_response);
        let mut name = String::new();
        question.questions().next().unwrap().unwrap().name.push_to(&mut name);
        assert_eq!((name.as_str(), packet.record.length), ("a.test", QUESTION.len() as u32));
    }
    for packet in [answered, was_answered] {
        let answer = Dns::parse(&packet.payload).unwrap().answers().next().unwrap().unwrap();
        assert_eq!(answer.data, Data::Address(IpAddr::from([192, 0, 2, 7])));
    }
}

#[test]
fn dns_over_ipv4_is_seen_at_both_ends() {
    dns(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
}

#[test]
fn dns_over_ipv6_is_seen_at_both_ends() {
    dns(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
}

/// A connection on which the client says `request` and more, and the server `reply` and more.
fn converse(address: IpAddr, request: &'static [u8], reply: &'static [u8]) {
    let listener = TcpListener::bind(SocketAddr::new(address, PORT)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut buffer = vec![0; 4096];
    for round in 0..3 {
        client.write_all(if round == 0 { request } else { b"more" }).unwrap();
        assert_ne!(server.read(&mut buffer).unwrap(), 0);
        server.write_all(if round == 0 { reply } else { b"more" }).unwrap();
        assert_ne!(client.read(&mut buffer).unwrap(), 0);
    }
}

#[test]
fn tls_and_plain_connections_are_told_apart_by_their_first_bytes() {
    let reply = b"\x15\x03\x03\x00\x02\x02\x28";
    let seen = packets(move || converse(Ipv4Addr::LOCALHOST.into(), HELLO, reply), four);
    assert_eq!(seen.len(), 4, "what comes later is not told");
    for packet in [find(&seen, 1, false, PORT), find(&seen, 0, true, PORT)] {
        let FirstBytes::ClientHello(hello) = FirstBytes::of(&packet.payload) else { panic!("no hello") };
        assert_eq!((hello.version, hello.server_name), (0x0304, ServerName::Named(b"a.test")));
        assert!(hello.is_whole);
        assert_eq!((packet.record.socket.kind, packet.record.socket.protocol), (1, 6));
        assert_eq!((packet.record.socket.local, packet.record.socket.peer), (LOOPBACK, LOOPBACK));
    }
    for packet in [find(&seen, 1, true, PORT), find(&seen, 0, false, PORT)] {
        assert_eq!((FirstBytes::of(&packet.payload), &packet.payload[..]), (FirstBytes::Tls, &reply[..]));
    }

    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let seen = packets(move || converse(Ipv4Addr::LOCALHOST.into(), request, b"HTTP/1.1 200 OK\r\n"), four);
    assert_eq!(seen.len(), 4);
    let sent = find(&seen, 1, false, PORT);
    assert_eq!((FirstBytes::of(&sent.payload), &sent.payload[..]), (FirstBytes::Plain, &request[..]));
}

#[test]
fn long_first_bytes_are_cut_and_their_length_is_told() {
    static LONG: [u8; 3000] = [b'x'; 3000];
    let seen = packets(|| converse(Ipv4Addr::LOCALHOST.into(), &LONG, b"y"), four);
    let sent = find(&seen, 1, false, PORT);
    assert_eq!((sent.record.length, sent.payload.len()), (3000, record::PAYLOAD_BYTES));
    assert_eq!(sent.payload, LONG[..record::PAYLOAD_BYTES]);
    assert_eq!(find(&seen, 1, true, PORT).payload, b"y");
}

#[test]
fn a_connection_that_is_older_than_the_program_is_not_told_of_from_its_middle() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).unwrap();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut turn = move || {
        let mut buffer = [0; 16];
        client.write_all(b"middle").unwrap();
        assert_ne!(server.read(&mut buffer).unwrap(), 0);
        server.write_all(b"middle").unwrap();
        assert_ne!(client.read(&mut buffer).unwrap(), 0);
    };
    turn();
    // DNS after it ends the test.
    let seen = packets(
        move || {
            turn();
            let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
            server.send_to(QUESTION, (Ipv4Addr::LOCALHOST, 53)).unwrap();
            server.recv_from(&mut [0; 64]).unwrap();
        },
        |seen| seen.len() >= 2,
    );
    assert!(seen.iter().all(|packet| packet.payload == QUESTION));
}

/// Packets come in while others go out, on both CPUs: the counters are exact all the same.
#[test]
fn sums_are_exact_where_packets_meet_and_the_ring_is_full() {
    const SENDS: u64 = 3000;
    let mut wants = Wants::default();
    wants.add_hook(Hook::Packet);
    wants.add_hook(Hook::SocketState);
    let mut loaded = Loaded::new([1 << 16, 1 << 16], wants);
    thread::spawn(|| {
        // SAFETY: no pointers; this thread and those that it makes.
        #[expect(unsafe_code, reason = "a system call that no dependency offers here")]
        let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(unshared, 0);
        bring_up_loopback();
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        let to = server.local_addr().unwrap();
        let senders = [(); 2].map(|()| {
            thread::spawn(move || {
                let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                for _ in 0..SENDS {
                    client.send_to(QUESTION, to).unwrap();
                }
            })
        });
        for sender in senders {
            sender.join().unwrap();
        }
    })
    .join()
    .unwrap();
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    let packets = counters[Hook::Packet as usize];
    // Each goes out and comes in.
    assert!(packets.submitted + packets.lost >= 4 * SENDS, "{packets:?}");
    assert!(packets.lost > 0 && packets.lost == packets.lost_bulk, "{packets:?}");
    let mut received = 0;
    let end = loaded.programs.bulk.produced();
    loaded.programs.bulk.drain(end, |bytes| {
        assert!(decode(bytes).is_ok());
        received += 1;
    });
    assert_eq!(received, packets.submitted + counters[Hook::SocketState as usize].submitted);
}

#[test]
fn packets_are_those_of_the_socket_s_cgroup() {
    let Some(own) = Own::new("packet") else { return };
    let id = own.id();
    let seen = packets(
        move || {
            let server = own.within(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap());
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            client.send_to(QUESTION, server.local_addr().unwrap()).unwrap();
            server.recv_from(&mut [0; 64]).unwrap();
        },
        |seen| seen.len() >= 2,
    );
    assert_eq!(find(&seen, 0, true, 53).record.cgroup_id, id);
    assert_ne!(find(&seen, 1, false, 53).record.cgroup_id, id);
}
