//! Bytes of an agent: whatever they are, they are refused or they are a message that holds, and a
//! batch that holds becomes frames with just its records.
//!
//! `cargo +nightly fuzz run ingest`
#![no_main]

use std::sync::Arc;

use kestrel_collector::ingest::{decode::decode, definitions::Definitions, validate};
use kestrel_proto::v1::agent_message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = decode(data.to_vec().into()) else { return };
    match message.message {
        Some(Message::Hello(hello)) => drop(validate::hello(&hello)),
        Some(Message::Heartbeat(heartbeat)) => drop(validate::heartbeat(&heartbeat)),
        Some(Message::Inventory(inventory)) => drop(validate::inventory(&inventory)),
        Some(Message::Batch(batch)) if validate::batch(&batch).is_ok() => {
            let records = batch.records.len();
            let mut definitions = Definitions::new(Arc::default());
            if definitions.learn(&batch).is_ok() {
                let frames = definitions.complete(batch);
                assert_eq!(frames.iter().map(|frame| frame.records.len()).sum::<usize>(), records);
            }
        }
        Some(Message::Batch(_)) | None => {}
    }
});
