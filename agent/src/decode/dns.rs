//! DNS messages (RFC 1035), as far as a record holds them. Nothing is copied until a name is written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::cursor::Cursor;

/// Bytes of a message's header.
const HEADER_BYTES: usize = 12;
/// Most bytes of a name (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 255;
/// Most questions, and most answers, of which is told.
const MOST: u16 = 64;
/// Port of name servers, over UDP and TCP.
pub const PORT: u16 = 53;
/// Types of records (RFC 1035, RFC 3596).
const A: u16 = 1;
const NS: u16 = 2;
/// Type of a record that says of what name another is an alias.
pub const CNAME: u16 = 5;
const PTR: u16 = 12;
const AAAA: u16 = 28;
/// The internet's class.
const INTERNET: u16 = 1;

/// Why there is no more to be had of a message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DnsError {
    /// It goes on after what was captured.
    #[error("the message ends early")]
    Short,
    /// A name that is none: too long, or pointing elsewhere than back.
    #[error("the message has a name that cannot be")]
    Name,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dns<'a> {
    bytes: &'a [u8],
    /// What an answer has in common with its question.
    pub id: u16,
    /// Whether it answers.
    pub is_response: bool,
    /// Kind of question: 0 for a plain one.
    pub opcode: u8,
    /// Whether the sender cut it short.
    pub is_truncated: bool,
    /// Result: 0 for none, 3 where there is no such name.
    pub code: u8,
    questions: u16,
    answers: u16,
}

/// A name: where it stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    message: &'a [u8],
    at: usize,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name.
    pub name: Name<'a>,
    /// Type of record, such as 1 for A and 28 for AAAA.
    pub kind: u16,
    /// 1 for the internet.
    pub class: u16,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The name.
    pub name: Name<'a>,
    /// Type of record.
    pub kind: u16,
    /// How long it holds, in seconds.
    pub ttl: u32,
    /// The record.
    pub data: Data<'a>,
}

/// A record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// An address, of types A and AAAA.
    Address(IpAddr),
    /// Another name, of types CNAME, NS and PTR.
    Name(Name<'a>),
    /// Anything else, as it is.
    Other(&'a [u8]),
}

impl<'a> Dns<'a> {
    /// Reads the header of a message.
    ///
    /// # Errors
    /// When there is less than that.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DnsError> {
        let mut cursor = Cursor::new(bytes);
        let mut word = || cursor.u16().ok_or(DnsError::Short);
        let (id, flags, questions, answers, _, _) = (word()?, word()?, word()?, word()?, word()?, word()?);
        let nibble = |shift: u16| u8::try_from(flags >> shift & 0xf).unwrap_or_default();
        Ok(Self {
            bytes,
            id,
            is_response: flags & 0x8000 != 0,
            opcode: nibble(11),
            is_truncated: flags & 0x0200 != 0,
            code: nibble(0),
            questions,
            answers,
        })
    }

    /// The message in a packet. Over TCP its length stands in front (RFC 1035, 4.2.2).
    #[must_use]
    pub fn message(payload: &'a [u8], is_tcp: bool) -> &'a [u8] {
        if is_tcp { payload.get(2..).unwrap_or_default() } else { payload }
    }

    /// What it asks, or what it answers to. Ends after an error.
    pub fn questions(&self) -> impl Iterator<Item = Result<Question<'a>, DnsError>> + use<'a> {
        Items { message: self.bytes, at: HEADER_BYTES, left: self.questions.min(MOST), next: question }
    }

    /// What it answers. Ends after an error.
    pub fn answers(&self) -> impl Iterator<Item = Result<Answer<'a>, DnsError>> + use<'a> {
        let mut at = HEADER_BYTES;
        let mut questions = 0;
        while questions < self.questions {
            match question(self.bytes, at) {
                Ok((_, end)) => at = end,
                // The first answer fails the same way.
                Err(_) => break,
            }
            questions += 1;
        }
        let is_lost = questions < self.questions;
        let at = if is_lost { self.bytes.len() } else { at };
        Items { message: self.bytes, at, left: self.answers.min(MOST), next: answer }
    }
}

/// Reads an item at a place, and says where the next one begins.
type Read<'a, T> = fn(&'a [u8], usize) -> Result<(T, usize), DnsError>;

struct Items<'a, T> {
    message: &'a [u8],
    at: usize,
    left: u16,
    next: Read<'a, T>,
}

