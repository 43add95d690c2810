//! What the first bytes of a connection speak: TLS (RFC 8446, RFC 6066), and to whom, or not.

use super::cursor::Cursor;

/// `ContentType.handshake`, and the lowest and highest of all content types.
const HANDSHAKE: u8 = 22;
const LOWEST_TYPE: u8 = 20;
const HIGHEST_TYPE: u8 = 24;
/// Most bytes of a record, with what protection adds (RFC 8446, 5.2).
const RECORD_BYTES: u16 = (1 << 14) + 256;
/// `HandshakeType`.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// `ExtensionType`.
const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;
const RANDOM_BYTES: usize = 32;

/// What a connection's first bytes are, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBytes<'a> {
    /// A client's first message.
    ClientHello(Hello<'a>),
    /// A server's first message.
    ServerHello(Hello<'a>),
    /// A record of TLS that is neither, such as an alert.
    Tls,
    /// Nothing of TLS: what is spoken can be read.
    Plain,
    /// Too few to tell.
    Unknown,
}

/// What a hello says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Highest version that the client offers, or the one that the server chose: 0x0304 for TLS 1.3.
    pub version: u16,
    /// Name of the server that the client asks for.
    pub server_name: ServerName<'a>,
    /// Whether all of it was there: the version may be wrong where it was not.
    pub is_whole: bool,
}

/// Name of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName<'a> {
    /// As the client wrote it: hostile bytes.
    Named(&'a [u8]),
    /// None was given.
    None,
    /// The message went on after what was captured.
    Unknown,
}

impl<'a> FirstBytes<'a> {
    /// Tells what a payload is.
    #[must_use]
    pub fn of(payload: &'a [u8]) -> Self {
        let mut cursor = Cursor::new(payload);
        let Some(content_type) = cursor.u8() else { return Self::Unknown };
        if !(LOWEST_TYPE..=HIGHEST_TYPE).contains(&content_type) {
            return Self::Plain;
        }
        let (Some(major), Some(minor), Some(len)) = (cursor.u8(), cursor.u8(), cursor.u16()) else {
            return Self::Unknown;
        };
        if major != 3 || minor > 4 || len == 0 || len > RECORD_BYTES {
            return Self::Plain;
        }
        if content_type != HANDSHAKE {
            return Self::Tls;
        }
        let captured = usize::from(len).min(cursor.left());
        let mut record = Cursor::new(cursor.take(captured).unwrap_or_default());
        let (Some(message_type), Some(message_len)) = (record.u8(), record.u24()) else {
            return Self::Tls;
        };
        // A message may go on in a further record: then it is not whole either.
        let is_whole = usize::try_from(message_len).is_ok_and(|len| len <= record.left());
        let captured = usize::try_from(message_len).unwrap_or(usize::MAX).min(record.left());
        let message = Cursor::new(record.take(captured).unwrap_or_default());
        match message_type {
            CLIENT_HELLO => Self::ClientHello(Hello::read(message, is_whole, client_parameters)),
            SERVER_HELLO => Self::ServerHello(Hello::read(message, is_whole, server_parameters)),
            _ => Self::Tls,
        }
    }
}

