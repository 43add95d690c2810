//! From the file as written to a configuration that holds.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use kestrel_tls::Material;
use settings::{
    ConfigError, Mistake, Problem,
    check::{Checker, bytes, duration, number},
    log, unit,
};

use super::{
    Config, Grpc, Security,
    raw::{RawConfig, RawGrpc, RawHttp, RawLog, RawLogStore, RawNodes, RawQuota},
    value,
};

const SEGMENT_BYTES: RangeInclusive<u64> = (1 << 20)..=(1 << 30);
const LOG_BYTES: RangeInclusive<u64> = (16 << 20)..=(1 << 44);
const LOG_AGE: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 3660);
const EVENTS_PER_SECOND: RangeInclusive<usize> = 100..=10_000_000;
const BYTES_PER_SECOND: RangeInclusive<u64> = (64 << 10)..=(10 << 30);
const SILENT_AFTER: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(24);

/// What the file says over the defaults.
pub(super) fn check(file: &Path, raw: RawConfig) -> Result<Config, ConfigError> {
    let at = Checker { file };
    let mut config = Config::default();
    let RawConfig { data_dir, clusters, grpc, http, log_store, quota, nodes, alerts, log: raw_log } = raw;
    at.text("data_dir", data_dir, unit::parse_path, &mut config.data_dir)?;
    for (index, cluster) in clusters.unwrap_or_default().into_iter().enumerate() {
        let mut name = String::new();
        at.text(&format!("clusters[{index}]"), Some(cluster), value::cluster, &mut name)?;
        config.clusters.push(name);
    }
    config.grpc = check_grpc(at, grpc.unwrap_or_default(), config.grpc)?;

    let RawHttp { listen } = http.unwrap_or_default();
    at.text("http.listen", listen, value::http_listen, &mut config.http.listen)?;

    let RawLogStore { segment_bytes, max_bytes, max_age } = log_store.unwrap_or_default();
    let store = &mut config.log_store;
    at.text(
        "log_store.segment_bytes",
        segment_bytes,
        |text| bytes(SEGMENT_BYTES)(text),
        &mut store.segment_bytes,
    )?;
    at.text("log_store.max_bytes", max_bytes, |text| bytes(LOG_BYTES)(text), &mut store.max_bytes)?;
    at.text("log_store.max_age", max_age, duration(LOG_AGE), &mut store.max_age)?;

    let RawQuota { events_per_second, bytes_per_second } = quota.unwrap_or_default();
    let quota = &mut config.quota;
    let events = |value| number(EVENTS_PER_SECOND)(value).map(|events| events as u64);
    at.field("quota.events_per_second", events_per_second, events, &mut quota.events_per_second)?;
    at.text(
        "quota.bytes_per_second",
        bytes_per_second,
        bytes(BYTES_PER_SECOND),
        &mut quota.bytes_per_second,
    )?;

    let RawNodes { silent_after } = nodes.unwrap_or_default();
    at.text("nodes.silent_after", silent_after, duration(SILENT_AFTER), &mut config.nodes.silent_after)?;

    config.alerts = alerts.unwrap_or_default().check(at)?;

    let RawLog { level, format } = raw_log.unwrap_or_default();
    at.text("log.level", level, log::parse_level, &mut config.log.level)?;
    at.text("log.format", format, log::parse_format, &mut config.log.format)?;
    Ok(config)
}

fn check_grpc(at: Checker<'_>, raw: RawGrpc, mut grpc: Grpc) -> Result<Grpc, ConfigError> {
    let RawGrpc { listen, tls, ca, certificate, key, crl } = raw;
    at.text("grpc.listen", listen, value::grpc_listen, &mut grpc.listen)?;
    let mut spoken = None;
    at.text("grpc.tls", tls, |text| value::switch(text).map(Some), &mut spoken)?;
    let path = |text: &str| unit::parse_path(text).map(Some);
    let [mut ca_file, mut certificate_file, mut key_file, mut revoked] = [const { None::<PathBuf> }; 4];
    at.text("grpc.ca", ca, path, &mut ca_file)?;
    at.text("grpc.certificate", certificate, path, &mut certificate_file)?;
    at.text("grpc.key", key, path, &mut key_file)?;
    at.text("grpc.crl", crl, path, &mut revoked)?;
    let none = ca_file.is_none() && certificate_file.is_none() && key_file.is_none() && revoked.is_none();
    grpc.security = match (spoken, ca_file, certificate_file, key_file) {
        (Some(false), ..) if none => Security::Off,
        (Some(false), ..) => {
            return Err(mistake(
                at.file,
                "grpc.tls",
                "off, and there are files for it: give one or the other",
            ));
        }
        (_, Some(ca), Some(certificate), Some(key)) => {
            Security::Tls(Material { ca, certificate, key, revoked })
        }
        (_, None, None, None) if none => Security::Local,
        _ => return Err(mistake(at.file, "grpc", "ca, certificate and key are needed together")),
    };
    Ok(grpc)
}

/// Plain text on an address that others can reach has to be asked for.
pub(super) fn reachable(file: &Path, config: &Config) -> Result<(), ConfigError> {
    let Grpc { listen, security } = &config.grpc;
    if *security == Security::Local && !listen.is_local() {
        return Err(mistake(
            file,
            "grpc.listen",
            "other machines can reach it: give ca, certificate and key, or say tls: off to let everybody in",
        ));
    }
    if config.log_store.max_bytes < 2 * config.log_store.segment_bytes {
        return Err(mistake(file, "log_store.max_bytes", "expected at least two segments"));
    }
    Ok(())
}

fn mistake(file: &Path, key: &str, message: &str) -> ConfigError {
    let problem = Problem::Value(message.to_owned());
    Mistake { file: file.to_owned(), line: 0, column: 0, key: key.to_owned(), problem }.into()
}