impl<T> Iterator for Items<'_, T> {
    type Item = Result<T, DnsError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        match (self.next)(self.message, self.at) {
            Ok((item, end)) => {
                self.at = end;
                Some(Ok(item))
            }
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }
}

fn question(message: &[u8], at: usize) -> Result<(Question<'_>, usize), DnsError> {
    let (name, end) = Name::read(message, at)?;
    let mut cursor = Cursor::new(message.get(end..).unwrap_or_default());
    let (Some(kind), Some(class)) = (cursor.u16(), cursor.u16()) else { return Err(DnsError::Short) };
    Ok((Question { name, kind, class }, end + 4))
}

fn answer(message: &[u8], at: usize) -> Result<(Answer<'_>, usize), DnsError> {
    let (name, end) = Name::read(message, at)?;
    let mut cursor = Cursor::new(message.get(end..).unwrap_or_default());
    let (Some(kind), Some(class), Some(ttl), Some(len)) =
        (cursor.u16(), cursor.u16(), cursor.u32(), cursor.u16())
    else {
        return Err(DnsError::Short);
    };
    let bytes = cursor.take(usize::from(len)).ok_or(DnsError::Short)?;
    let start = end + 10;
    let data = match (kind, bytes) {
        (A, &[a, b, c, d]) if class == INTERNET => Data::Address(Ipv4Addr::new(a, b, c, d).into()),
        (AAAA, bytes) if class == INTERNET && bytes.len() == 16 => {
            let octets: [u8; 16] = bytes.try_into().unwrap_or_default();
            Data::Address(Ipv6Addr::from(octets).into())
        }
        (CNAME | NS | PTR, _) => Data::Name(Name::read(message, start)?.0),
        (_, bytes) => Data::Other(bytes),
    };
    Ok((Answer { name, kind, ttl, data }, start + usize::from(len)))
}

impl<'a> Name<'a> {
    /// The name at a place, and what follows it there.
    fn read(message: &'a [u8], at: usize) -> Result<(Self, usize), DnsError> {
        let mut end = None;
        walk(message, at, |step| {
            if let Step::End(at) = step {
                end.get_or_insert(at);
            }
        })?;
        Ok((Self { message, at }, end.ok_or(DnsError::Name)?))
    }

    /// Appends it as it is written (RFC 1035, 5.1): labels with dots between them, and bytes that are
    /// not plain text as `\` and three digits. The root is `.`.
    pub fn push_to(&self, text: &mut String) {
        let start = text.len();
        // It was walked before.
        let _ = walk(self.message, self.at, |step| {
            let Step::Label(label) = step else { return };
            if text.len() != start {
                text.push('.');
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
                    0x21..=0x7e => text.push(char::from(byte)),
                    _ => text.extend(['\\', digit(byte / 100), digit(byte / 10 % 10), digit(byte % 10)]),
                }
            }
        });
        if text.len() == start {
            text.push('.');
        }
    }
}

fn digit(digit: u8) -> char {
    char::from(b'0' + digit)
}

enum Step<'a> {
    Label(&'a [u8]),
    /// Where what follows the name stands.
    End(usize),
}

