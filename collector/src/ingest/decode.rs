//! Bytes to messages, and how much memory that may take.
//!
//! A message of 4 MiB can say "an empty record" two million times, and each would take hundreds of
//! bytes. So the bytes are walked first, and what would come of them is added up.

use bytes::{Buf, Bytes};
use kestrel_proto::v1::{self, AgentMessage, CollectorMessage};
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::Refusal;

/// Most memory of one decoded message beside its bytes. A batch as agents send takes a tenth.
pub const MAX_DECODED_BYTES: usize = 32 << 20;

/// What a number of a list takes: the list grows by doubling.
const NUMBER_BYTES: usize = 2 * size_of::<u64>();

/// Decodes a message of an agent.
///
/// # Errors
/// When it is none, or would take too much memory.
pub fn decode(bytes: Bytes) -> Result<AgentMessage, Refusal> {
    let mut room = MAX_DECODED_BYTES;
    walk(&bytes, Kind::Message, &mut room)?;
    AgentMessage::decode(bytes).map_err(|error| Refusal::Invalid(format!("not a message: {error}")))
}

/// Messages that have lists in them.
#[derive(Clone, Copy)]
enum Kind {
    Message,
    Hello,
    Batch,
    Inventory,
    Heartbeat,
    Rules,
    Process,
    Record,
    Detection,
    Finding,
    /// A raw event that has a call.
    OfCall,
    Call,
    /// Numbers one after the other.
    Numbers,
    Packet,
    Dns,
    ContainerPosture,
    /// Has none.
    Leaf,
}

/// What the field of a message is, and what one takes beside its bytes.
fn field(kind: Kind, number: u64) -> Option<(Kind, usize)> {
    let text = (Kind::Leaf, size_of::<String>());
    Some(match (kind, number) {
        // One each; of several of them the parts are merged.
        (Kind::Message, 1) => (Kind::Hello, 0),
        (Kind::Message, 2) => (Kind::Batch, 0),
        (Kind::Message, 3) => (Kind::Inventory, 0),
        (Kind::Message, 4) => (Kind::Heartbeat, 0),
        (Kind::Record, 6) => (Kind::Detection, 0),
        (Kind::Record, 7) => (Kind::Finding, 0),
        (Kind::Record, 8..=11 | 14) => (Kind::OfCall, 0),
        (Kind::Record, 13) => (Kind::Packet, 0),
        (Kind::Heartbeat, 17) => (Kind::Rules, 0),
        (Kind::OfCall, 2) => (Kind::Call, 0),
        (Kind::Call, 6) => (Kind::Numbers, 0),
        (Kind::Packet, 7) => (Kind::Dns, 0),
        // Lists.
        (Kind::Hello, 7) => (Kind::Leaf, size_of::<v1::Epoch>()),
        (Kind::Batch, 4) => (Kind::Process, size_of::<v1::Process>()),
        (Kind::Batch, 5) => (Kind::Leaf, size_of::<v1::Container>()),
        (Kind::Batch, 7) => (Kind::Record, size_of::<v1::Record>()),
        (Kind::Process, 4) => (Kind::Leaf, size_of::<Bytes>()),
        (Kind::Dns, 4) => (Kind::Leaf, size_of::<v1::DnsQuestion>()),
        (Kind::Dns, 5) => (Kind::Leaf, size_of::<v1::DnsAnswer>()),
        (Kind::Detection, 3) | (Kind::Finding, 23) | (Kind::Heartbeat, 6) | (Kind::Rules, 7) => text,
        (Kind::Detection, 9) => (Kind::Leaf, size_of::<v1::DetectionField>()),
        (Kind::Detection, 10) => (Kind::Leaf, size_of::<v1::Ancestor>()),
        (Kind::Finding, 21) => (Kind::Leaf, size_of::<v1::FindingInstance>()),
        (Kind::Inventory, 7) => (Kind::ContainerPosture, size_of::<v1::ContainerPosture>()),
        (Kind::Inventory, 8) => (Kind::Finding, size_of::<v1::Finding>()),
        (Kind::ContainerPosture, 2) => (Kind::Leaf, size_of::<v1::ControlPosture>()),
        (Kind::Heartbeat, 7) => (Kind::Leaf, size_of::<v1::Coverage>()),
        (Kind::Heartbeat, 8) => (Kind::Leaf, size_of::<v1::HookCounters>()),
        (Kind::Heartbeat, 9) => (Kind::Leaf, size_of::<v1::QueueState>()),
        (Kind::Heartbeat, 10) => (Kind::Leaf, size_of::<v1::LaneState>()),
        _ => return None,
    })
}

/// Takes from `room` what the lists of a message would take.
fn walk(mut bytes: &[u8], kind: Kind, room: &mut usize) -> Result<(), Refusal> {
    let broken = || Refusal::Invalid("not a message: cut short or broken".to_owned());
    while !bytes.is_empty() {
        let key = varint(&mut bytes).ok_or_else(broken)?;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes).ok_or_else(broken)?;
                // A list of numbers may come number by number, too.
                if matches!(field(kind, key >> 3), Some((Kind::Numbers, _))) {
                    take(room, NUMBER_BYTES)?;
                }
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes).ok_or_else(broken)?).map_err(|_| broken())?,
            5 => 4,
            _ => return Err(broken()),
        };
        let (value, rest) = bytes.split_at_checked(length).ok_or_else(broken)?;
        bytes = rest;
        let Some((kind, takes)) = field(kind, key >> 3).filter(|_| key & 7 == 2) else { continue };
        match kind {
            Kind::Leaf => take(room, takes)?,
            // At least a byte each.
            Kind::Numbers => take(room, value.len() * NUMBER_BYTES)?,
            _ => {
                take(room, takes)?;
                walk(value, kind, room)?;
            }
        }
    }
    Ok(())
}

