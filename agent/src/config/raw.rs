//! The file as written. Each value keeps its place, so that a value out of range is named with it.

use serde::Deserialize;
use settings::{Key, Spanned, sections};

/// The file. `E` is one entry of `exemptions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of configuration keys")]
#[expect(missing_docs, reason = "the keys are those of Config")]
pub struct RawConfig<E> {
    pub cluster: Key<String>,
    pub node_name: Key<String>,
    pub state_dir: Key<String>,
    pub pin_dir: Key<String>,
    pub cri: Option<RawCri>,
    pub http: Option<RawHttp>,
    pub findings: Option<RawFindings>,
    pub rings: Option<RawRings>,
    pub streams: Option<RawStreams>,
    pub mute: Option<RawMute>,
    pub scan: Option<RawInterval>,
    pub limits: Option<RawLimits>,
    pub uplink: Option<RawUplink>,
    pub outbox: Option<RawOutbox>,
    pub inventory: Option<RawInterval>,
    pub heartbeat: Option<RawInterval>,
    pub canary: Option<RawInterval>,
    pub log: Option<RawLog>,
    pub exemptions: Option<Vec<Spanned<E>>>,
}

// Not derived: that would ask for `E: Default`.
impl<E> Default for RawConfig<E> {
    fn default() -> Self {
        Self {
            cluster: None,
            node_name: None,
            state_dir: None,
            pin_dir: None,
            cri: None,
            http: None,
            findings: None,
            rings: None,
            streams: None,
            mute: None,
            scan: None,
            limits: None,
            uplink: None,
            outbox: None,
            inventory: None,
            heartbeat: None,
            canary: None,
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
    RawStreams {
        processes: String,
        files: String,
        files_only: String,
        files_below: Vec<Spanned<String>>,
        network: String,
        system: String,
        signals: String,
        rate: usize,
        burst: usize
    }
    /// `mute`.
    RawMute { executables: Vec<Spanned<String>>, cgroups: Vec<Spanned<String>> }
    /// `scan`, `inventory`, `heartbeat`, `canary`.
    RawInterval { interval: String }
    /// `limits`.
    RawLimits { processes: usize, containers: usize, cgroups: usize, findings: usize }
    /// `uplink`.
    RawUplink {
        endpoint: String,
        tls: String,
        server_name: String,
        ca: String,
        certificate: String,
        key: String,
        drain_timeout: String
    }
    /// `outbox`.
    RawOutbox { findings_bytes: String, detections_bytes: String, bulk_bytes: String }
    /// `log`.
    RawLog { level: String, format: String }
}
