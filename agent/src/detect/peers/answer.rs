//! One answer: the name that was asked for, what it is an alias of, and the addresses at the end.

use std::net::IpAddr;

use crate::decode::dns::{CNAME, Data, Dns, DnsError, Name, Question};

/// Most names one after the other. Resolvers follow no more (BIND: 16).
const CHAIN: usize = 16;
/// Longest name that is kept (RFC 1035, 2.3.4); what takes more has bytes that no host's name has.
pub(super) const MOST_BYTES: usize = 255;

/// What an answer says. Its room is used again by the next one.
#[derive(Default)]
pub(super) struct Answer {
    /// The first `links` are the name that was asked for and its aliases, in their order.
    names: [String; CHAIN],
    links: usize,
    /// How long the way to each of them holds, in seconds.
    ttls: [u32; CHAIN],
    /// Each with the place of its name, and how long it holds.
    addresses: Vec<(IpAddr, usize, u32)>,
    text: String,
}

impl Answer {
    /// Reads an answer to a question.
    ///
    /// # Errors
    /// [`DnsError::Name`] where the name that was asked for is none of a host. [`DnsError::Short`] where the
    /// message has no end: what there is of it was read.
    pub(super) fn read(&mut self, dns: &Dns<'_>, question: &Question<'_>) -> Result<(), DnsError> {
        self.links = 0;
        self.addresses.clear();
        if !self.follow(question.name, u32::MAX) {
            return Err(DnsError::Name);
        }
        // Aliases mostly stand in their order, but nothing says that they must.
        loop {
            let links = self.links;
            for answer in dns.answers().map_while(Result::ok).filter(|answer| answer.kind == CNAME) {
                let Data::Name(target) = answer.data else { continue };
                self.write(answer.name);
                let last = self.links - 1;
                if self.names[last] == self.text {
                    let ttl = self.ttls[last].min(answer.ttl);
                    self.follow(target, ttl);
                }
            }
            if self.links == links {
                break;
            }
        }
        for answer in dns.answers() {
            let answer = answer?;
            let Data::Address(address) = answer.data else { continue };
            self.write(answer.name);
            let place = self.names[..self.links].iter().position(|name| *name == self.text);
            if let Some(place) = place {
                let ttl = self.ttls[place].min(answer.ttl);
                self.addresses.push((address.to_canonical(), place, ttl));
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Names of addresses.
    pub(super) fn len(&self) -> usize {
        self.addresses.iter().map(|(_, place, _)| place + 1).sum()
    }

    /// Each address with each of its names, and for how many seconds it has it.
    pub(super) fn each(&self, mut take: impl FnMut(IpAddr, &str, u32)) {
        for &(address, place, ttl) in &self.addresses {
            for name in &self.names[..=place] {
                take(address, name, ttl);
            }
        }
    }

    /// One more name of the chain; false where it is none of a host, or was there before.
    fn follow(&mut self, name: Name<'_>, ttl: u32) -> bool {
        self.write(name);
        let is_host = self.text != "." && self.text.len() <= MOST_BYTES;
        if self.links == CHAIN || !is_host || self.names[..self.links].contains(&self.text) {
            return false;
        }
        self.names[self.links].clone_from(&self.text);
        self.ttls[self.links] = ttl;
        self.links += 1;
        true
    }

    /// A name as rules write it: names are equal whatever the case of their letters.
    fn write(&mut self, name: Name<'_>) {
        self.text.clear();
        name.push_to(&mut self.text);
        self.text.make_ascii_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of records with whole names: owner, type, seconds, data.
    fn message(asked: &str, records: &[(&str, u16, u32, Vec<u8>)]) -> Vec<u8> {
        let count = u16::try_from(records.len()).unwrap();
        let mut bytes = vec![0, 7, 0x81, 0x80, 0, 1];
        bytes.extend(count.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(wire(asked));
        bytes.extend([0, 1, 0, 1]);
        for (owner, kind, ttl, data) in records {
            bytes.extend(wire(owner));
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(ttl.to_be_bytes());
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    fn wire(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        bytes
    }

    fn a(last: u8) -> Vec<u8> {
        vec![192, 0, 2, last]
    }

    fn read(bytes: &[u8]) -> (Result<(), DnsError>, Vec<String>) {
        let dns = Dns::parse(bytes).unwrap();
        let question = dns.questions().next().unwrap().unwrap();
        let mut answer = Answer::default();
        let result = answer.read(&dns, &question);
        let mut told = Vec::new();
        answer.each(|address, name, ttl| told.push(format!("{address} {name} {ttl}")));
        assert_eq!(told.len(), answer.len());
        (result, told)
    }

    #[test]
    fn an_address_has_the_name_that_was_asked_for_and_its_aliases() {
        let cname = |to: &str| wire(to);
        let records = [
            ("Pool.Example", CNAME, 300, cname("edge.example")),
            ("edge.example", CNAME, 20, cname("a1.example")),
            ("a1.example", 1, 60, a(1)),
            (
                "a1.example",
                28,
                60,
                "::ffff:192.0.2.2".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
            ),
            ("bank.example", 1, 60, a(3)),
        ];
        let expected = [
            "192.0.2.1 pool.example 20",
            "192.0.2.1 edge.example 20",
            "192.0.2.1 a1.example 20",
            "192.0.2.2 pool.example 20",
            "192.0.2.2 edge.example 20",
            "192.0.2.2 a1.example 20",
        ];
        let (result, told) = read(&message("pool.example", &records));
        assert_eq!(
            (result, told),
            (Ok(()), expected.map(String::from).to_vec()),
            "nobody asked for the bank"
        );

        let mut turned = records.to_vec();
        turned.reverse();
        let (_, mut told) = read(&message("pool.example", &turned));
        told.sort();
        let mut expected = expected.map(String::from).to_vec();
        expected.sort();
        assert_eq!(told, expected, "whatever their order");
    }

    #[test]
    fn aliases_in_a_circle_or_without_an_end_end() {
        let circle = [
            ("a.example", CNAME, 9, wire("b.example")),
            ("b.example", CNAME, 9, wire("a.example")),
            ("b.example", 1, 9, a(1)),
        ];
        assert_eq!(
            read(&message("a.example", &circle)).1,
            ["192.0.2.1 a.example 9", "192.0.2.1 b.example 9"]
        );
        let names: Vec<String> = (0..60).map(|place| format!("n{place}.example")).collect();
        let mut records: Vec<_> =
            names.windows(2).map(|pair| (pair[0].as_str(), CNAME, 9, wire(&pair[1]))).collect();
        records.push((&names[CHAIN - 1], 1, 9, a(1)));
        records.push((&names[CHAIN], 1, 9, a(2)));
        let told = read(&message(&names[0], &records)).1;
        assert_eq!(told.len(), CHAIN, "what lies behind is not followed");
        assert!(told.iter().all(|line| line.starts_with("192.0.2.1 ")));
    }

    #[test]
    fn what_there_is_of_a_message_that_was_cut_is_read() {
        let whole = message("a.example", &[("a.example", 1, 9, a(1)), ("a.example", 1, 9, a(2))]);
        let (result, told) = read(&whole[..whole.len() - 1]);
        assert_eq!((result, told), (Err(DnsError::Short), vec!["192.0.2.1 a.example 9".to_owned()]));
    }

    #[test]
    fn what_is_no_name_of_a_host_is_refused() {
        let mut root = message("x", &[]);
        // The root.
        root.splice(12..15, [0]);
        assert_eq!(read(&root).0, Err(DnsError::Name));
        let label = "\x01".repeat(63);
        let odd = message(&format!("{label}.{label}"), &[]);
        assert_eq!(read(&odd).0, Err(DnsError::Name), "504 bytes as text");
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_names(bytes in prop::collection::vec(any::<u8>(), 0..512), answers in 0_u8..70) {
            let mut bytes = bytes;
            let front = [0, 7, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0];
            bytes.splice(0..0, front);
            let dns = Dns::parse(&bytes).unwrap();
            let Some(Ok(question)) = dns.questions().next() else { return Ok(()) };
            let mut answer = Answer::default();
            let _ = answer.read(&dns, &question);
            prop_assert!(answer.addresses.len() <= 64 && answer.links <= CHAIN);
            prop_assert!(answer.len() <= 64 * CHAIN);
            let mut are_names = true;
            answer.each(|_, name, _| {
                are_names &= !name.is_empty()
                    && name.len() <= MOST_BYTES
                    && name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
            });
            prop_assert!(are_names);
        }

        #[test]
        fn a_message_gives_what_it_was_made_of(
            links in 0_usize..8,
            addresses in prop::collection::vec(any::<u8>(), 1..6),
            ttl in 0_u32..100_000,
            seed in any::<u64>(),
        ) {
            let names: Vec<String> = (0..=links).map(|place| format!("n{place}.example")).collect();
            let mut records: Vec<_> =
                names.windows(2).map(|pair| (pair[0].as_str(), CNAME, ttl, wire(&pair[1]))).collect();
            records.extend(addresses.iter().map(|&last| (names[links].as_str(), 1, ttl, a(last))));
            // In any order.
            let len = records.len();
            let turn = usize::try_from(seed % len as u64).unwrap();
            records.rotate_left(turn);
            if seed % 2 == 0 {
                records.reverse();
            }
            let (result, told) = read(&message(&names[0], &records));
            prop_assert_eq!(result, Ok(()));
            let mut told = told;
            told.sort();
            let mut expected: Vec<_> = addresses
                .iter()
                .flat_map(|last| names.iter().map(move |name| format!("192.0.2.{last} {name} {ttl}")))
                .collect();
            expected.sort();
            prop_assert_eq!(told, expected);
        }
    }
}