/// Skips what stands between the session's id and the extensions.
type Parameters = fn(&mut Cursor<'_>) -> Option<()>;

/// Cipher suites and compression methods.
fn client_parameters(message: &mut Cursor<'_>) -> Option<()> {
    let suites = message.u16()?;
    message.take(suites.into())?;
    let methods = message.u8()?;
    message.take(methods.into())?;
    Some(())
}

/// A cipher suite and a compression method.
fn server_parameters(message: &mut Cursor<'_>) -> Option<()> {
    message.take(3).map(|_| ())
}

impl<'a> Hello<'a> {
    fn read(mut message: Cursor<'a>, is_whole: bool, parameters: Parameters) -> Self {
        let unknown = if is_whole { ServerName::None } else { ServerName::Unknown };
        let mut hello = Self { version: 0, server_name: unknown, is_whole };
        let Some(version) = message.u16() else { return Self { is_whole: false, ..hello } };
        hello.version = version;
        if hello.read_extensions(&mut message, parameters).is_none() {
            // It was cut, or contradicts itself: what it would have said is not known.
            hello.is_whole = false;
            if hello.server_name == ServerName::None {
                hello.server_name = ServerName::Unknown;
            }
        }
        hello
    }

    /// `None` where they end early.
    fn read_extensions(&mut self, message: &mut Cursor<'a>, parameters: Parameters) -> Option<()> {
        message.take(RANDOM_BYTES)?;
        let session = message.u8()?;
        message.take(session.into())?;
        parameters(message)?;
        if message.left() == 0 {
            // Before TLS 1.3 there may be none.
            return Some(());
        }
        let len = usize::from(message.u16()?);
        let is_cut = len > message.left();
        let mut extensions = Cursor::new(message.take(len.min(message.left()))?);
        while extensions.left() != 0 {
            let (kind, len) = (extensions.u16()?, extensions.u16()?);
            let extension = Cursor::new(extensions.take(len.into())?);
            match kind {
                SERVER_NAME => self.server_name = server_name(extension),
                SUPPORTED_VERSIONS => {
                    self.version = highest_version(extension).unwrap_or(self.version);
                }
                _ => {}
            }
        }
        (!is_cut).then_some(())
    }
}

/// The first name of type `host_name`. An extension without one says nothing.
fn server_name(mut extension: Cursor<'_>) -> ServerName<'_> {
    const HOST_NAME: u8 = 0;
    let mut name = || {
        extension.u16()?;
        let kind = extension.u8()?;
        let len = extension.u16()?;
        let name = extension.take(len.into())?;
        (kind == HOST_NAME && !name.is_empty()).then_some(name)
    };
    name().map_or(ServerName::Unknown, ServerName::Named)
}

/// Of a client a list, of a server one. Values that mean nothing (RFC 8701) are left out.
fn highest_version(mut extension: Cursor<'_>) -> Option<u16> {
    if extension.left() == 2 {
        return extension.u16();
    }
    extension.u8()?;
    let mut highest = None;
    while let Some(version) = extension.u16() {
        if version >> 8 == 3 {
            highest = highest.max(Some(version));
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// With the extensions' bytes given.
    fn hello(message_type: u8, parameters: &[u8], extensions: &[u8]) -> Vec<u8> {
        let mut message = vec![3, 3];
        message.extend([7; RANDOM_BYTES]);
        message.push(0);
        message.extend(parameters);
        message.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        message.extend(extensions);
        let mut bytes = vec![22, 3, 1];
        bytes.extend(u16::try_from(message.len() + 4).unwrap().to_be_bytes());
        bytes.push(message_type);
        bytes.extend(&u32::try_from(message.len()).unwrap().to_be_bytes()[1..]);
        bytes.extend(message);
        bytes
    }

    fn client(extensions: &[u8]) -> Vec<u8> {
        hello(CLIENT_HELLO, b"\x00\x04\x13\x01\x13\x02\x01\x00", extensions)
    }

    /// GREASE, versions, a name.
    const EXTENSIONS: &[u8] = b"\x0a\x0a\x00\x00\x00\x2b\x00\x07\x06\x0a\x0a\x03\x04\x03\x03\
        \x00\x00\x00\x10\x00\x0e\x00\x00\x0bexample.org";

    #[test]
    fn a_client_s_hello_has_version_and_name() {
        let bytes = client(EXTENSIONS);
        let expected =
            Hello { version: 0x0304, server_name: ServerName::Named(b"example.org"), is_whole: true };
        assert_eq!(FirstBytes::of(&bytes), FirstBytes::ClientHello(expected));
    }

    #[test]
    fn no_name_is_not_an_unknown_name() {
        let bytes = client(b"\x00\x2b\x00\x03\x02\x03\x03");
        let expected = Hello { version: 0x0303, server_name: ServerName::None, is_whole: true };
        assert_eq!(FirstBytes::of(&bytes), FirstBytes::ClientHello(expected));
        let whole = client(EXTENSIONS);
        for len in 9..whole.len() {
            let FirstBytes::ClientHello(hello) = FirstBytes::of(&whole[..len]) else { panic!("at {len}") };
            assert_eq!((hello.server_name, hello.is_whole), (ServerName::Unknown, false), "{len}");
            assert_eq!(hello.version >> 8, if len < 11 { 0 } else { 3 });
        }
    }

    #[test]
    fn a_server_s_hello_has_the_version_it_chose() {
        let bytes = hello(SERVER_HELLO, b"\x13\x01\x00", b"\x00\x2b\x00\x02\x03\x04");
        let FirstBytes::ServerHello(chosen) = FirstBytes::of(&bytes) else { panic!("no hello") };
        assert_eq!((chosen.version, chosen.is_whole), (0x0304, true));
        // TLS 1.2 has it in the message itself.
        let bytes = hello(SERVER_HELLO, b"\xc0\x2f\x00", b"");
        assert!(matches!(FirstBytes::of(&bytes), FirstBytes::ServerHello(hello) if hello.version == 0x0303));
    }

    #[test]
    fn what_is_not_tls_is_plain() {
        for plain in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"SSH-2.0-x\r\n",
            b"\x16\x05\x01\x00\x10",
            b"\x00",
            b"\x16\x03\x01\xff\xff",
        ] {
            assert_eq!(FirstBytes::of(plain), FirstBytes::Plain, "{}", plain.escape_ascii());
        }
        assert_eq!(FirstBytes::of(b""), FirstBytes::Unknown);
        assert_eq!(FirstBytes::of(b"\x16\x03"), FirstBytes::Unknown);
        assert_eq!(FirstBytes::of(b"\x15\x03\x03\x00\x02\x02\x28"), FirstBytes::Tls);
    }

    #[test]
    fn a_name_that_was_read_before_the_end_is_known() {
        let name_first = [&EXTENSIONS[15..], &EXTENSIONS[..15]].concat();
        let whole = client(&name_first);
        let cut = &whole[..whole.len() - 3];
        let FirstBytes::ClientHello(hello) = FirstBytes::of(cut) else { panic!("no hello") };
        assert_eq!((hello.server_name, hello.is_whole), (ServerName::Named(b"example.org"), false));
    }

    #[test]
    fn a_message_that_contradicts_itself_has_no_known_name() {
        // The session's id is longer than the message.
        let mut bytes = client(EXTENSIONS);
        bytes[5 + 4 + 2 + RANDOM_BYTES] = 255;
        let FirstBytes::ClientHello(hello) = FirstBytes::of(&bytes) else { panic!("no hello") };
        assert_eq!((hello.server_name, hello.is_whole), (ServerName::Unknown, false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = FirstBytes::of(&bytes);
        }

        #[test]
        fn a_damaged_hello_is_something(at in 0..client(EXTENSIONS).len(), byte in any::<u8>(), len in 0_usize..200) {
            let mut bytes = client(EXTENSIONS);
            bytes[at] = byte;
            bytes.truncate(len);
            if let FirstBytes::ClientHello(Hello { server_name: ServerName::Named(name), .. }) = FirstBytes::of(&bytes) {
                prop_assert!(name.len() <= bytes.len());
            }
        }
    }
}
