//! A thread that rewrites the address while the call runs: what the kernel holds of the socket never
//! lies, and what the caller gave is marked as its own.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, RawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use agent_abi::record::{grade, socket_flag};
use nix::libc;

use crate::network::{calls, ipv4, socket};

const CALLS: usize = 4000;

/// The 8 bytes of a `sockaddr_in` that say where to, which one store replaces as a whole.
fn word(port: u16) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = ipv4([127, 0, 0, 1], port);
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Runs `body` while another thread swaps the two ports in the address that it gets.
fn while_swapped<T>(ports: [u16; 2], body: impl FnOnce(*const libc::sockaddr) -> T) -> T {
    let address = Arc::new([AtomicU64::new(word(ports[0])), AtomicU64::new(0)]);
    let end = Arc::new(AtomicBool::new(false));
    let (theirs, until) = (Arc::clone(&address), Arc::clone(&end));
    let (begun, begin) = mpsc::channel();
    let swapper = thread::spawn(move || {
        begun.send(()).unwrap();
        while !until.load(Ordering::Relaxed) {
            for port in ports {
                theirs[0].store(word(port), Ordering::Relaxed);
                for _ in 0..50 {
                    std::hint::spin_loop();
                }
            }
        }
    });
    begin.recv().unwrap();
    let result = body(Arc::as_ptr(&address).cast());
    end.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    result
}

/// How many went to the first of the two, and how many not.
fn both(truth: &[u16]) -> [usize; 2] {
    let first = truth.iter().filter(|port| Some(*port) == truth.first()).count();
    [first, truth.len() - first]
}

fn peer_port(fd: RawFd) -> u16 {
    // SAFETY: a descriptor of the caller's, given back.
    #[expect(unsafe_code, reason = "the standard library wants to own it")]
    let stream = unsafe { TcpStream::from_raw_fd(fd) };
    let port = stream.peer_addr().map_or(0, |peer: SocketAddr| peer.port());
    let _ = stream.into_raw_fd();
    port
}

#[test]
fn an_address_that_is_rewritten_during_connect() {
    let (send, receive) = mpsc::channel();
    let seen = calls(move || {
        let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        for listener in &listeners {
            // SAFETY: no pointers.
            #[expect(unsafe_code, reason = "room for all connections of the test")]
            let listens = unsafe { libc::listen(listener.as_raw_fd(), CALLS as i32) };
            assert_eq!(listens, 0);
        }
        let ports = [0, 1].map(|index: usize| listeners[index].local_addr().unwrap().port());
        while_swapped(ports, |address| {
            for _ in 0..CALLS {
                let client = socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
                // SAFETY: 16 bytes that are good for the call.
                #[expect(unsafe_code, reason = "an address that another thread writes")]
                let connected = unsafe { libc::connect(client.as_raw_fd(), address, 16) };
                assert_eq!(connected, 0);
                send.send(peer_port(client.as_raw_fd())).unwrap();
            }
        });
    });
    let truth: Vec<u16> = receive.iter().collect();
    let connects: Vec<_> = seen.iter().filter(|seen| seen.name == "connect").collect();
    assert_eq!((connects.len(), truth.len()), (CALLS, CALLS));
    eprintln!("connect: {:?} connections to each", both(&truth));
    let mut lies = 0;
    for (connect, port) in connects.iter().zip(truth) {
        if connect.is_early() {
            assert_eq!(connect.given_address().1, port, "the kernel's own copy never lies");
            continue;
        }
        assert_eq!((connect.grade, connect.socket.peer_port), (grade::FD, port), "the socket never lies");
        assert_eq!(connect.given_grade, grade::USER);
        lies += usize::from(connect.given_address().1 != port);
    }
    eprintln!(
        "connect: {lies} of {CALLS} given addresses were not those used, each graded `user`; of the sockets' none"
    );
    assert!(lies < CALLS);
}