/// Goes through a name. Pointers lead back only, and the name is no longer than a name may be, so this
/// ends.
fn walk<'a>(message: &'a [u8], at: usize, mut each: impl FnMut(Step<'a>)) -> Result<(), DnsError> {
    let (mut at, mut floor, mut bytes) = (at, at, 0);
    loop {
        let mut cursor = Cursor::new(message.get(at..).ok_or(DnsError::Short)?);
        let len = cursor.u8().ok_or(DnsError::Short)?;
        match len {
            0 => {
                each(Step::End(at + 1));
                return Ok(());
            }
            1..=63 => {
                let label = cursor.take(usize::from(len)).ok_or(DnsError::Short)?;
                bytes += label.len() + 1;
                if bytes >= NAME_BYTES {
                    return Err(DnsError::Name);
                }
                each(Step::Label(label));
                at += label.len() + 1;
            }
            0xc0.. => {
                let low = cursor.u8().ok_or(DnsError::Short)?;
                each(Step::End(at + 2));
                let to = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                if to >= floor {
                    return Err(DnsError::Name);
                }
                (at, floor) = (to, to);
            }
            // Kinds of labels that nobody uses.
            _ => return Err(DnsError::Name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `name` asked for, and answered by an alias, an address of either kind and a text.
    fn message() -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 4, 0, 0, 0, 0];
        bytes.extend(b"\x03www\x07example\x03org\x00\x00\x01\x00\x01");
        // A pointer to the name asked for.
        bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x05\x02w2\xc0\x10");
        bytes.extend(b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07");
        bytes.extend(b"\xc0\x2d\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10");
        bytes.extend(Ipv6Addr::LOCALHOST.octets());
        bytes.extend(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x01\x00\x03\x02hi");
        bytes
    }

    fn text(name: Name<'_>) -> String {
        let mut text = String::new();
        name.push_to(&mut text);
        text
    }

    #[test]
    fn reads_what_is_asked_and_answered() {
        let bytes = message();
        let dns = Dns::parse(&bytes).unwrap();
        assert_eq!((dns.id, dns.is_response, dns.opcode, dns.code), (0x1234, true, 0, 0));
        assert!(!dns.is_truncated);
        let questions: Vec<_> = dns.questions().map(Result::unwrap).collect();
        assert_eq!(questions.len(), 1);
        assert_eq!((text(questions[0].name).as_str(), questions[0].kind), ("www.example.org", A));
        let answers: Vec<_> = dns.answers().map(Result::unwrap).collect();
        let names: Vec<_> = answers.iter().map(|answer| text(answer.name)).collect();
        assert_eq!(names, ["www.example.org", "w2.example.org", "w2.example.org", "www.example.org"]);
        assert!(matches!(answers[0].data, Data::Name(name) if text(name) == "w2.example.org"));
        assert_eq!(answers[1].data, Data::Address(IpAddr::from([192, 0, 2, 7])));
        assert_eq!(answers[2].data, Data::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(answers[3].data, Data::Other(b"\x02hi"));
        assert_eq!((answers[0].ttl, answers[3].kind), (60, 16));
    }

    #[test]
    fn a_message_that_was_cut_gives_what_there_is_and_says_so() {
        let whole = message();
        for len in 0..whole.len() {
            let Ok(dns) = Dns::parse(&whole[..len]) else {
                assert!(len < HEADER_BYTES);
                continue;
            };
            let answers: Vec<_> = dns.answers().collect();
            assert_eq!(answers.last(), Some(&Err(DnsError::Short)), "{len}");
            assert!(answers[..answers.len() - 1].iter().all(Result::is_ok));
        }
    }

    #[test]
    fn pointers_that_do_not_lead_back_are_refused() {
        for pointer in [b"\xc0\x0c", b"\xc0\x0d", b"\xff\xff"] {
            let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            bytes.extend(pointer);
            bytes.extend([0, 1, 0, 1, 0, 0]);
            let dns = Dns::parse(&bytes).unwrap();
            assert_eq!(dns.questions().next(), Some(Err(DnsError::Name)));
        }
    }

    #[test]
    fn a_name_is_no_longer_than_names_are() {
        let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for _ in 0..5 {
            bytes.push(63);
            bytes.extend([b'a'; 63]);
        }
        bytes.extend([0, 0, 1, 0, 1]);
        assert_eq!(Dns::parse(&bytes).unwrap().questions().next(), Some(Err(DnsError::Name)));
    }

    #[test]
    fn names_are_plain_text_whatever_they_hold() {
        let mut bytes = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
        bytes.extend(b"\x06a.\\\x1b\xff \x00\x00\x01\x00\x01\x00\x00\x01\x00\x01");
        let dns = Dns::parse(&bytes).unwrap();
        let names: Vec<_> = dns.questions().map(|question| text(question.unwrap().name)).collect();
        assert_eq!(names, ["a\\.\\\\\\027\\255\\032", "."]);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(dns) = Dns::parse(&bytes) {
                let questions = dns.questions().filter_map(Result::ok).map(|question| question.name);
                let answers = dns.answers().filter_map(Result::ok).flat_map(|answer| match answer.data {
                    Data::Name(name) => vec![answer.name, name],
                    _ => vec![answer.name],
                });
                for name in questions.chain(answers) {
                    let text = text(name);
                    prop_assert!(text.len() <= 4 * NAME_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()));
                }
                prop_assert!(dns.questions().count() <= usize::from(MOST));
                prop_assert!(dns.answers().count() <= usize::from(MOST));
            }
        }

        #[test]
        fn a_damaged_message_ends(at in 0..message().len(), byte in any::<u8>()) {
            let mut bytes = message();
            bytes[at] = byte;
            let dns = Dns::parse(&bytes).unwrap();
            for answer in dns.answers().filter_map(Result::ok) {
                text(answer.name);
            }
        }
    }
}
