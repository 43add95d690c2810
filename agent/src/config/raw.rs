//! The file as written. Each value keeps its place, so that a value out of range is named with it.

use serde::Deserialize;
use settings::{Key, Spanned, sections};

/// The file. `E` is one entry of `exemptions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of configuration keys")]
#[expect(missing_docs, reason = "the keys are those of Config")]
pub struct RawConfig<E> {
    pub node_name: Key<String>,
    pub state_dir: Key<String>,
    pub pin_dir: Key<String>,
    pub cri: Option<RawCri>,
    pub http: Option<RawHttp>,
    pub findings: Option<RawFindings>,
    pub rings: Option<RawRings>,
    pub streams: Option<RawStreams>,
    pub scan: Option<RawScan>,
    pub limits: Option<RawLimits>,
    pub log: Option<RawLog>,
    pub exemptions: Option<Vec<Spanned<E>>>,
}

// Not derived: that would ask for `E: Default`.
impl<E> Default for RawConfig<E> {
    fn default() -> Self {
        Self {
            node_name: None,
            state_dir: None,
            pin_dir: None,
            cri: None,
            http: None,
            findings: None,
            rings: None,
            streams: None,
            scan: None,
            limits: None,
            log: None,
            exemptions: None,
        }
    }
}

sections! {
    /// `cri`.
    RawCri { socket: String, timeout: String }
    /// `http`.
    RawHttp { listen: String }
    /// `findings`.
    RawFindings { file: String, quiet_time: String, name_wait: String }
    /// `rings`.
    RawRings { critical_bytes: String, bulk_bytes: String }
    /// `streams`.
    RawStreams { open: bool }
    /// `scan`.
    RawScan { interval: String }
    /// `limits`.
    RawLimits { processes: usize, containers: usize, cgroups: usize, findings: usize }
    /// `log`.
    RawLog { level: String, format: String }
}
