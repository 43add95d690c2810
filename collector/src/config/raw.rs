//! The file as written. Each value keeps its place, so that a value out of range is named with it.

use serde::Deserialize;
use settings::{Key, Spanned, sections};

use crate::alert::config::RawAlerts;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of configuration keys")]
#[expect(missing_docs, reason = "the keys are those of Config")]
pub struct RawConfig {
    pub data_dir: Key<String>,
    pub clusters: Option<Vec<Spanned<String>>>,
    pub grpc: Option<RawGrpc>,
    pub http: Option<RawHttp>,
    pub log_store: Option<RawLogStore>,
    pub quota: Option<RawQuota>,
    pub nodes: Option<RawNodes>,
    pub alerts: Option<RawAlerts>,
    pub log: Option<RawLog>,
}

sections! {
    /// `grpc`.
    RawGrpc { listen: String, tls: String, ca: String, certificate: String, key: String, crl: String }
    /// `http`.
    RawHttp { listen: String }
    /// `log_store`.
    RawLogStore { segment_bytes: String, max_bytes: String, max_age: String }
    /// `quota`.
    RawQuota { events_per_second: usize, bytes_per_second: String }
    /// `nodes`.
    RawNodes { silent_after: String }
    /// `log`.
    RawLog { level: String, format: String }
}
