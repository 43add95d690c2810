//! What leaves the node, and how it gets to the collector.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use kestrel_tls::{Endpoint, Material};
use settings::{
    ConfigError, Key, Mistake, Problem,
    check::{Checker, bytes, duration},
    unit,
};

use super::raw::{RawOutbox, RawUplink};

const LANE_BYTES: RangeInclusive<u64> = (1 << 20)..=(64 << 30);
/// A pod has half a minute to end in.
const DRAIN_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(0)..=Duration::from_mins(5);

/// The way to the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// Where the collector is.
    pub endpoint: Endpoint,
    /// For an endpoint that is reached by TLS.
    pub tls: Option<Tls>,
    /// How long a stopping agent waits for the collector to take what is left.
    pub drain_timeout: Duration,
}

/// Who the agent is, and whom it believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The files.
    pub material: Material,
    /// Name in the collector's certificate; the endpoint's host where there is none.
    pub server_name: Option<String>,
}

/// Bytes that wait for the collector at most; beyond them the oldest go, and the collector is told
/// which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// Findings, gaps, notices; on disk.
    pub findings_bytes: u64,
    /// Detections and lifecycle; on disk.
    pub detections_bytes: u64,
    /// Raw file and network events; in memory.
    pub bulk_bytes: u64,
}

/// Something that is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// Time from one to the next.
    pub interval: Duration,
}

/// Checks `uplink`. Without an endpoint there is none.
pub(super) fn uplink(at: Checker<'_>, raw: RawUplink) -> Result<Option<Uplink>, ConfigError> {
    let RawUplink { endpoint: raw_endpoint, tls, server_name, ca, certificate, key, drain_timeout } = raw;
    let place = raw_endpoint.as_ref().map(|raw| (raw.referenced.line(), raw.referenced.column()));
    let mut endpoint = None;
    at.text("uplink.endpoint", raw_endpoint, |text| parse_endpoint(text).map(Some), &mut endpoint)?;
    let mut wants_tls = true;
    at.text("uplink.tls", tls, parse_switch, &mut wants_tls)?;
    let mut name = None;
    let parse_name = |text: &str| unit::parse_node_name(text).map(Some);
    at.text("uplink.server_name", server_name, parse_name, &mut name)?;
    let path = |key_name: &str, raw: Key<String>| {
        let mut path: Option<PathBuf> = None;
        at.text(key_name, raw, |text| unit::parse_path(text).map(Some), &mut path).map(|()| path)
    };
    let ca = path("uplink.ca", ca)?;
    let certificate = path("uplink.certificate", certificate)?;
    let key = path("uplink.key", key)?;
    let mut time = Duration::from_secs(10);
    at.text("uplink.drain_timeout", drain_timeout, duration(DRAIN_TIMEOUT), &mut time)?;

    let (Some(endpoint), Some((line, column))) = (endpoint, place) else { return Ok(None) };
    let mistake = |message: &str| {
        let problem = Problem::Value(message.to_owned());
        ConfigError::from(Mistake {
            file: at.file.to_owned(),
            line,
            column,
            key: "uplink.endpoint".into(),
            problem,
        })
    };
    let tls = match (endpoint.is_tls(), wants_tls) {
        (true, true) => match (ca, certificate, key) {
            (Some(ca), Some(certificate), Some(key)) => {
                Some(Tls { material: Material { ca, certificate, key, revoked: None }, server_name: name })
            }
            _ => return Err(mistake("https needs uplink.ca, uplink.certificate and uplink.key")),
        },
        (true, false) => return Err(mistake("https contradicts uplink.tls: off")),
        (false, true) if !endpoint.is_local() => {
            return Err(mistake(
                "plain text to another machine: say https, or uplink.tls: off where the network is to be trusted",
            ));
        }
        (false, _) => None,
    };
    Ok(Some(Uplink { endpoint, tls, drain_timeout: time }))
}

/// Checks `outbox`.
pub(super) fn outbox(at: Checker<'_>, raw: RawOutbox, into: &mut Outbox) -> Result<(), ConfigError> {
    let RawOutbox { findings_bytes, detections_bytes, bulk_bytes } = raw;
    at.text("outbox.findings_bytes", findings_bytes, bytes(LANE_BYTES), &mut into.findings_bytes)?;
    at.text("outbox.detections_bytes", detections_bytes, bytes(LANE_BYTES), &mut into.detections_bytes)?;
    at.text("outbox.bulk_bytes", bulk_bytes, bytes(LANE_BYTES), &mut into.bulk_bytes)
}

fn parse_endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: kestrel_tls::EndpointError| error.to_string())
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("expected on or off, got {text:?}")),
    }
}
