//! Bytes of an agent: whatever they are, they are refused or they are a message that holds. As
//! `fuzz/fuzz_targets/ingest.rs`, in the small.

use bytes::Bytes;
use kestrel_collector::ingest::{decode::decode, definitions::Definitions, validate};
use kestrel_proto::v1::{self, AgentMessage, agent_message::Message, record::Event};
use proptest::prelude::*;
use prost::Message as _;

fn take(bytes: Vec<u8>) {
    let Ok(AgentMessage { message: Some(message) }) = decode(bytes.into()) else { return };
    match message {
        Message::Hello(hello) => drop(validate::hello(&hello)),
        Message::Heartbeat(heartbeat) => drop(validate::heartbeat(&heartbeat)),
        Message::Inventory(inventory) => drop(validate::inventory(&inventory)),
        Message::Batch(batch) => {
            if validate::batch(&batch).is_err() {
                return;
            }
            let records = batch.records.len();
            let mut definitions = Definitions::new(std::sync::Arc::default());
            if definitions.learn(&batch).is_ok() {
                let frames = definitions.complete(batch);
                assert_eq!(frames.iter().map(|frame| frame.records.len()).sum::<usize>(), records);
            }
        }
    }
}

/// A message with something of everything in it.
fn seed() -> Vec<u8> {
    let id = v1::ProcessId { start_ticks: 1, tgid: 2, exec_id: Some(3) };
    let process = v1::Process {
        id: Some(id),
        argv: vec![Bytes::from_static(b"sh"), Bytes::from_static(b"-c")],
        container_id: Some("ab".to_owned()),
        ..v1::Process::default()
    };
    let container = v1::Container { id: "ab".to_owned(), ..v1::Container::default() };
    let finding = v1::Finding {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        state: 1,
        verdict: 4,
        severity: 4,
        control: Some(v1::Control { slug: "privileged".to_owned(), ..v1::Control::default() }),
        instances: vec![v1::FindingInstance {
            verdict: 4,
            process: Some(id),
            ..v1::FindingInstance::default()
        }],
        ..v1::Finding::default()
    };
    let detection = v1::Detection {
        rule: "Shell in a container".to_owned(),
        severity: 4,
        priority: 5,
        tags: vec!["T1059".to_owned()],
        process: Some(id),
        container_id: Some("ab".to_owned()),
        fields: vec![v1::DetectionField { name: "proc.name".to_owned(), value: Some("sh".to_owned()) }],
        ancestors: vec![v1::Ancestor {
            pid: 1,
            comm: Bytes::from_static(b"init"),
            ..v1::Ancestor::default()
        }],
        object: Some(v1::detection::Object::Peer(v1::Address {
            ip: "10.0.0.1".to_owned(),
            ..v1::Address::default()
        })),
        ..v1::Detection::default()
    };
    let events = [
        Event::Exec(v1::Exec { process: Some(id), filename: Bytes::from_static(b"/bin/sh") }),
        Event::Exit(v1::Exit { process: Some(id), status: 256 }),
        Event::Finding(finding),
        Event::Detection(detection),
        Event::Gap(v1::Gap {
            epoch: 1,
            lane: 2,
            from_sequence: 1,
            to_sequence: 3,
            reason: 1,
            ..v1::Gap::default()
        }),
    ];
    let records = events.map(|event| v1::Record { boottime_ns: 4, wall_unix_ns: 5, event: Some(event) });
    let batch = v1::Batch {
        epoch: 6,
        lane: 1,
        first_sequence: 7,
        processes: vec![process],
        containers: vec![container],
        forget: true,
        records: records.to_vec(),
    };
    validate::batch(&batch).expect("the seed is a batch that holds");
    AgentMessage { message: Some(Message::Batch(batch)) }.encode_to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        take(bytes);
    }

    #[test]
    fn a_message_that_was_changed(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = seed();
        for (at, value) in changes {
            let length = bytes.len();
            bytes[at.index(length)] = value;
        }
        take(bytes.clone());
        bytes.truncate(cut.index(bytes.len()));
        take(bytes);
    }
}
