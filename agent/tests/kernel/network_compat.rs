//! Calls on sockets by the 32-bit table: through `socketcall`, and by their own numbers.
#![cfg(target_arch = "x86_64")]

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    ptr,
};

use agent_abi::{
    interest::ABI_COMPAT,
    record::{grade, socket_flag},
};
use nix::libc;

use crate::{
    compat::{Low, int_0x80},
    network::{LOOPBACK, calls, ipv4, names},
};

/// In the i386 table (arch/x86/entry/syscalls/syscall_32.tbl).
const SOCKETCALL: u32 = 102;
const SOCKET: u32 = 359;
const BIND: u32 = 361;
const CONNECT: u32 = 362;
const LISTEN: u32 = 363;
const ACCEPT4: u32 = 364;
const SENDTO: u32 = 369;
const SENDMSG: u32 = 370;
const CLOSE: u32 = 6;

fn descriptor(result: i32) -> u32 {
    u32::try_from(result).unwrap_or_else(|_| panic!("error {result}"))
}

#[test]
fn by_socketcall() {
    let seen = calls(|| {
        let mut low = Low::new();
        let call = |low: &mut Low, which: u32, arguments: &[u32]| {
            let arguments = low.put_words(arguments);
            int_0x80(SOCKETCALL, &[which, arguments])
        };
        let listener = descriptor(call(&mut low, 1, &[2, 1, 0]));
        let any = low.put(&ipv4([127, 0, 0, 1], 0));
        assert_eq!(call(&mut low, 2, &[listener, any, 16]), 0);
        assert_eq!(call(&mut low, 4, &[listener, 8]), 0);
        let mut name = [0u8; 20];
        name[16] = 16;
        let name_at = low.put(&name);
        // getsockname: of no interest.
        assert_eq!(call(&mut low, 6, &[listener, name_at, name_at + 16]), 0);
        let port = {
            // SAFETY: where the call has put an address.
            #[expect(unsafe_code, reason = "memory of the test's own")]
            let bytes = unsafe { ptr::read((name_at as usize as *const [u8; 4]).cast::<[u8; 4]>()) };
            u16::from_be_bytes([bytes[2], bytes[3]])
        };
        let client = descriptor(call(&mut low, 1, &[2, 1, 0]));
        let to = low.put(&ipv4([127, 0, 0, 1], port));
        assert_eq!(call(&mut low, 3, &[client, to, 16]), 0);
        let server = descriptor(call(&mut low, 5, &[listener, 0, 0]));
        // send: of no interest.
        let text = low.put(b"text");
        assert_eq!(call(&mut low, 9, &[client, text, 4, 0]), 4);
        let datagram = descriptor(call(&mut low, 1, &[2, 2, 0]));
        let part = low.put_words(&[text, 4]);
        let message = low.put_words(&[to, 16, part, 1, 0, 0, 0]);
        assert_eq!(call(&mut low, 11, &[datagram, text, 4, 0, to, 16]), 4);
        assert_eq!(call(&mut low, 16, &[datagram, message, 0]), 4);
        // No such call, and arguments that cannot be read.
        assert_eq!(call(&mut low, 77, &[]), -libc::EINVAL);
        assert_eq!(int_0x80(SOCKETCALL, &[3, 16]), -libc::EFAULT);
        for fd in [listener, client, server, datagram] {
            assert_eq!(int_0x80(CLOSE, &[fd]), 0);
        }
    });
    let expected =
        ["socket", "bind", "listen", "socket", "connect", "accept4", "socket", "sendto", "sendmsg"];
    assert_eq!(names(&seen), expected);
    let port = seen[1].socket.local_port;
    for seen in &seen {
        assert_eq!(seen.call.abi, ABI_COMPAT);
        let is_new = ["socket", "accept4"].contains(&seen.name);
        // The descriptor was read from the caller's memory.
        assert_eq!(seen.grade, if is_new { grade::FD } else { grade::USER }, "{}", seen.name);
        assert_eq!(seen.socket.flags, if is_new { 0 } else { socket_flag::RACED }, "{}", seen.name);
    }
    assert_eq!(seen[0].call.args, [2, 1, 0, 0, 0, 0]);
    assert_eq!(seen[2].call.args[1], 8);
    assert_eq!((seen[4].socket.peer, seen[4].socket.peer_port), (LOOPBACK, port));
    assert_eq!(seen[5].socket.local_port, port);
    for index in [4, 7, 8] {
        assert_eq!(seen[index].given_address(), (2, port, &[127, 0, 0, 1][..]), "{}", seen[index].name);
    }
}

#[test]
fn by_numbers_of_their_own() {
    let seen = calls(|| {
        let mut low = Low::new();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = low.put(&ipv4([127, 0, 0, 1], server.local_addr().unwrap().port()));
        let datagrams_to = low.put(&ipv4([127, 0, 0, 1], datagrams.local_addr().unwrap().port()));
        let client = descriptor(int_0x80(SOCKET, &[2, 1, 0]));
        assert_eq!(int_0x80(CONNECT, &[client, to, 16]), 0);
        let text = low.put(b"text");
        let datagram = descriptor(int_0x80(SOCKET, &[2, 2, 0]));
        let part = low.put_words(&[text, 4]);
        let message = low.put_words(&[datagrams_to, 16, part, 1, 0, 0, 0]);
        assert_eq!(int_0x80(SENDTO, &[datagram, text, 4, 0, datagrams_to, 16]), 4);
        assert_eq!(int_0x80(SENDMSG, &[datagram, message, 0]), 4);
        let listener = descriptor(int_0x80(SOCKET, &[2, 1 | libc::SOCK_NONBLOCK as u32, 0]));
        let any = low.put(&ipv4([127, 0, 0, 1], 0));
        assert_eq!(int_0x80(BIND, &[listener, any, 16]), 0);
        assert_eq!(int_0x80(LISTEN, &[listener, 8]), 0);
        assert_eq!(int_0x80(ACCEPT4, &[listener, 0, 0, 0]), -libc::EAGAIN);
        for fd in [client, datagram, listener] {
            assert_eq!(int_0x80(CLOSE, &[fd]), 0);
        }
    });
    let expected = [
        "socket", "bind", "listen", "socket", "bind", "socket", "connect", "socket", "sendto", "sendmsg",
        "socket", "bind", "listen", "accept4",
    ];
    assert_eq!(names(&seen), expected);
    let (port, datagrams) = (seen[1].socket.local_port, seen[4].socket.local_port);
    for seen in &seen[5..] {
        assert_eq!(seen.call.abi, ABI_COMPAT);
        assert!(seen.name == "accept4" || seen.is_early() || seen.grade == grade::FD, "{}", seen.name);
    }
    seen[6].assert_connected(&[127, 0, 0, 1], port);
    for index in [8, 9] {
        assert_eq!(seen[index].given_address(), (2, datagrams, &[127, 0, 0, 1][..]));
    }
    assert_eq!(seen[13].call.result, -i64::from(libc::EAGAIN));
    assert_eq!(seen[13].grade, grade::NONE);
}
