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
    pub hooks: Key<String>,
    pub cri: Option<RawCri>,
    pub http: Option<RawHttp>,
    pub findings: Option<RawFindings>,
    pub rings: Option<RawRings>,
    pub rules: Option<RawRules>,
    pub streams: Option<RawStreams>,
    pub mute: Option<RawMute>,
    pub scan: Option<RawInterval>,
    pub inspect: Option<RawInterval>,
    pub limits: Option<RawLimits>,
    pub uplink: Option<RawUplink>,
    pub outbox: Option<RawOutbox>,
    pub inventory: Option<RawInterval>,
    pub heartbeat: Option<RawInterval>,
    pub canary: Option<RawInterval>,
    pub log: Option<RawLog>,
    pub policy: Key<String>,
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
            hooks: None,
            cri: None,
            http: None,
            findings: None,
            rings: None,
            rules: None,
            streams: None,
            mute: None,
            scan: None,
            inspect: None,
            limits: None,
            uplink: None,
            outbox: None,
            inventory: None,
            heartbeat: None,
            canary: None,
            log: None,
            policy: None,
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
    /// `rules`.
    RawRules {
        builtin: String,
        files: Vec<Spanned<String>>,
        interval: String,
        matching: String,
        min_priority: String,
        disable: Vec<Spanned<String>>,
        enable: Vec<Spanned<String>>,
        append: Vec<RawAddition>,
        peer_names: String,
        rate: usize,
        burst: usize,
        repeat_after: String
    }
    /// `mute`.
    RawMute { executables: Vec<Spanned<String>>, cgroups: Vec<Spanned<String>> }
    /// `scan`, `inspect`, `inventory`, `heartbeat`, `canary`.
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

/// An entry of `rules.append`, with the keys of Falco's `append_output`.
#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping of rule, tags, extra_output, extra_fields and extra_tags"
)]
pub struct RawAddition {
    /// The rule; absent: all.
    pub rule: Option<String>,
    /// Only rules that have all of them.
    pub tags: Option<Vec<String>>,
    /// What the output goes on with.
    pub extra_output: Option<String>,
    /// Fields that a detection has beside those of its output.
    pub extra_fields: Option<Vec<String>>,
    /// Further tags.
    pub extra_tags: Option<Vec<String>>,
}
