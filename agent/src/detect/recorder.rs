//! Recordings: each event that rules want as a line of JSON, by Falco's fields. Secrets in arguments are
//! replaced, as in all that leaves the node.

use std::sync::{
    Arc,
    mpsc::{SyncSender, TrySendError},
};

use rules::{
    eval::Fields as _,
    field::{Field, Kind, Reference},
    value::{Scalar, Value},
};
use serde_json::{Map, Number, Value as Json};

use super::{field::ARGUMENTS, subject::Subject};
use crate::telemetry::Telemetry;

/// Writes what the detector meets to whoever keeps it.
#[derive(Debug)]
pub struct Recorder {
    lines: SyncSender<String>,
    references: Vec<Reference>,
    telemetry: Arc<Telemetry>,
}

impl Recorder {
    /// To the other end of a bounded channel. What finds no room there is counted.
    #[must_use]
    pub fn new(lines: SyncSender<String>, telemetry: Arc<Telemetry>) -> Self {
        let fields = Field::all().filter_map(|field| Reference::parse(field.definition().name, None).ok());
        let arguments =
            ARGUMENTS.iter().filter_map(|name| Reference::parse(&format!("evt.arg.{name}"), None).ok());
        Self { lines, references: fields.chain(arguments).collect(), telemetry }
    }

    /// `subject` is as it is shown.
    pub(super) fn record(&self, subject: &Subject<'_>) {
        let mut fields = Map::new();
        for reference in &self.references {
            let json = match subject.field(reference) {
                Value::Missing | Value::Pending => continue,
                Value::One(scalar) => one(&scalar, reference.kind()),
                Value::Many(scalars) => {
                    Json::Array(scalars.iter().map(|scalar| one(scalar, reference.kind())).collect())
                }
            };
            fields.insert(reference.text().to_owned(), json);
        }
        let recorded = &self.telemetry.detect.recorded;
        match self.lines.try_send(Json::Object(fields).to_string()) {
            Ok(()) => recorded.add(1),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.telemetry.detect.unrecorded.add(1);
            }
        }
    }
}

fn one(scalar: &Scalar<'_>, kind: Kind) -> Json {
    match scalar {
        Scalar::Bool(value) => Json::Bool(*value),
        Scalar::Int(number) => Json::from(*number),
        Scalar::UInt(number) => Json::from(*number),
        Scalar::Double(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        // Only addresses are read back as such.
        Scalar::Address(address) if matches!(kind, Kind::Address | Kind::Network) => {
            Json::String(address.to_string())
        }
        Scalar::Text(_) | Scalar::Address(_) => {
            Json::String(String::from_utf8_lossy(&scalar.to_text()).into_owned())
        }
    }
}
