//! What the first bytes of a connection are. The bytes themselves stay on the node: they may be
//! anything, secrets among them.

use kestrel_proto::v1;

/// Port of DNS.
const DNS: u16 = 53;
/// `IPPROTO_TCP`: there a DNS message has its length in front.
const TCP: u16 = 6;
/// Bytes of a DNS message's header.
const DNS_HEADER: usize = 12;

/// By the first bytes, and the ports for what has no sign of its own.
pub(super) fn classify(payload: &[u8], ports: [u16; 2], protocol: u16) -> v1::Payload {
    if payload.is_empty() {
        return v1::Payload::Unspecified;
    }
    if ports.contains(&DNS) {
        let message = if protocol == TCP { payload.get(2..).unwrap_or_default() } else { payload };
        return if is_dns(message) { v1::Payload::Dns } else { v1::Payload::NotDns };
    }
    match payload {
        // handshake, version 3.x, two bytes of length, client_hello or server_hello (RFC 8446, 5.1).
        [22, 3, _, _, _, 1, ..] => v1::Payload::TlsClientHello,
        [22, 3, _, _, _, 2, ..] => v1::Payload::TlsServerHello,
        [20..=23, 3, 0..=4, ..] => v1::Payload::Tls,
        payload if payload.starts_with(b"SSH-") => v1::Payload::Ssh,
        payload if is_http(payload) => v1::Payload::Http,
        _ => v1::Payload::Unspecified,
    }
}

/// A header of which the counts can be: at most one question, and no opcode above those there are.
fn is_dns(message: &[u8]) -> bool {
    let Some(header) = message.first_chunk::<DNS_HEADER>() else { return false };
    let opcode = header[2] >> 3 & 15;
    let questions = u16::from_be_bytes([header[4], header[5]]);
    opcode <= 6 && questions <= 1
}

fn is_http(payload: &[u8]) -> bool {
    const STARTS: [&[u8]; 11] = [
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
    STARTS.iter().any(|start| payload.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_first_bytes() {
        let web = [40_000, 443];
        let dns = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for (payload, ports, protocol, kind) in [
            (&b""[..], web, TCP, v1::Payload::Unspecified),
            (b"\x16\x03\x01\x02\x00\x01\x00", web, TCP, v1::Payload::TlsClientHello),
            (b"\x16\x03\x03\x00\x7a\x02\x00", web, TCP, v1::Payload::TlsServerHello),
            (b"\x17\x03\x03\x00\x10xxxx", web, TCP, v1::Payload::Tls),
            (b"GET / HTTP/1.1\r\n", web, TCP, v1::Payload::Http),
            (b"SSH-2.0-OpenSSH", web, TCP, v1::Payload::Ssh),
            (b"\x00\x01\x02", web, TCP, v1::Payload::Unspecified),
            (&dns, [50_000, 53], 17, v1::Payload::Dns),
            (b"GET / HTTP/1.1\r\n", [50_000, 53], 17, v1::Payload::NotDns),
        ] {
            assert_eq!(classify(payload, ports, protocol), kind, "{payload:?}");
        }
    }
}
