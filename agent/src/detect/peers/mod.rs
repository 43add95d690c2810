//! Names of peers, from the answers of name servers: what a container asked for is what it calls an
//! address afterwards. Each container has its own, so that none names addresses for another.
//!
//! ```text
//! packet ─▶ questions: what was asked, of whom, by which socket
//!        └▶ answer: the name that was asked for, its aliases, their addresses
//!                └▶ addresses: bounded, until they expire
//! ```
//!
//! Question, answer and connection come by one ring, in which they stand in the order of their
//! happening: nobody connects to an answer that was not received.

mod addresses;
mod answer;
mod questions;

use std::{
    hash::BuildHasher as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use agent_abi::record::SocketRef;
use hashbrown::HashMap;

use self::{
    addresses::Addresses,
    answer::{Answer, MOST_BYTES},
    questions::{Asked, Questions},
};
use crate::{
    context::{ContainerKey, Context, Whose},
    decode::{
        Packet,
        dns::{self, Dns, DnsError, Question},
    },
    telemetry::{PeerNames as Counters, label::DnsMessage},
};

/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// `AF_INET`.
const INET: u16 = 2;
/// Most names of addresses, on the node and of one container.
const NAMES: usize = 16_384;
const NAMES_OF_ONE: usize = 2048;
/// Most questions that wait for their answer.
const QUESTIONS: usize = 8192;
/// A name holds as long as its record says, within these bounds: programs keep names for longer than
/// they should, and nobody may fill the table for years.
const LEAST_NS: u64 = 5 * 60 * 1_000_000_000;
const MOST_NS: u64 = 24 * 60 * 60 * 1_000_000_000;
/// What has expired is kept so long, for events that wait.
const GRACE_NS: u64 = 60 * 1_000_000_000;
/// How often it is looked what has expired.
const SWEEP_NS: u64 = 60 * 1_000_000_000;

/// Whose names: a container's, or the host's.
pub(super) type Owner = Option<ContainerKey>;

/// Names of addresses, by who asked for them.
pub(super) struct PeerNames {
    owners: HashMap<Owner, OfOne>,
    /// Over all owners.
    known: usize,
    asked: usize,
    answer: Answer,
    /// A name as it was read.
    text: String,
    swept_ns: u64,
}

/// What one container asked, and was answered.
#[derive(Default)]
struct OfOne {
    questions: Questions,
    addresses: Addresses,
}

impl PeerNames {
    pub(super) fn new() -> Self {
        Self {
            owners: HashMap::new(),
            known: 0,
            asked: 0,
            answer: Answer::default(),
            text: String::with_capacity(MOST_BYTES),
            swept_ns: 0,
        }
    }

    /// Takes a packet, if it is of a name server.
    pub(super) fn take(&mut self, packet: &Packet<'_>, context: &Context, at_ns: u64, counters: &Counters) {
        let socket = &packet.record.socket;
        if socket.peer_port == dns::PORT {
            let message = self.hear(packet, context, at_ns, counters);
            counters.messages.of(message).add(1);
        } else if socket.local_port == dns::PORT {
            counters.messages.of(DnsMessage::Served).add(1);
        }
        counters.known.set(self.known as u64);
    }

    /// All that an address was called at a moment, what was asked for first.
    pub(super) fn of(&self, owner: Owner, address: IpAddr, at_ns: u64) -> impl Iterator<Item = &str> {
        let addresses = self.owners.get(&owner).map(|of_one| &of_one.addresses);
        addresses.into_iter().flat_map(move |addresses| addresses.names(address, at_ns))
    }

    /// Forgets what has expired, and containers that are gone.
    pub(super) fn tick(&mut self, context: &Context, now_ns: u64, counters: &Counters) {
        if now_ns.saturating_sub(self.swept_ns) < SWEEP_NS {
            return;
        }
        self.swept_ns = now_ns;
        let (mut known, mut asked) = (0, 0);
        self.owners.retain(|owner, of_one| {
            let is_there = owner.is_none_or(|key| context.container(key).is_some());
            if is_there {
                of_one.addresses.expire(now_ns.saturating_sub(GRACE_NS));
                of_one.questions.expire(now_ns);
            } else {
                *of_one = OfOne::default();
            }
            known += of_one.addresses.len();
            asked += of_one.questions.len();
            of_one.addresses.len() + of_one.questions.len() > 0
        });
        counters.expired.add((self.known - known) as u64);
        (self.known, self.asked) = (known, asked);
        counters.known.set(known as u64);
    }

    fn hear(
        &mut self,
        packet: &Packet<'_>,
        context: &Context,
        at_ns: u64,
        counters: &Counters,
    ) -> DnsMessage {
        let record = packet.record;
        let message = Dns::message(packet.payload, record.socket.protocol == TCP);
        let Ok(dns) = Dns::parse(message) else { return DnsMessage::Malformed };
        if dns.opcode != 0 || dns.is_response == (record.egress != 0) {
            return DnsMessage::Other;
        }
        let mut questions = dns.questions();
        let (Some(Ok(question)), None) = (questions.next(), questions.next()) else {
            return DnsMessage::Malformed;
        };
        let owner = match context.whose_socket(record.cgroup_id) {
            Whose::Container(key) => Some(key),
            Whose::Host => None,
            Whose::Unknown => return DnsMessage::Unowned,
        };
        let asked = self.asked(&dns, &question, &record.socket, at_ns);
        if !dns.is_response {
            return self.note(owner, asked);
        }
        let Some(of_one) = self.owners.get_mut(&owner) else { return DnsMessage::Unasked };
        if !of_one.questions.take(&asked) {
            return DnsMessage::Unasked;
        }
        self.asked -= 1;
        match self.answer.read(&dns, &question) {
            Ok(()) => {}
            Err(DnsError::Short) => counters.cut.add(1),
            Err(DnsError::Name) => return DnsMessage::Malformed,
        }
        if dns.code != 0 || self.answer.is_empty() {
            return DnsMessage::Empty;
        }
        self.learn(owner, at_ns, counters);
        DnsMessage::Answer
    }

    fn asked(&mut self, dns: &Dns<'_>, question: &Question<'_>, socket: &SocketRef, at_ns: u64) -> Asked {
        self.text.clear();
        question.name.push_to(&mut self.text);
        // Some senders mix the cases of letters, and some servers do not keep them.
        self.text.make_ascii_lowercase();
        let hash = self.owners.hasher().hash_one((self.text.as_str(), question.kind));
        Asked { cookie: socket.cookie, peer: address(socket), id: dns.id, hash, at_ns }
    }

    fn note(&mut self, owner: Owner, asked: Asked) -> DnsMessage {
        if self.asked == QUESTIONS {
            return DnsMessage::Full;
        }
        let questions = &mut self.owners.entry(owner).or_default().questions;
        let before = questions.len();
        questions.note(asked);
        self.asked = self.asked + questions.len() - before;
        DnsMessage::Question
    }

    fn learn(&mut self, owner: Owner, at_ns: u64, counters: &Counters) {
        let most = self.answer.len();
        if self.known + most > NAMES {
            self.make_room(most, counters);
        }
        let Self { owners, known, answer, .. } = self;
        let addresses = &mut owners.entry(owner).or_default().addresses;
        let before = addresses.len();
        let (mut learned, mut evicted) = (0, 0);
        answer.each(|address, name, ttl| {
            if addresses.len() >= NAMES_OF_ONE {
                evicted += addresses.evict();
            }
            let until_ns = at_ns + (u64::from(ttl) * 1_000_000_000).clamp(LEAST_NS, MOST_NS);
            let change = addresses.learn(address, name, at_ns, until_ns);
            learned += change.learned;
            evicted += change.evicted;
        });
        *known = *known + addresses.len() - before;
        counters.learned.add(learned as u64);
        counters.evicted.add(evicted as u64);
    }

    /// Lets the oldest go of whoever has most: a container that fills the table fills its own part.
    fn make_room(&mut self, wanted: usize, counters: &Counters) {
        while self.known + wanted > NAMES {
            let largest = self.owners.values_mut().max_by_key(|of_one| of_one.addresses.len());
            let Some(OfOne { addresses, .. }) = largest.filter(|of_one| of_one.addresses.len() > 0) else {
                return;
            };
            // A part at once, so that not every answer looks for whom.
            let target = addresses.len() - addresses.len().div_ceil(4);
            let before = addresses.len();
            while addresses.len() > target {
                addresses.evict();
            }
            let evicted = before - addresses.len();
            self.known -= evicted;
            counters.evicted.add(evicted as u64);
        }
    }
}

/// The other end.
fn address(socket: &SocketRef) -> IpAddr {
    let [a, b, c, d, ..] = socket.peer;
    if socket.family == INET {
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(socket.peer).to_canonical()
    }
}
