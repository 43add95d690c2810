//! Messages to the collector, in which records and definitions stay the bytes they are: a nested
//! message and a byte string look the same on the wire.

use bytes::Bytes;
use kestrel_proto::v1;

/// `v1::AgentMessage`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AgentMessage {
    #[prost(oneof = "Payload", tags = "1, 2, 3, 4")]
    pub(super) payload: Option<Payload>,
}

/// What is in it.
#[expect(clippy::large_enum_variant, reason = "one at a time, and prost knows no box here")]
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Payload {
    #[prost(message, tag = "1")]
    Hello(v1::Hello),
    #[prost(message, tag = "2")]
    Batch(Batch),
    #[prost(message, tag = "3")]
    Inventory(v1::Inventory),
    #[prost(message, tag = "4")]
    Heartbeat(v1::Heartbeat),
}

impl From<Payload> for AgentMessage {
    fn from(payload: Payload) -> Self {
        Self { payload: Some(payload) }
    }
}

/// `v1::Batch`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Batch {
    #[prost(fixed64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(int32, tag = "2")]
    pub(super) lane: i32,
    #[prost(uint64, tag = "3")]
    pub(super) first_sequence: u64,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub(super) processes: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) containers: Vec<Bytes>,
    #[prost(bool, tag = "6")]
    pub(super) forget: bool,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) records: Vec<Bytes>,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_batch_of_bytes_is_the_contracts_batch() {
        let process = v1::Process {
            id: Some(v1::ProcessId { start_ticks: 1, tgid: 2, exec_id: Some(3) }),
            exe: Bytes::from_static(b"/bin/sh"),
            ..v1::Process::default()
        };
        let container = v1::Container { id: "c".repeat(64), cgroup: 7, ..v1::Container::default() };
        let record = v1::Record { boottime_ns: 5, wall_unix_ns: -1, ..v1::Record::default() };
        let ours = AgentMessage::from(Payload::Batch(Batch {
            epoch: u64::MAX,
            lane: v1::Lane::Detections.into(),
            first_sequence: 9,
            processes: vec![process.encode_to_vec().into()],
            containers: vec![container.encode_to_vec().into()],
            forget: true,
            records: vec![record.encode_to_vec().into(), Bytes::new()],
        }));
        let theirs = v1::AgentMessage {
            message: Some(v1::agent_message::Message::Batch(v1::Batch {
                epoch: u64::MAX,
                lane: v1::Lane::Detections.into(),
                first_sequence: 9,
                processes: vec![process],
                containers: vec![container],
                forget: true,
                records: vec![record, v1::Record::default()],
            })),
        };
        assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec());
    }

    #[test]
    fn the_other_messages_are_the_contracts() {
        use v1::agent_message::Message;
        let hello = v1::Hello { node: "n".to_owned(), ..v1::Hello::default() };
        let inventory = v1::Inventory { number: 3, ..v1::Inventory::default() };
        let heartbeat = v1::Heartbeat { healthy: true, ..v1::Heartbeat::default() };
        for (ours, theirs) in [
            (Payload::Hello(hello.clone()), Message::Hello(hello)),
            (Payload::Inventory(inventory.clone()), Message::Inventory(inventory)),
            (Payload::Heartbeat(heartbeat.clone()), Message::Heartbeat(heartbeat)),
        ] {
            let theirs = v1::AgentMessage { message: Some(theirs) };
            assert_eq!(AgentMessage::from(ours).encode_to_vec(), theirs.encode_to_vec());
        }
    }
}
