//! Connections that rules judge by the names that their container asked name servers for.

use ::rules::{compile::Matching, load::Config};
use agent_abi::{
    map::RING_BULK,
    record::{Packet, SocketRef, Span, kind},
};

use super::{raw::record, *};
use crate::{
    detect::{RuleSet, Text, Users},
    telemetry::label::{DnsMessage, Label as _},
};

const RULES: &str = "
- rule: Pool
  desc: of miners
  condition: evt.type = connect and fd.rip.name endswith .pool.example
  output: to %fd.rip.name at %fd.rip
  priority: CRITICAL
- rule: Elsewhere
  desc: than allowed
  condition: evt.type = connect and not fd.sip.name in (w.example)
  output: elsewhere, at %fd.rip
  priority: NOTICE
";

/// Asks for the addresses of `a.pool.example`.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04pool\x07example\0\0\x01\0\x01";
/// It is an alias of `w.example`, which is 192.0.2.1; both hold for a minute.
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x01a\x04pool\x07example\0\0\x01\0\x01\
    \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01w\xc0\x13\xc0\x2c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
const MINUTE_NS: u64 = 60_000_000_000;

impl Node {
    fn with_names() -> Self {
        let mut node = Self::new(Processes::Off);
        let text = Text::new("rules.yaml", RULES);
        let rules = RuleSet::load(&[text], &Config::default(), Matching::All).unwrap();
        node.say(Message::Rules { rules: Arc::new(rules), users: Arc::new(Users::default()) });
        node.start(50);
        node.name("shop");
        node
    }

    /// A packet between a socket and the name server 10.0.0.10.
    fn dns(&mut self, cgroup_id: u64, is_sent: bool, message: &[u8]) {
        let mut peer = [0; 16];
        peer[..4].copy_from_slice(&[10, 0, 0, 10]);
        let socket = SocketRef {
            cookie: 7,
            peer,
            local_port: 40_001,
            peer_port: 53,
            family: 2,
            kind: 2,
            protocol: 17,
            ..SocketRef::default()
        };
        let len = size_of::<Packet>() + message.len();
        let packet = Packet {
            header: self.raw_header(kind::PACKET, RING_BULK, len),
            socket,
            cgroup_id,
            egress: u32::from(is_sent),
            length: u32::try_from(message.len()).unwrap(),
            payload: Span {
                offset: u16::try_from(size_of::<Packet>()).unwrap(),
                len: u16::try_from(message.len()).unwrap(),
            },
            ..Packet::default()
        };
        self.take(&record(&packet, message), len);
    }

    fn ask(&mut self) {
        self.dns(CGROUP, true, QUESTION);
        self.dns(CGROUP, false, ANSWER);
    }

    fn heard(&self) -> Vec<(DnsMessage, u64)> {
        let messages = &self.telemetry.peers.messages;
        let all = DnsMessage::ALL.iter().map(|of| (*of, messages.of(*of).get()));
        all.filter(|(_, number)| *number > 0).collect()
    }
}

const TO_POOL: &str = "Pool: to a.pool.example at 192.0.2.1";
const ELSEWHERE: &str = "Elsewhere: elsewhere, at 192.0.2.1";

#[test]
fn a_connection_has_the_name_that_was_asked_for_and_none_that_rules_let_pass() {
    let mut node = Node::with_names();
    node.ask();
    node.connect(50);
    assert_eq!(node.outputs(), [TO_POOL, ELSEWHERE], "what a container is told lets nothing pass");
    let names = &node.telemetry.peers;
    assert_eq!((names.learned.get(), names.known.get()), (2, 2));
    assert_eq!(node.heard(), [(DnsMessage::Question, 1), (DnsMessage::Answer, 1)]);
}

#[test]
fn what_comes_after_the_connection_or_was_not_asked_for_names_nothing() {
    let mut node = Node::with_names();
    node.dns(CGROUP, true, QUESTION);
    node.connect(50);
    assert_eq!(node.outputs(), [ELSEWHERE], "its answer is not there yet");
    node.dns(CGROUP, false, ANSWER);

    let mut node = Node::with_names();
    node.dns(CGROUP, false, ANSWER);
    node.connect(50);
    assert_eq!((node.outputs(), node.heard()), (vec![ELSEWHERE.into()], vec![(DnsMessage::Unasked, 1)]));

    let mut node = Node::with_names();
    node.dns(1, true, QUESTION);
    node.dns(1, false, ANSWER);
    node.connect(50);
    assert_eq!(node.outputs(), [ELSEWHERE], "the host asked");
    let mut other = ANSWER.to_vec();
    other[1] = 0x35;
    node.dns(CGROUP, true, QUESTION);
    node.dns(CGROUP, false, &other);
    node.dns(CGROUP, false, &ANSWER[..30]);
    node.dns(77, true, QUESTION);
    node.connect(50);
    assert_eq!(node.outputs(), Vec::<String>::new(), "repeats what was told");
    assert_eq!(node.telemetry.detect.matches.get(), 2);
    assert_eq!(
        node.heard(),
        [
            (DnsMessage::Question, 2),
            (DnsMessage::Answer, 1),
            (DnsMessage::Unasked, 1),
            (DnsMessage::Malformed, 1),
            (DnsMessage::Unowned, 1)
        ]
    );
}

#[test]
fn a_name_ends_some_minutes_after_its_answer() {
    let mut node = Node::with_names();
    node.ask();
    node.now += 4 * MINUTE_NS;
    node.connect(50);
    assert_eq!(node.outputs(), [TO_POOL, ELSEWHERE], "programs keep names for longer than they should");
    node.now += 2 * MINUTE_NS;
    node.connect(50);
    assert_eq!(node.outputs(), [ELSEWHERE]);
    node.now += MINUTE_NS;
    node.tick();
    let names = &node.telemetry.peers;
    assert_eq!((names.learned.get(), names.expired.get(), names.known.get()), (2, 2, 0));
}

#[test]
fn a_flood_of_answers_is_bounded_and_its_sums_balance() {
    let mut node = Node::with_names();
    for number in 0..5000_u16 {
        let [high, low] = number.to_be_bytes();
        let patched = |message: &[u8]| {
            let mut message = message.to_vec();
            message[..2].copy_from_slice(&[high, low]);
            message
        };
        let mut answer = patched(ANSWER);
        let end = answer.len();
        answer[end - 2..].copy_from_slice(&[high, low]);
        node.dns(CGROUP, true, &patched(QUESTION));
        node.dns(CGROUP, false, &answer);
    }
    let names = &node.telemetry.peers;
    assert_eq!(names.learned.get(), 10_000);
    assert_eq!(names.learned.get(), names.known.get() + names.evicted.get() + names.expired.get());
    assert_eq!(names.known.get(), 2048, "of one container");
    node.outputs();
    node.connect(50);
    assert_eq!(node.outputs(), [ELSEWHERE], "the oldest went");
}
