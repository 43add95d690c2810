//! The events that were recorded with Falco.

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use rules::event::JsonEvent;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::reference;

/// An event of the recording.
pub(crate) struct Recorded {
    pub(crate) number: u64,
    /// The names of its fields.
    pub(crate) names: Vec<String>,
    pub(crate) event: JsonEvent,
    /// The stable rules that Falco found it to match.
    pub(crate) expected: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    fields: Map<String, Value>,
    expected: Vec<String>,
}

/// The events in order, if the recording is there.
pub(crate) fn events() -> Option<Vec<Recorded>> {
    let packed = reference::bytes("session.events.jsonl.gz")?;
    let lines = BufReader::new(GzDecoder::new(packed.as_slice())).lines();
    let recorded = lines.map(|line| {
        let Line { fields, expected } = serde_json::from_str(&line.unwrap()).unwrap();
        Recorded {
            number: fields["evt.num"].as_u64().unwrap(),
            names: fields.keys().cloned().collect(),
            event: JsonEvent::new(fields),
            expected,
        }
    });
    Some(recorded.collect())
}
