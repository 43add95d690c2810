//! Raw events for the tests.

use bytes::Bytes;
use kestrel_proto::v1::{self, record::Event};

use crate::data::HOSTILE;

pub(crate) fn actor() -> Option<v1::Actor> {
    let process = Some(v1::ProcessId { start_ticks: 5, tgid: 100, exec_id: Some(2) });
    Some(v1::Actor { process, tid: 101, container_id: None, cgroup: 42 })
}

fn call(name: &str, result: Option<i64>, args: &[u64]) -> Option<v1::Call> {
    Some(v1::Call {
        name: name.to_owned(),
        number: 257,
        abi: v1::CallAbi::Native.into(),
        via: v1::CallVia::SysExit.into(),
        result,
        args: args.to_vec(),
    })
}

fn hostile() -> Bytes {
    Bytes::from_static(HOSTILE.as_bytes())
}

pub(crate) fn opened() -> Event {
    Event::File(v1::FileEvent {
        actor: actor(),
        call: call("openat", Some(3), &[0xffff_ff9c, 0x7fff_0000, 0o1101]),
        path: b"/etc/shadow".to_vec().into(),
        grade: v1::Grade::Object.into(),
        file: Some(v1::File { inode: 9, mode: 0o100_640, upper_layer: Some(true), ..Default::default() }),
        open: Some(v1::OpenIntent { read: true, write: true, execute: false, flags: 0o102 }),
        fd: Some(3),
        ..Default::default()
    })
}

pub(crate) fn renamed() -> Event {
    let named = |path: Bytes, grade: v1::Grade, incomplete: bool| v1::NamedPath {
        path,
        grade: grade.into(),
        incomplete,
        ..Default::default()
    };
    Event::Path(v1::PathEvent {
        actor: actor(),
        call: call("renameat2", Some(-13), &[]),
        from: Some(named(hostile(), v1::Grade::User, false)),
        to: Some(named(Bytes::from_static(b"/sub/b"), v1::Grade::FdRaced, true)),
        text: Bytes::new(),
    })
}

pub(crate) fn traced() -> Event {
    let mut call = call("ptrace", None, &[16, 7]);
    call.iter_mut().for_each(|call| {
        call.set_abi(v1::CallAbi::Compat);
        call.set_via(v1::CallVia::SysEnter);
    });
    Event::Call(v1::CallEvent { actor: actor(), call, target_pid: 7, ..Default::default() })
}

pub(crate) fn loaded() -> Event {
    let bpf =
        v1::Bpf { command: "prog_load".to_owned(), r#type: Some(26), name: hostile(), attach_type: Some(24) };
    Event::Call(v1::CallEvent {
        actor: actor(),
        call: call("bpf", Some(5), &[5, 0x7fff_0000, 128]),
        bpf: Some(bpf),
        ..Default::default()
    })
}

fn address(ip: &str, port: u32) -> Option<v1::Address> {
    let family = v1::SocketFamily::Inet.into();
    Some(v1::Address { family, ip: ip.to_owned(), port, ..Default::default() })
}

fn socket() -> Option<v1::Socket> {
    Some(v1::Socket {
        family: v1::SocketFamily::Inet.into(),
        r#type: v1::SocketType::Stream.into(),
        protocol: 6,
        local: address("10.0.0.7", 41_000),
        peer: address("203.0.113.9", 443),
        ..Default::default()
    })
}

pub(crate) fn connected() -> Event {
    Event::Socket(v1::SocketEvent {
        actor: actor(),
        call: call("connect", Some(-115), &[3]),
        socket: socket(),
        grade: v1::Grade::Object.into(),
        given: address("203.0.113.10", 443),
        given_grade: v1::Grade::User.into(),
    })
}

pub(crate) fn state() -> Event {
    Event::SocketState(v1::SocketStateEvent {
        socket: socket(),
        from: v1::TcpState::SynSent.into(),
        to: v1::TcpState::Established.into(),
        cgroup: 42,
        container_id: Some("c".repeat(64)),
    })
}

pub(crate) fn hello() -> Event {
    Event::Packet(v1::PacketEvent {
        socket: socket(),
        egress: true,
        length: 517,
        payload: v1::Payload::TlsClientHello.into(),
        server_name: hostile(),
        container_id: Some("c".repeat(64)),
        ..Default::default()
    })
}

pub(crate) fn resolved() -> Event {
    let name = Bytes::from_static(b"evil.example");
    let dns = v1::Dns {
        response: true,
        questions: vec![v1::DnsQuestion { name: name.clone(), r#type: 1 }],
        answers: vec![v1::DnsAnswer { name, r#type: 1, ip: "203.0.113.9".to_owned(), target: hostile() }],
        ..Default::default()
    };
    Event::Packet(v1::PacketEvent {
        socket: socket().map(|socket| v1::Socket { protocol: 17, peer: address("10.0.0.2", 53), ..socket }),
        length: 46,
        payload: v1::Payload::Dns.into(),
        dns: Some(dns),
        container_id: Some("c".repeat(64)),
        ..Default::default()
    })
}

pub(crate) fn done() -> Event {
    Event::UringDone(v1::UringDone {
        actor: actor(),
        call: call("openat", None, &[]),
        result: -2,
        submitted_boottime_ns: 1,
        request: 0xffff_8880_0000_1000,
    })
}