fn take(room: &mut usize, bytes: usize) -> Result<(), Refusal> {
    let over = Refusal::TooLarge { bytes: MAX_DECODED_BYTES + bytes, limit: MAX_DECODED_BYTES };
    *room = room.checked_sub(bytes).ok_or(over)?;
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// What the service speaks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AgentCodec;

impl Codec for AgentCodec {
    type Encode = CollectorMessage;
    type Decode = AgentMessage;
    type Encoder = ProstEncoder<CollectorMessage>;
    type Decoder = AgentDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<CollectorMessage, AgentMessage>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        AgentDecoder
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AgentDecoder;

impl Decoder for AgentDecoder {
    type Item = AgentMessage;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<AgentMessage>, Status> {
        // Not a copy: it is cut from the connection's buffer.
        let bytes = bytes.copy_to_bytes(bytes.remaining());
        Ok(Some(decode(bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use kestrel_proto::v1::{agent_message, record::Event};
    use proptest::prelude::*;

    use super::*;

    fn message(message: agent_message::Message) -> Bytes {
        AgentMessage { message: Some(message) }.encode_to_vec().into()
    }

    #[test]
    fn a_batch_as_agents_send_fits() {
        let record = v1::Record { boottime_ns: 1, ..v1::Record::default() };
        let process = v1::Process { argv: vec![Bytes::from_static(b"x"); 8], ..v1::Process::default() };
        let batch =
            v1::Batch { records: vec![record; 4096], processes: vec![process; 4096], ..v1::Batch::default() };
        decode(message(agent_message::Message::Batch(batch))).unwrap();
    }

    #[test]
    fn a_small_message_with_much_in_it_is_refused() {
        let records = v1::Batch { records: vec![v1::Record::default(); 1 << 20], ..v1::Batch::default() };
        let process = v1::Process { argv: vec![Bytes::new(); 2_000_000], ..v1::Process::default() };
        let arguments = v1::Batch { processes: vec![process], ..v1::Batch::default() };
        let findings = vec![v1::Finding::default(); 1 << 18];
        let inventory = v1::Inventory { findings, ..v1::Inventory::default() };
        let problems = vec![String::new(); 2_000_000];
        let numbers = v1::Call { args: vec![1; 2_200_000], ..v1::Call::default() };
        let numbers = v1::FileEvent { call: Some(numbers), ..v1::FileEvent::default() };
        let numbers = v1::Record { event: Some(Event::File(numbers)), ..v1::Record::default() };
        let numbers = v1::Batch { records: vec![numbers], ..v1::Batch::default() };
        let answers = v1::Dns { answers: vec![v1::DnsAnswer::default(); 1 << 20], ..v1::Dns::default() };
        let answers = v1::PacketEvent { dns: Some(answers), ..v1::PacketEvent::default() };
        let answers = v1::Record { event: Some(Event::Packet(answers)), ..v1::Record::default() };
        let answers = v1::Batch { records: vec![answers], ..v1::Batch::default() };
        let rules = v1::Rules { warnings: vec![String::new(); 2_000_000], ..v1::Rules::default() };
        let rules = v1::Heartbeat { rules: Some(rules), ..v1::Heartbeat::default() };
        let detected = |detection| {
            let event = Some(Event::Detection(detection));
            let records = vec![v1::Record { event, ..v1::Record::default() }];
            agent_message::Message::Batch(v1::Batch { records, ..v1::Batch::default() })
        };
        let fields = vec![v1::DetectionField::default(); 1 << 20];
        let ancestors = vec![v1::Ancestor::default(); 1 << 20];
        for bomb in [
            agent_message::Message::Heartbeat(rules),
            detected(v1::Detection { fields, ..v1::Detection::default() }),
            detected(v1::Detection { ancestors, ..v1::Detection::default() }),
            agent_message::Message::Batch(numbers),
            agent_message::Message::Batch(answers),
            agent_message::Message::Batch(records),
            agent_message::Message::Batch(arguments),
            agent_message::Message::Inventory(inventory),
            agent_message::Message::Heartbeat(v1::Heartbeat { problems, ..v1::Heartbeat::default() }),
        ] {
            let bytes = message(bomb);
            assert!(bytes.len() <= 4 << 20, "{}", bytes.len());
            assert!(matches!(decode(bytes), Err(Refusal::TooLarge { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode(bytes.into());
        }

        /// The walk must never refuse what prost takes, but for its size.
        #[test]
        fn the_walk_agrees_with_prost(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if AgentMessage::decode(bytes.as_slice()).is_ok() && !has_group(&bytes) {
                prop_assert!(decode(bytes.into()).is_ok());
            }
        }
    }

    /// Groups are of the protocol's past: prost skips them, we refuse them.
    fn has_group(bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| matches!(byte & 7, 3 | 4))
    }
}