#[test]
fn an_address_that_is_rewritten_during_sendto() {
    let (send, receive) = mpsc::channel();
    let seen = calls(move || {
        let receivers = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let ports = [0, 1].map(|index: usize| receivers[index].local_addr().unwrap().port());
        for receiver in &receivers {
            receiver.set_nonblocking(true).unwrap();
        }
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        while_swapped(ports, |address| {
            for _ in 0..CALLS {
                // SAFETY: bytes that are good for the call.
                #[expect(unsafe_code, reason = "an address that another thread writes")]
                let sent =
                    unsafe { libc::sendto(sender.as_raw_fd(), b"x".as_ptr().cast(), 1, 0, address, 16) };
                assert_eq!(sent, 1);
                let port = loop {
                    let received = receivers.iter().zip(ports).find_map(|(receiver, port)| {
                        match receiver.recv(&mut [0; 8]) {
                            Ok(_) => Some(port),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                                None
                            }
                        }
                    });
                    if let Some(port) = received {
                        break port;
                    }
                };
                send.send(port).unwrap();
            }
        });
    });
    let truth: Vec<u16> = receive.iter().collect();
    let sends: Vec<_> = seen.iter().filter(|seen| seen.name == "sendto").collect();
    assert_eq!((sends.len(), truth.len()), (CALLS, CALLS));
    eprintln!("sendto: {:?} datagrams to each", both(&truth));
    let lies = sends.iter().zip(truth).filter(|(send, port)| send.given_address().1 != *port).count();
    assert!(sends.iter().all(|send| send.given_grade == grade::USER && send.grade == grade::FD));
    eprintln!("sendto: {lies} of {CALLS} given addresses were not those used, each graded `user`");
    assert!(lies < CALLS);
}

#[test]
fn another_socket_put_onto_the_descriptor_during_connect() {
    let (send, receive) = mpsc::channel();
    let seen = calls(move || {
        let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        // SAFETY: no pointers.
        #[expect(unsafe_code, reason = "room for all connections of the test")]
        unsafe {
            assert_eq!(libc::listen(listeners[0].as_raw_fd(), CALLS as i32), 0);
        }
        let port = listeners[0].local_addr().unwrap().port();
        let decoy = TcpStream::connect(listeners[1].local_addr().unwrap()).unwrap();
        let decoy_port = decoy.peer_addr().unwrap().port();
        let target = socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        let (fd, end) = (target.as_raw_fd(), Arc::new(AtomicBool::new(false)));
        let until = Arc::clone(&end);
        let (begun, begin) = mpsc::channel();
        let swapper = thread::spawn(move || {
            begun.send(()).unwrap();
            while !until.load(Ordering::Relaxed) {
                // SAFETY: both are descriptors of this test's.
                #[expect(unsafe_code, reason = "a race is what it is for")]
                unsafe {
                    libc::dup2(decoy.as_raw_fd(), fd);
                }
            }
        });
        let address = ipv4([127, 0, 0, 1], port);
        begin.recv().unwrap();
        for _ in 0..CALLS {
            let client = socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
            // SAFETY: descriptors of this test's, an address that is good for the call.
            #[expect(unsafe_code, reason = "as above")]
            unsafe {
                libc::dup2(client.as_raw_fd(), fd);
                libc::connect(fd, address.as_ptr().cast(), 16);
            }
            // 0 where the call did not get this socket.
            let used = peer_port(client.as_raw_fd());
            send.send((used, decoy_port)).unwrap();
        }
        end.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
    });
    let truth: Vec<(u16, u16)> = receive.iter().collect();
    // The first is the decoy's own.
    let connects: Vec<_> = seen.iter().filter(|seen| seen.name == "connect").skip(1).collect();
    assert_eq!((connects.len(), truth.len()), (CALLS, CALLS));
    let (mut lies, mut marked) = (0, 0);
    for (connect, (used, decoy)) in connects.iter().zip(truth) {
        if connect.is_early() {
            // It went through, so it was this socket; and the kernel's own copy of the address.
            assert_eq!(used, connect.given_address().1);
            continue;
        }
        let truth = if used == 0 { decoy } else { used };
        if connect.socket.peer_port != truth {
            lies += 1;
            let is_marked =
                connect.grade == grade::FD_RACED && connect.socket.flags & socket_flag::RACED != 0;
            marked += usize::from(is_marked);
        }
    }
    eprintln!(
        "connect under dup2: {lies} of {CALLS} sockets were not those used, {marked} of them marked `fd raced`"
    );
    assert_eq!(lies, marked);
}
