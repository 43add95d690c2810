//! What the first bytes of a connection are. The bytes themselves stay on the node: they may be
//! anything, secrets among them.

use std::net::IpAddr;

use agent_abi::record::SocketRef;
use bytes::Bytes;
use kestrel_proto::v1;

use super::call::copy;
use crate::decode::{
    dns::{self, Data, Dns, DnsError, Name},
    tls::{FirstBytes, Hello, ServerName},
};

/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// The highest opcode that there is (RFC 8490).
const OPCODE: u8 = 6;

/// Says in `event` what its payload is.
pub(super) fn tell(payload: &[u8], socket: &SocketRef, event: &mut v1::PacketEvent) {
    if payload.is_empty() {
        return;
    }
    if [socket.local_port, socket.peer_port].contains(&dns::PORT) {
        event.dns = told_dns(Dns::message(payload, socket.protocol == TCP));
        let kind = if event.dns.is_some() { v1::Payload::Dns } else { v1::Payload::NotDns };
        event.set_payload(kind);
        return;
    }
    let kind = match FirstBytes::of(payload) {
        FirstBytes::ClientHello(hello) => {
            said(&hello, event);
            v1::Payload::TlsClientHello
        }
        FirstBytes::ServerHello(hello) => {
            said(&hello, event);
            v1::Payload::TlsServerHello
        }
        FirstBytes::Tls => v1::Payload::Tls,
        FirstBytes::Plain => plain(payload),
        FirstBytes::Unknown => v1::Payload::Unspecified,
    };
    event.set_payload(kind);
}

fn said(hello: &Hello<'_>, event: &mut v1::PacketEvent) {
    event.tls_version = hello.version.into();
    event.incomplete = !hello.is_whole;
    if let ServerName::Named(name) = hello.server_name {
        event.server_name = copy(name);
    }
}

fn plain(payload: &[u8]) -> v1::Payload {
    const HTTP: [&[u8]; 11] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"CONNECT ",
        b"TRACE ",
        b"HTTP/1.",
        b"PRI * HTTP/2",
    ];
    if payload.starts_with(b"SSH-") {
        v1::Payload::Ssh
    } else if HTTP.iter().any(|start| payload.starts_with(start)) {
        v1::Payload::Http
    } else {
        v1::Payload::Unspecified
    }
}

/// `None`: it is no DNS message, whatever port it goes to.
fn told_dns(message: &[u8]) -> Option<v1::Dns> {
    let dns = Dns::parse(message).ok().filter(|dns| dns.opcode <= OPCODE)?;
    if matches!(dns.questions().next(), Some(Err(DnsError::Name))) {
        return None;
    }
    let mut said = v1::Dns {
        id: dns.id.into(),
        response: dns.is_response,
        response_code: dns.code.into(),
        incomplete: dns.is_truncated,
        ..v1::Dns::default()
    };
    for question in dns.questions() {
        match question {
            Ok(question) => said
                .questions
                .push(v1::DnsQuestion { name: text(question.name), r#type: question.kind.into() }),
            Err(_) => said.incomplete = true,
        }
    }
    for answer in dns.answers() {
        match answer {
            Ok(answer) => {
                let (ip, target) = match answer.data {
                    Data::Address(ip) => (IpAddr::to_string(&ip), Bytes::new()),
                    Data::Name(name) => (String::new(), text(name)),
                    Data::Other(_) => (String::new(), Bytes::new()),
                };
                let name = text(answer.name);
                said.answers.push(v1::DnsAnswer { name, r#type: answer.kind.into(), ip, target });
            }
            Err(_) => said.incomplete = true,
        }
    }
    Some(said)
}

fn text(name: Name<'_>) -> Bytes {
    let mut text = String::new();
    name.push_to(&mut text);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(payload: &[u8], port: u16, protocol: u16) -> v1::PacketEvent {
        let mut event = v1::PacketEvent::default();
        let socket = SocketRef { peer_port: port, protocol, ..SocketRef::default() };
        tell(payload, &socket, &mut event);
        event
    }

    #[test]
    fn kinds_are_told_by_first_bytes() {
        for (payload, kind) in [
            (&b""[..], v1::Payload::Unspecified),
            (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", v1::Payload::TlsServerHello),
            (b"\x17\x03\x03\x00\x10xxxx", v1::Payload::Tls),
            (b"GET / HTTP/1.1\r\n", v1::Payload::Http),
            (b"SSH-2.0-OpenSSH", v1::Payload::Ssh),
            (b"\x00\x01\x02", v1::Payload::Unspecified),
        ] {
            let event = told(payload, 443, TCP);
            assert_eq!((event.payload(), event.dns), (kind, None), "{payload:?}");
        }
        assert_eq!(told(b"GET / HTTP/1.1\r\n", dns::PORT, 17).payload(), v1::Payload::NotDns);
    }

    #[test]
    fn names_and_answers_of_dns_are_told() {
        let message = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x04evil\x03c\x1b2\0\0\x01\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xcb\0\x71\x09\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x0c";
        let event = told(message, dns::PORT, 17);
        let name = Bytes::from_static(b"evil.c\\0272");
        let answer = |kind, ip: &str, target| v1::DnsAnswer {
            name: name.clone(),
            r#type: kind,
            ip: ip.to_owned(),
            target,
        };
        let expected = v1::Dns {
            id: 0x1234,
            response: true,
            questions: vec![v1::DnsQuestion { name: name.clone(), r#type: 1 }],
            answers: vec![answer(1, "203.0.113.9", Bytes::new()), answer(5, "", name.clone())],
            ..v1::Dns::default()
        };
        assert_eq!((event.payload(), event.dns), (v1::Payload::Dns, Some(expected)));
        let framed = [b"\0\x4a", &message[..]].concat();
        assert_eq!(told(&framed, dns::PORT, TCP).dns.unwrap().answers.len(), 2);
        let cut = told(&message[..50], dns::PORT, 17).dns.unwrap();
        assert!(cut.incomplete && cut.questions.len() == 1);
        assert_eq!(told(&message[..11], dns::PORT, 17).payload(), v1::Payload::NotDns);
    }
}
