//! From the file as written to a configuration that holds.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use settings::{
    check::{Checker, duration, number},
    log, unit,
};

use super::{
    Config, ConfigError, Every, Located, delivery,
    raw::{RawConfig, RawCri, RawFindings, RawHttp, RawInterval, RawLimits, RawLog, RawRings},
    rules, streams, value,
};

/// Kernel pages are at most 64 KiB, so a power of two from there on is a multiple of any.
const RING_BYTES: RangeInclusive<u64> = (64 << 10)..=(1 << 30);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);
const QUIET_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const INSPECT_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(1);
const SCAN_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);
const INVENTORY_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);
const HEARTBEAT_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);
/// Its answer is waited for five seconds.
const CANARY_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(1);
const ENTRIES: RangeInclusive<usize> = 64..=(1 << 20);

/// Puts what the file says over `config`.
pub(super) fn check<E>(
    file: &Path,
    raw: RawConfig<E>,
    mut config: Config<E>,
) -> Result<Config<E>, ConfigError> {
    let at = Checker { file };
    let RawConfig {
        cluster,
        node_name,
        state_dir,
        pin_dir,
        hooks,
        cri,
        http,
        findings,
        rings,
        rules: raw_rules,
        streams: raw_streams,
        mute,
        scan,
        inspect,
        limits,
        uplink,
        outbox,
        inventory,
        heartbeat,
        canary,
        log: raw_log,
        policy,
        exemptions,
    } = raw;
    at.text("cluster", cluster, unit::parse_node_name, &mut config.cluster)?;
    at.text("node_name", node_name, unit::parse_node_name, &mut config.node_name)?;
    at.text("state_dir", state_dir, unit::parse_path, &mut config.state_dir)?;
    at.text("pin_dir", pin_dir, unit::parse_path, &mut config.pin_dir)?;
    at.text("hooks", hooks, value::hooks, &mut config.hooks)?;

    let RawCri { socket, timeout } = cri.unwrap_or_default();
    at.text("cri.socket", socket, value::cri_socket, &mut config.cri.socket)?;
    at.text("cri.timeout", timeout, duration(TIMEOUT), &mut config.cri.timeout)?;

    let RawHttp { listen } = http.unwrap_or_default();
    at.text("http.listen", listen, value::listen, &mut config.http.listen)?;

    let RawFindings { file, quiet_time, name_wait } = findings.unwrap_or_default();
    at.text("findings.file", file, |text| unit::parse_path(text).map(Some), &mut config.findings.file)?;
    at.text("findings.quiet_time", quiet_time, duration(QUIET_TIME), &mut config.findings.quiet_time)?;
    at.text("findings.name_wait", name_wait, duration(TIMEOUT), &mut config.findings.name_wait)?;

    let RawRings { critical_bytes, bulk_bytes } = rings.unwrap_or_default();
    at.text("rings.critical_bytes", critical_bytes, ring_bytes, &mut config.rings.critical_bytes)?;
    at.text("rings.bulk_bytes", bulk_bytes, ring_bytes, &mut config.rings.bulk_bytes)?;

    rules::rules(at, raw_rules.unwrap_or_default(), &mut config.rules)?;
    streams::streams(at, raw_streams.unwrap_or_default(), &mut config.streams)?;
    streams::mute(at, mute.unwrap_or_default(), &mut config.mute)?;

    every(at, "scan.interval", scan, SCAN_INTERVAL, &mut config.scan)?;
    every(at, "inspect.interval", inspect, INSPECT_INTERVAL, &mut config.inspect)?;

    let RawLimits { processes, containers, cgroups, findings } = limits.unwrap_or_default();
    at.field("limits.processes", processes, number(ENTRIES), &mut config.limits.processes)?;
    at.field("limits.containers", containers, number(ENTRIES), &mut config.limits.containers)?;
    at.field("limits.cgroups", cgroups, number(ENTRIES), &mut config.limits.cgroups)?;
    at.field("limits.findings", findings, number(ENTRIES), &mut config.limits.findings)?;

    config.uplink = delivery::uplink(at, uplink.unwrap_or_default())?;
    delivery::outbox(at, outbox.unwrap_or_default(), &mut config.outbox)?;
    every(at, "inventory.interval", inventory, INVENTORY_INTERVAL, &mut config.inventory)?;
    every(at, "heartbeat.interval", heartbeat, HEARTBEAT_INTERVAL, &mut config.heartbeat)?;
    every(at, "canary.interval", canary, CANARY_INTERVAL, &mut config.canary)?;

    let RawLog { level, format } = raw_log.unwrap_or_default();
    at.text("log.level", level, log::parse_level, &mut config.log.level)?;
    at.text("log.format", format, log::parse_format, &mut config.log.format)?;

    at.text("policy", policy, |text| unit::parse_path(text).map(Some), &mut config.policy)?;
    let exemptions = exemptions.unwrap_or_default().into_iter();
    config.exemptions.extend(exemptions.map(|entry| Located::new(at.file, entry)));
    Ok(config)
}

fn every(
    at: Checker<'_>,
    key: &str,
    raw: Option<RawInterval>,
    range: RangeInclusive<Duration>,
    into: &mut Every,
) -> Result<(), ConfigError> {
    let RawInterval { interval } = raw.unwrap_or_default();
    at.text(key, interval, duration(range), &mut into.interval)
}

fn ring_bytes(text: &str) -> Result<u32, String> {
    let value = unit::parse_bytes(text)?;
    match u32::try_from(value) {
        Ok(bytes) if RING_BYTES.contains(&value) && value.is_power_of_two() => Ok(bytes),
        _ => {
            let (low, high) = (unit::show_bytes(*RING_BYTES.start()), unit::show_bytes(*RING_BYTES.end()));
            Err(format!("expected a power of two from {low} to {high}, got {text}"))
        }
    }
}
